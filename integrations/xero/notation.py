"""How Xero writes times, days, numbers, strings and time zones (xero.md 4.9, 4.10, 7.1). Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import win_tz

WIRE_DATE = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(said: object) -> datetime | None:
    """ "/Date(1789378199100+0000)/" as a time; None where there is none. The offset is always +0000 or absent (xero.md 4.9)."""
    found = WIRE_DATE.fullmatch(str(said))
    return EPOCH + timedelta(milliseconds=int(found[1])) if found else None


def calendar_day(said: object) -> date | None:
    """A calendar date: midnight UTC on the wire, and never to be moved into a time zone; "2026-09-14T00:00:00" is known too."""
    if at := instant(said):
        return at.date()
    return date.fromisoformat(str(said)[:10]) if said else None


def modified_since(since: datetime) -> str:
    """The header's value: UTC, whole seconds, no offset (xero.md 4.10, 10.2). Rounded down, or a change would be missed."""
    return since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def number(said: object) -> Decimal | None:
    """A number, which may also come as a string; None where there is none."""
    return None if said is None or said == "" else Decimal(str(said))


def amount(said: object) -> Decimal:
    """An amount of money; zero where there is none, for Xero leaves out what is null."""
    return number(said) or Decimal(0)


def quoted(text: str) -> str:
    """A string in a `where` (xero.md 6.1)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def zone_name(said: str) -> str:
    """The IANA name of "NEWZEALANDSTANDARDTIME": a Windows name without its spaces (xero.md 7.1); UTC where it is unknown."""
    if found := ZONES.get(_squeezed(said)):
        return found
    try:
        return ZoneInfo(said).key
    except (KeyError, ValueError, OSError):
        return "UTC"


def _squeezed(name: str) -> str:
    return "".join(name.split()).casefold()


ZONES: Mapping[str, str] = {_squeezed(windows): iana for windows, iana in win_tz.items()} | {
    # Enumerations can't hold dots and dashes.
    "".join(filter(str.isalnum, windows)).casefold(): iana
    for windows, iana in win_tz.items()
}
