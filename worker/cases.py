"""A case: one deal on its way to its invoice, within one attempt."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from integrations.errors import CallError
from integrations.kommo.entities import Client, Lead
from integrations.xero.entities import Invoice
from worker.billing import Payer
from worker.claims import Claimed
from worker.links import Link
from worker.verdicts import Verdict


@dataclass(slots=True)
class Case:
    """What is known of the deal so far. With a verdict the case is closed; with an invoice it only needs to be shown."""

    job: Claimed
    link: Link | None = None
    lead: Lead | None = None
    client: Client | None = None
    person: Client | None = None  # the main contact beside a company: what the company lacks is taken from there
    payer: Payer | None = None
    invoice: Invoice | None = None
    entered_at: datetime | None = None  # by Kommo's log, where no event told
    verdict: Verdict | CallError | None = None

    @property
    def entered(self) -> datetime:
        """When the deal entered the stage: by the event that told, by Kommo's log, or when we first heard of it."""
        return self.job.entered_at or self.entered_at or self.job.recorded_at

    @property
    def lead_id(self) -> int:
        """The deal."""
        assert self.job.lead is not None
        return self.job.lead.lead_id


def open_cases(cases: Iterable[Case]) -> list[Case]:
    """Those that have no verdict yet."""
    return [case for case in cases if case.verdict is None]


def without_invoice(cases: Iterable[Case]) -> list[Case]:
    """Those of the open ones that have no invoice yet."""
    return [case for case in cases if case.verdict is None and case.invoice is None]
