"""Webhooks that are recorded together: as if they had come one by one, and in as few statements as one of them would need."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from tests import servers
from tests.webhooks.bodies import KOMMO, XERO, sample
from tests.webhooks.conftest import ACCOUNT, APPROVED, INVOICE, NOON, OFFER, SALES, TENANT, connect
from webhooks import kommo, xero
from webhooks.decode import decode
from webhooks.known import Notice
from webhooks.recording import Arrival, record
from worker import tables
from worker.database import Database, open_database
from worker.deliveries import Delivery, Mention
from worker.jobs import Job
from worker.links import Link

OTHER, OTHERS_TENANT = 555, "5e3e0000-0000-4000-8000-000000000000"


@pytest.fixture
def make_ledger(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Ledgers with two connections, a deal that waits for a client and one that is linked; each on a database of its own."""
    with ExitStack() as opened:

        def make() -> Database:
            if database_url.startswith("sqlite"):
                url = f"sqlite:///{tmp_path / 'second.db'}" if (tmp_path / "bridge.db").exists() else database_url
            else:
                url = opened.enter_context(servers.fresh_database(request.getfixturevalue("postgres_url")))
            database = open_database(url)
            opened.callback(database.close)
            tables.METADATA.create_all(database.engine)
            with database.begin() as session:
                connect(session)
                connect(session, connection="other", account_id=OTHER, subdomains=("other",), tenant_id=OTHERS_TENANT)
                session.add_all(
                    [link(8, waiting=True, waits_contact=80), link(9, waiting=True), link(7, invoice_id=INVOICE)]
                )
            return database

        yield make


def link(lead_id: int, **values: Any) -> Link:
    row = {"connection": "acme", "origin": "deal", "account_id": ACCOUNT, "tenant_id": TENANT, "remarks": []}
    return Link(**{**row, "lead_id": lead_id, "made_at": NOON, **values})


def arrival(source: str, body: bytes, notice: Notice, number: int) -> Arrival:
    return Arrival(source, body, "", NOON + timedelta(milliseconds=number), notice)


def arrivals() -> list[Arrival]:
    """Every sample, and bodies whose deals, clients and invoices meet."""
    forms: list[dict[str, object]] = [
        {"account[id]": account, f"leads[{action}][0][id]": lead, f"leads[{action}][0][status_id]": stage,
         f"leads[{action}][0][pipeline_id]": SALES}
        for account, action, lead, stage in (
            (ACCOUNT, "status", 7, APPROVED), (ACCOUNT, "update", 7, APPROVED), (ACCOUNT, "update", 9, OFFER),
            (OTHER, "add", 7, APPROVED), (ACCOUNT, "restore", 7, OFFER), (12, "add", 1, APPROVED),
        )
    ]  # fmt: skip
    forms.append({"account[id]": ACCOUNT, "contacts[update][0][id]": 80, "contacts[update][0][type]": "contact"})
    told = [("kommo", body) for body in [*map(sample, KOMMO), *(urlencode(form).encode() for form in forms), b"\xff"]]
    told += [("xero", sample(name)) for name in XERO]
    read: dict[str, Callable[[bytes], Notice]] = {"kommo": lambda body: kommo.read(decode(body)), "xero": xero.read}
    return [arrival(source, body, read[source](body), number) for number, (source, body) in enumerate(told)]


def kept(database: Database, batches: Sequence[Sequence[Arrival]]) -> tuple[list[Any], ...]:
    """What is in the ledger after these were recorded, a transaction each, without when."""
    for batch in batches:
        with database.begin() as session:
            record(session, batch)
    jobs = sa.select(
        Job.connection, Job.kind, Job.subject, Job.lead, Job.invoice, Job.state, Job.delivery_id, Job.entered_at
    )
    delivered = sa.select(
        Delivery.id, Delivery.source, Delivery.body, Delivery.connection, Delivery.problem, Delivery.received_at
    )
    mentions = sa.select(Mention.subject, Mention.delivery_id)
    with database.reading() as session:
        return tuple(
            sorted(map(tuple, session.execute(query))) for query in (jobs.order_by(Job.id), delivered, mentions)
        )


def test_what_comes_together_is_recorded_as_if_it_had_come_one_by_one(make_ledger: Callable[[], Database]):
    together, apart = make_ledger(), make_ledger()
    all_of_it = arrivals()
    jobs, deliveries, mentions = kept(together, [all_of_it])
    assert (jobs, deliveries, mentions) == kept(apart, [[one] for one in all_of_it])
    assert len(deliveries) == len(all_of_it)
    assert {(job[0], job[1]) for job in jobs} >= {
        ("acme", "create_invoice"),
        ("other", "create_invoice"),
        ("acme", "sync_status"),
    }


def test_ten_together_take_no_more_statements_than_one(make_ledger: Callable[[], Database]):
    database = make_ledger()
    seen: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda _c, _u, statement, *_: seen.append(statement))
    counts = []
    one, *_ = [each for each in arrivals() if b"leads%5Bstatus%5D" in each.body and str(ACCOUNT).encode() in each.body]
    for batch in ([one], [one] * 10):
        seen.clear()
        kept(database, [batch])
        counts.append(len([statement for statement in seen if not statement.startswith("INSERT INTO deliveries")]))
    assert counts[0] == counts[1]
