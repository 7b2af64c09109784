"""Tests, by room: each folder mirrors a room, tests/system runs real processes against the sandbox."""
