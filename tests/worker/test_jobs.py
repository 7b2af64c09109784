"""Writing wishes down."""

from worker import jobs
from worker.claims import settle
from worker.database import Database
from worker.jobs import Kind, Ring, State
from worker.verdicts import Wait

from .ledger import TENANT, at, for_invoice, for_lead, job, must_claim, record, states


def test_a_repeated_event_is_no_second_job(database: Database):
    first, again = record(database, for_lead()), record(database, for_lead())
    assert first == again
    assert states(database) == [State.QUEUED]


def test_different_kinds_deals_and_connections_are_different_jobs(database: Database):
    ids = record(database, for_lead(7), for_lead(8), for_lead(7, connection="beta"), for_invoice("inv-1"))
    assert len(set(ids)) == 4


def test_an_event_that_comes_while_its_job_runs_makes_it_run_once_more(database: Database):
    (running,) = record(database, for_lead())
    must_claim(database, running)
    (second,) = record(database, for_lead())
    assert second != running
    assert states(database) == [State.RUNNING, State.QUEUED]


def test_an_event_pulls_a_job_in_backoff_to_now_and_gives_it_its_attempts_back(database: Database):
    (job_id,) = record(database, for_lead())
    settle(database, must_claim(database, job_id), {job_id: Wait(3600, "Xero is not well")}, now=at(1))
    assert (job(database, job_id).attempts, job(database, job_id).due_at) == (1, at(3601))
    record(database, for_lead(), now=at(60))
    assert (job(database, job_id).attempts, job(database, job_id).due_at) == (0, at(60))


def test_no_event_pulls_a_job_before_the_end_that_a_vendor_named(database: Database):
    (job_id,) = record(database, for_lead())
    wait = Wait(600, "waits for a turn at xero", counts=False, hard=True)
    settle(database, must_claim(database, job_id), {job_id: wait}, now=at(1))
    record(database, for_lead(), now=at(60))
    assert job(database, job_id).due_at == at(601)


def test_a_later_event_never_puts_a_due_job_off(database: Database):
    (job_id,) = record(database, for_lead(), now=at(0))
    record(database, for_lead(), now=at(5))
    assert job(database, job_id).due_at == at(0)


def test_a_ring_says_what_it_is_about(database: Database):
    (job_id,) = record(database, for_invoice("inv-1", lead_id=7))
    with database.reading() as session:
        rings = jobs.rings_for(session, [job_id])
    assert rings == [Ring(job_id, Kind.SYNC_STATUS, f"lead 30896271:7, invoice {TENANT}:inv-1")]
