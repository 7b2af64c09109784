"""Budgets on a real Redis: never too many turns, nothing paid for a refusal, and what the vendor says counts."""

import threading
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from integrations.errors import RateLimited
from integrations.kommo import limits as kommo_limits
from integrations.script import open_redis
from integrations.turns import RESERVES, Heard, Priority, Turns, Window
from integrations.xero import limits as xero_limits
from tests.integrations.budgets import NEVER, Make, given_at, take


def test_a_window_gives_its_limit_and_not_one_more(make: Make):
    turns = make(Window("minute", 5, NEVER))
    assert take(turns, 9) == 5


def test_a_refusal_says_how_long_and_that_it_is_our_own(make: Make):
    turns = make(Window("minute", 1, 100.0))
    turns.take(Priority.NEW)
    with pytest.raises(RateLimited, match="minute") as refused:
        turns.take(Priority.NEW)
    assert refused.value.own
    assert 99 < refused.value.retry_after <= 100


def test_a_refused_ask_costs_nothing(make: Make, redis: Redis):
    turns = make(Window("minute", 2, NEVER), Window("day", 4, NEVER))
    assert take(turns, 50) == 2
    assert len(given_at(redis, "day")) == 2


def test_all_windows_must_have_a_turn(make: Make):
    turns = make(Window("minute", 10, NEVER), Window("day", 3, NEVER))
    assert take(turns, 10) == 3


def test_a_short_wait_happens_in_place(make: Make, redis: Redis):
    turns = make(Window("second", 2, 0.2), patience=5.0)
    began = time.monotonic()
    for _ in range(5):
        turns.take(Priority.NEW)
    assert 0.4 <= time.monotonic() - began < 2
    times = given_at(redis, "second")
    assert all(later - earlier >= 0 for earlier, later in pairwise(times))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 6),
    pauses=st.lists(st.sampled_from([0.0, 0.002, 0.011, 0.03, 0.06]), min_size=5, max_size=30),
)
def test_no_period_holds_more_turns_than_its_limit_however_they_are_spaced(make: Make, redis: Redis, limit, pauses):
    redis.flushall()
    period = 0.05
    turns = make(Window("second", limit, period))
    times = []
    for pause in pauses:
        time.sleep(pause)
        try:
            turn = turns.take(Priority.NEW)
        except RateLimited:
            continue
        times.append((redis.zscore("turns:xero:acme:second", turn.member) or 0) / 1e6)
    overlapping = zip(times, times[limit:], strict=False)
    assert all(later - earlier >= period - 1e-5 for earlier, later in overlapping)


def test_workers_that_ask_at_once_share_one_budget(make: Make, redis: Redis):
    granted = []
    workers = [
        threading.Thread(target=lambda: granted.append(take(make(Window("minute", 20, NEVER)), 10))) for _ in range(5)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(granted) == 20


@pytest.mark.parametrize("priority", Priority)
def test_each_class_leaves_its_reserve_to_those_above(make: Make, priority: Priority):
    turns = make(Window("minute", 60, NEVER))
    assert take(turns, 100, priority) == 60 - int(60 * RESERVES[priority])
    assert take(turns, 100, Priority.NEW) == int(60 * RESERVES[priority])


def test_the_lower_a_class_the_more_it_leaves():
    assert sorted(RESERVES, key=lambda priority: RESERVES[priority]) == list(Priority)
    assert RESERVES[Priority.NEW] == 0


def test_no_class_is_shut_out_of_a_small_limit(make: Make):
    assert take(make(Window("second", 1, NEVER)), 3, Priority.BACKFILL) == 1


def test_places_are_given_back(make: Make):
    turns = make(places=2)
    with turns.take(Priority.NEW), turns.take(Priority.NEW):
        with pytest.raises(RateLimited, match="places"):
            turns.take(Priority.NEW)
        assert turns.left()["places"] == 0
    assert turns.left()["places"] == 2


def test_a_place_is_given_back_when_the_call_fails(make: Make):
    turns = make(places=1)
    with pytest.raises(RuntimeError), turns.take(Priority.NEW):
        raise RuntimeError
    assert turns.left()["places"] == 1


def test_who_waits_for_a_place_gets_it_when_a_call_ends(make: Make):
    turns = make(places=1, patience=5.0)
    turn = turns.take(Priority.NEW)
    threading.Timer(0.15, turn.__exit__, (None, None, None)).start()
    began = time.monotonic()
    with turns.take(Priority.NEW):
        assert 0.1 < time.monotonic() - began < 2


def test_the_place_of_a_dead_holder_comes_back_after_its_lease(make: Make, redis: Redis, until):
    turns = make(places=1, lease=0.3)
    turn = turns.take(Priority.NEW)
    turns._keeper.forget(turn.member)  # as the end of its process would
    assert turns.left()["places"] == 0
    until(lambda: turns.left()["places"] == 1, 3)


def test_a_living_holder_keeps_its_place_however_long_the_call(make: Make, until):
    turns = make(places=1, lease=0.3)
    with turns.take(Priority.NEW):
        over = time.monotonic() + 0.9
        until(lambda: turns.left()["places"] != 0 or time.monotonic() > over, 3)
        assert turns.left()["places"] == 0
    until(lambda: turns._keeper._thread is None, 3)
    with turns.take(Priority.NEW):  # and the renewing begins again
        assert turns._keeper._thread is not None


def test_a_place_that_has_lapsed_is_not_brought_back(make: Make):
    assert not make(places=1).keep("nobody")


def test_a_stop_holds_back_everything(make: Make):
    turns = make(Window("minute", 60, NEVER))
    turns.take(Priority.NEW).heard(Heard(stop=30))
    with pytest.raises(RateLimited, match="stop") as refused:
        turns.take(Priority.NEW)
    assert 29 < refused.value.retry_after <= 30
    assert 29 < turns.left()["stop"] <= 30


@given(stops=st.lists(st.floats(1, 5000), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_shorter_stop_never_ends_a_longer_one(make: Make, redis: Redis, stops):
    redis.flushall()
    turns = make(Window("minute", 60, NEVER))
    for stop in stops:
        turns.heard(Heard(stop=stop), member="any")
    assert max(stops) - 1 < turns.left()["stop"] <= max(stops)


def test_a_stop_ends(make: Make, until):
    turns = make(Window("minute", 60, NEVER))
    turns.heard(Heard(stop=0.1), member="any")
    assert take(turns, 1) == 0
    until(lambda: take(turns, 1) == 1, 3)


def test_what_the_vendor_says_is_left_shortens_a_window(make: Make):
    turns = make(Window("minute", 60, NEVER))
    turns.take(Priority.NEW).heard(Heard(left={"minute": 4}))
    assert turns.left()["minute"] == 4
    assert take(turns, 10) == 4


def test_turns_given_after_the_call_are_added_to_the_vendors_count(make: Make):
    turns = make(Window("minute", 60, NEVER))
    first = turns.take(Priority.NEW)
    take(turns, 10)
    first.heard(Heard(left={"minute": 20}))
    assert turns.left()["minute"] == 10


def test_what_the_vendor_says_lengthens_no_window_that_does_not_say_so(make: Make):
    turns = make(Window("minute", 60, NEVER))
    take(turns, 50)
    turns.take(Priority.NEW).heard(Heard(left={"minute": 59}))
    assert turns.left()["minute"] == 9


def test_a_count_that_began_anew_lengthens_a_window_but_for_calls_under_way(make: Make):
    turns = make(Window("day", 100, NEVER, slack=5))
    take(turns, 90)
    turn = turns.take(Priority.NEW)
    take(turns, 3)
    turn.heard(Heard(left={"day": 99}))
    assert turns.left()["day"] == 100 - 1 - 5 - 3


def test_an_answer_to_a_turn_that_was_forgotten_lengthens_nothing(make: Make):
    turns = make(Window("day", 100, NEVER, slack=5))
    take(turns, 90)
    turns.heard(Heard(left={"day": 99}), member="forgotten")
    assert turns.left()["day"] == 10


def test_an_answer_from_before_the_days_end_does_not_fill_the_new_day(make: Make):
    turns = make(Window("day", 100, NEVER, slack=5))
    slow, refused = turns.take(Priority.PDF), turns.take(Priority.PDF)
    refused.heard(Heard(spent="day"))
    slow.heard(Heard(left={"day": 0}))
    assert turns.left()["day"] == 100
    turns.take(Priority.PDF).heard(Heard(left={"day": 40}))
    assert turns.left()["day"] == 40


def test_calls_under_way_when_redis_was_emptied_add_the_vendors_count_once(make: Make):
    turns = make(Window("day", 5000, NEVER, slack=5), known=False)
    calls = [turns.take(Priority.NEW) for _ in range(5)]
    for number, call in enumerate(calls, start=1):
        call.heard(Heard(left={"day": 5000 - 2000 - number}))
    assert turns.left()["day"] == 5000 - 2000 - 5


def test_a_smaller_plan_is_learned_from_the_first_answer(make: Make):
    turns = make(Window("day", 5000, NEVER, slack=5))
    turns.take(Priority.NEW).heard(Heard(left={"day": 999}))
    assert turns.left()["day"] == 999


def test_nothing_said_changes_nothing(make: Make):
    turns = make(Window("day", 10, NEVER))
    turns.take(Priority.NEW).heard(Heard())
    assert turns.left() == {"day": 9, "stop": 0}


def test_an_emptied_redis_gives_half_until_the_vendor_has_spoken(make: Make):
    turns = make(Window("minute", 60, NEVER), known=False)
    assert take(turns, 100) == 30
    turns.heard(Heard(left={"minute": 25}), member="any")
    assert take(turns, 100) == 25


@pytest.mark.parametrize("priority", Priority)
def test_an_emptied_redis_shuts_no_class_out(make: Make, priority: Priority):
    turns = make(Window("minute", 60, NEVER), known=False)
    assert take(turns, 100, priority) == 30 - int(30 * RESERVES[priority])


def test_an_emptied_redis_gives_the_whole_limit_after_one_period(make: Make, until):
    turns = make(Window("second", 4, 0.4), known=False)
    assert take(turns, 10) == 2
    until(lambda: take(turns, 1) == 1, 3)
    until(lambda: turns.left()["second"] == 4, 3)


def test_a_wait_for_a_whole_limit_ends_with_the_first_period(make: Make):
    turns = make(Window("second", 4, 0.4), known=False, patience=2.0)
    began = time.monotonic()
    for _ in range(6):
        turns.take(Priority.NEW)
    assert 0.3 < time.monotonic() - began < 1.5


def test_a_shared_window_counts_for_all_organisations(redis: Redis):
    def of(tenant: str) -> Turns:
        return Turns(redis, key=f"xero:{tenant}", windows=[Window("app", 4, NEVER, shared="xero-app:1")], patience=0)

    redis.set("turns:xero-app:1:since", 1)
    assert take(of("a"), 3) + take(of("b"), 3) == 4


def test_a_factor_shrinks_the_periods(make: Make, until):
    turns = make(Window("minute", 1, 60.0), factor=600)
    assert take(turns, 2) == 1
    until(lambda: take(turns, 1) == 1, 2)


def test_logs_do_not_stay_for_ever(make: Make, redis: Redis):
    turns = make(Window("minute", 1, 60.0), places=5)
    turn = turns.take(Priority.NEW)
    assert 60 < redis.ttl("turns:xero:acme:minute") <= 62
    assert 0 < redis.ttl("turns:xero:acme:places") <= 17
    turn.heard(Heard(stop=9))
    assert 0 < redis.ttl("turns:xero:acme:stop") <= 11


def test_no_budget_no_call():
    turns = Turns(open_redis("redis://127.0.0.1:1/0"), key="xero:acme", windows=[Window("minute", 60, 60)], places=5)
    with pytest.raises(RateLimited, match="Redis") as refused:
        turns.take(Priority.NEW)
    assert refused.value.own
    turns.heard(Heard(stop=9), member="any")  # what can't be written down is no reason to fail a call that was answered
    turns.give_back("any")


def test_a_renewal_without_redis_is_only_a_warning(caplog):
    turns = Turns(open_redis("redis://127.0.0.1:1/0"), key="xero:acme", windows=[], places=5)
    turns._keeper._renew("any")
    assert "not renewed" in caplog.text


def test_the_vendors_limits_are_within_theirs(make: Make):
    kommo, minute, day = kommo_limits.windows()[0], *xero_limits.windows()
    assert (kommo.limit, minute.limit, day.limit) == (7, 60, 5000)
    assert kommo.period > 1
    assert minute.period > 60
    assert [window.name for window in xero_limits.windows(client_id="app")] == ["minute", "day", "app"]
