"""Turns: every call waits for its turn, and all workers on all machines draw from the same budget in Redis.

A budget belongs to whatever the vendor counts by: Xero by organisation, Kommo by integration. It has windows (so many calls in
so many seconds), places (so many calls at once) and a stop (nothing before then: the vendor said Retry-After). One script
judges all of them at once, by the clock of Redis; an ask that is refused costs nothing.

A log that is missing (Redis is new, or was emptied) can't say what was sent before. Until one period is over, or the vendor has
said what is left, half of the limit is given: a fresh start need not wait, and a wiped one can't overdraw by more than half.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, cast
from uuid import uuid4

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from integrations.errors import RateLimited

log = logging.getLogger(__name__)

SCRIPT = Path(__file__).with_name("turns.lua").read_text(encoding="utf-8")

# A short wait (Kommo's window is 1.2 s) is not worth the way back through the ledger; no worker sleeps for a minute.
PATIENCE = 3.0
# A killed holder's place comes back after this; a living one renews its place every third of it, however long the call.
PLACE_LEASE = 15.0
# A place comes free when some call ends, which nobody can foresee: look again after this.
LOOK_AGAIN = 0.1
# Where the wait for a place outlasts the patience: calls are answered in about this time.
PLACE_RETRY = 1.0
# Redis answers in well under a millisecond: one that takes this long is down, and jobs wait in the ledger.
REDIS_TIMEOUT = 2.0
REDIS_RETRY = 5.0


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


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` turns in any `period` seconds. The margin for calls that travel at unlike speeds belongs in the period.

    `shared` is the key of a window that several budgets draw from (Xero's limit for the whole app). `slack` tells that the
    vendor's own count of what is left may also lengthen ours, but for so many calls that may be under way; None: it never may.
    """

    name: str
    limit: int
    period: float
    shared: str | None = None
    slack: int | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What a vendor said about its limits: what is `left` by window, and for how many seconds to send nothing at all."""

    left: Mapping[str, int] = field(default_factory=dict)
    stop: float = 0.0


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


def open_redis(url: str) -> "Redis":
    """A client for budgets: it answers or fails within seconds, for a worker without a budget has nothing to wait for.

    One immediate second try covers a connection that an idle firewall or a restart of Redis has closed; a turn that is then
    counted twice is a turn lost, and never one too many.
    """
    return Redis.from_url(
        url,
        socket_timeout=REDIS_TIMEOUT,
        socket_connect_timeout=REDIS_TIMEOUT,
        socket_keepalive=True,
        health_check_interval=30,
        retry=Retry(NoBackoff(), 1),
    )


class Turns:
    """The budget of one vendor account (`key`), e.g. "xero:fe79f7dd-…". `factor` shrinks the periods, as the sandbox's does.

    Safe to use from several threads. A process that forks makes its own.
    """

    def __init__(
        self,
        redis: "Redis",
        *,
        key: str,
        windows: Sequence[Window],
        places: int | None = None,
        factor: float = 1.0,
        patience: float = PATIENCE,
        lease: float = PLACE_LEASE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.key = key
        self.windows = tuple(windows)
        self.places = places
        self.patience = patience
        self.lease = lease
        self._sleep = sleep
        self._factor = factor
        self._redis = redis
        self._script = redis.register_script(SCRIPT)
        self._keeper = Keeper(self.keep, lease / 3)

    def take(self, priority: Priority, *, patience: float | None = None) -> "Turn":
        """A turn, after waiting for it in place for at most `patience` seconds.

        RateLimited (our own, so that it counts for no attempt) where the wait would be longer, or where Redis does not
        answer: no budget, no call.
        """
        give_up = time.monotonic() + (self.patience if patience is None else patience)
        member = uuid4().hex
        while True:
            wait, reason = self._ask(member, priority)
            if wait == 0:
                return Turn(self, member)
            if time.monotonic() + wait > give_up:
                raise self._refusal(reason, max(wait, PLACE_RETRY) if reason == "places" else wait)
            self._sleep(wait)

    def heard(self, heard: Heard, *, member: str) -> None:
        """Correct the budget by what the vendor said in answer to this turn's call. Redis may be down by now.

        The vendor's count holds the call itself, but none that got its turn later: those are added. It shortens a window always
        and lengthens it where the window says so. A shorter stop never ends a longer one.
        """
        if not heard.left and heard.stop <= 0:
            return
        per_window = [
            number
            for window in self.windows
            for number in (heard.left.get(window.name, -1), -1 if window.slack is None else window.slack)
        ]
        with suppress(RateLimited):
            self._run("heard", member, _micros(heard.stop), *per_window)

    def left(self) -> dict[str, float]:
        """How many turns each window would give to a new invoice now, the places that are free, and the stop's seconds."""
        stop, held, *rest = (int(number) for number in self._run("left"))
        found: dict[str, float] = {
            window.name: max(rest[2 * index] - rest[2 * index + 1], 0) for index, window in enumerate(self.windows)
        }
        if self.places is not None:
            found["places"] = max(self.places - held, 0)
        return found | {"stop": stop / 1e6}

    def keep(self, member: str) -> bool:
        """Hold a place for another lease; False where it has already lapsed."""
        return self._run("keep", member, _micros(self.lease))[0] == 1

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

    def _ask(self, member: str, priority: Priority) -> tuple[float, str]:
        share = round(RESERVES[priority] * 1000)
        wait, reason = self._run("take", member, _micros(self.lease), _micros(LOOK_AGAIN), share)
        names = {-1: "stop", 0: "places"} | {index: window.name for index, window in enumerate(self.windows, start=1)}
        return int(wait) / 1e6, names[int(reason)]

    def _run(self, verb: str, *own: str | int) -> list[int]:
        keys = [self._name("stop"), self._name("places")]
        arguments: list[str | int] = [verb, self.places or 0, len(self.windows)]
        for window in self.windows:
            log_key = f"turns:{window.shared}" if window.shared else self._name(window.name)
            keys += [log_key, f"{log_key}:since"]
            arguments += [window.limit, _micros(window.period / self._factor)]
        try:
            answer = self._script(keys=keys, args=[*arguments, *own])
        except RedisError as error:
            raise RateLimited(self.key, "budget", f"Redis: {error}", retry_after=REDIS_RETRY, own=True) from error
        return cast("list[int]", answer if isinstance(answer, list) else [answer])

    def _refusal(self, reason: str, wait: float) -> RateLimited:
        return RateLimited(self.key, "budget", f"no turn left: {reason}", retry_after=wait, own=True)

    def _name(self, part: str) -> str:
        return f"turns:{self.key}:{part}"


class Turn:
    """A turn that was given. Leaving its `with` gives back the place, also when the call failed."""

    __slots__ = ("_turns", "member")

    def __init__(self, turns: Turns, member: str) -> None:
        self._turns = turns
        self.member = member
        turns.hold(member)

    def heard(self, heard: Heard) -> None:
        """Correct the budget by what the vendor said in answer to the call."""
        self._turns.heard(heard, member=self.member)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._turns.give_back(self.member)


class Keeper:
    """Renews the places that are held, from a thread of its own that ends when there are none."""

    def __init__(self, keep: Callable[[str], bool], every: float) -> None:
        self._keep = keep
        self._every = every
        self._members: set[str] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, member: str) -> None:
        """Renew this place from now on."""
        with self._lock:
            self._members.add(member)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="places", daemon=True)
                self._thread.start()

    def forget(self, member: str) -> None:
        """Renew it no longer."""
        with self._lock:
            self._members.discard(member)

    def _run(self) -> None:
        while True:
            time.sleep(self._every)
            with self._lock:
                members = tuple(self._members)
                if not members:
                    self._thread = None
                    return
            for member in members:
                self._renew(member)

    def _renew(self, member: str) -> None:
        try:
            self._keep(member)
        except RateLimited as error:
            log.warning("place not renewed: %s", error)


def _micros(seconds: float) -> int:
    return int(seconds * 1_000_000)
