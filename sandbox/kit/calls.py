"""The log of calls: what the vendors were asked, by whom, and what came of it."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from flask import request

Effect = Literal["none", "taken", "refused"]

# what a long attack makes in an hour; older calls are forgotten
KEPT = 200_000
LOOKED_BACK = 1000


@dataclass(slots=True)
class CallNote:
    """What a vendor tells about the request that it answers."""

    client: str = ""
    pattern: str = ""
    effect: Effect | None = None
    request_id: str = ""
    ends: list[Callable[[], None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Call:
    seq: int
    at: datetime
    vendor: str
    method: str
    path: str
    query: str
    pattern: str
    status: int | None  # None: the connection was cut without an answer
    ms: int
    client: str
    effect: Effect
    fault: int | None
    request_id: str

    def shown(self) -> dict[str, Any]:
        return asdict(self) | {"at": self.at.isoformat()}


def note() -> CallNote:
    """The note of the request that is being answered (inside a Flask request only)."""
    found = request.environ.get("sandbox.note")
    return found if isinstance(found, CallNote) else CallNote()


def at_end(what: Callable[[], None]) -> None:
    """Runs when the present answer is on its way, delays and holding included."""
    note().ends.append(what)


class Calls:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._seq = 0
        self._first = 1  # the seq of the oldest call that is kept

    def add(self, make: Callable[[int], Call]) -> None:
        with self._lock:
            self._seq += 1
            self._calls.append(make(self._seq))
            if len(self._calls) > KEPT:
                cut = len(self._calls) // 2
                del self._calls[:cut]
                self._first += cut

    @property
    def last(self) -> int:
        with self._lock:
            return self._seq

    def after(self, seq: int = 0, vendor: str | None = None) -> list[Call]:
        with self._lock:
            calls = self._calls[max(seq + 1 - self._first, 0) :]
        return [call for call in calls if vendor is None or call.vendor == vendor]

    def latest(self, most: int, wanted: Callable[[Call], bool]) -> list[Call]:
        """The newest first; of the last thousand only, so that a page can ask every second."""
        with self._lock:
            calls = self._calls[-LOOKED_BACK:]
        return list(itertools.islice(filter(wanted, reversed(calls)), most))

    def count(self, seq: int = 0) -> dict[str, Any]:
        """How many calls by vendor, by pattern and by status."""
        total: Counter[str] = Counter()
        patterns: dict[str, Counter[str]] = {}
        statuses: dict[str, Counter[str]] = {}
        for call in self.after(seq):
            total[call.vendor] += 1
            patterns.setdefault(call.vendor, Counter())[f"{call.method} {call.pattern}"] += 1
            statuses.setdefault(call.vendor, Counter())[str(call.status)] += 1
        return {"total": total, "calls": patterns, "statuses": statuses}

    def reset(self) -> None:
        """Forgets the calls; the sequence goes on."""
        with self._lock:
            self._calls.clear()
            self._first = self._seq + 1
