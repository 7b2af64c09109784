"""Failed jobs again, each once; jobs taken back; and the lists of both, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from worker import jobs, replays, views
from worker.database import Database
from worker.jobs import InvoiceRef, Job, Kind, LeadRef, State, Wanted
from worker.replays import Filter, Outcome

NOW = datetime(2026, 9, 14, 12, tzinfo=UTC)
TENANT = "5b96e86b-418e-48d8-8949-308c14aec278"


def make(
    database: Database, lead_id: int, state: State, *, kind: Kind = Kind.CREATE_INVOICE, sentence: str = "no"
) -> int:
    """A job about this lead in this state."""
    invoice = None if kind is Kind.CREATE_INVOICE else InvoiceRef(TENANT, f"invoice-{lead_id}")
    with database.begin() as session:
        wish = Wanted("acme", kind, lead=LeadRef(1, lead_id), invoice=invoice)
        (job_id,) = jobs.record(session, [wish], now=NOW - timedelta(hours=1))
        ended = NOW if state in {State.DONE, State.FAILED, State.CANCELLED} else None
        session.execute(
            sa.update(Job).where(Job.id == job_id).values(state=state, sentence=sentence, ended_at=ended, attempts=4)
        )
    return job_id


def queued(database: Database) -> list[tuple[int, str | None, int]]:
    """What is queued: id, lead, attempts."""
    with database.reading() as session:
        rows = session.execute(
            sa.select(Job.id, Job.lead, Job.attempts).where(Job.state == State.QUEUED).order_by(Job.id)
        )
        return [(row.id, row.lead, row.attempts) for row in rows]


def test_a_failed_job_is_recorded_anew_and_rung_for(database):
    failed = make(database, 7, State.FAILED)
    (answer,), rings = replays.replay(database, [failed], now=NOW)
    assert answer.outcome is Outcome.QUEUED
    assert queued(database) == [(answer.queued_as, "1:7", 0)]
    assert [ring.job_id for ring in rings] == [answer.queued_as]


def test_what_it_is_about_is_kept(database):
    failed = make(database, 7, State.FAILED, kind=Kind.SYNC_STATUS)
    _, (ring,) = replays.replay(database, [failed], now=NOW)
    assert (ring.kind, ring.about) == (Kind.SYNC_STATUS, "lead 7, invoice invoice-7")


def test_a_queued_twin_is_named_and_pulled_to_now(database):
    failed = make(database, 7, State.FAILED)
    twin = make(database, 7, State.QUEUED)
    with database.begin() as session:
        session.execute(sa.update(Job).where(Job.id == twin).values(due_at=NOW + timedelta(hours=5)))
    (answer,), _ = replays.replay(database, [failed], now=NOW)
    assert (answer.outcome, answer.queued_as) == (Outcome.TWIN, twin)
    assert f"job {twin} about the same is queued already" in answer.sentence
    with database.reading() as session:
        assert session.get_one(Job, twin).due_at == NOW


def test_several_about_the_same_run_once(database):
    first, second = make(database, 7, State.FAILED), make(database, 7, State.CANCELLED)
    answers, rings = replays.replay(database, [first, second, first], now=NOW)
    assert [answer.outcome for answer in answers] == [Outcome.QUEUED, Outcome.TWIN]
    assert len(queued(database)) == len(rings) == 1


def test_a_great_many_are_replayed_in_batches(database):
    failed = [make(database, lead_id, State.FAILED) for lead_id in range(replays.BATCH + 5)]
    answers, rings = replays.replay(database, failed, now=NOW)
    assert len(answers) == len(rings) == len(failed)
    assert len(queued(database)) == len(failed)


def test_a_preview_says_the_same_and_records_nothing(database):
    failed, other = make(database, 7, State.FAILED), make(database, 8, State.FAILED)
    make(database, 8, State.QUEUED)
    with database.reading() as session:
        answers = replays.preview(session, [failed, other, 99], now=NOW)
    assert [answer.outcome for answer in answers] == [Outcome.QUEUED, Outcome.TWIN, Outcome.REFUSED]
    assert len(queued(database)) == 1


@pytest.mark.parametrize("state", [State.DONE, State.QUEUED, State.RUNNING])
def test_only_failed_and_cancelled_ones_are_replayed(database, state):
    (answer,), rings = replays.replay(database, [make(database, 7, state)], now=NOW)
    assert answer.outcome is Outcome.REFUSED
    assert rings == []


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (State.QUEUED, Outcome.CANCELLED),
        (State.FAILED, Outcome.CANCELLED),
        (State.RUNNING, Outcome.REFUSED),
        (State.DONE, Outcome.REFUSED),
        (State.CANCELLED, Outcome.REFUSED),
    ],
)
def test_only_queued_and_failed_ones_are_taken_back(database, state, outcome):
    job_id = make(database, 7, state)
    (answer,) = replays.cancel(database, [job_id], now=NOW)
    assert answer.outcome is outcome
    with database.reading() as session:
        after = session.get_one(Job, job_id).state
    assert after == (State.CANCELLED if outcome is Outcome.CANCELLED else state)


def test_taking_back_what_is_not_there_is_refused(database):
    (answer,) = replays.cancel(database, [99], now=NOW)
    assert answer.sentence == "there is no job 99"


@pytest.mark.parametrize(
    ("wanted", "leads"),
    [
        (Filter(), [3, 2, 1]),
        (Filter(state=State.FAILED), [2]),
        (Filter(kind=Kind.SYNC_STATUS), [3]),
        (Filter(connection="other"), []),
        (Filter(error="100%"), [2]),
        (Filter(error="WRONG"), [2]),
        (Filter(since=NOW), [2, 1]),
        (Filter(since=NOW + timedelta(seconds=1)), []),
    ],
)
def test_the_filter_means_what_it_says(database, wanted, leads):
    make(database, 1, State.DONE)
    make(database, 2, State.FAILED, sentence="it is wrong, 100% sure")
    make(database, 3, State.QUEUED, kind=Kind.SYNC_STATUS)
    with database.reading() as session:
        found = replays.find(session, wanted)
    assert [LeadRef.parse(job.lead or "").lead_id for job in found] == leads


def test_without_a_route_there_are_no_pages_of_deals(database):
    job_id = make(database, 7, State.QUEUED)
    with database.reading() as session:
        (view,) = views.view(session, [session.get_one(Job, job_id)], now=NOW)
    assert (view.lead_id, view.deal_page, view.next_at) == (7, None, NOW - timedelta(hours=1))
    assert "as soon as a worker is free" in view.to_do
