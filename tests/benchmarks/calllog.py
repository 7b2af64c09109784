"""Reading the sandbox's log of calls: what was asked, how often, and how long the answers took. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# ids of all kinds, and the drive's one-time tokens
ID = re.compile(
    r"(?<=/)(?:[0-9]+|[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|kommo:[^/]+)(?=/|$)", re.IGNORECASE
)
TOKEN = "/connect/token"


@dataclass(frozen=True, slots=True)
class Call:
    """One call as a vendor saw it; times in seconds since 1970. `shape` is its path with {id} for ids."""

    vendor: str
    method: str
    shape: str
    status: int | None
    began: float
    ended: float
    took_effect: bool

    @property
    def name(self) -> str:
        """What it is counted as."""
        return f"{self.method} {self.shape}"


def read(log: Iterable[Mapping[str, Any]]) -> list[Call]:
    """From what the control plane answers; requests for tokens are left out, since no limit counts them."""
    return [_call(one) for one in log if not one["path"].endswith(TOKEN)]


def _call(one: Mapping[str, Any]) -> Call:
    ended = datetime.fromisoformat(one["at"]).timestamp()
    return Call(
        vendor=one["vendor"],
        method=one["method"],
        shape=ID.sub("{id}", one["path"].removeprefix("/api.xro/2.0").removeprefix("/api/v4")),
        status=one["status"],
        began=ended - one["ms"] / 1000,
        ended=ended,
        took_effect=one["effect"] == "taken",
    )


def of(calls: Iterable[Call], vendor: str, *names: str) -> list[Call]:
    """Those of one vendor, with these names or with any, that were not refused."""
    return [
        call
        for call in calls
        if call.vendor == vendor and (not names or call.name in names) and call.status and call.status < 400
    ]


def refusals(calls: Iterable[Call]) -> Counter[str]:
    """How many 429s each vendor gave."""
    return Counter(call.vendor for call in calls if call.status == 429)


def by_name(calls: Iterable[Call]) -> Counter[tuple[str, str]]:
    """How many calls of each kind, refused ones too."""
    return Counter((call.vendor, call.name) for call in calls)


def answering(calls: Sequence[Call], *, since: float, until: float) -> float:
    """For how many seconds between the two at least one answer was under way."""
    total, reached = 0.0, since
    for call in sorted(calls, key=lambda call: call.began):
        start, end = max(call.began, reached), min(call.ended, until)
        if end > start:
            total += end - start
            reached = end
    return total
