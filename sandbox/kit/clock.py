"""One clock for both vendors."""

import time
from datetime import UTC, datetime, timedelta

from sandbox.kit.settings import Settings


class Clock:
    """The vendors' time. The time factor shrinks periods; what time it is stays true (but for a shift that a test asks for)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def factor(self) -> float:
        return max(float(self._settings["time_factor"]), 0.001)

    @property
    def _shift(self) -> float:
        return float(self._settings["clock_shift_s"])

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC) + timedelta(seconds=self._shift)

    def stamp(self) -> int:
        """Unix seconds."""
        return int(time.time() + self._shift)

    def ticks(self) -> float:
        """Seconds on a monotonic clock, for windows and lives: compare with `lasts`."""
        return time.monotonic() + self._shift

    def lasts(self, seconds: float) -> float:
        """How long a vendor's period of so many seconds lasts here."""
        return seconds / self.factor
