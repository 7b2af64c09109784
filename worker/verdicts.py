"""How an attempt ends, as data, and the one place where an error becomes a verdict."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from integrations.errors import (
    Broken,
    CallError,
    Missing,
    OutcomeUnknown,
    RateLimited,
    Refusal,
    Rejected,
    Unauthorised,
    Unreachable,
)


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do; `note` says what came of it, for whoever reads the job's story."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Again in `seconds`. `counts` tells failures from waiting for a turn; `hard` is a vendor's word that no event may shorten.

    `alone`: from now on the job runs by itself, because it failed as one of a batch.
    """

    seconds: float
    why: str
    counts: bool = True
    hard: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """A person must act, and `sentence` tells which way."""

    sentence: str


Verdict = Done | Wait | Failed

# What has nothing to do with the company that a job kept: these tell nothing against its neighbours.
NOBODYS_FAULT = (RateLimited, Unauthorised, Unreachable)

# 27 attempts reach past 72 hours: what broke on Friday evening can be mended on Monday, and no job is lost.
MAX_ATTEMPTS = 27
FIRST_WAIT = 5.0
LONGEST_WAIT = timedelta(hours=6).total_seconds()
JITTER = 0.2

# How often to look whether somebody has mended a lost connection: re-consent rings at once, this is for what it misses.
RECONNECT_WAIT = timedelta(minutes=5).total_seconds()

RECONNECT = {
    Refusal.EXPIRED: "the token was refused although it was renewed: connect {vendor} again (admin connect {command} NAME)",
    Refusal.REVOKED: "{vendor} no longer accepts our token: connect it again (admin connect {command} NAME)",
    Refusal.SCOPE: "our consent lacks a right that this needs: connect {vendor} again and grant every right (admin connect {command} NAME)",
    Refusal.DISCONNECTED: "the organisation was disconnected from our app: connect {vendor} again (admin connect {command} NAME)",
    Refusal.UNPAID: "the {vendor} account is not paid: its owner must renew it, then this goes on by itself",
    Refusal.BLOCKED: "{vendor} has blocked our address for too many calls: write to its support, then this goes on by itself",
}


def reconnect(reason: Refusal, vendor: str) -> str:
    """Why jobs wait that a vendor does not let in, and what a person does about it: by this they are found once it is done."""
    return RECONNECT[reason].format(vendor=vendor.title(), command=vendor)


def capped(verdict: Verdict, attempts: int) -> Verdict:
    """The same verdict, unless it is one failure too many: nothing is tried for ever, whoever decided to wait."""
    if not isinstance(verdict, Wait) or not verdict.counts or attempts + 1 < MAX_ATTEMPTS:
        return verdict
    return _given_up(attempts + 1, verdict.why)


def backoff(attempts: int, *, jitter: float = 0.0) -> float:
    """Seconds to wait after this many failures: doubling from five seconds to six hours; `jitter` from -1 to 1 spreads them."""
    # 2**30 is far beyond the longest wait: the exponent is capped so that the float stays finite
    return float(min(FIRST_WAIT * 2 ** min(attempts - 1, 30), LONGEST_WAIT) * (1 + JITTER * jitter))


def verdict_on(
    error: Exception, attempts: int, *, quiet: float, roll: Callable[[], float] = lambda: random.uniform(-1, 1)
) -> Verdict:
    """What becomes of a job whose attempt ended in this error.

    `attempts` are the failures before this one; `quiet` is how long to leave a write alone whose outcome is unknown, in seconds.
    """
    match error:
        case RateLimited():
            return Wait(error.retry_after, f"waits for a turn at {error.vendor}", counts=False, hard=not error.own)
        case Unauthorised():
            return Wait(RECONNECT_WAIT, reconnect(error.reason, error.vendor), counts=False)
        case OutcomeUnknown():
            why = f"{error.vendor} gave no answer to a write: nothing is repeated before we have looked ({error})"
            return Wait(quiet, why, hard=True)  # an event tells nothing of that write
        case Rejected():
            return Failed(f"{error.vendor.title()} does not accept this: {error.detail or error.call}")
    failures = attempts + 1
    if failures >= MAX_ATTEMPTS:
        return _given_up(failures, describe(error))
    return Wait(backoff(failures, jitter=roll()), describe(error))


def _given_up(attempts: int, last: str) -> Failed:
    return Failed(f"Gave up after {attempts} attempts. The last one: {last}. Mend the cause, then replay the job.")


def describe(error: Exception) -> str:
    """One clause on an error, for an operator."""
    match error:
        case Unreachable():
            return f"{error.vendor.title()} could not be reached ({error.call}: {error.detail})"
        case Broken():
            return f"{error.vendor.title()} is not well ({error.call} answered {error.status}: {error.detail})"
        case Missing():
            return f"{error.vendor.title()} does not know what was asked for ({error.call})"
        case CallError():
            return str(error)
    return f"an error in this program, {type(error).__name__}: {error}"
