"""The canary, and the count of sends: where just Redis' data structures matter."""

import fakeredis
import pytest
from redis import ConnectionError as NoConnection
from redis import Redis

from worker import canary, restored

from .ledger import THEN, at


@pytest.fixture
def redis() -> Redis:
    """A Redis in this process."""
    return fakeredis.FakeRedis()


def down() -> Redis:
    server = fakeredis.FakeServer()
    server.connected = False
    return fakeredis.FakeRedis(server=server)


def test_the_last_ring_that_was_heard_is_known(redis: Redis):
    assert canary.last_heard(redis) is None
    canary.sing(redis, THEN)
    canary.sing(redis, at(30))
    assert canary.last_heard(redis) == at(30)


def test_without_redis_no_ring_was_heard():
    with pytest.raises(NoConnection):
        down().ping()
    assert canary.last_heard(down()) is None


def test_the_highest_send_is_remembered_whatever_the_order(redis: Redis):
    for send_id in (3, 7, 5):
        restored.remember(redis, send_id)
    assert restored.highest_known(redis) == 7
    restored.count_from(redis, 2)
    assert restored.highest_known(redis) == 2


def test_a_redis_that_is_new_or_down_tells_of_no_sends(redis: Redis):
    assert restored.highest_known(redis) == 0
    restored.remember(down(), 7)
    restored.count_from(down(), 7)
    assert restored.highest_known(down()) == 0
