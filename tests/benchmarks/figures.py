"""What a measurement comes to: percentiles, checks against what must be shown, tables. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

Row = tuple[str, ...]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of all values do not exceed, between neighbours by distance; of nothing, NaN."""
    if not values:
        return math.nan
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def median(values: Sequence[float]) -> float:
    """Half of the values do not exceed it."""
    return percentile(values, 0.5)


def ratio(value: float, to: float) -> float:
    """How many times `to`; infinite where that is nothing."""
    return value / to if to > 0 else math.inf


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be shown: `value` is at most `limit`, or at least, where `at_least` says so."""

    what: str
    value: float
    limit: float
    unit: str = ""
    at_least: bool = False

    @property
    def passes(self) -> bool:
        """Nothing that was not measured (NaN) passes."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def row(self) -> Row:
        """As a table shows it."""
        bound = f"{'at least' if self.at_least else 'at most'} {number(self.limit)}{self.unit}"
        return self.what, f"{number(self.value)}{self.unit}", bound, "pass" if self.passes else "**FAIL**"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title; numbers are text by now."""

    title: str
    columns: Row
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One benchmark's part of the page. `notes` say how it was measured; `charts` are files in docs/, by name."""

    name: str
    title: str
    notes: str
    tables: tuple[Table, ...] = ()
    checks: tuple[Check, ...] = ()
    charts: dict[str, str] = field(default_factory=dict)


def number(value: float, digits: int = 3) -> str:
    """A number with as many digits as say something, and no exponent."""
    if not math.isfinite(value):
        return "none" if math.isnan(value) else "∞"
    if value == 0 or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{max(digits - 1 - math.floor(math.log10(abs(value))), 0)}f}"


def seconds(value: float) -> str:
    """Seconds as people read them."""
    return f"{number(value)} s" if abs(value) >= 1 or not math.isfinite(value) else f"{value * 1000:.0f} ms"
