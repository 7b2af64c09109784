"""What tests do with a budget: make one on a real Redis, and ask it."""

from collections.abc import Callable

from redis import Redis

from integrations.errors import RateLimited
from integrations.turns import Priority, Turns

NEVER = 3600.0
Make = Callable[..., Turns]


def given_at(redis: Redis, name: str) -> list[float]:
    """When each turn of a window was given, by the clock of Redis."""
    return sorted(score / 1e6 for _, score in redis.zscan_iter(f"turns:xero:acme:{name}"))


def take(turns: Turns, times: int, priority: Priority = Priority.NEW) -> int:
    """How many of so many asks were granted."""
    return sum(wait_told(turns, priority) == 0 for _ in range(times))


def wait_told(turns: Turns, priority: Priority = Priority.NEW) -> float:
    """The seconds after which one who asks is told to come back; 0 where it was given its turn."""
    try:
        turns.take(priority)
    except RateLimited as refused:
        return refused.retry_after
    return 0.0
