"""An end to waiting for the database, whatever state it is in.

Time-outs of the driver and the server bound each step, not their sum, and a server that is frozen keeps none of them. The
vendors' patience is bounded (kommo.md 4.5: 2 s), so the whole transaction runs on a thread that the answer need not wait for.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class TooLate(Exception):
    """It is not done, or not known to be done: the sender has to send again."""


class Deadline:
    """Runs work and gives its result, or raises TooLate after `seconds`. Work that was begun still ends, unheard."""

    def __init__(self, seconds: float, *, threads: int) -> None:
        self._seconds = seconds
        # as many as there are requests at a time, so that work waits for a thread only where one hangs
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="record")
        self._hanging: set[Future[Any]] = set()

    def __call__(self, work: Callable[[], T]) -> T:
        running = self._threads.submit(work)
        try:
            return running.result(self._patience())
        except TimeoutError as late:
            if not running.cancel():
                self._hanging.add(running)
                running.add_done_callback(self._hanging.discard)
            raise TooLate from late

    def _patience(self) -> float:
        """Much less while other work hangs: requests wait for a thread of Gunicorn's too, and would wait twice as long as their sender."""
        return self._seconds / 10 if self._hanging else self._seconds
