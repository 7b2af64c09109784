"""How attempts end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.errors import (
    Broken,
    Missing,
    OutcomeUnknown,
    RateLimited,
    Refusal,
    Rejected,
    Unauthorised,
    Unreachable,
)
from worker.verdicts import LONGEST_WAIT, MAX_ATTEMPTS, Done, Failed, Wait, backoff, capped, verdict_on

CALL = "GET /Invoices"


def judge(error: Exception, attempts: int = 0) -> object:
    return verdict_on(error, attempts, quiet=60, roll=lambda: 0.0)


def test_a_weekend_is_not_enough_to_lose_a_job():
    assert sum(backoff(n) for n in range(1, MAX_ATTEMPTS)) > 72 * 3600


@given(attempts=st.integers(1, 10_000), jitter=st.floats(-1, 1))
def test_a_wait_is_never_negative_and_never_far_beyond_the_longest(attempts: int, jitter: float):
    assert 0 < backoff(attempts, jitter=jitter) <= LONGEST_WAIT * 1.2


@given(attempts=st.integers(1, 40))
def test_waits_grow(attempts: int):
    assert backoff(attempts + 1) >= backoff(attempts)


@given(attempts=st.integers(0, 1000), seconds=st.floats(0, 90_000))
def test_waiting_our_turn_costs_no_attempt(attempts: int, seconds: float):
    verdict = judge(RateLimited("xero", CALL, retry_after=seconds), attempts)
    assert isinstance(verdict, Wait)
    assert (verdict.seconds, verdict.counts) == (seconds, False)


def test_only_a_vendors_own_word_is_hard():
    theirs, ours = (judge(RateLimited("xero", CALL, retry_after=5, own=own)) for own in (False, True))
    assert isinstance(theirs, Wait)
    assert isinstance(ours, Wait)
    assert (theirs.hard, ours.hard) == (True, False)


def test_a_refusal_is_final():
    verdict = judge(Rejected("xero", CALL, messages=("Invoice # must be unique.",)))
    assert verdict == Failed("Xero does not accept this: Invoice # must be unique.")


@pytest.mark.parametrize("reason", list(Refusal))
def test_a_lost_connection_makes_jobs_wait_and_says_what_to_do(reason: Refusal):
    verdict = judge(Unauthorised("xero", CALL, reason=reason), attempts=MAX_ATTEMPTS)
    assert isinstance(verdict, Wait)
    assert not verdict.counts
    assert "Xero" in verdict.why


@pytest.mark.parametrize(
    "error", [Unreachable("kommo", CALL), Broken("kommo", CALL, status=500), Missing("kommo", CALL), KeyError("x")]
)
def test_whatever_may_pass_is_tried_again_until_a_person_must_act(error: Exception):
    assert isinstance(judge(error, MAX_ATTEMPTS - 2), Wait)
    last = judge(error, MAX_ATTEMPTS - 1)
    assert isinstance(last, Failed)
    assert "replay" in last.sentence


def test_nothing_is_tried_for_ever_whoever_decided_to_wait():
    failing, waiting = Wait(0, "refused"), Wait(0, "turn", counts=False)
    assert capped(failing, MAX_ATTEMPTS - 2) is failing
    assert isinstance(capped(failing, MAX_ATTEMPTS - 1), Failed)
    assert capped(waiting, MAX_ATTEMPTS * 2) is waiting
    assert capped(Done(), MAX_ATTEMPTS) == Done()


def test_an_unknown_outcome_waits_for_the_quiet_period():
    verdict = judge(OutcomeUnknown("xero", "PUT /Invoices"))
    assert isinstance(verdict, Wait)
    assert verdict.seconds == 60
