"""What templates are written with: instants and ages as people read them."""

from datetime import datetime, timedelta

from flask import Flask

from worker.wording import day


def dress(app: Flask) -> None:
    """Give an app's templates these words."""
    app.jinja_env.filters |= {"moment": moment, "day": day, "ago": ago}
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def moment(at: datetime) -> str:
    """24 November 2026, 13:05 UTC"""
    return f"{day(at.date())}, {at:%H:%M} UTC"


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago, in one unit."""
    if at is None:
        return "never"
    age = max(now - at, timedelta())
    for unit, length in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        if count := age // length:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
