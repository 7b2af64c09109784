"""Connections that share a budget: one's burst does not starve another's single deal."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from integrations.errors import RateLimited
from integrations.kommo import limits as kommo_limits
from integrations.turns import DEAL, Priority, Turns, Window
from tests.integrations.budgets import NEVER, Make, take, wait_told

SECOND = Window("second", 7, 1.2, is_fair=True)
MINUTE = Window("minute", 60, 61.5, is_fair=True, newcomer=6)


def pair(make: Make, *windows: Window, **settings) -> tuple[Turns, Turns]:
    """Two connections that share a budget."""
    return make(*windows, party="a", parties=2, **settings), make(*windows, party="b", parties=2, **settings)


def test_who_asks_alone_gets_all(make: Make):
    a, _ = pair(make, SECOND)
    assert take(a, 20) == 7


def test_a_tenth_of_a_minute_is_left_to_one_that_has_not_come(make: Make):
    a, b = pair(make, MINUTE)
    assert take(a, 100) == 54
    assert take(b, 100) == 6


def test_two_of_kommos_second_are_left_to_one_that_has_not_come(make: Make):
    a, b = pair(make, *kommo_limits.windows())
    assert take(a, 20) == 5
    assert take(b, 20) == 2


def test_a_budget_that_nobody_shares_leaves_nothing(make: Make):
    assert take(make(MINUTE, party="a", parties=1), 100) == 60


def test_who_has_had_its_share_leaves_a_turn_to_one_that_asks(make: Make):
    a, b = pair(make, SECOND)
    take(b, 1)
    assert take(a, 20) == 5
    assert take(b, 20) == 1


def test_pdfs_leave_a_deals_calls_to_one_that_asked_a_while_ago(make: Make, redis: Redis):
    a, b = pair(make, SECOND)
    take(a, 7)
    redis.delete("turns:xero:acme:second")  # as if that second had passed
    take(b, 1)
    redis.delete("turns:xero:acme:second")
    redis.zincrby("turns:xero:acme:parties", -9_000_000, "b")  # it asked nine seconds ago
    assert take(a, 20, Priority.PDF) == 6 - DEAL
    assert take(a, 20) == 4


def test_who_uses_its_turns_is_left_as_many_again(make: Make, redis: Redis):
    a, b = pair(make, SECOND)
    take(a, 7)
    redis.delete("turns:xero:acme:second")  # as if that second had passed
    take(b, 2)
    assert take(a, 20) == 3
    assert take(b, 20) == 2


def test_who_waits_is_left_a_turn_for_each_that_waits(make: Make, redis: Redis):
    a, b = pair(make, SECOND)
    take(b, 1)
    take(a, 20)
    take(b, 4)  # one of them gets its turn
    redis.delete("turns:xero:acme:second")  # as if that second had passed
    assert take(a, 20) == 3
    assert take(b, 20) == 4


def test_who_has_had_as_much_lately_is_left_nothing(make: Make):
    a, b = pair(make, SECOND)
    take(b, 3)
    assert take(a, 3) == 3
    assert take(a, 1) == 1  # as soon as it has had more, it leaves one


def test_classes_and_connections_both_leave_what_they_must(make: Make):
    a, b = pair(make, MINUTE)
    take(b, 1, Priority.PDF)
    assert take(a, 100, Priority.PDF) == 44  # of 48, and a deal's three are left to the other
    assert take(b, 100, Priority.PDF) == 3
    assert take(a, 100) + take(b, 100) == 12


def test_what_is_left_for_one_that_went_away_is_used_again(make: Make, until):
    a, b = pair(make, Window("second", 7, 0.1, is_fair=True), factor=10)  # who has not asked for a second has gone
    take(b, 1)
    until(lambda: take(a, 20) == 7, 4)


def test_who_waits_takes_turns_with_the_others_who_wait(make: Make):
    a, b = pair(make, MINUTE)
    take(b, 1, Priority.PDF)
    while take(a, 1, Priority.PDF):
        pass
    in_line = [wait_told(a, Priority.PDF) for _ in range(480)]
    assert in_line[-1] > 500
    while take(b, 1, Priority.PDF):
        pass
    assert wait_told(b, Priority.PDF) < 62


def test_connections_of_other_budgets_do_not_count(make: Make, redis: Redis):
    a, _ = pair(make, MINUTE)
    other = Turns(redis, key="xero:other", windows=[MINUTE], party="b", parties=2, patience=0)
    take(other, 5)
    assert take(a, 100) == 54


def test_a_shared_window_of_the_app_is_asked_without_reading_all_of_it(make: Make):
    """Ten thousand turns are not gone through for each ask."""
    app = Window("app", 10_000, NEVER, shared="xero-app:1")
    a, _ = pair(make, app)
    take(a, 2000)
    began = time.process_time()
    take(a, 200)
    assert time.process_time() - began < 1.0


# one deal in another's burst

CALL = 0.02


@contextmanager
def bursting(*budgets: Turns) -> Iterator[list[int]]:
    """Four children of each ask as fast as they can; how many turns each budget gave so far."""
    stop, given = threading.Event(), [0] * len(budgets)

    def child(which: int) -> None:
        while not stop.is_set():
            try:
                with budgets[which].take(Priority.NEW):
                    given[which] += 1
                    time.sleep(CALL)
            except RateLimited as refused:
                time.sleep(refused.retry_after)

    children = [threading.Thread(target=child, args=(which,)) for which in range(len(budgets)) for _ in range(4)]
    for one in children:
        one.start()
    time.sleep(0.5)  # until the burst goes on evenly
    given[:] = [0] * len(budgets)
    yield given
    stop.set()
    for one in children:
        one.join()


@pytest.fixture
def burst(make: Make) -> Iterator[Turns]:
    """The other's budget, while the first's burst goes on; Kommo's second lasts 0.3 s here."""
    a, b = pair(make, SECOND, factor=4, patience=3.0)
    with bursting(a):
        yield b


def deal(turns: Turns) -> float:
    """Seconds that the calls of one deal take, one after the other."""
    began = time.monotonic()
    for _ in range(6):
        with turns.take(Priority.NEW):
            time.sleep(CALL)
    return time.monotonic() - began


def test_a_single_deal_waits_for_no_more_than_two_windows_in_anothers_burst(burst: Turns):
    took = sorted(deal(burst) for _ in range(5))
    assert took[2] < 6 * CALL + 2 * 0.3


def test_two_bursts_share_evenly(make: Make):
    with bursting(*pair(make, SECOND, factor=4, patience=3.0)) as given:
        time.sleep(3)
        few, many = sorted(given)
    assert few > 0.7 * many
    assert few + many > 0.7 * 7 / 0.3 * 3


def test_a_connection_that_asks_now_and_then_costs_anothers_burst_little_more_than_it_uses(make: Make):
    """A call every two seconds of Kommo's."""
    a, b = pair(make, SECOND, factor=4, patience=3.0)
    with bursting(a) as given:
        for _ in range(6):
            time.sleep(0.5)
            with b.take(Priority.NEW):
                pass
        asked = given[0]
    assert asked > 0.65 * 7 / 0.3 * 3
