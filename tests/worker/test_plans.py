"""That a million finished jobs stand in nobody's way: no statement of everyday reads through a table that only grows.

The databases are asked how they would do it, in a ledger with ten thousand finished jobs, whatever they believe of it: with no statistics, with such
as were true when it was empty, and with such as know finished jobs only; and PostgreSQL with plans made for these values and for any. Only the counts of `status` read through an index of what has ended: a tenth of a second.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import event

from tests import servers
from worker import attempts, claims, deliveries, jobs, links, overdue, overview, replays, sweep, views
from worker.database import Database, open_database
from worker.deliveries import Received
from worker.jobs import Job, Kind, State, Wanted
from worker.pruning import Pruner
from worker.replays import Filter
from worker.settings import Keeping
from worker.tables import METADATA
from worker.verdicts import Done, Failed, Verdict, Wait

from .ledger import ACCOUNT, LEASE, TENANT, THEN, for_invoice, for_lead, record

GROWING = ("jobs", "deliveries", "mentions", "attempts", "links")
FINISHED, LEADS = 10_000, 2_000
HOURS = (THEN + timedelta(days=400, hours=hour) for hour in itertools.count())

SERIES = {
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < :many) ",
    "postgresql": "WITH s AS (SELECT generate_series(1, :many) AS n) ",
}
AT = {
    "sqlite": "datetime('2026-01-01', '+' || n || ' minutes') || '.000000'",
    "postgresql": "timestamptz '2026-01-01Z' + n * interval '1 minute'",
}
# Rows as wide as a page lets four of them be: so tables have the pages of many more of them.
WIDE = {
    "sqlite": {"no": "0", "body": "zeroblob(900)", "wide": "hex(zeroblob(450))"},
    "postgresql": {"no": "false", "body": "decode(repeat('00', 1800), 'hex')", "wide": "repeat('x', 1700)"},
}
TEXT = "CAST(n % :leads AS TEXT)"
FILL = (
    (
        "INSERT INTO jobs (connection, kind, subject, lead, invoice, state, due_at, attempts, deaths, alone, batch, recorded_at, ended_at, sentence) "
        "{series} SELECT 'acme', 'sync_status', 'invoice:{tenant}:' || {text}, '{account}:' || {text}, '{tenant}:' || {text}, 'done', "
        "{at}, 0, 0, {no}, 1, {at}, {at}, {wide} FROM s"
    ),
    "INSERT INTO attempts (job_id, ended_at, verdict, sentence, batch, calls) {series} SELECT n, {at}, 'done', {wide}, 1, '[]' FROM s",
    "INSERT INTO deliveries (source, received_at, content_type, body, connection) {series} SELECT 'xero', {at}, '', {body}, 'acme' FROM s",
    "INSERT INTO mentions (subject, delivery_id) {series} SELECT 'lead:{account}:' || {text}, n FROM s",
    (
        "INSERT INTO links (connection, origin, account_id, lead_id, part, tenant_id, invoice_id, made_at, waiting, waits_books, gone, remarks, label, number) "
        "{series} SELECT 'acme', 'deal', {account}, n, 1, '{tenant}', 'i' || CAST(n AS TEXT), {at}, {no}, {no}, {no}, '[]', 'Paid', {wide} FROM s"
    ),
)


def fill(database: Database) -> None:
    """Finished jobs, five a deal, with all that belongs to them."""
    kind = database.engine.dialect.name
    constants = {"account": str(ACCOUNT), "tenant": TENANT, "text": TEXT, "at": AT[kind], "series": SERIES[kind]}
    constants |= WIDE[kind]
    with database.begin() as session:
        for statement in FILL:
            session.execute(sa.text(statement.format(**constants)), {"many": FINISHED, "leads": LEADS})


def analyze(database: Database) -> None:
    with database.begin() as session:
        session.execute(sa.text("ANALYZE"))


STATISTICS = ("none", "those of an empty ledger", "those of finished jobs")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty database, for all tests here: filling one takes longer than asking it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'bridge.db'}"
        return
    with servers.fresh_database(request.getfixturevalue("postgres_url")) as fresh:
        yield fresh


@pytest.fixture(scope="module", params=STATISTICS)
def ledger(request: pytest.FixtureRequest, url: str) -> Iterator[Database]:
    """A ledger at size, about which the database has these statistics."""
    database = open_database(url, patience=60)
    METADATA.drop_all(database.engine)
    METADATA.create_all(database.engine)
    if database.engine.dialect.name == "postgresql":
        with database.begin() as session:  # it would learn by itself in a minute
            for table in GROWING:
                session.execute(sa.text(f"ALTER TABLE {table} SET (autovacuum_enabled = false)"))
    if request.param == "those of an empty ledger":
        analyze(database)
    fill(database)
    if request.param == "those of finished jobs":
        analyze(database)
    yield database
    database.close()


@pytest.fixture
def now() -> datetime:
    """A time of each test's own: whatever the one before it has left is due, or its lease has lapsed."""
    return next(HOURS)


@dataclass
class Plans:
    """The plans of what is asked of a database, and those of them that read through a growing table."""

    dialect: str
    may_be_generic: bool = True
    seen: dict[str, None] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)

    def look(self, connection: sa.Connection, cursor: Any, statement: str, parameters: Any, _: Any, many: bool) -> None:
        """Ask for the plan before the statement itself is carried out."""
        if not re.match(r"SELECT|UPDATE|DELETE|INSERT|WITH", statement) or statement in self.seen:
            return
        self.seen[statement] = None
        first = (
            parameters[0] if many and isinstance(parameters, list) else parameters
        )  # many rows may be one statement too
        asked = connection.connection.cursor()
        ways = [sqlite_plan] if self.dialect == "sqlite" else [postgresql_plan]
        ways += [generic_plan] if self.dialect != "sqlite" and self.may_be_generic else []
        for way in ways:
            plan = way(asked, statement, first)
            if any(reads_through(line) for line in plan):
                self.bad.append("\n".join((statement, way.__name__, *plan)))
        asked.close()


def reads_through(line: str) -> bool:
    """Whether this line of a plan reads a growing table from end to end; all of a small partial index is no such thing."""
    scan = re.search(r"Seq Scan on (\w+)|^SCAN (\w+?)(?:_\d+)?$", line)
    return scan is not None and (scan[1] or scan[2]) in GROWING


def sqlite_plan(cursor: Any, statement: str, parameters: Any) -> list[str]:
    cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
    return [row[-1] for row in cursor.fetchall()]


def postgresql_plan(cursor: Any, statement: str, parameters: Any) -> list[str]:
    cursor.execute(f"EXPLAIN {statement}", parameters)
    return [row[0] for row in cursor.fetchall()]


def generic_plan(cursor: Any, statement: str, parameters: Any) -> list[str]:
    """As after the fifth time, should the server think that a plan for any values is as good."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    numbered = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", statement).replace("%%", "%")
    cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    cursor.execute(f"PREPARE asked AS {numbered}".encode())
    values = sql.SQL(", ").join(sql.Literal(parameters[name]) for name in names)
    cursor.execute(sql.SQL("EXPLAIN EXECUTE asked ({})").format(values) if names else "EXPLAIN EXECUTE asked")
    plan = [row[0] for row in cursor.fetchall()]
    cursor.execute("DEALLOCATE asked")
    cursor.execute("SET LOCAL plan_cache_mode = auto")
    return plan


def watched(ledger: Database, found: Plans) -> Iterator[Plans]:
    event.listen(ledger.engine, "before_cursor_execute", found.look)
    yield found
    event.remove(ledger.engine, "before_cursor_execute", found.look)
    assert found.seen
    if found.bad:
        pytest.fail("\n\n".join(found.bad))


@pytest.fixture
def plans(ledger: Database) -> Iterator[Plans]:
    """Collects the plans of what the test does with the ledger, any of which must do."""
    yield from watched(ledger, Plans(ledger.engine.dialect.name))


@pytest.fixture
def rare_plans(ledger: Database, request: pytest.FixtureRequest) -> Iterator[Plans]:
    """The same for what is asked now and then: there a database that has had a minute to learn may be expected."""
    dialect = ledger.engine.dialect.name
    if dialect == "postgresql" and STATISTICS[-1] not in request.node.name:
        pytest.skip("what is asked now and then may expect statistics of a minute ago")
    yield from watched(ledger, Plans(dialect, may_be_generic=False))


def burst(database: Database, now: datetime) -> list[int]:
    """A hundred deals at once, of which much is known already."""
    return record(database, *(for_lead(lead) for lead in range(1, 101)), now=now)


def test_a_burst_is_recorded_swept_claimed_and_settled(ledger: Database, plans: Plans, now: datetime):
    ids = burst(ledger, now)
    sweep.sweep(ledger, now=now)
    claim = claims.claim(ledger, ids[0], now=now, lease=LEASE, most=50)
    assert claim is not None
    record(ledger, *(for_lead(lead) for lead in range(1, 10)), now=now)  # twins
    claims.renew(ledger, claim.holder, now=now, lease=LEASE)
    with ledger.begin() as session:
        assert claims.holds(session, claim.holder)
    verdicts: list[Verdict] = [Done("INV-1"), Failed("no"), Wait(0, "turn", counts=False)]
    assert claims.settle(ledger, claim, {one.id: verdicts[one.id % 3] for one in claim.jobs}, now=now)


def test_a_success_closes_failures(ledger: Database, plans: Plans, now: datetime):
    for verdict in (Failed("no"), Done()):
        (job_id,) = record(ledger, for_lead(1007), now=now)
        claim = claims.claim(ledger, job_id, now=now, lease=LEASE, most=1)
        assert claim is not None
        claims.settle(ledger, claim, {job_id: verdict}, now=now)


def test_a_death_is_swept_up(ledger: Database, plans: Plans, now: datetime):
    ids = burst(ledger, now)
    claims.claim(ledger, ids[-1], now=now, lease=LEASE, most=50)
    burst(ledger, now)
    sweep.sweep(ledger, now=now + timedelta(seconds=11))


def test_a_webhook_is_recorded(ledger: Database, plans: Plans, now: datetime):
    with ledger.begin() as session:
        links.waiting(session, ACCOUNT, leads=[1, 2], contacts=[3], companies=[4])
        links.find_invoices(session, TENANT, ["i1", "i2"])
        links.for_leads(session, ACCOUNT, [1, 2])
        told = Received("kommo", b"1", "", now, subjects=frozenset({f"lead:{ACCOUNT}:1"}))
        (delivery,) = deliveries.keep(session, [told])
        wish = Wanted(
            "acme", Kind.SYNC_STATUS, lead=for_lead(1).lead, invoice=for_invoice().invoice, delivery_id=delivery
        )
        jobs.rings_for(session, jobs.record(session, [wish, for_lead(2)], now=now))


def test_the_timers_look(ledger: Database, rare_plans: Plans, now: datetime):
    with ledger.reading() as session:
        overdue.past_due(session, now=now)
        overdue.waiting_for_books(session, now=now)


def test_an_operator_asks_how_it_is_doing(ledger: Database, rare_plans: Plans, now: datetime):
    with ledger.reading() as session:
        overview.oldest_due(session, now)
        overview.count_problems(session)
        list(overview.problems(session))
        list(overview.heard(session, ["acme", "beta"]))


def test_an_operator_asks_for_the_few_that_matter(ledger: Database, rare_plans: Plans, now: datetime):
    few = (
        Filter(state=State.QUEUED),
        Filter(state=State.RUNNING),
        Filter(state=State.FAILED, kind=Kind.SYNC_STATUS, connection="acme", error="no"),
        Filter(state=State.CANCELLED),
        Filter(since=now - timedelta(days=1)),
        Filter(state=State.FAILED, since=now - timedelta(days=1)),
    )
    with ledger.reading() as session:
        for wanted in few:
            views.view(session, replays.find(session, wanted, most=50), now=now)


def test_a_story_is_told(ledger: Database, rare_plans: Plans):
    with ledger.reading() as session:
        about = [f"lead:{ACCOUNT}:7", f"invoice:{TENANT}:7"]
        deliveries.about(session, about)
        of_deal = sa.or_(Job.lead.in_([f"{ACCOUNT}:7"]), Job.invoice.in_([f"{TENANT}:7"]))
        attempts.story(session, list(session.scalars(sa.select(Job.id).where(of_deal))))


def test_old_rows_are_pruned(ledger: Database, rare_plans: Plans, now: datetime):
    pruner = Pruner(Keeping())
    assert sum(pruner.step(ledger, now=now) for _ in range(30)) > 0
