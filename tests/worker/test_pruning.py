"""What goes when it is old, and what stays however old it is."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from worker import deliveries, jobs, pruning, sends
from worker.attempts import Attempt, story
from worker.claims import settle
from worker.database import Database
from worker.deliveries import Delivery, Mention, Received
from worker.jobs import Job, State, Wanted
from worker.links import Link
from worker.pruning import MOST, Pruner
from worker.sends import Send, SendMember
from worker.settings import Keeping
from worker.verdicts import Done, Failed, Verdict, Wait

from .ledger import ACCOUNT, TENANT, THEN, for_invoice, for_lead, must_claim, record

CALLS = [{"path": "/leads"}]


def days(number: float) -> datetime:
    """This many days after THEN."""
    return THEN + timedelta(days=number)


def do(database: Database, *wishes: Wanted, now: datetime, verdict: Verdict | None = None) -> list[int]:
    """The jobs, all in one batch, with a delivery that asked for them."""
    with database.begin() as session:
        ids = jobs.record(session, wishes, now=now)
        subjects = frozenset(f"lead:{wish.lead}" for wish in wishes if wish.lead)
        deliveries.keep(session, [Received("kommo", b"1", "form", now, connection="acme", subjects=subjects)])
    batch = must_claim(database, ids[0], now=now, most=50)
    settle(database, batch, {one.id: verdict or Done() for one in batch.jobs}, now=now, calls=CALLS)
    return ids


def prune(database: Database, *, now: datetime, keeping: Keeping | None = None) -> int:
    """Until it rests."""
    pruner, removed = Pruner(keeping or Keeping()), 0
    for _ in range(100):
        removed += pruner.step(database, now=now)
    return removed


def left(database: Database, *tables: type) -> list[int]:
    """How many rows each of these tables has."""
    with database.reading() as session:
        return [session.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in tables]


def young(database: Database, now: datetime) -> None:
    """Something of another deal, of this moment: the newest row of each table is never taken."""
    do(database, for_lead(999), now=now)


def test_what_ended_long_ago_goes_table_by_table_at_its_own_age(database: Database):
    do(database, for_lead(7), now=THEN)
    young(database, days(31))
    prune(database, now=days(29))
    assert left(database, Delivery, Mention, Attempt, Job) == [2, 2, 2, 2]
    prune(database, now=days(31))
    assert left(database, Delivery, Mention, Attempt, Job) == [1, 1, 1, 2]
    prune(database, now=days(91))
    assert left(database, Job) == [1]


@pytest.mark.parametrize("verdict", [Failed("mend it"), Wait(400 * 86400, "later")])
def test_a_job_that_is_not_done_stays_with_its_whole_story(database: Database, verdict: Verdict):
    (job_id,) = do(database, for_lead(7), now=THEN, verdict=verdict)
    young(database, days(300))
    prune(database, now=days(300))
    with database.reading() as session:
        assert session.get(Job, job_id) is not None
        assert len(story(session, [job_id])) == len(deliveries.about(session, [f"lead:{ACCOUNT}:7"])) == 1


def test_a_job_that_runs_stays(database: Database):
    (job_id,) = record(database, for_lead(7))
    must_claim(database, job_id)
    young(database, days(300))
    prune(database, now=days(300))
    assert left(database, Job) == [2]


def test_a_failure_that_a_success_has_closed_goes_with_it(database: Database):
    do(database, for_lead(7), now=THEN, verdict=Failed("no"))
    do(database, for_lead(7), now=days(1))
    young(database, days(100))
    prune(database, now=days(100))
    assert left(database, Job, Attempt) == [1, 1]


def test_what_an_operator_took_back_goes(database: Database):
    (job_id,) = record(database, for_lead(7))
    with database.begin() as session:
        session.execute(sa.update(Job).where(Job.id == job_id).values(state=State.CANCELLED, ended_at=THEN))
    young(database, days(100))
    prune(database, now=days(100))
    assert left(database, Job) == [1]


def test_the_story_of_a_deal_stays_whole_while_anything_happens_to_it(database: Database):
    """Its invoice was made long ago, and paid yesterday."""
    (created,) = do(database, for_lead(7), now=THEN)
    (paid,) = do(database, for_invoice("inv-1", lead_id=7), now=days(199))
    (gone,) = do(database, for_lead(8), now=THEN + timedelta(seconds=1))
    young(database, days(200))
    prune(database, now=days(200))
    with database.reading() as session:
        assert len(story(session, [created, paid])) == 2
        assert len(deliveries.about(session, [f"lead:{ACCOUNT}:7"])) == 2
        assert (session.get(Job, created) is None, session.get(Job, gone) is None) == (False, True)
        assert story(session, [gone]) == []


def test_a_deal_and_its_invoice_are_one_story(database: Database):
    """The first job about an invoice knows no deal yet."""
    (made,) = do(database, for_invoice("inv-1", kind=jobs.Kind.CREATE_DEAL), now=THEN)
    do(database, for_invoice("inv-1", lead_id=7), now=days(199))
    young(database, days(200))
    prune(database, now=days(200))
    with database.reading() as session:
        assert len(story(session, [made])) == 1


def test_what_was_not_understood_stays_longer(database: Database):
    with database.begin() as session:
        deliveries.keep(
            session, [Received("xero", b"{", "json", THEN, problem=problem) for problem in (None, "no JSON")]
        )
    young(database, days(100))
    prune(database, now=days(100))
    with database.reading() as session:
        assert [one.problem for one in deliveries.not_understood(session)] == ["no JSON"]
    assert left(database, Delivery) == [2]
    prune(database, now=days(181))
    assert left(database, Delivery) == [1]


def test_links_and_sends_without_an_outcome_stay_for_ever(database: Database):
    for lead_id in (1, 2, 3):
        with database.begin() as session:
            link = Link(
                connection="acme", origin="deal", account_id=ACCOUNT, lead_id=lead_id, tenant_id=TENANT, made_at=THEN,
                remarks=[],
            )  # fmt: skip
            session.add(link)
            session.flush()
            send = sends.open_send(
                session, connection="acme", scope=TENANT, what="invoices", body=b"{}", members={link.id: None}, now=THEN
            )
            if lead_id != 2:
                sends.close(session, send.id, [link.id], now=THEN)
    prune(database, now=days(3000))
    assert left(database, Link, Send, SendMember) == [3, 2, 2]  # the answered one is gone; the newest send stays
    with database.reading() as session:
        assert list(sends.unresolved(session, [1, 2, 3])) == [2]


def test_the_newest_row_stays_so_that_no_number_is_given_twice(database: Database):
    do(database, for_lead(7), now=THEN)
    prune(database, now=days(3000))
    assert left(database, Delivery, Attempt, Job) == [1, 1, 1]
    (second,) = do(database, for_lead(8), now=days(3000))
    assert second == 2


def test_the_calls_of_a_batch_stay_as_long_as_one_of_it_does(database: Database):
    first, second = do(database, for_lead(7), for_lead(8), now=THEN)
    do(database, for_lead(8), now=days(199))
    young(database, days(200))
    prune(database, now=days(200))
    with database.reading() as session:
        assert [one.calls for one in story(session, [second])] == [CALLS]
        assert session.get(Job, first) is None
    prune(database, now=days(400))
    prune(database, now=days(400))
    assert left(database, Attempt) == [1]


def test_a_step_takes_no_more_than_it_may_and_the_walk_gets_through(database: Database):
    row = {"source": "kommo", "received_at": THEN, "content_type": "form", "body": b"1"}
    with database.begin() as session:
        session.execute(sa.insert(Delivery), [row] * (2 * MOST + 10))
    pruner = Pruner(Keeping())
    removed = [pruner.step(database, now=days(100)) for _ in range(8)]
    assert (max(removed), sum(removed)) == (MOST, 2 * MOST + 9)


def test_when_it_is_through_it_rests_for_an_hour(database: Database):
    pruner = Pruner(Keeping())
    for _ in pruning.WALKS:
        pruner.step(database, now=THEN)
    do(database, for_lead(7), now=THEN - timedelta(days=300))
    do(database, for_lead(8), now=THEN - timedelta(days=300))
    soon, later = THEN + timedelta(minutes=59), THEN + timedelta(minutes=61)
    assert sum(pruner.step(database, now=soon) for _ in range(10)) == 0
    assert sum(pruner.step(database, now=later) for _ in range(10)) > 0


def test_what_old_rows_that_stay_hide_is_found(database: Database):
    """More than a step's worth of failures stand before what goes."""
    row = {"source": "kommo", "received_at": THEN, "content_type": "form", "body": b"1"}
    with database.begin() as session:
        session.execute(sa.insert(Delivery), [row | {"problem": "no JSON"}] * (MOST + 10))
        session.execute(sa.insert(Delivery), [row | {"problem": None}] * 5)
    assert prune(database, now=days(100)) == 4


def test_ages_are_settings(database: Database):
    do(database, for_lead(7), now=THEN)
    young(database, days(3))
    keeping = Keeping(deliveries_days=1, attempts_days=1, jobs_days=2)
    prune(database, now=days(3), keeping=keeping)
    assert left(database, Delivery, Attempt, Job) == [1, 1, 1]


def test_sqlite_gives_freed_pages_to_the_next_rows(tmp_path: Path, database: Database):
    if database.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite has a file that could grow")
    row = {"source": "kommo", "received_at": THEN, "content_type": "form", "body": b"1" * 2000}
    sizes = []
    for turn in range(4):
        with database.begin() as session:
            session.execute(sa.insert(Delivery), [row | {"received_at": days(100 * turn)}] * 1000)
        prune(database, now=days(100 * turn + 50))
        with database.reading() as session:
            sizes.append(session.scalar(sa.text("PRAGMA page_count")))
    assert sizes[-1] <= sizes[1]
