"""A worker in this process against the sandbox over real sockets: wishes are written down, worked off by hand, and read back from the books.

Time is the sandbox's own, and the worker's runs `ahead` of it by as many seconds as a test lets pass.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from stack import books as books_of_the_sandbox
from stack.books import Books, Deal
from stack.sandbox import Sandbox
from worker import jobs, sweep
from worker.jobs import InvoiceRef, Job, Kind, LeadRef, State, Wanted
from worker.run import attempt
from worker.workshop import Workshop

SALES, APPROVED = "Sales", "Payment approved"


@dataclass
class Shop:
    """The sandbox, and a workshop whose jobs run when a test says so."""

    sandbox: Sandbox
    workshop: Workshop
    ahead: float = 0.0
    verdicts: list[str] = field(default_factory=list)

    def now(self) -> datetime:
        """The worker's time."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def pass_time(self, seconds: float) -> None:
        """Let the worker's clock run ahead."""
        self.ahead += seconds

    @property
    def account_id(self) -> int:
        return int(self.sandbox.ready["kommo_account_id"])

    @property
    def tenant_id(self) -> str:
        return str(self.sandbox.ready["xero_tenant_id"])

    def deal(self, name: str = "Website", *, price: str = "1000.00", stage: str = APPROVED, **more: Any) -> int:
        """A person makes a deal in the trigger stage; with a client, unless told otherwise."""
        given = {"company": {"name": "Acme Ltd", "email": "pay@acme.example"}} | more
        body = {
            "name": name,
            "price": price,
            "pipeline": SALES,
            "stage": stage,
            **{k: v for k, v in given.items() if v},
        }
        return int(self.sandbox.post("kommo/leads", body)["id"])

    def invoice(self, *, contact: str = "Umbrella Ltd", **more: Any) -> str:
        """A person raises an invoice in Xero."""
        line = {"description": "Consulting", "quantity": "1", "unit_amount": "100.00", "account_code": "200"}
        body = {"contact": {"name": contact}, "status": "AUTHORISED", "lines": [line], **more}
        return str(self.sandbox.post("xero/invoices", body)["id"])

    def company_of(self, lead_id: int) -> int:
        """The company that a deal is with."""
        leads = self.sandbox.books()["kommo"]["leads"]
        return int(next(lead["company"] for lead in leads if lead["id"] == lead_id))

    def entered(self, *lead_ids: int) -> list[int]:
        """Kommo says that these deals entered the stage."""
        return self.record(
            *(Wanted("demo", Kind.CREATE_INVOICE, lead=LeadRef(self.account_id, one)) for one in lead_ids)
        )

    def changed(self, *invoice_ids: str) -> list[int]:
        """Xero says that these invoices, known to be ours, changed."""
        return self.record(*(self._about(Kind.SYNC_STATUS, one) for one in invoice_ids))

    def raised(self, *invoice_ids: str) -> list[int]:
        """Xero speaks of invoices that nobody knows yet."""
        return self.record(*(self._about(Kind.CREATE_DEAL, one) for one in invoice_ids))

    def _about(self, kind: Kind, invoice_id: str) -> Wanted:
        return Wanted("demo", kind, invoice=InvoiceRef(self.tenant_id, invoice_id))

    def record(self, *wanted: Wanted) -> list[int]:
        """Write wishes down."""
        with self.workshop.database.begin() as session:
            return jobs.record(session, wanted, now=self.now())

    def work(self, *, rounds: int = 20) -> None:
        """Work off all that is due now, and what comes of it."""
        for _ in range(rounds):
            rings = sweep.sweep(self.workshop.database, now=self.now(), ring_again=timedelta())
            if not rings:
                return
            for ring in rings:
                attempt(self.workshop, ring.kind, ring.job_id)
        raise AssertionError(f"still not idle after {rounds} rounds: {self.unfinished()}")

    def unfinished(self) -> list[tuple[str, str | None]]:
        """What is not done, with its last word."""
        with self.workshop.database.reading() as session:
            rows = session.execute(sa.select(Job.kind, Job.sentence).where(Job.state != State.DONE).order_by(Job.id))
            return [(row.kind, row.sentence) for row in rows]

    def job(self, job_id: int) -> Job:
        """A job's row."""
        with self.workshop.database.reading() as session:
            found = session.get(Job, job_id)
        assert found is not None
        return found

    def books(self) -> Books:
        """Both vendors' books."""
        return books_of_the_sandbox.read(self.sandbox.books())

    def lead(self, lead_id: int) -> Deal:
        """A deal as Kommo shows it."""
        return self.books().deals[lead_id]

    def fault(self, vendor: str, call: str, do: object, *, when: str = "after", times: int = 1, **more: object) -> int:
        """From now on such calls meet this fault."""
        wanted = {"vendor": vendor, "call": call, "when": when, "do": do, "times": times, **more}
        return int(self.sandbox.post("faults", wanted)["id"])

    def calls(self, since: int) -> list[str]:
        """Calls after a mark, as "vendor METHOD path", token requests apart."""
        return [
            f"{call['vendor']} {call['method']} {call['path']}"
            for call in self.sandbox.calls_after(since)
            if "/connect/token" not in call["path"]
        ]
