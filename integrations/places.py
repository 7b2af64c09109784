"""Places that are held for as long as a call takes: renewed while their holder lives, and free again soon after it died."""

import logging
import threading
import time
from collections.abc import Callable

from integrations.errors import RateLimited

log = logging.getLogger(__name__)


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
