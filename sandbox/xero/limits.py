"""Xero's rate limits: fixed windows that begin at another moment for each tenant, and five calls at a time (xero.md 2)."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MINUTE, DAY = 60.0, 86_400.0


@dataclass(slots=True)
class Window:
    """Counts calls in a fixed window; `phase` says where in its period it begins."""

    period: float
    phase: float = field(default_factory=random.random)
    index: int = -1
    length: float = 0.0
    used: int = 0

    def left(self, limit: int, now: float, length: float) -> int:
        """What is left of the limit. `length` is the period as it lasts at the present time factor."""
        index = math.floor(now / length - self.phase)
        if (index, length) != (self.index, self.length):
            self.index, self.length, self.used = index, length, 0
        return max(limit - self.used, 0)

    def resets_in(self, now: float) -> float:
        return (self.index + 1 + self.phase) * self.length - now


@dataclass(slots=True)
class Quota:
    """One app's share of one tenant."""

    minute: Window = field(default_factory=lambda: Window(MINUTE))
    day: Window = field(default_factory=lambda: Window(DAY))
    in_flight: int = 0
    most_in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """`problem` is None where the call may go on; `retry_after` in whole seconds."""

    headers: Mapping[str, str]
    problem: str | None = None
    retry_after: int | None = None


class Limiter:
    """Not safe by itself: the state's lock guards it. `lasts` turns the vendor's seconds into ours."""

    def __init__(self, switches: Mapping[str, Any], lasts: Callable[[float], float]) -> None:
        self._switches = switches
        self._lasts = lasts
        self._quotas: dict[tuple[str, str], Quota] = {}
        self._apps: dict[str, Window] = {}
        self.refused: dict[str, int] = {}

    def quota(self, client: str, tenant: str) -> Quota:
        return self._quotas.setdefault((client, tenant), Quota())

    def enter(self, client: str, tenant: str, now: float, *, enforced: bool = True) -> Admission:
        """Counts a call in, or refuses it. What was let in must `leave`."""
        quota = self.quota(client, tenant)
        app = self._apps.setdefault(client, Window(MINUTE))
        limits = self._switches
        left = {
            "minute": quota.minute.left(int(limits["minute_limit"]), now, self._lasts(MINUTE)),
            "day": quota.day.left(int(limits["day_limit"]), now, self._lasts(DAY)),
            "appminute": app.left(int(limits["app_minute_limit"]), now, self._lasts(MINUTE)),
        }
        windows = {"minute": quota.minute, "day": quota.day, "appminute": app}
        if enforced:
            if quota.in_flight >= int(limits["concurrent_limit"]):
                return self._refuse("concurrent", left, None)
            for problem in ("day", "minute", "appminute"):
                if not left[problem]:
                    wait = math.ceil(max(windows[problem].resets_in(now), 0.001))
                    has_wait = problem != "appminute" or limits["appminute_retry_after"]
                    return self._refuse(problem, left, wait if has_wait else None)
        for window in windows.values():
            window.used += 1
        quota.in_flight += 1
        quota.most_in_flight = max(quota.most_in_flight, quota.in_flight)
        return Admission(_headers({name: max(count - 1, 0) for name, count in left.items()}))

    def leave(self, client: str, tenant: str) -> None:
        self.quota(client, tenant).in_flight -= 1

    def _refuse(self, problem: str, left: Mapping[str, int], retry_after: int | None) -> Admission:
        self.refused[problem] = self.refused.get(problem, 0) + 1
        return Admission(_headers(left), problem, retry_after)

    def spend_day(self, client: str, tenant: str, *, left: int, now: float) -> None:
        """Leaves so many calls of the day, as after a busy morning."""
        day = self.quota(client, tenant).day
        day.left(0, now, self._lasts(DAY))
        day.used = int(self._switches["day_limit"]) - left

    def left(self, now: float) -> list[tuple[str, str, str, int, int]]:
        """Client, tenant, what, how much of it is left, of how much."""
        limits = self._switches
        found: list[tuple[str, str, str, int, int]] = []
        for (client, tenant), quota in self._quotas.items():
            most = {name: int(limits[f"{name}_limit"]) for name in ("concurrent", "minute", "day")}
            left = {
                "concurrent": max(most["concurrent"] - quota.in_flight, 0),
                "minute": quota.minute.left(most["minute"], now, self._lasts(MINUTE)),
                "day": quota.day.left(most["day"], now, self._lasts(DAY)),
            }
            found += [(client, tenant, name, left[name], most[name]) for name in most]
        return found

    def shown(self) -> list[dict[str, Any]]:
        """For the books: what was used, and the most that ran at once."""
        return [
            {
                "client": client,
                "tenant": tenant,
                "minute_used": quota.minute.used,
                "day_used": quota.day.used,
                "most_in_flight": quota.most_in_flight,
            }
            for (client, tenant), quota in self._quotas.items()
        ]


def _headers(left: Mapping[str, int]) -> Mapping[str, str]:
    return {
        "X-DayLimit-Remaining": str(left["day"]),
        "X-MinLimit-Remaining": str(left["minute"]),
        "X-AppMinLimit-Remaining": str(left["appminute"]),
    }
