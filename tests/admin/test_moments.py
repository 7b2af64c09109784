"""When: as a day, a time, or so long ago."""

from datetime import UTC, datetime

import pytest

from admin.moments import parse

NOW = datetime(2026, 9, 14, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2h", datetime(2026, 9, 14, 10, tzinfo=UTC)),
        ("3d", datetime(2026, 9, 11, 12, tzinfo=UTC)),
        ("90m", datetime(2026, 9, 14, 10, 30, tzinfo=UTC)),
        ("1w", datetime(2026, 9, 7, 12, tzinfo=UTC)),
        ("30s", datetime(2026, 9, 14, 11, 59, 30, tzinfo=UTC)),
        ("2026-09-01", datetime(2026, 9, 1, tzinfo=UTC)),
        ("2026-09-01T08:00", datetime(2026, 9, 1, 8, tzinfo=UTC)),
        ("2026-09-01T08:00+02:00", datetime(2026, 9, 1, 6, tzinfo=UTC)),
    ],
)
def test_it_is_read(text, meant):
    assert parse(text, now=NOW) == meant


@pytest.mark.parametrize("text", ["", "yesterday", "2x", "h", "-2h", "2026-13-01"])
def test_what_is_no_time_is_not_guessed(text):
    assert parse(text, now=NOW) is None
