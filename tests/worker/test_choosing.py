"""Whose job a ring is spent on."""

from dataclasses import replace

import pytest

import celeryconfig
from worker import choosing, claims, routes
from worker.choosing import Worker
from worker.database import Database
from worker.jobs import Kind, Wanted
from worker.routes import Route
from worker.verdicts import Done, Wait

from .ledger import at, claim, for_invoice, for_lead, must_claim, record

MOST = choosing.USUAL.most_of_one


def chosen(
    database: Database,
    rung: int,
    kind: Kind = Kind.CREATE_INVOICE,
    *,
    seconds: float = 0,
    worker: str = "",
    children: int = choosing.USUAL_CHILDREN,
) -> int | None:
    ring = choosing.choose(database, kind, rung, now=at(seconds), worker=Worker(worker, children))
    return ring.job_id if ring else None


def set_up(database: Database, *names: str) -> None:
    with database.begin() as session:
        for name in names:
            routes.save(session, Route(name, 1, (name,), f"tenant-{name}", frozenset({(1, 2)}), None))


def test_the_job_that_was_rung_for_is_taken_where_nothing_speaks_against_it(database: Database):
    _, second = record(database, for_lead(1), for_lead(2))
    assert chosen(database, second) == second


def test_a_ring_whose_job_is_taken_serves_the_one_that_has_waited_longest(database: Database):
    (taken,) = record(database, for_lead(1))
    record(database, for_lead(2), now=at(2))
    (longest,) = record(database, for_lead(3), now=at(1))
    must_claim(database, taken)
    assert chosen(database, taken, seconds=3) == longest


def test_a_spent_ring_with_nothing_left_of_its_kind_is_over(database: Database):
    (taken, other) = record(database, for_lead(1), for_invoice())
    must_claim(database, taken)
    assert chosen(database, taken) is None
    assert chosen(database, other) is None


def test_behind_a_burst_another_connections_single_deal_is_next(database: Database):
    set_up(database, "acme", "beta")
    burst = record(database, *(for_lead(lead_id) for lead_id in range(1, 100)))
    (single,) = record(database, for_lead(1000, connection="beta"), now=at(1))
    must_claim(database, burst[0], most=50)
    assert chosen(database, burst[60], seconds=1) == single


def test_one_connection_never_holds_all_children_of_a_worker(database: Database):
    set_up(database, "acme", "beta")
    burst = record(database, *(for_lead(lead_id) for lead_id in range(1, 100)))
    for job_id in burst[:MOST]:
        must_claim(database, job_id)
    assert chosen(database, burst[50], seconds=3) is None
    assert celeryconfig.worker_concurrency > MOST


def test_a_connection_that_is_alone_may_hold_all(database: Database):
    set_up(database, "acme")
    burst = record(database, *(for_lead(lead_id) for lead_id in range(1, 100)))
    for job_id in burst[:MOST]:
        must_claim(database, job_id)
    assert chosen(database, burst[50], seconds=3) == burst[50]


def test_a_job_whose_deal_is_in_other_hands_is_passed_over(database: Database):
    sync, create = record(database, for_invoice("inv-1", lead_id=7), for_lead(7))
    assert claim(database, sync) or claim(database, create)
    assert chosen(database, create) is None


def pdfs(count: int) -> list[Wanted]:
    return [for_invoice(f"inv-{n}", lead_id=1000 + n, kind=Kind.ATTACH_INVOICE) for n in range(count)]


def paid(connection: str = "acme") -> Wanted:
    return replace(for_invoice("inv-9", lead_id=9), connection=connection)


def test_what_can_wait_leaves_children_to_new_deals(database: Database):
    set_up(database, "acme")
    *files, new, status = record(database, *pdfs(5), paid(), for_lead(7))
    for job_id in files[: choosing.USUAL.most_later]:
        must_claim(database, job_id)
    assert chosen(database, files[-1], Kind.ATTACH_INVOICE) is None
    assert chosen(database, status, Kind.SYNC_STATUS) is None
    assert chosen(database, new) == new
    assert chosen(database, status, Kind.SYNC_STATUS, worker="another") == status


@pytest.mark.parametrize(("of", "may"), [(1, 1), (2, 1), (3, 1), (4, 2), (12, 6)])
def test_half_of_a_workers_children_may_be_at_what_can_wait(database: Database, of: int, may: int):
    files = record(database, *pdfs(may + 1))
    for job_id in files[:may]:
        assert chosen(database, job_id, Kind.ATTACH_INVOICE, children=of) == job_id
        must_claim(database, job_id)
    assert chosen(database, files[-1], Kind.ATTACH_INVOICE, children=of) is None


@pytest.mark.parametrize("held", [(2, 0), (1, 1), (0, 2)])
def test_a_burst_and_what_can_wait_leave_a_child_to_another_connections_new_deal(
    database: Database, held: tuple[int, int]
):
    """PDFs and new deals of one connection, as many as there is room for: whichever came first."""
    set_up(database, "acme", "beta")
    files, burst = record(database, *pdfs(9)), record(database, *(for_lead(lead_id) for lead_id in range(1, 9)))
    for job_id in (*files[: held[0]], *burst[: held[1]]):
        must_claim(database, job_id)
    for turn in range(4):
        for job_id, kind in ((files[-1 - turn], Kind.ATTACH_INVOICE), (burst[-1 - turn], Kind.CREATE_INVOICE)):
            if free := chosen(database, job_id, kind, seconds=3):
                must_claim(database, free)
    (single,) = record(database, for_lead(2000, connection="beta"))
    with database.reading() as session:
        hands = choosing.Hands.of(session, choosing.USUAL)
    assert len(hands.here) == choosing.USUAL.most_together < celeryconfig.worker_concurrency
    assert chosen(database, single, seconds=3) == single


def test_what_can_wait_is_not_kept_out_by_anothers_burst(database: Database):
    set_up(database, "acme", "beta")
    burst = record(database, *(for_lead(lead_id) for lead_id in range(1, 9)))
    (status,) = record(database, paid("beta"))
    for job_id in burst[:MOST]:
        must_claim(database, job_id)
    assert chosen(database, status, Kind.SYNC_STATUS, seconds=3) == status


def test_whoever_is_done_rings_for_what_found_all_hands_full(database: Database):
    set_up(database, "acme", "beta")
    _, *files, new = record(database, *pdfs(2), for_lead(7))
    rung = choosing.after(database, Kind.ATTACH_INVOICE, files[0], now=at(0))
    assert [ring.job_id for ring in rung] == [files[0], new]


def test_a_connection_that_is_alone_rings_for_its_own_kind_since_no_ring_of_its_was_lost(database: Database):
    set_up(database, "acme")
    *files, _ = record(database, *pdfs(2), for_lead(7))
    rung = choosing.after(database, Kind.ATTACH_INVOICE, files[0], now=at(0))
    assert [ring.job_id for ring in rung] == [files[0]]


def test_whoever_is_done_with_what_can_wait_rings_for_the_rest_of_that(database: Database):
    set_up(database, "acme")
    file, _, status = record(database, *pdfs(1), paid(), for_lead(7))
    assert [ring.job_id for ring in choosing.after(database, Kind.ATTACH_INVOICE, 0, now=at(0))] == [file, status]


def test_deals_that_come_while_others_are_made_wait_for_that_and_share_the_next_call(database: Database):
    first, second = record(database, for_lead(1), for_lead(2))
    made = must_claim(database, first)
    assert chosen(database, second, seconds=1) is None
    claims.settle(database, made, {first: Done()}, now=at(1))
    assert [ring.job_id for ring in choosing.after(database, Kind.CREATE_INVOICE, first, now=at(1))] == [second]


def test_an_attempt_that_takes_long_holds_up_no_other_deal(database: Database):
    first, second = record(database, for_lead(1), for_lead(2))
    must_claim(database, first)
    assert chosen(database, second, seconds=3) == second


def test_a_host_whose_clock_is_ahead_holds_up_no_other_deal(database: Database):
    first, second = record(database, for_lead(1), for_lead(2))
    must_claim(database, first, now=at(300))
    assert chosen(database, second, seconds=1) == second


def test_deals_that_are_made_each_by_itself_wait_for_none_of_them(database: Database):
    ids = record(database, for_lead(1), for_lead(2), for_lead(3))
    together = must_claim(database, ids[0], most=3)
    claims.settle(database, together, {one: Wait(0, "taken apart", alone=True) for one in ids}, now=at(1))
    must_claim(database, ids[0], now=at(2))
    assert chosen(database, ids[1], seconds=2) == ids[1]
