"""From many requests into few transactions, with an end to waiting for the database, whatever state it is in.

What comes in while a transaction is under way goes into the next one together: with few requests each has its own, with many they share a
commit, which costs more than all else. Nobody waits in order that others may join.

Time-outs of the driver and the server bound each step, not their sum, and a server that is frozen keeps none of them. The
vendors' patience is bounded (kommo.md 4.5: 2 s), so the work is done by threads that an answer need not wait for.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")

# One transaction at a time, so that the next one gathers what comes meanwhile. One that takes longer than this, in seconds, waits for
# something, perhaps for somebody's lock, and is passed where there are other threads.
PASSING = 0.005


class TooLate(Exception):
    """It is not done, or not known to be done: the sender has to send again."""


@dataclass(slots=True, eq=False)
class Asked(Generic[T]):
    """Something that somebody waits for, until it has ended: with nothing, or with what it raised."""

    item: T
    outcome: "SimpleQueue[Exception | None]" = field(default_factory=SimpleQueue)
    is_given_up: bool = False
    has_ended: bool = False


class Deadline(Generic[T]):
    """Has `work` done on an item, and returns when it is; raises what the work raised, or TooLate after `seconds`.

    Work that was begun still ends, unheard. Items that fail together are tried each by itself, so that none fails for another's fault.
    After its work each of the threads rests for `rest` seconds.
    """

    def __init__(
        self, work: Callable[[Sequence[T]], object], seconds: float, *, threads: int, rest: float = 0.0
    ) -> None:
        self._work = work
        self._seconds = seconds
        self._threads = threads
        self._rest = rest
        self._turn = threading.Lock()
        self._starting = threading.Lock()
        self._is_started = False
        self._waiting: SimpleQueue[Asked[T]] = SimpleQueue()
        self._hanging: set[Asked[T]] = set()

    def __call__(self, item: T) -> None:
        if not self._is_started:
            self._start()
        asked = Asked(item)
        self._waiting.put(asked)
        try:
            fault = asked.outcome.get(timeout=self._patience())
        except Empty:
            self._give_up(asked)
            raise TooLate from None
        if fault:
            raise fault

    def _patience(self) -> float:
        """Much less while other work hangs: requests wait for a thread of Gunicorn's too, and would wait twice as long as their sender."""
        return self._seconds / 10 if self._hanging else self._seconds

    def _give_up(self, asked: Asked[T]) -> None:
        asked.is_given_up = True
        self._hanging.add(asked)
        if asked.has_ended:  # at this very moment
            self._hanging.discard(asked)

    def _start(self) -> None:
        """At the first request, and so after Gunicorn has forked: threads do not survive it."""
        with self._starting:
            if not self._is_started:
                for number in range(self._threads):
                    threading.Thread(target=self._run, name=f"record-{number}", daemon=True).start()
                self._is_started = True

    def _run(self) -> None:
        while True:
            first = self._waiting.get()
            has_turn = self._turn.acquire(timeout=PASSING)
            try:
                self._do([first, *self._others()])
            finally:
                if has_turn:
                    self._turn.release()
            if self._rest:
                time.sleep(self._rest)

    def _others(self) -> list[Asked[T]]:
        others: list[Asked[T]] = []
        while True:
            try:
                others.append(self._waiting.get_nowait())
            except Empty:
                return others

    def _do(self, asked: Sequence[Asked[T]]) -> None:
        """Begin what is still waited for, and end all of it."""
        wanted = [one for one in asked if not one.is_given_up]
        fault = self._try(wanted)
        for one in asked:
            if fault and len(wanted) > 1:
                self._do([one])
            else:
                self._end(one, fault)

    def _try(self, asked: Sequence[Asked[T]]) -> Exception | None:
        try:
            if asked:
                self._work([one.item for one in asked])
        except Exception as fault:  # noqa: BLE001  (whatever it is, those who wait for it must hear)
            return fault
        return None

    def _end(self, asked: Asked[T], fault: Exception | None) -> None:
        asked.has_ended = True
        self._hanging.discard(asked)
        asked.outcome.put(fault)
