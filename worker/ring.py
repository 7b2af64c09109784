"""Ringing: telling the workers that a job is due. It never raises and never waits on a dead broker; what is not heard, the sweep finds."""

from collections.abc import Iterable
from typing import Any

import structlog
from celery import Celery
from redis import Redis, RedisError

from worker.jobs import Kind, Ring

log = structlog.get_logger()

# With Redis gone, Celery's own defaults hold a ring for 0.6 s (celery-redis.md, L7): `retry=False` is not enough, the transport retries too.
FAST = {"max_retries": 0, "socket_connect_timeout": 0.3, "socket_timeout": 0.5}


class Bell:
    """Rings over one broker, on a Celery app of its own: a worker's reconnecting must be patient, a ring must not."""

    def __init__(self, redis_url: str) -> None:
        app = Celery("bell", broker=broker_address(redis_url), set_as_current=False)
        app.config_from_object("celeryconfig")
        options: dict[str, Any] = {**app.conf.broker_transport_options, **FAST}
        app.conf.update(broker_transport_options=options, broker_connection_timeout=0.5)
        self._prefix = str(options.get("global_keyprefix", ""))
        self._app = app

    def waiting(self, kind: Kind, redis: Redis) -> int:
        """How many rings of a kind nobody has heard yet; 0 where Redis does not say."""
        try:
            return redis.llen(f"{self._prefix}{kind.value}")
        except RedisError:
            return 0

    def __call__(self, rings: Iterable[Ring]) -> bool:
        """Ring for each; stops at the first failure, which all others would share."""
        for ring in rings:
            try:
                self._app.send_task(ring.kind.value, args=[ring.job_id], argsrepr=f"({ring.about})", retry=False)
            except Exception as error:  # noqa: BLE001  (whatever the broker's trouble is, the sweep rings again)
                log.warning("ring_failed", job=ring.job_id, kind=ring.kind.value, error=type(error).__name__)
                return False
        return True


def broker_address(redis_url: str) -> str:
    """The address as Celery writes it: a socket's scheme differs from the Redis client's."""
    return redis_url.replace("unix://", "redis+socket://", 1) if redis_url.startswith("unix://") else redis_url


def client_address(redis_url: str) -> str:
    """The address as the Redis client writes it."""
    return redis_url.replace("redis+socket://", "unix://", 1) if redis_url.startswith("redis+socket://") else redis_url
