"""The sweep."""

from worker.claims import settle
from worker.database import Database
from worker.jobs import State
from worker.sweep import MAX_DEATHS, sweep
from worker.verdicts import Done, Wait

from .ledger import at, for_invoice, for_lead, job, must_claim, record, states


def test_it_rings_for_what_is_due_and_not_before(database: Database):
    (now, later) = [*record(database, for_lead(7), now=at(0)), *record(database, for_lead(8), now=at(60))]
    assert [ring.job_id for ring in sweep(database, now=at(1))] == [now]
    assert [ring.job_id for ring in sweep(database, now=at(61))] == [now, later]


def test_it_does_not_ring_again_at_once(database: Database):
    record(database, for_invoice())
    assert len(sweep(database, now=at(1))) == 1
    assert sweep(database, now=at(8)) == []
    assert len(sweep(database, now=at(12))) == 1


def test_for_a_new_deal_it_rings_again_soon_since_others_may_have_been_under_way(database: Database):
    record(database, for_lead())
    assert len(sweep(database, now=at(1))) == 1
    assert sweep(database, now=at(3)) == []
    assert len(sweep(database, now=at(5))) == 1


def test_an_event_makes_it_ring_at_once(database: Database):
    record(database, for_lead())
    sweep(database, now=at(1))
    record(database, for_lead(), now=at(2))
    assert len(sweep(database, now=at(3))) == 1


def test_it_does_not_ring_for_a_busy_subject(database: Database):
    create, _ = record(database, for_lead(7), for_invoice("inv-1", lead_id=7))
    must_claim(database, create)
    assert sweep(database, now=at(1)) == []


def test_a_lapsed_lease_is_taken_back_and_a_living_one_is_not(database: Database):
    (job_id,) = record(database, for_lead())
    must_claim(database, job_id)
    assert sweep(database, now=at(9)) == []
    assert [ring.job_id for ring in sweep(database, now=at(11))] == [job_id]
    assert (job(database, job_id).state, job(database, job_id).died_at) == (State.QUEUED, at(10))


def test_a_death_in_a_batch_tells_against_nobody_but_each_runs_alone_after_it(database: Database):
    first, *_ = record(database, *(for_lead(lead_id) for lead_id in range(1, 4)))
    must_claim(database, first, most=50)
    sweep(database, now=at(11))
    assert [(job(database, one).deaths, job(database, one).alone) for one in (1, 2, 3)] == [(0, True)] * 3
    assert len(must_claim(database, first, now=at(12), most=50).jobs) == 1


def test_a_job_that_kills_its_workers_again_and_again_waits_for_a_person(database: Database):
    (job_id,) = record(database, for_lead())
    for death in range(MAX_DEATHS):
        must_claim(database, job_id, now=at(100 * death))
        sweep(database, now=at(100 * death + 11))
    assert job(database, job_id).state == State.FAILED
    assert "replay" in (job(database, job_id).sentence or "")


def test_the_event_that_came_while_a_worker_died_is_taken_in(database: Database):
    (job_id,) = record(database, for_lead())
    must_claim(database, job_id)
    record(database, for_lead(), now=at(1))
    sweep(database, now=at(11))
    assert states(database) == [State.QUEUED]
    settle(database, must_claim(database, job_id, now=at(12)), {job_id: Done()}, now=at(13))
    assert states(database) == [State.DONE]


def test_two_sweeps_at_once_do_no_harm(database: Database):
    (job_id,) = record(database, for_lead())
    must_claim(database, job_id)
    assert len(sweep(database, now=at(11))) + len(sweep(database, now=at(11))) == 1
    assert job(database, job_id).deaths == 1


def test_what_waits_is_rung_for_when_its_time_has_come(database: Database):
    (job_id,) = record(database, for_lead())
    sweep(database, now=at(0))
    settle(database, must_claim(database, job_id), {job_id: Wait(5, "broken")}, now=at(1))
    assert sweep(database, now=at(4)) == []
    assert len(sweep(database, now=at(6))) == 1
