"""Idempotency keys: six minutes, by app, errors included; what a duplicate in flight meets is a switch (xero.md 3)."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

LIFE = 360.0
LONGEST = 128

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Entry(Generic[Answer]):
    """A request under a key. `done` is set when its answer is on its way."""

    request: bytes
    born: float
    done: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None


class Keys(Generic[Answer]):
    """Remembers requests by (client, key)."""

    def __init__(self, lasts: Callable[[float], float]) -> None:
        self._lasts = lasts
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, str], Entry[Answer]] = OrderedDict()

    def claim(self, client: str, key: str, request: bytes, now: float) -> tuple[Entry[Answer], bool]:
        """The key's entry, and whether it is new: the life counts from the first call."""
        with self._lock:
            life = self._lasts(LIFE)
            while self._entries and next(iter(self._entries.values())).born + life <= now:
                self._entries.popitem(last=False)
            known = self._entries.get((client, key))
            if known is not None:
                return known, False
            made = self._entries[client, key] = Entry(request, now)
            return made, True

    def forget(self, client: str, key: str, entry: Entry[Answer]) -> None:
        """After a failure of the sandbox itself."""
        with self._lock:
            if self._entries.get((client, key)) is entry:
                del self._entries[client, key]
        entry.done.set()
