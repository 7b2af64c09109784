"""What those are told who must wait: when to come back, each a time of its own; and who may wait in place."""

import heapq
import threading
import time
from itertools import pairwise

import pytest
from redis import Redis

from integrations.errors import RateLimited
from integrations.turns import BRIEFLY, Heard, Priority, Turns, Window
from tests.integrations.budgets import NEVER, Make, given_at, take, wait_told


def told(turns: Turns, times: int, priority: Priority = Priority.PDF) -> list[float]:
    """When so many who ask one after the other are told to come back, in seconds from the first ask."""
    began = time.monotonic()
    return [time.monotonic() - began + wait_told(turns, priority) for _ in range(times)]


def test_each_is_told_when_its_own_turn_comes(make: Make):
    turns = make(Window("minute", 4, 100.0))
    take(turns, 4)
    assert told(turns, 10) == pytest.approx([100] * 4 + [200] * 4 + [300] * 2, abs=1)


def test_a_thousand_who_wait_come_as_fast_as_their_class_may_and_no_faster(make: Make):
    turns = make(Window("minute", 60, 61.5))
    assert take(turns, 60, Priority.PDF) == 48
    waits = told(turns, 1000 - 12)
    assert all(later > earlier - 0.1 for earlier, later in pairwise(waits))
    assert waits[-1] == pytest.approx(61.5 * 21, abs=2)  # 12 were told before
    assert all(later - earlier > 61.4 for earlier, later in zip(waits, waits[48:], strict=False))


def test_turns_that_are_free_now_are_counted_for_those_who_stopped_waiting(make: Make):
    turns = make(Window("minute", 2, 0.3))
    take(turns, 2)
    assert told(turns, 2) == pytest.approx([0.3, 0.3], abs=0.05)
    time.sleep(0.35)  # until both turns are free, and nobody takes them
    assert take(turns, 2) == 2


def test_what_was_told_is_no_turn(make: Make, until):
    turns = make(Window("minute", 1, 0.2))
    take(turns, 1)
    told(turns, 50)
    until(lambda: take(turns, 1) == 1, 3)


def test_those_above_go_first_and_those_below_do_not_count(make: Make):
    turns = make(Window("minute", 1, 100.0))
    take(turns, 1)
    assert told(turns, 2, Priority.PDF) == pytest.approx([100, 200], abs=1)
    assert told(turns, 1, Priority.STATUS) == pytest.approx([100], abs=1)
    assert told(turns, 1, Priority.PDF) == pytest.approx([400], abs=1)
    assert told(turns, 1, Priority.NEW) == pytest.approx([100], abs=1)


def test_who_has_its_turn_waits_no_longer(make: Make, redis: Redis, until):
    turns = make(Window("minute", 1, 0.2), patience=1.0)
    take(turns, 3)
    assert redis.zcount("turns:xero:acme:waiting:0:", time.time() * 1e6, "+inf") == 0


def test_waiting_for_places_is_spread_by_how_many_there_are(make: Make):
    turns = make(places=2)
    with turns.take(Priority.NEW), turns.take(Priority.NEW):
        assert told(turns, 5, Priority.NEW) == pytest.approx([1, 1, 2, 2, 3], abs=0.3)


def test_an_emptied_redis_does_not_call_all_back_at_once(make: Make):
    turns = make(Window("minute", 60, 60.0), known=False)
    assert take(turns, 24, Priority.PDF) == 24
    waits = told(turns, 480)
    assert waits[0] == pytest.approx(60, abs=1)
    assert waits[-1] == pytest.approx(60 * 11, abs=5)


def test_a_stop_does_not_call_all_back_at_once(make: Make):
    turns = make(Window("second", 7, 1.2))
    turns.heard(Heard(stop=30), member="any")
    waits = told(turns, 60)
    assert waits[0] == pytest.approx(30, abs=0.5)
    assert waits[-1] == pytest.approx(30 + 9 * 1.2, abs=0.5)


# in place


def test_what_is_new_waits_in_place_and_all_else_goes_back_at_once(make: Make):
    turns = make(Window("minute", 1, BRIEFLY + 0.5), patience=3.0)
    take(turns, 1)
    began = time.monotonic()
    with pytest.raises(RateLimited) as refused:
        turns.take(Priority.STATUS)
    assert time.monotonic() - began < 0.4
    assert refused.value.retry_after > BRIEFLY
    turns.take(Priority.NEW)
    assert time.monotonic() - began > BRIEFLY


def test_a_moment_is_waited_for_by_all(make: Make):
    turns = make(Window("second", 1, 0.3), patience=3.0)
    take(turns, 1)
    turns.take(Priority.BACKFILL)


def test_no_more_wait_in_place_than_there_are_turns_in_a_moment(make: Make):
    """Thirty children with PDFs: three wait for the turns of the next moment, and the others go back to their work."""
    turns = make(Window("second", 3, 1.2), patience=3.0)
    take(turns, 3)
    waited: list[float] = []

    def child() -> None:
        began = time.monotonic()
        try:
            turns.take(Priority.PDF)
        except RateLimited:
            waited.append(time.monotonic() - began)

    children = [threading.Thread(target=child) for _ in range(30)]
    for one in children:
        one.start()
    for one in children:
        one.join()
    assert len(waited) == 27
    assert max(waited) < 0.9


# a burst

JOBS, LIMIT, PERIOD, SWEEP = 230, 60, 1.0, 0.04
OURS = LIMIT - LIMIT // 5


def test_a_burst_of_pdfs_uses_all_that_its_class_may_have_and_hardly_asks_in_vain(make: Make, redis: Redis):
    """Minutes last a second here. New invoices take a turn of theirs in between."""
    turns = make(Window("minute", LIMIT, PERIOD))
    waiting = [(0.0, number) for number in range(JOBS)]
    asks, new = 0, 0
    done_at: list[float] = []
    began = time.monotonic()
    while waiting:
        due, number = heapq.heappop(waiting)
        now = time.monotonic() - began
        if due > now:
            time.sleep(min(SWEEP, due - now + SWEEP))
            heapq.heappush(waiting, (due, number))
            continue
        asks += 1
        if len(done_at) > 20 * new:
            new += take(turns, 1)
        wait = wait_told(turns, Priority.PDF)
        if wait:
            heapq.heappush(waiting, (now + wait, number))
        else:
            done_at.append(time.monotonic() - began)
    floor = ((JOBS + new) / OURS - 1) * PERIOD
    assert done_at[-1] < 1.3 * floor + PERIOD
    assert asks < 2.5 * JOBS
    assert max(later - earlier for earlier, later in pairwise(done_at)) < 3 * PERIOD  # a busy machine may miss a beat
    assert len(given_at(redis, "minute")) <= LIMIT


def test_nothing_of_a_long_line_stays(make: Make, redis: Redis):
    turns = make(Window("minute", 1, NEVER))
    take(turns, 1)
    told(turns, 5)
    assert all(redis.pttl(key) > 0 for key in redis.scan_iter("turns:*") if not key.endswith(b":since"))
