"""Whether a day lasts: pure, and then on a real Redis."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.forecast import PARTS, Course, gone_in, pace
from integrations.turns import RESERVES, SLOWED, Heard, Priority, Window
from tests.integrations.budgets import NEVER, Make, take, wait_told

HOUR = 3600.0
DAY = 24 * HOUR


def course(used: int, recent: int, *, limit: int = 5000, come_back_after: int = 24) -> Course:
    """All of what is used comes back at once, after so many hours."""
    returned = tuple(used if hour >= come_back_after else 0 for hour in range(1, 25))
    return Course(limit, used, recent, returned, DAY)


def test_a_pace_that_lasts_is_never_gone():
    assert gone_in(course(1000, 150)) is None
    assert gone_in(course(0, 0)) is None


def test_a_pace_that_does_not_last_is_gone_when_nothing_is_left():
    assert gone_in(course(1880, 560)) == pytest.approx(3120 / 560 * HOUR)


def test_what_is_gone_is_gone_now():
    assert gone_in(course(5000, 10)) == 0
    assert gone_in(course(4000, 10), reserve=0.2) == 0


def test_turns_that_come_back_in_time_are_counted():
    assert gone_in(course(4500, 150, come_back_after=3)) is None
    assert gone_in(course(4500, 150, come_back_after=5)) == pytest.approx(500 / 150 * HOUR)


def test_a_class_is_gone_before_those_above_it():
    found = [gone_in(course(1000, 300), reserve=RESERVES[one]) or DAY for one in Priority]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)


def test_no_class_is_slowed_while_the_day_lasts():
    assert [pace(course(2600, 20), reserve=RESERVES[one]) for one in (Priority.PDF, Priority.RECONCILE)] == [0, 0]


def test_a_burst_in_the_morning_is_no_pace_of_a_day():
    assert pace(course(1990, 1990), reserve=RESERVES[Priority.PDF]) == 0
    assert pace(course(2010, 2010), reserve=RESERVES[Priority.PDF]) > 0


def test_the_lower_a_class_the_sooner_it_slows():
    begins = [next(used for used in range(5000) if pace(course(used, 1000), reserve=RESERVES[one])) for one in SLOWED]
    assert begins == sorted(begins, reverse=True)
    assert len(set(begins)) == len(begins)


def test_where_nothing_is_left_the_window_says_so_and_no_pace_does():
    assert pace(course(4500, 100), reserve=RESERVES[Priority.PDF]) == 0


COURSES = st.builds(
    lambda limit, used, recent, back: Course(
        limit,
        min(used, limit),
        recent,
        tuple(min(one, used, limit) for one in accumulate(back)),
        DAY,
    ),
    st.integers(1, 6000),
    st.integers(0, 6000),
    st.integers(0, 4000),
    st.lists(st.integers(0, 400), min_size=PARTS, max_size=PARTS),
)


@given(seen=COURSES, one=st.sampled_from(SLOWED))
def test_who_goes_on_at_the_slow_pace_is_never_left_without(seen: Course, one: Priority):
    slow = pace(seen, reserve=RESERVES[one])
    if slow:
        kept_up = Course(seen.limit, seen.used, int(HOUR / slow), seen.returned, DAY)
        assert gone_in(kept_up, reserve=RESERVES[one]) is None


@given(seen=COURSES, one=st.sampled_from(SLOWED))
def test_only_who_would_be_left_without_is_slowed(seen: Course, one: Priority):
    if gone_in(seen, reserve=RESERVES[one]) is None:
        assert pace(seen, reserve=RESERVES[one]) == 0


@given(seen=COURSES)
def test_a_forecast_lies_within_the_period(seen: Course):
    gone = gone_in(seen)
    assert gone is None or 0 <= gone <= DAY


# on Redis

SHORT_DAY = Window("day", 100, 24 * 100.0, is_day=True)  # hours of 100 s


def test_the_course_of_a_day_is_read_from_its_log(make: Make):
    turns = make(SHORT_DAY)
    take(turns, 30)
    seen = turns.course()
    assert seen is not None
    assert (seen.limit, seen.used, seen.recent, seen.left, seen.hour) == (100, 30, 30, 70, 100)
    assert seen.returned == (0,) * 23 + (30,)


def test_a_budget_without_a_day_has_no_course(make: Make):
    assert make(Window("minute", 60, 61.5)).course() is None


def test_turns_that_only_the_vendor_knows_of_are_used_but_are_no_pace(make: Make):
    turns = make(SHORT_DAY)
    turns.take(Priority.NEW).heard(Heard(left={"day": 60}))
    seen = turns.course()
    assert seen is not None
    assert (seen.used, seen.recent) == (40, 1)


def test_a_class_that_is_slowed_gets_its_turns_at_even_distances(make: Make):
    turns = make(SHORT_DAY)
    take(turns, 50)
    assert wait_told(turns, Priority.PDF) == 0
    first, second = wait_told(turns, Priority.PDF), wait_told(turns, Priority.PDF)
    assert 60 < first < 90  # 30 turns until those of now come back, in 23 hours of 100 s
    assert second == pytest.approx(2 * first, rel=0.01)
    assert take(turns, 5) == 5


def test_each_class_that_is_slowed_has_a_pace_of_its_own(make: Make):
    turns = make(SHORT_DAY)
    take(turns, 50)
    assert [take(turns, 3, one) for one in (Priority.PDF, Priority.RECONCILE, Priority.STATUS)] == [1, 1, 3]


def test_a_class_is_not_slowed_in_the_first_half_of_its_share(make: Make):
    turns = make(SHORT_DAY)
    assert take(turns, 39, Priority.PDF) == 39


def test_a_slow_class_gets_its_next_turn_in_time(make: Make, until):
    turns = make(SHORT_DAY, factor=1000)
    take(turns, 50)
    assert take(turns, 2, Priority.PDF) == 1
    until(lambda: take(turns, 1, Priority.PDF) == 1, 3)


# plans


def test_the_smallest_plan_is_known_by_what_is_left_after_a_call(make: Make):
    turns = make(Window("day", 5000, NEVER, slack=5, plans=(1000,)))
    turns.take(Priority.NEW).heard(Heard(left={"day": 999}))
    assert (turns.standing().limits["day"], turns.left()["day"]) == (1000, 999)
    assert take(turns, 1, Priority.PDF) == 1


def test_the_larger_plan_is_not_taken_for_the_smaller_in_the_evening(make: Make):
    turns = make(Window("day", 5000, NEVER, slack=5, plans=(1000,)))
    turns.take(Priority.NEW).heard(Heard(left={"day": 4999}))
    turns.take(Priority.NEW).heard(Heard(left={"day": 700}))
    assert (turns.standing().limits["day"], turns.left()["day"]) == (5000, 700)


def test_an_emptied_redis_in_the_evening_errs_until_the_vendors_count_begins_anew(make: Make):
    turns = make(Window("day", 5000, NEVER, slack=5, plans=(1000,)))
    turns.take(Priority.NEW).heard(Heard(left={"day": 700}))
    assert turns.standing().limits["day"] == 1000
    turns.take(Priority.NEW).heard(Heard(left={"day": 4999}))
    assert turns.standing().limits["day"] == 5000
    assert turns.left()["day"] == 5000 - 1 - 5


@pytest.mark.parametrize("configured", [800, 1000, 2000])
def test_more_than_is_configured_is_never_learned(make: Make, configured: int):
    turns = make(Window("day", configured, NEVER, slack=5, plans=(1000,)))
    turns.take(Priority.NEW).heard(Heard(left={"day": 4999}))
    assert turns.standing().limits["day"] == configured
    assert turns.left()["day"] == configured - 1


def test_a_limit_below_the_vendors_is_kept_whatever_the_vendor_says_is_left(make: Make):
    turns = make(Window("minute", 8, NEVER, slack=1))
    take(turns, 5)
    turns.take(Priority.NEW).heard(Heard(left={"minute": 54}))
    turns.take(Priority.NEW).heard(Heard(left={"minute": 6}))
    assert turns.left()["minute"] == 1


def test_a_plan_that_was_learned_is_forgotten_with_the_words_it_was_learned_from(make: Make, until):
    turns = make(Window("day", 5000, 24.0, plans=(1000,)), factor=100)
    turns.take(Priority.NEW).heard(Heard(left={"day": 999}))
    assert turns.standing().limits["day"] == 1000
    until(lambda: turns.standing().limits["day"] == 5000, 3)


# the end of a day


def test_a_day_that_is_used_up_is_asked_after_now_and_then(make: Make, until):
    turns = make(Window("day", 2, DAY, slack=0, is_day=True), factor=7200)  # an hour takes half a second
    assert take(turns, 5) == 2
    until(lambda: take(turns, 1) == 1, 3)
    assert take(turns, 5) == 0


def test_a_refusal_for_the_day_ends_with_the_vendors_day_and_not_with_ours(make: Make, until):
    turns = make(Window("day", 4, NEVER, slack=0, is_day=True))
    take(turns, 3)
    turns.take(Priority.NEW).heard(Heard(left={"day": 0}, stop=0.3, spent="day"))
    assert take(turns, 1) == 0
    until(lambda: take(turns, 1) == 1, 3)
    assert take(turns, 5) == 3


def test_nobody_is_told_to_come_back_later_than_in_an_hour(make: Make):
    turns = make(Window("day", 1, DAY))
    take(turns, 1)
    assert wait_told(turns, Priority.PDF) == pytest.approx(HOUR, abs=1)
