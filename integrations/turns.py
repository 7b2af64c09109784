"""Turns: every call waits for its turn, and all workers on all machines draw from the same budget in Redis.

A budget belongs to whatever the vendor counts by: Xero by organisation, Kommo by integration. It has windows (so many calls in
so many seconds), places (so many calls at once), a stop (nothing before then: the vendor said Retry-After) and a block (the
vendor has shut us out; one call at a time tries whether that is over). One script judges all of them at once, by the clock of
Redis; an ask that is refused costs nothing.

A log that is missing (Redis is new, or was emptied) can't say what was sent before. Until one period is over, or the vendor has
said what is left, half of the limit is given: a fresh start need not wait, and a wiped one can't overdraw by more than half.

Only new invoices and deals wait in place for longer than a moment. All else is told when its turn is likely to come, each a time
of its own, and goes back to the ledger until then: a thousand PDFs come back one by one, and none of them holds a worker.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import uuid4

from redis import Redis, RedisError

from integrations import forecast
from integrations.errors import RateLimited
from integrations.forecast import Course
from integrations.places import Keeper
from integrations.script import Script, micros, thousandths

log = logging.getLogger(__name__)

# How long new invoices and deals wait in place: less than the way back through the ledger costs (a sweep, and reading all again).
PATIENCE = 3.0
# All else waits for a handful of calls at Kommo, whose window is 1.2 s, and no longer: PDFs must not hold the workers.
BRIEFLY = 1.5
# A killed holder's place comes back after this; a living one renews its place every third of it, however long the call.
PLACE_LEASE = 15.0
# A place comes free when some call ends, which nobody can foresee: look again after this.
LOOK_AGAIN = 0.1
# Where the wait for a place outlasts the patience: calls are answered in about this time.
PLACE_RETRY = 1.0
# Nobody is told to come back later than this: what a vendor counts in a day may begin anew before our own day is over.
LONGEST = 3600.0
# A call that tries whether a block is lifted is over by then, its time-out included; the others ask again after the second.
TRYING = 75.0
TRYING_RETRY = 2.0
# What connections that share a budget had of it is compared over this long, or over the window's period if that is longer.
MEMORY = 10.0
# The calls of a deal at Kommo: as many of each window do PDFs and the like leave to a connection that asked within the last `MEMORY`.
DEAL = 3
# How long what is known of a day's course holds: it changes with the hours.
COURSE_AGE = 30.0


class Priority(IntEnum):
    """Whose turn it is when turns are short."""

    NEW = 0  # new invoices and deals
    STATUS = 1
    PDF = 2
    RECONCILE = 3
    BACKFILL = 4


# The share of each limit that a class leaves to the classes above it. Small enough that a lower class alone gets most of the
# budget, and large enough that a single new deal never finds a window that PDFs or a back-fill have just used up.
RESERVES: Mapping[Priority, float] = {
    Priority.NEW: 0.0,
    Priority.STATUS: 0.1,
    Priority.PDF: 0.2,
    Priority.RECONCILE: 0.35,
    Priority.BACKFILL: 0.5,
}


# These slow early where the day would not last (`forecast.pace`).
SLOWED = (Priority.PDF, Priority.RECONCILE, Priority.BACKFILL)


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` turns in any `period` seconds. The margin for calls that travel at unlike speeds belongs in the period.

    `shared` is the key of a window that several budgets draw from (Xero's limit for the whole app). `slack` tells that the
    vendor's own count of what is left may also lengthen ours, but for so many calls that may be under way; None: it never may.
    `plans` are known limits, smallest first: the vendor's words may show that one below `limit` holds, and never that more does.
    `is_fair`: connections that share the window share it fairly, and leave `newcomer` turns to one that has not come yet. `is_day`: it
    is long enough to be paced by its forecast, and for an hourly call that hears whether the vendor's count began anew.
    """

    name: str
    limit: int
    period: float
    shared: str | None = None
    slack: int | None = None
    plans: tuple[int, ...] = ()
    is_fair: bool = False
    newcomer: int = 0
    is_day: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What a vendor said about its limits: what is `left` by window, and for how many seconds to send nothing at all (`stop`).

    `block`: we are shut out, and one call in so many seconds may try whether we still are; `admitted`: this call was let in.
    `spent` is the window that is used up until the stop ends, and is counted anew after it.
    """

    left: Mapping[str, int] = field(default_factory=dict)
    stop: float = 0.0
    block: float = 0.0
    admitted: bool = False
    spent: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands: `left` by window (for a new invoice) and of its places, each limit, and the seconds of its stop.

    `blocked` is for how many seconds the vendor has shut us out (None: it has not), `next_try` when the next call may try.
    """

    left: Mapping[str, int]
    limits: Mapping[str, int]
    stop: float
    blocked: float | None = None
    next_try: float = 0.0


class Budget(Protocol):
    """Where the wire gets its turns."""

    def take(self, priority: Priority, *, patience: float | None = None) -> "Held":
        """A turn, waiting for it in place if that is short; RateLimited (our own) otherwise."""


class Held(Protocol):
    """A turn while the call is under way; leaving it gives back the place."""

    def heard(self, heard: Heard) -> None:
        """Correct the budget by what the vendor said in answer to the call."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


class Turns:
    """The budget of one vendor account (`key`), e.g. "xero:fe79f7dd-…". `factor` shrinks the periods, as the sandbox's does.

    `party` is the connection that asks, one of `parties` that share the budget. Safe to use from several threads. A process that
    forks makes its own.
    """

    def __init__(
        self,
        redis: "Redis",
        *,
        key: str,
        windows: Sequence[Window],
        places: int | None = None,
        party: str = "",
        parties: int = 1,
        factor: float = 1.0,
        patience: float = PATIENCE,
        lease: float = PLACE_LEASE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.key = key
        self.windows = tuple(windows)
        self.places = places
        self.patience = patience
        self._sleep = sleep
        self._factor = factor
        self._redis = redis
        self._script = Script(
            redis,
            name=self._name(),
            logs=[f"turns:{one.shared}" if one.shared else self._name(one.name) for one in windows],
            budget=self._written(party, parties, lease),
        )
        self._party = party
        self._keeper = Keeper(self.keep, lease / 3)
        self._paces: dict[Priority, float] = {}
        self._paced_at = -COURSE_AGE

    def take(self, priority: Priority, *, patience: float | None = None) -> "Turn":
        """A turn, after waiting for it in place for at most `patience` seconds: by default a moment, and longer for what is new.

        RateLimited (our own, so that it counts for no attempt) where the wait would be longer: `retry_after` is when this one's
        turn is likely to come, behind all that were told so before. Also where Redis does not answer: no budget, no call.
        """
        if patience is None:
            patience = self.patience if priority is Priority.NEW else min(BRIEFLY, self.patience)
        give_up = time.monotonic() + patience
        member = f"{self._party}|{uuid4().hex}"  # the script reads from it whose turn it was
        while True:
            wait, pause, reason, tries = self._ask(member, priority)
            if wait == 0:
                return Turn(self, member, tries=tries)
            if time.monotonic() + wait > give_up:
                told = f"no turn left: {reason}"
                raise RateLimited(self.key, "budget", told, retry_after=wait, own=True, in_line=True)
            self._sleep(pause)

    def heard(self, heard: Heard, *, member: str, tries: bool = False) -> None:
        """Correct the budget by what the vendor said in answer to this turn's call. Redis may be down by now.

        The vendor's count holds the call itself, but none that got its turn later: those are added. It shortens a window always
        and lengthens it where the window says so. A shorter stop never ends a longer one. `tries`: the call was to tell whether
        a block is lifted.
        """
        if heard == Heard(admitted=heard.admitted) and not tries:
            return
        names = [window.name for window in self.windows]
        said = {
            "member": member,
            "tried": tries,
            "admitted": heard.admitted,
            "stop": micros(heard.stop),
            "block": micros(heard.block / self._factor),
            "left": [heard.left.get(name, -1) for name in names],
            "spent": names.index(heard.spent) + 1 if heard.spent in names else 0,
        }
        with suppress(RateLimited):
            self._script.run("heard", **said)

    def left(self) -> dict[str, float]:
        """How many turns each window would give to a new invoice now, the places that are free, and the stop's seconds."""
        standing = self.standing()
        return {**standing.left, "stop": standing.stop}

    def standing(self) -> Standing:
        """How the budget stands now."""
        stop, is_blocked, blocked, next_try, held, *rest = self._script.run("left")
        names = [window.name for window in self.windows]
        limits = dict(zip(names, rest[::3], strict=True))
        left = {name: max(allowed - used, 0) for name, allowed, used in zip(names, rest[1::3], rest[2::3], strict=True)}
        if self.places is not None:
            left["places"] = max(self.places - held, 0)
        return Standing(left, limits, stop / 1e6, blocked / 1e6 if is_blocked else None, next_try / 1e6)

    def course(self) -> Course | None:
        """How the day stands; None where the budget has none."""
        for index, window in enumerate(self.windows, start=1):
            if window.is_day:
                limit, used, recent, *returned = self._script.run("course", window=index, parts=forecast.PARTS)
                return Course(limit, used, recent, tuple(returned), window.period / self._factor)
        return None

    def keep(self, member: str) -> bool:
        """Hold a place for another lease; False where it has already lapsed."""
        return self._script.run("keep", member=member)[0] == 1

    def hold(self, member: str) -> None:
        """Renew the place until it is given back."""
        if self.places is not None:
            self._keeper.watch(member)

    def give_back(self, member: str) -> None:
        """Free the place. The turn itself stays used: the vendor has counted it."""
        if self.places is None:
            return
        self._keeper.forget(member)
        try:
            self._redis.zrem(self._name("places"), member)
        except RedisError as error:
            log.warning("place of %s not given back, it lapses by itself: %s", self.key, error)

    def _ask(self, member: str, priority: Priority) -> tuple[float, float, str, bool]:
        wait, pause, reason, tries = self._script.run(
            "take",
            member=member,
            **{"class": int(priority)},
            share=thousandths(RESERVES[priority]),
            pace=micros(self._pace(priority)),
        )
        names = {-2: "block", -1: "stop", 0: "places"} | {
            number: window.name for number, window in enumerate(self.windows, start=1)
        }
        return wait / 1e6, pause / 1e6, names[reason], tries == 1

    def _pace(self, priority: Priority) -> float:
        """Seconds between two turns of this class; 0 where it is not slowed."""
        if priority not in SLOWED:
            return 0.0
        if time.monotonic() > self._paced_at + COURSE_AGE / self._factor:
            self._paced_at = time.monotonic()
            course = self.course()
            self._paces = {one: forecast.pace(course, reserve=RESERVES[one]) for one in SLOWED} if course else {}
        return self._paces.get(priority, 0.0)

    def _written(self, party: str, parties: int, lease: float) -> dict[str, Any]:
        """The budget as the script reads it. Periods of ours shrink as the vendor's do; what calls take does not."""
        return {
            "windows": [self._window(window) for window in self.windows],
            "places": self.places or 0,
            "party": party,
            "parties": parties,
            "deal": DEAL,
            "memory": micros(MEMORY / self._factor),
            "longest": micros(LONGEST / self._factor),
            "lease": micros(lease),
            "look_again": micros(LOOK_AGAIN),
            "place_retry": micros(PLACE_RETRY),
            "trying": micros(TRYING),
            "trying_retry": micros(TRYING_RETRY),
        }

    def _window(self, window: Window) -> dict[str, Any]:
        return {
            "limit": window.limit,
            "period": micros(window.period / self._factor),
            "slack": -1 if window.slack is None else window.slack,
            "plans": window.plans,
            "fair": window.is_fair,
            "newcomer": window.newcomer,
            "paced": window.is_day,
            "look": micros(LONGEST / self._factor) if window.is_day else 0,
        }

    def _name(self, *parts: str) -> str:
        return ":".join(("turns", self.key, *parts))


class Turn:
    """A turn that was given. Leaving its `with` gives back the place, also when the call failed."""

    __slots__ = ("_tries", "_turns", "member")

    def __init__(self, turns: Turns, member: str, *, tries: bool = False) -> None:
        self._turns = turns
        self._tries = tries
        self.member = member
        turns.hold(member)

    def heard(self, heard: Heard) -> None:
        """Correct the budget by what the vendor said in answer to the call."""
        self._turns.heard(heard, member=self.member, tries=self._tries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._turns.give_back(self.member)
