"""The script that judges a budget, and the Redis it runs in."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from integrations.errors import RateLimited

SOURCE = Path(__file__).with_name("turns.lua").read_text(encoding="utf-8")

# Redis answers in well under a millisecond: one that takes this long is down, and jobs wait in the ledger.
REDIS_TIMEOUT = 2.0
REDIS_RETRY = 5.0


def open_redis(url: str) -> "Redis":
    """A client for budgets: it answers or fails within seconds, for a worker without a budget has nothing to wait for.

    One immediate second try covers a connection that an idle firewall or a restart of Redis has closed; a turn that is then
    counted twice is a turn lost, and never one too many.
    """
    return Redis.from_url(
        url,
        socket_timeout=REDIS_TIMEOUT,
        socket_connect_timeout=REDIS_TIMEOUT,
        socket_keepalive=True,
        health_check_interval=30,
        retry=Retry(NoBackoff(), 1),
    )


class Script:
    """The script for one budget, which is written down for it once. Times in it are whole microseconds."""

    def __init__(self, redis: "Redis", *, name: str, logs: Sequence[str], budget: Mapping[str, Any]) -> None:
        self._name = name
        self._keys = [name, *logs]
        self._budget = json.dumps(budget)
        self._script = redis.register_script(SOURCE)

    def run(self, verb: str, **needs: Any) -> list[int]:
        """What a verb answers. RateLimited (our own) where Redis does not."""
        try:
            answer: Any = self._script(keys=self._keys, args=[verb, self._budget, json.dumps(needs)])
        except RedisError as error:
            raise RateLimited(self._name, "budget", f"Redis: {error}", retry_after=REDIS_RETRY, own=True) from error
        return [int(number) for number in answer] if isinstance(answer, list) else [int(answer)]


def micros(seconds: float) -> int:
    """Seconds as the script counts them."""
    return int(seconds * 1_000_000)


def thousandths(share: float) -> int:
    """A share as the script reads it."""
    return round(share * 1000)
