"""Sending webhooks in the background: in order for each target, with a vendor's ladder of retries and a test's noise."""

import contextlib
import heapq
import http.client
import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from sandbox.kit.clock import Clock
from sandbox.kit.settings import Settings

State = Literal["waiting", "retrying", "delivered", "lost", "dropped"]
Judge = Callable[[int, dict[str, str], bytes], bool]

# a sender looks at the clock at least this often, so that a shifted clock or a changed setting is noticed
LOOKS_EVERY_S = 0.25
# how far a reordered delivery falls behind: long enough for its successors to pass it
REORDERED_BY_S = (0.05, 0.6)
# a flush gives each of its deliveries this long to be tried
FLUSH_S = 15.0
LOOKED_BACK = 1000


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `status` is None where there was no HTTP answer; `error` then says why ("timeout", "refused", "broken")."""

    at: datetime
    status: int | None
    ms: int
    ok: bool
    error: str = ""
    answer: str = ""

    def shown(self) -> dict[str, Any]:
        return {"at": self.at.isoformat(), "status": self.status, "ms": self.ms, "ok": self.ok, "error": self.error}


@dataclass(slots=True)
class Delivery:
    id: int
    vendor: str
    target: str
    body: bytes
    headers: dict[str, str]
    created: datetime
    copy_of: int | None = None
    state: State = "waiting"
    attempts: list[Attempt] = field(default_factory=list)
    due: float = 0.0
    hurried: bool = False
    forgotten: bool = False  # by a reset, while it was being sent

    @property
    def is_pending(self) -> bool:
        return self.state in ("waiting", "retrying")

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "vendor": self.vendor,
            "target": self.target,
            "body": self.body.decode("utf-8", "replace"),
            "headers": self.headers,
            "created": self.created.isoformat(),
            "copy_of": self.copy_of,
            "state": self.state,
            "attempts": [attempt.shown() for attempt in self.attempts],
        }


# seconds of the vendor's time until the next attempt; None: lost
Ladder = Callable[[Delivery], float | None]


class Noise:
    """What a test does to webhooks on their way. Seeded, so that a run can be repeated."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._seed: int | None = None
        self._random = random.Random()

    def delays(self) -> list[float]:
        """How long each copy of a delivery waits: [] drops it, [0.0] leaves it alone, two are a duplicate."""
        noise = self._settings["noise"]
        if not any(noise[name] for name in ("drop", "duplicate", "reorder", "delay")):
            return [0.0]
        with self._lock:
            if self._seed != noise["seed"]:
                self._seed = noise["seed"]
                self._random.seed(self._seed)
            if self._random.random() < noise["drop"]:
                return []
            copies = 2 if self._random.random() < noise["duplicate"] else 1
            return [self._delay(noise) for _ in range(copies)]

    def _delay(self, noise: dict[str, Any]) -> float:
        if self._random.random() < noise["delay"]:
            return self._random.uniform(0, float(noise["delay_s"]))
        if self._random.random() < noise["reorder"]:
            return self._random.uniform(*REORDERED_BY_S)
        return 0.0

    def reset(self) -> None:
        with self._lock:
            self._seed = None


class Hooks:
    """All webhooks of all vendors."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self._clock = clock
        self._settings = settings
        self._noise = Noise(settings)
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._deliveries: list[Delivery] = []
        self._pending: dict[int, Delivery] = {}
        self._senders: list[Sender] = []

    def sender(
        self,
        vendor: str,
        *,
        patience: Callable[[], float],
        ladder: Ladder,
        judge: Judge | None = None,
        after: Callable[[Delivery], None] | None = None,
        method: str = "POST",
    ) -> "Sender":
        """A queue of its own. `patience`: how many seconds an answer may take, asked at each attempt."""
        made = Sender(self, vendor, patience=patience, ladder=ladder, judge=judge or is_2xx, after=after, method=method)
        self._senders.append(made)
        return made

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def paused(self) -> bool:
        return bool(self._settings["hooks_paused"])

    def enter(self, vendor: str, target: str, body: bytes, headers: dict[str, str]) -> list[Delivery]:
        """Writes a webhook down, as often as noise says; what is dropped stays in the list as "dropped"."""
        delays = self._noise.delays()
        now, ticks = self._clock.now(), self._clock.ticks()
        with self._lock:
            first = Delivery(next(self._ids), vendor, target, body, headers, now)
            if not delays:
                first.state = "dropped"
                self._deliveries.append(first)
                return []
            copies = [first]
            copies += [Delivery(next(self._ids), vendor, target, body, headers, now, first.id) for _ in delays[1:]]
            for delivery, delay in zip(copies, delays, strict=True):
                delivery.due = ticks + delay
            self._deliveries += copies
            self._pending |= {delivery.id: delivery for delivery in copies}
            return copies

    def settle(self, delivery: Delivery) -> None:
        """After an attempt: what is delivered or lost waits no longer."""
        if not delivery.is_pending:
            with self._lock:
                self._pending.pop(delivery.id, None)

    def all(self, *, after: int = 0, vendor: str | None = None, state: str | None = None) -> list[dict[str, Any]]:
        with self._lock:
            found = list(self._deliveries)
        return [
            delivery.shown()
            for delivery in found
            if delivery.id > after and vendor in (None, delivery.vendor) and state in (None, delivery.state)
        ]

    def latest(self, most: int, wanted: Callable[[Delivery], bool]) -> list[Delivery]:
        """The newest first; of the last thousand only, so that a page can ask every second."""
        with self._lock:
            found = self._deliveries[-LOOKED_BACK:]
        return list(itertools.islice(filter(wanted, reversed(found)), most))

    def pending(self) -> int:
        with self._lock:
            return len(self._pending)

    def flush(self) -> int:
        """Tries at once all that waits, retries included; answers when each was tried. How many there were."""
        with self._lock:
            those = list(self._pending.values())
            waiting = {delivery.id: len(delivery.attempts) for delivery in those}
        for delivery in those:
            delivery.hurried = True
        for sender in self._senders:
            sender.hurry()
        until = time.monotonic() + FLUSH_S
        while time.monotonic() < until and any(
            delivery.is_pending and len(delivery.attempts) == waiting[delivery.id] for delivery in those
        ):
            time.sleep(0.005)
        return len(those)

    def reset(self) -> None:
        """Forgets all webhooks, sent or not."""
        for sender in self._senders:
            sender.drop()
        with self._lock:
            for delivery in self._pending.values():
                delivery.forgotten = True
            self._deliveries.clear()
            self._pending.clear()
        self._noise.reset()

    def stop(self) -> None:
        for sender in self._senders:
            sender.stop()


class Sender:
    """A vendor's queue of webhooks: a thread for each target, so that a target that is slow holds up only itself."""

    def __init__(
        self,
        hooks: Hooks,
        vendor: str,
        *,
        patience: Callable[[], float],
        ladder: Ladder,
        judge: Judge,
        after: Callable[[Delivery], None] | None,
        method: str = "POST",
    ) -> None:
        self._method = method
        self._hooks = hooks
        self._vendor = vendor
        self._patience = patience
        self._ladder = ladder
        self._judge = judge
        self._after = after
        self._lock = threading.Lock()
        self._lanes: dict[str, _Lane] = {}

    def submit(self, target: str, body: bytes, headers: dict[str, str]) -> None:
        """Sends in the background."""
        for delivery in self._hooks.enter(self._vendor, target, body, headers):
            self._lane(target).put(delivery)

    def send_now(self, target: str, body: bytes, headers: dict[str, str]) -> Attempt:
        """Sends outside of the queue, without noise and retries."""
        now = self._hooks.clock.now()
        return send(self._method, target, body, headers, patience=self._patience(), judge=self._judge, now=now)

    def try_once(self, delivery: Delivery) -> float | None:
        """One attempt; says after how many seconds (here) another is due, None for never."""
        attempt = self.send_now(delivery.target, delivery.body, delivery.headers)
        wait = None
        if attempt.ok:
            state: State = "delivered"
        else:
            delivery.attempts.append(attempt)
            wait = self._ladder(delivery)
            delivery.attempts.pop()
            state = "lost" if wait is None else "retrying"
        delivery.state = state
        delivery.attempts.append(attempt)
        self._hooks.settle(delivery)
        if delivery.forgotten:
            return None
        if self._after is not None:
            self._after(delivery)
        return None if wait is None else self._hooks.clock.lasts(wait)

    def _lane(self, target: str) -> "_Lane":
        with self._lock:
            lane = self._lanes.get(target)
            if lane is None:
                lane = self._lanes[target] = _Lane(self, self._hooks, f"{self._vendor} hooks to {target}")
            return lane

    def _all_lanes(self) -> list["_Lane"]:
        with self._lock:
            return list(self._lanes.values())

    def hurry(self) -> None:
        for lane in self._all_lanes():
            lane.hurry()

    def drop(self) -> None:
        for lane in self._all_lanes():
            lane.drop()

    def stop(self) -> None:
        for lane in self._all_lanes():
            lane.stop()


class _Lane:
    """What waits for one target, and the thread that sends it."""

    def __init__(self, sender: Sender, hooks: Hooks, name: str) -> None:
        self._sender = sender
        self._hooks = hooks
        self._changed = threading.Condition()
        self._queue: list[tuple[float, int, Delivery]] = []
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True, name=name)
        self._thread.start()

    def put(self, delivery: Delivery) -> None:
        with self._changed:
            heapq.heappush(self._queue, (delivery.due, delivery.id, delivery))
            self._changed.notify()

    def hurry(self) -> None:
        with self._changed:
            self._queue = [(0.0 if one.hurried else due, number, one) for due, number, one in self._queue]
            heapq.heapify(self._queue)
            self._changed.notify()

    def drop(self) -> None:
        with self._changed:
            self._queue.clear()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(5)

    def _run(self) -> None:
        while (delivery := self._next()) is not None:
            delivery.hurried = False
            wait = self._sender.try_once(delivery)
            if wait is not None:
                delivery.due = self._hooks.clock.ticks() + wait
                self.put(delivery)

    def _next(self) -> Delivery | None:
        """Waits for the next one that is due; None when the lane is stopped."""
        with self._changed:
            while not self._stopped:
                wait = self._wait()
                if wait <= 0:
                    return heapq.heappop(self._queue)[2]
                self._changed.wait(min(wait, LOOKS_EVERY_S))
            return None

    def _wait(self) -> float:
        if not self._queue:
            return LOOKS_EVERY_S
        due, _, delivery = self._queue[0]
        if self._hooks.paused and not delivery.hurried:
            return LOOKS_EVERY_S
        return due - self._hooks.clock.ticks()


def is_2xx(status: int, _headers: dict[str, str], _body: bytes) -> bool:
    return 200 <= status <= 299


def send(
    method: str, target: str, body: bytes, headers: dict[str, str], *, patience: float, judge: Judge, now: datetime
) -> Attempt:
    """One request over a connection of its own, without redirects; every header as given."""
    started = time.perf_counter()

    def attempt(status: int | None, *, ok: bool = False, error: str = "", answer: bytes = b"") -> Attempt:
        ms = round((time.perf_counter() - started) * 1000)
        return Attempt(now, status, ms, ok, error, answer[:500].decode("utf-8", "replace"))

    url = urlsplit(target)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    with contextlib.closing(kind(url.netloc, timeout=patience)) as connection:
        try:
            connection.putrequest(method, url._replace(scheme="", netloc="").geturl() or "/", skip_accept_encoding=True)
            length = {"content-length": str(len(body))} if body or method != "GET" else {}
            for name, value in (headers | length | {"connection": "close"}).items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            response = connection.getresponse()
            content = response.read(65536)
        except TimeoutError:
            return attempt(None, error="timeout")
        except ConnectionRefusedError:
            return attempt(None, error="refused")
        except (OSError, http.client.HTTPException) as broken:
            return attempt(None, error=f"broken: {broken}")
        seen = {name.lower(): value for name, value in response.getheaders()}
        return attempt(response.status, ok=judge(response.status, seen, content), answer=content)
