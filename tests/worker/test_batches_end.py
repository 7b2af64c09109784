"""How a batch ends: in one transaction, with its calls written once; and where that clashes, nothing of it is lost."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from worker import claims, jobs
from worker.attempts import Attempt, story
from worker.claims import settle
from worker.database import Database, open_database
from worker.jobs import Job, State
from worker.tables import METADATA
from worker.verdicts import Done, Failed, Verdict, Wait

from .ledger import LEASE, at, for_invoice, for_lead, job, must_claim, record, states

CALLS = [{"vendor": "xero", "path": "/api.xro/2.0/Invoices"}, {"vendor": "kommo", "path": "/api/v4/leads"}]


@contextmanager
def commits(database: Database) -> Iterator[list[int]]:
    """Counts the transactions that are committed meanwhile."""
    seen: list[int] = []

    def count(_: sa.Connection) -> None:
        seen.append(1)

    event.listen(database.engine, "commit", count)
    yield seen
    event.remove(database.engine, "commit", count)


def test_a_batch_ends_in_one_transaction(database: Database):
    first, *_ = record(database, *(for_lead(lead) for lead in range(1, 51)))
    batch = must_claim(database, first, most=50)
    verdicts: list[Verdict] = [Done("INV-1"), Failed("no"), Wait(5, "turn", counts=False)]
    with commits(database) as seen:
        settle(database, batch, {one.id: verdicts[one.id % 3] for one in batch.jobs}, now=at(1), calls=CALLS)
    assert len(seen) == 1
    assert (states(database).count(State.DONE), states(database).count(State.QUEUED)) == (16, 17)


def test_the_calls_of_a_batch_are_written_once_and_told_of_each_of_its_jobs(database: Database):
    first, *_ = ids = record(database, *(for_lead(lead) for lead in range(1, 51)))
    batch = must_claim(database, first, most=50)
    settle(database, batch, {one.id: Done() for one in batch.jobs}, now=at(1), calls=CALLS)
    with database.reading() as session:
        assert sum(bool(calls) for calls in session.scalars(sa.select(Attempt.calls))) == 1
        for job_id in ids:
            assert [one.calls for one in story(session, [job_id])] == [CALLS]


def test_each_job_of_a_batch_has_its_own_verdict(database: Database):
    first, second, third = record(database, for_lead(1), for_lead(2), for_lead(3))
    batch = must_claim(database, first, most=50)
    told: dict[int, Verdict] = {first: Done("INV-1"), second: Failed("no"), third: Wait(60, "later")}
    settle(database, batch, told, now=at(1))
    assert states(database) == [State.DONE, State.FAILED, State.QUEUED]
    assert [job(database, one).sentence for one in (first, second, third)] == ["INV-1", "no", "later"]
    assert [job(database, one).ended_at for one in (first, second, third)] == [at(1), at(1), None]
    assert job(database, third).due_at == at(61)


def test_of_a_batch_that_lost_some_of_its_jobs_the_rest_is_settled(database: Database):
    first, second = record(database, for_lead(1), for_lead(2))
    batch = must_claim(database, first, most=50)
    with database.begin() as session:  # another one has it now
        session.execute(sa.update(Job).where(Job.id == first).values(holder="another"))
    settle(database, batch, {first: Done("mine"), second: Done("mine")}, now=at(1))
    assert [job(database, one).sentence for one in (first, second)] == [None, "mine"]
    assert states(database) == [State.RUNNING, State.DONE]


def test_jobs_without_a_verdict_stay_as_they_are(database: Database):
    first, second = record(database, for_lead(1), for_lead(2))
    batch = must_claim(database, first, most=50)
    settle(database, batch, {second: Done()}, now=at(1))
    assert states(database) == [State.RUNNING, State.DONE]
    assert settle(database, batch, {}, now=at(1)) == []


def test_a_batch_rings_for_each_job_that_waited_for_one_of_its_subjects_and_once(database: Database):
    creates = record(database, for_lead(1), for_lead(2))
    syncs = record(database, for_invoice("a", lead_id=1), for_invoice("b", lead_id=1), for_invoice("c", lead_id=2))
    batch = must_claim(database, creates[0], most=50)
    rings = settle(database, batch, {one.id: Done() for one in batch.jobs}, now=at(1))
    assert [ring.job_id for ring in rings] == [syncs[0], syncs[2]]


def test_a_batch_closes_the_failures_of_each_of_its_subjects(database: Database):
    failed = record(database, for_lead(1), for_lead(2), for_lead(3))
    batch = must_claim(database, failed[0], most=50)
    settle(database, batch, {one.id: Failed("no") for one in batch.jobs}, now=at(1))
    again = record(database, for_lead(1), for_lead(2), for_lead(3), now=at(2))
    batch = must_claim(database, again[0], now=at(2), most=50)
    settle(database, batch, {again[0]: Done(), again[1]: Done(), again[2]: Failed("no")}, now=at(3))
    assert states(database) == [State.DONE, State.DONE, State.FAILED, State.DONE, State.DONE, State.FAILED]
    assert [job(database, one).sentence for one in failed] == [
        f"done by job {again[0]}",
        f"done by job {again[1]}",
        "no",
    ]


def test_an_event_that_is_recorded_in_the_same_moment_costs_nobody_else_anything(
    database: Database, until: Callable[..., object]
):
    """Its job takes the place in the queue that one of the batch is about to take."""
    ids = record(database, *(for_lead(lead) for lead in range(1, 9)))
    batch = must_claim(database, ids[0], most=50)
    with ThreadPoolExecutor(1) as worker:
        with database.begin() as session:
            jobs.record(session, [for_lead(5)], now=at(1))
            ending = worker.submit(settle, database, batch, {one: Wait(60, "later") for one in ids}, now=at(2))
            if database.engine.dialect.name == "postgresql":  # SQLite lets nobody else begin
                until(lambda: waits_for_a_lock(database))
        ending.result(timeout=20)
    assert states(database) == [State.QUEUED] * 8
    assert [job(database, one).attempts for one in ids] == [1, 1, 1, 1, 0, 1, 1, 1]
    assert job(database, ids[4]).due_at == at(2)
    with database.reading() as session:
        assert [len(story(session, [one])) for one in ids] == [1] * 8


def waits_for_a_lock(database: Database) -> bool:
    with database.reading() as session:
        waiting = sa.text(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return bool(session.scalar(waiting))


@pytest.mark.parametrize("verdict", [Done(), Wait(0, "turn", counts=False)])
def test_renewals_and_bursts_of_events_never_wait_for_a_batch_that_waits_for_them(
    fresh_postgres_url: str, verdict: Verdict
):
    database = open_database(fresh_postgres_url, patience=60)  # a busy machine is no deadlock
    METADATA.create_all(database.engine)
    leads = [for_lead(lead) for lead in range(1, 31)]
    record(database, *leads)
    over = threading.Event()
    failures: list[Exception] = []

    def keep_on(step: Callable[[], object]) -> None:
        try:
            while not over.is_set():
                step()
        except Exception as failure:  # noqa: BLE001  (told by the main thread)
            failures.append(failure)

    held: list[str] = ["nobody"]
    noise: list[Callable[[], object]] = [
        lambda: claims.renew(database, held[-1], now=at(1), lease=LEASE),
        lambda: record(database, *leads[::3], *leads[1::3], now=at(1)),
    ]
    threads = [threading.Thread(target=keep_on, args=(step,)) for step in noise]
    for thread in threads:
        thread.start()
    for turn in range(5):
        (job_id, *_) = record(database, *leads, now=at(turn))
        if batch := claims.claim(database, job_id, now=at(turn), lease=LEASE, most=50):
            held.append(batch.holder)
            settle(database, batch, {one.id: verdict for one in batch.jobs}, now=at(turn))
    over.set()
    for thread in threads:
        thread.join(timeout=20)
    assert failures == []
    assert State.RUNNING not in states(database)
    with database.reading() as session:  # one that settling met would have been tried again, and so be seen only here
        told = sa.text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert session.scalar(told) == 0
    database.close()
