"""A vendor that has shut us out: one call at a time tries whether it still does."""

import time

import pytest

from integrations.errors import RateLimited
from integrations.turns import TRYING, TRYING_RETRY, Heard, Priority, Turns, Window
from tests.integrations.budgets import Make, take, wait_told

BLOCKED = Heard(block=0.3)
ADMITTED = Heard(admitted=True)
WINDOW = Window("second", 7, 0.01)


@pytest.fixture
def blocked(make: Make) -> Turns:
    """A budget whose vendor has just answered a call with its block."""
    turns = make(WINDOW)
    turns.take(Priority.NEW).heard(BLOCKED)
    return turns


def try_it(turns: Turns, until):
    """The turn of the call that may try, as soon as one may."""

    def turn():
        try:
            return turns.take(Priority.NEW)
        except RateLimited:
            return None

    return until(turn, 3)


def test_a_block_holds_back_everything(blocked: Turns):
    assert 0.2 < wait_told(blocked) <= 0.3
    with pytest.raises(RateLimited, match="block"):
        blocked.take(Priority.NEW)


def test_one_call_tries_when_a_period_is_over_and_all_others_wait_for_what_it_hears(blocked: Turns, until):
    try_it(blocked, until)
    assert 0 < wait_told(blocked) <= TRYING_RETRY + 0.05  # it is told in hundredths, rounded up
    assert take(blocked, 20) == 0
    assert TRYING - 1 < blocked.standing().next_try <= TRYING


def test_a_call_that_is_shut_out_again_begins_another_period(blocked: Turns, until):
    try_it(blocked, until).heard(BLOCKED)
    assert take(blocked, 20) == 0
    assert 0 < blocked.standing().next_try <= 0.3
    assert try_it(blocked, until)
    assert take(blocked, 20) == 0


def test_a_call_that_is_let_in_ends_the_block(blocked: Turns, until):
    try_it(blocked, until).heard(ADMITTED)
    assert take(blocked, 3) == 3
    assert blocked.standing().blocked is None


def test_an_answer_to_a_call_from_before_the_block_does_not_end_it(make: Make):
    turns = make(WINDOW)
    early = turns.take(Priority.NEW)
    turns.take(Priority.NEW).heard(BLOCKED)
    early.heard(ADMITTED)
    assert take(turns, 1) == 0


def test_a_call_that_learned_nothing_leaves_the_trying_to_the_next(blocked: Turns, until):
    try_it(blocked, until).heard(Heard())
    assert try_it(blocked, until)
    assert take(blocked, 5) == 0


def test_a_longer_retry_after_outlasts_the_end_of_a_block(blocked: Turns, until):
    blocked.heard(Heard(stop=1.0), member="any")
    turn = try_it(blocked, until)
    turn.heard(Heard(stop=60.0))
    turn.heard(ADMITTED)
    assert blocked.standing().blocked is None
    assert wait_told(blocked) > 50


def test_a_block_says_since_when_and_when_the_next_call_may_try(make: Make):
    turns = make(WINDOW)
    assert turns.standing().blocked is None
    turns.take(Priority.NEW).heard(Heard(block=900))
    turns.heard(Heard(block=900), member="any")
    standing = turns.standing()
    assert standing.blocked is not None
    assert 0 < standing.blocked < 5
    assert 895 < standing.next_try <= 900


def test_those_who_waited_for_the_end_of_a_block_come_no_faster_than_the_window_lets_them(make: Make):
    turns = make(Window("second", 7, 1.2), patience=0)
    turns.take(Priority.NEW).heard(Heard(block=900))
    began = time.monotonic()
    told = [wait_told(turns) + time.monotonic() - began for _ in range(70)]
    assert [told[0], told[69]] == pytest.approx([900, 900 + 9 * 1.2], abs=1)


def test_a_factor_shrinks_our_own_period_of_silence(make: Make):
    turns = make(WINDOW, factor=100)
    turns.take(Priority.NEW).heard(Heard(block=900))
    assert 8 < turns.standing().next_try <= 9
