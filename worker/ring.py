"""Ringing: telling the workers that a job is due. It never raises and never waits on a dead broker; what is not heard, the sweep finds."""

from collections.abc import Iterable, Sequence
from itertools import count
from uuid import uuid4

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import celeryconfig
from worker import message
from worker.jobs import Ring

log = structlog.get_logger()

# Seconds until a broker is given up. A ring that comes late is worth no more than a sweep, and with the broker gone each must fail fast:
# Celery's own defaults hold one for 0.6 s (celery-redis.md, L7).
CONNECTING, ANSWERING = 0.3, 0.5

# Rings of a kind that wait to be heard. Each serves whatever job of its kind is most in need of it, and whoever is done rings again while there
# is more (worker/choosing.py): further ones would find nothing left, and cost the workers a look each.
MOST_UNHEARD = 20

# Whatever Celery keeps in Redis begins with this.
PREFIX = str(celeryconfig.broker_transport_options["global_keyprefix"])


class Bell:
    """Rings over one broker, any number of jobs in one go."""

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(
            client_address(redis_url),
            socket_connect_timeout=CONNECTING,
            socket_timeout=ANSWERING,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),  # its own default is to try three times
        )
        database = self._redis.connection_pool.connection_kwargs.get("db") or 0
        self._events = PREFIX + message.EVENTS.format(db=database)
        self._clock = count(1)

    def __call__(self, rings: Iterable[Ring]) -> bool:
        """Ring for each, as far as that is not loud enough already; False if the broker does not answer."""
        asked = list(rings)
        if not asked:
            return True
        try:
            self._send(self._wanted(asked))
        except Exception as error:  # noqa: BLE001  (whatever the broker's trouble is, the sweep rings again)
            log.warning("ring_failed", jobs=len(asked), first=asked[0].job_id, error=type(error).__name__)
            return False
        return True

    def _wanted(self, rings: Sequence[Ring]) -> list[Ring]:
        """Of each kind the first ones, as many as may still wait beside those that nobody has heard yet."""
        kinds = list(dict.fromkeys(ring.kind for ring in rings))
        with self._redis.pipeline(transaction=False) as pipe:
            for kind in kinds:
                pipe.llen(PREFIX + kind.value)
            unheard = dict(zip(kinds, pipe.execute(), strict=True))
        return [
            ring
            for kind in kinds
            for ring in [one for one in rings if one.kind is kind][: max(MOST_UNHEARD - unheard[kind], 0)]
        ]

    def _send(self, rings: Sequence[Ring]) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            for ring in rings:
                task_id = str(uuid4())
                pipe.lpush(PREFIX + ring.kind.value, message.task(ring, task_id))
                pipe.publish(self._events, message.sent(ring, task_id, next(self._clock)))
            pipe.execute()


def broker_address(redis_url: str) -> str:
    """The address as Celery writes it: of a socket, the scheme and the database's name differ from the Redis client's."""
    if not redis_url.startswith("unix://"):
        return redis_url
    return redis_url.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=", 1)


def client_address(redis_url: str) -> str:
    """The address as the Redis client writes it."""
    if not redis_url.startswith("redis+socket://"):
        return redis_url
    return redis_url.replace("redis+socket://", "unix://", 1).replace("?virtual_host=", "?db=", 1)
