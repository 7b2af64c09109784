"""A lease in a worker's hands: kept by a thread of its own, and asked by the HTTP layer before each write."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from worker.claims import renew
from worker.database import Database

log = structlog.get_logger()


def boot_seconds() -> float:
    """Seconds that pass even while the machine sleeps: a laptop that was closed has lost its leases."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Lease:
    """Keeps what a holder claimed until the block ends. `since` is `boot_seconds` from before the claim."""

    def __init__(
        self,
        database: Database,
        holder: str,
        *,
        since: float,
        length: timedelta,
        every: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._database, self._holder, self._now = database, holder, now
        self._length, self._every = length, every
        self._until = since + length.total_seconds()
        self._lost = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def is_held(self) -> bool:
        """Whether a write may still be sent: the lease has surely not lapsed."""
        return not self._lost and boot_seconds() < self._until

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._ended.wait(self._every.total_seconds()):
            before = boot_seconds()
            try:
                kept = renew(self._database, self._holder, now=self._now(), lease=self._length)
            except SQLAlchemyError as error:
                log.warning("lease_not_renewed", error=type(error).__name__)
                continue  # the next try may still be in time; if not, `is_held` says so
            if not kept:
                self._lost = True
                return
            self._until = before + self._length.total_seconds()
