"""Faults by order of a test: what a call meets instead of its answer, before or after it took effect."""

import fnmatch
import itertools
import random
import threading
from dataclasses import dataclass, field
from typing import Any, Literal

When = Literal["before", "after"]
NAMED = ("reset", "timeout", "html", "hold", "slow")


class BadFault(ValueError):
    """A fault that can't be set as it was described."""


class Hangup(Exception):
    """Tells the server to cut the connection: at once with a reset, or after keeping silent while the client waits."""

    def __init__(self, *, silent_for: float = 0.0) -> None:
        super().__init__(silent_for)
        self.silent_for = silent_for


@dataclass(slots=True)
class Fault:
    """`call` is a method (or `*`) and a path: a prefix, a glob where it has a `*`, exact where it ends in `$`.

    "after" fires only where the call succeeded: the effect is there, the answer is not.
    """

    id: int
    vendor: str
    method: str
    path: str
    when: When
    do: int | str
    times: int | None  # None: for ever
    skip: int  # how many matching calls pass first
    share: float  # of the matching calls, 1 for all
    seconds: float  # for "slow"
    retry_after: int | None  # for 429
    seen: int = 0
    fired: int = 0

    def matches(self, vendor: str, method: str, path: str) -> bool:
        if self.vendor not in ("*", vendor) or self.method not in ("*", method):
            return False
        if self.path.endswith("$"):
            return path == self.path[:-1]
        if "*" in self.path:
            return fnmatch.fnmatchcase(path, self.path)
        return path.startswith(self.path)

    @property
    def spent(self) -> bool:
        return self.times is not None and self.fired >= self.times

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "vendor": self.vendor,
            "call": f"{self.method} {self.path}",
            "when": self.when,
            "do": self.do,
            "times": self.times,
            "skip": self.skip,
            "share": self.share,
            "seconds": self.seconds,
            "retry_after": self.retry_after,
            "seen": self.seen,
            "fired": self.fired,
        }


@dataclass(slots=True)
class Held:
    """A call that waits at a barrier until it is released. `then` "reset" cuts it off instead of answering."""

    id: int
    vendor: str
    method: str
    path: str
    when: When
    fault: int
    event: threading.Event = field(default_factory=threading.Event)
    then: str = "answer"

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "vendor": self.vendor,
            "call": f"{self.method} {self.path}",
            "when": self.when,
            "fault": self.fault,
        }


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._held: dict[int, Held] = {}
        self._ids = itertools.count(1)
        self._random = random.Random(1)

    def add(self, wanted: dict[str, Any]) -> Fault:
        fault = _read(next(self._ids), wanted)
        with self._lock:
            self._faults.append(fault)
        return fault

    def strike(self, when: When, vendor: str, method: str, path: str) -> Fault | None:
        """The fault that this call meets now, counted as fired; None for none."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if fault.when == when and not fault.spent and fault.matches(vendor, method, path):
                    fault.seen += 1
                    if fault.seen > fault.skip and self._random.random() < fault.share:
                        fault.fired += 1
                        return fault
        return None

    def hold(self, fault: Fault, method: str, path: str, vendor: str) -> str:
        """Waits for the release; says what then: "answer" or "reset"."""
        held = Held(next(self._ids), vendor, method, path, fault.when, fault.id)
        with self._lock:
            self._held[held.id] = held
        held.event.wait()
        with self._lock:
            self._held.pop(held.id, None)
        return held.then

    def release(self, held_id: int, then: str = "answer") -> bool:
        with self._lock:
            held = self._held.pop(held_id, None)
        if held is None:
            return False
        held.then = then
        held.event.set()
        return True

    def held(self) -> list[dict[str, Any]]:
        with self._lock:
            return [held.shown() for held in self._held.values()]

    def all(self) -> list[dict[str, Any]]:
        with self._lock:
            return [fault.shown() for fault in self._faults]

    def clear(self, fault_id: int | None = None) -> None:
        """Takes away one fault or all; what is held stays held."""
        with self._lock:
            self._faults = [fault for fault in self._faults if fault_id is not None and fault.id != fault_id]

    def reset(self) -> None:
        """Takes away all faults, and lets go of what is held."""
        self.clear()
        with self._lock:
            waiting = list(self._held)
            self._random = random.Random(1)
        for held_id in waiting:
            self.release(held_id)


def _read(fault_id: int, wanted: dict[str, Any]) -> Fault:
    method, _, path = str(wanted.get("call", "* /")).partition(" ")
    do = wanted.get("do", 500)
    if not path.startswith(("/", "*")):
        raise BadFault('"call" is a method and a path: "PUT /api.xro/2.0/Invoices"')
    if not (isinstance(do, int) and 300 <= do <= 599) and do not in NAMED:
        raise BadFault(f'"do" is a status or one of {", ".join(NAMED)}')
    when = wanted.get("when", "before")
    if when not in ("before", "after"):
        raise BadFault('"when" is before or after')
    times = wanted.get("times", 1)
    return Fault(
        id=fault_id,
        vendor=str(wanted.get("vendor", "*")),
        method=method.upper(),
        path=path,
        when=when,
        do=do,
        times=None if times is None else int(times),
        skip=int(wanted.get("skip", 0)),
        share=float(wanted.get("share", 1)),
        seconds=float(wanted.get("seconds", 0)),
        retry_after=wanted.get("retry_after"),
    )
