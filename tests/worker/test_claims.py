"""Claiming, keeping and settling."""

import threading
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from worker import claims
from worker.attempts import story
from worker.claims import Claim, settle
from worker.database import Database
from worker.jobs import Job, Kind, State
from worker.sweep import sweep
from worker.verdicts import Done, Failed, Wait

from .ledger import LEASE, at, claim, for_invoice, for_lead, job, must_claim, record, states


def test_a_job_is_claimed_once(database: Database):
    (job_id,) = record(database, for_lead())
    assert claim(database, job_id) is not None
    assert claim(database, job_id) is None


def test_a_job_is_not_claimed_before_it_is_due(database: Database):
    (job_id,) = record(database, for_lead(), now=at(60))
    assert claim(database, job_id, now=at(59)) is None
    assert claim(database, job_id, now=at(60)) is not None


def test_only_one_of_many_workers_gets_a_job(database: Database):
    (job_id,) = record(database, for_lead())
    start = threading.Barrier(8)

    def race(_: int) -> Claim | None:
        start.wait()
        return claim(database, job_id)

    with ThreadPoolExecutor(8) as workers:
        assert sum(won is not None for won in workers.map(race, range(8))) == 1


def test_a_claim_takes_due_siblings_of_the_same_connection_and_kind(database: Database):
    first, *_ = record(database, *(for_lead(lead_id) for lead_id in range(1, 6)))
    record(database, for_lead(6), now=at(60))
    record(database, for_lead(7, connection="beta"), for_invoice())
    taken = must_claim(database, first, most=50)
    assert len(taken.jobs) == 5
    assert {(one.connection, one.kind) for one in taken.jobs} == {("acme", Kind.CREATE_INVOICE)}


def test_a_claim_takes_no_more_than_it_may(database: Database):
    first, *_ = record(database, *(for_lead(lead_id) for lead_id in range(1, 9)))
    assert len(must_claim(database, first, most=3).jobs) == 3


def test_two_jobs_about_one_lead_never_run_together(database: Database):
    create, sync = record(database, for_lead(7), for_invoice("inv-1", lead_id=7))
    must_claim(database, create)
    assert claim(database, sync) is None


def test_two_jobs_about_one_invoice_never_run_together(database: Database):
    sync, attach = record(database, for_invoice("inv-1"), for_invoice("inv-1", kind=Kind.ATTACH_INVOICE))
    must_claim(database, sync)
    assert claim(database, attach) is None


def test_a_claim_passes_over_busy_siblings_and_takes_the_rest(database: Database):
    (busy,) = record(database, for_invoice("inv-8", lead_id=8))
    must_claim(database, busy)
    first, *_ = record(database, for_lead(7), for_lead(8), for_lead(9))
    taken = must_claim(database, first, most=50)
    assert [one.lead.lead_id for one in taken.jobs if one.lead] == [7, 9]


def test_concurrent_claims_of_one_burst_share_it_without_loss_or_overlap(database: Database):
    ids = record(database, *(for_lead(lead_id) for lead_id in range(1, 61)))
    with ThreadPoolExecutor(4) as workers:
        taken = [won for won in workers.map(lambda job_id: claim(database, job_id, most=10), ids) if won]
    together = [one.id for won in taken for one in won.jobs]
    assert sorted(together) == sorted(set(together))
    left = [job_id for job_id in ids if job(database, job_id).state == State.QUEUED]
    assert sorted([*together, *left]) == sorted(ids)


def test_done_is_done_and_its_story_is_kept(database: Database):
    (job_id,) = record(database, for_lead())
    settle(database, must_claim(database, job_id), {job_id: Done("INV-1")}, now=at(2), calls=[{"path": "/leads"}])
    assert job(database, job_id).state == State.DONE
    with database.reading() as session:
        (told,) = story(session, [job_id])
    assert (told.verdict, told.sentence, told.calls) == ("done", "INV-1", [{"path": "/leads"}])


def test_waiting_for_a_turn_costs_no_attempt_and_a_failure_costs_one(database: Database):
    (job_id,) = record(database, for_lead())
    settle(database, must_claim(database, job_id), {job_id: Wait(5, "turn", counts=False)}, now=at(0))
    assert job(database, job_id).attempts == 0
    settle(database, must_claim(database, job_id, now=at(6)), {job_id: Wait(5, "broken")}, now=at(6))
    assert job(database, job_id).attempts == 1


def test_whoever_lost_the_lease_settles_nothing(database: Database):
    (job_id,) = record(database, for_lead())
    frozen = must_claim(database, job_id)
    sweep(database, now=at(11))
    successor = must_claim(database, job_id, now=at(12))
    settle(database, frozen, {job_id: Failed("too late")}, now=at(13))
    assert job(database, job_id).state == State.RUNNING
    settle(database, successor, {job_id: Done()}, now=at(14))
    assert job(database, job_id).state == State.DONE


def test_a_late_settler_takes_no_queued_event_with_it(database: Database):
    (job_id,) = record(database, for_lead())
    frozen = must_claim(database, job_id)
    sweep(database, now=at(11))
    must_claim(database, job_id, now=at(12))
    (twin,) = record(database, for_lead(), now=at(13))
    settle(database, frozen, {job_id: Wait(5, "too late")}, now=at(14))
    assert job(database, twin).state == State.QUEUED


def test_a_job_that_waits_takes_in_the_event_that_came_meanwhile(database: Database):
    (job_id,) = record(database, for_lead())
    running = must_claim(database, job_id)
    record(database, for_lead(), now=at(1))
    settle(database, running, {job_id: Wait(3600, "broken")}, now=at(2))
    assert states(database) == [State.QUEUED]
    assert (job(database, job_id).attempts, job(database, job_id).due_at) == (0, at(2))


def test_settling_rings_for_the_job_that_waited_for_the_same_subject(database: Database):
    create, sync = record(database, for_lead(7), for_invoice("inv-1", lead_id=7))
    rings = settle(database, must_claim(database, create), {create: Done()}, now=at(1))
    assert [ring.job_id for ring in rings] == [sync]


def test_a_success_closes_earlier_failures_of_the_same_subject(database: Database):
    (failed,) = record(database, for_lead())
    settle(database, must_claim(database, failed), {failed: Failed("no")}, now=at(1))
    (again,) = record(database, for_lead(), now=at(2))
    settle(database, must_claim(database, again, now=at(2)), {again: Done()}, now=at(3))
    assert states(database) == [State.DONE, State.DONE]
    assert job(database, failed).sentence == f"done by job {again}"


def test_a_lease_is_kept_while_anything_is_held_and_not_after(database: Database):
    (job_id,) = record(database, for_lead())
    held = must_claim(database, job_id)
    assert claims.renew(database, held.holder, now=at(8), lease=LEASE)
    assert sweep(database, now=at(12)) == []
    settle(database, held, {job_id: Done()}, now=at(13))
    assert not claims.renew(database, held.holder, now=at(14), lease=LEASE)


def test_who_has_lost_one_job_of_a_batch_has_lost_the_batch(database: Database):
    """A sweep passes over a row that its frozen holder has locked, and takes the others: whoever thaws then must not go on with those."""
    first, second, _ = record(database, for_lead(1), for_lead(2), for_lead(3))
    held = must_claim(database, first, most=3)
    with database.begin() as session:
        taken = sa.update(Job).where(Job.id == second).values(state=State.QUEUED, holder=None, leased_until=None)
        session.execute(taken)
    assert not claims.renew(database, held.holder, now=at(8), lease=LEASE)
    with database.begin() as session:
        assert not claims.holds(session, held.holder)
    settle(database, held, {one.id: Done() for one in held.jobs}, now=at(9))
    assert states(database) == [State.DONE, State.QUEUED, State.DONE]


def test_a_write_of_a_batch_keeps_the_sweep_from_all_of_it(database: Database):
    first, *_ = record(database, for_lead(1), for_lead(2), for_lead(3))
    held = must_claim(database, first, most=3)
    if database.engine.dialect.name == "sqlite":
        return  # there a sweep waits for whoever writes
    with database.begin() as session:
        assert claims.holds(session, held.holder)
        sweep(database, now=at(60))
        assert claims.holds(session, held.holder)
