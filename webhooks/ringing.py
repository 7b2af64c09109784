"""Ringing without waiting: an answer to a vendor never hangs on the broker. What is not rung, the worker's sweep finds."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from worker.jobs import Ring

# With the broker dead each ring takes its time-out; of those that pile up meanwhile only the last are kept: the others the sweep will have found.
MOST_WAITING = 1_000
# Seconds after a ring in which others gather: a burst is rung for in few goes, and a ring after silence at once.
REST = 0.01
# The same after a ring that failed: a broker that is gone is asked now and then, and not for every webhook.
LONG_REST = 0.25


class Ringer:
    """Rings on a thread of its own, in the order of the asking, what has piled up meanwhile in one go. `ring` answers False where it failed."""

    def __init__(self, ring: Callable[[Sequence[Ring]], object]) -> None:
        self._ring = ring
        self._waiting: deque[Ring] = deque(maxlen=MOST_WAITING)
        self._asked = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self, rings: Sequence[Ring]) -> None:
        """Ring for each, soon; never waits."""
        if rings:
            self._waiting.extend(rings)
            self._asked.set()
            self._start()

    def _start(self) -> None:
        """At the first ring, and so after Gunicorn has forked: threads do not survive it."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            was_heard = self._ring(self._take())
            time.sleep(LONG_REST if was_heard is False else REST)

    def _take(self) -> list[Ring]:
        rings: list[Ring] = []
        while self._waiting:
            rings.append(self._waiting.popleft())
        return rings
