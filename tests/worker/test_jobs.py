"""Writing wishes down."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from worker import jobs
from worker.claims import settle
from worker.database import Database
from worker.jobs import InvoiceRef, Kind, Ring, State
from worker.verdicts import Wait

from .ledger import TENANT, THEN, at, for_invoice, for_lead, job, must_claim, record, states


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


def test_wishes_that_come_together_are_one_job_with_the_most_of_what_they_know(database: Database):
    wish = for_lead()
    news = [
        replace(wish, due_at=at(20), delivery_id=1),
        replace(wish, entered_at=at(-5), delivery_id=2),
        replace(wish, entered_at=at(-1), invoice=InvoiceRef(TENANT, "inv-1"), due_at=at(30), delivery_id=3),
    ]
    (job_id,) = record(database, *news)
    found = job(database, job_id)
    assert (found.due_at, found.entered_at, found.invoice, found.delivery_id) == (THEN, at(-5), f"{TENANT}:inv-1", 3)


def test_thousands_are_recorded_at_once_and_each_is_one(database: Database):
    wishes = [for_lead(number) for number in range(1, 4001)]
    ids = record(database, *wishes)
    assert len(set(ids)) == 4000
    assert sorted(record(database, *wishes)) == sorted(ids)


def test_two_who_record_the_same_in_opposite_orders_never_block_each_other(database: Database):
    wishes = [for_lead(number) for number in range(1, 101)]
    with ThreadPoolExecutor(2) as both:
        orders = [wishes, wishes[::-1]] * 10
        ids = list(both.map(lambda order: sorted(record(database, *order)), orders))
    assert all(one == ids[0] for one in ids)


def test_nothing_wanted_is_nothing_recorded(database: Database):
    assert record(database) == []


def test_what_is_recorded_says_what_to_ring_for(database: Database):
    with database.begin() as session:
        first = jobs.record_rings(session, [for_lead(7), for_lead(8)], now=THEN)
    with database.begin() as session:
        assert jobs.record_rings(session, [for_lead(8)], now=THEN) == first[1:]
        assert jobs.rings_for(session, [ring.job_id for ring in first]) == first


def test_a_later_event_never_puts_a_due_job_off(database: Database):
    (job_id,) = record(database, for_lead(), now=at(0))
    record(database, for_lead(), now=at(5))
    assert job(database, job_id).due_at == at(0)


def test_a_ring_says_what_it_is_about(database: Database):
    (job_id,) = record(database, for_invoice("inv-1", lead_id=7))
    with database.reading() as session:
        rings = jobs.rings_for(session, [job_id])
    assert rings == [Ring(job_id, Kind.SYNC_STATUS, "lead 7, invoice inv-1")]
