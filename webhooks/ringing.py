"""Ringing without waiting: an answer to a vendor never hangs on the broker. What is not rung, the worker's sweep finds."""

import threading
from collections.abc import Callable, Sequence
from queue import Empty, Full, Queue

from worker.jobs import Ring

# With the broker dead each ring takes its time-out; what waits behind a thousand others, the sweep will have found before.
MOST_WAITING = 1_000


class Ringer:
    """Rings on a thread of its own, in the order of the asking, what has piled up meanwhile in one go."""

    def __init__(self, ring: Callable[[Sequence[Ring]], object]) -> None:
        self._ring = ring
        self._waiting: Queue[Ring] = Queue(MOST_WAITING)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self, rings: Sequence[Ring]) -> None:
        """Ring for each, soon; never waits."""
        for ring in rings:
            try:
                self._waiting.put_nowait(ring)
            except Full:
                break
        if rings:
            self._start()

    def _start(self) -> None:
        """At the first ring, and so after Gunicorn has forked: threads do not survive it."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._ring([self._waiting.get(), *self._rest()])

    def _rest(self) -> list[Ring]:
        rings: list[Ring] = []
        while True:
            try:
                rings.append(self._waiting.get_nowait())
            except Empty:
                return rings
