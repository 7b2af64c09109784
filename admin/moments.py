"""When: as a day, a time, or so long ago."""

import re
from datetime import UTC, datetime, timedelta

import click

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Moment(click.ParamType[datetime]):
    """An instant, given as 2026-09-14, as 2026-09-14T08:00 (UTC unless it says otherwise), or as 2h for two hours ago."""

    name = "when"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The instant in UTC."""
        if isinstance(value, datetime):
            return value
        found = parse(str(value), now=datetime.now(UTC))
        if found is None:
            self.fail(f"{value!r} is no time: write 2h, 3d, 2026-09-14 or 2026-09-14T08:00", param, ctx)
        return found


def parse(text: str, *, now: datetime) -> datetime | None:
    """The instant in UTC; None for what is none."""
    if ago := re.fullmatch(r"(\d{1,5})([smhdw])", text.strip()):
        return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        told = datetime.fromisoformat(text.strip())
        return (told if told.tzinfo else told.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
