"""The canary: a ring every half minute that only says when a worker last heard one. A worker may live and hear nothing (celery-redis.md 4.1)."""

from datetime import UTC, datetime
from typing import Any

from redis import Redis, RedisError

KEY = "bridge:canary"


def sing(redis: Redis, now: datetime) -> None:
    """A worker heard a ring at this instant."""
    redis.set(KEY, now.isoformat())


def last_heard(redis: Redis) -> datetime | None:
    """When a worker last heard one; None if never, or if Redis is down."""
    try:
        said: Any = redis.get(KEY)
    except RedisError:
        return None
    return datetime.fromisoformat(said.decode()).astimezone(UTC) if said else None
