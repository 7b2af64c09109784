"""Ringing, and the housekeeper's rounds."""

import base64
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redis import Redis
from redis.client import PubSub

from stack.children import Children
from tests import servers
from tests.worker.shop import Shop
from worker.beat import CANARY_EVERY, Rounds
from worker.jobs import Kind, Ring
from worker.ring import MOST_UNHEARD, Bell, broker_address, client_address

RINGS = [Ring(7, Kind.CREATE_INVOICE, "lead 1:7"), Ring(8, Kind.SYNC_STATUS, "lead 1:8, invoice t:i")]
NOBODY = "redis://127.0.0.1:1/0"


def test_a_ring_carries_an_id_and_nothing_else(redis: Redis, redis_url: str):
    bell = Bell(redis_url)
    assert bell(RINGS)
    (message,) = redis.lrange("bridge:create_invoice", 0, -1)
    sent = json.loads(message)
    assert sent["headers"]["argsrepr"] == "(lead 1:7)"
    assert sent["headers"]["task"] == "create_invoice"
    assert redis.llen("bridge:sync_status") == 1


@pytest.mark.parametrize("number", [0, 3])
def test_a_ring_is_exactly_what_celery_would_send(redis: Redis, redis_url: str, number: int):
    url = f"{redis_url.rpartition('/')[0]}/{number}"
    with Redis.from_url(url) as client, client.pubsub() as flower:
        flower.psubscribe("*")
        assert Bell(url)(RINGS)
        ours = heard(client, flower)
        by_celery(url, RINGS)
        assert heard(client, flower) == ours
    assert [channel for channel, _ in ours[1]] == [f"bridge:/{number}.celeryev/task.sent"] * 2


def by_celery(url: str, rings: Sequence[Ring]) -> None:
    """The same, by Celery's own means."""
    with Celery("bell", broker=url, set_as_current=False) as app:
        app.config_from_object("celeryconfig")
        for ring in rings:
            app.send_task(ring.kind.value, args=[ring.job_id], argsrepr=f"({ring.about})", retry=False)


def heard(client: Redis, flower: PubSub) -> tuple[list[Any], list[tuple[str, Any]]]:
    """What workers and Flower hear, and nobody hears again, without the names and times that differ each time."""
    messages = [plain(client.rpop(f"bridge:{ring.kind.value}")) for ring in RINGS]
    events = []
    while said := flower.get_message(timeout=0.5):
        if said["type"] == "pmessage":
            events.append((said["channel"].decode(), plain(said["data"])))
    return messages, events


def plain(message: Any) -> Any:
    read = json.loads(message)
    read["body"] = json.loads(base64.b64decode(read["body"]))
    names = {"id", "root_id", "correlation_id", "reply_to", "delivery_tag", "uuid", "timestamp"}
    for part in (read["headers"], read["properties"], read["body"]):
        if isinstance(part, dict):
            assert all(part[name] for name in part.keys() & names)
            part.update(dict.fromkeys(part.keys() & names, "differs"))
    return read


def test_a_bell_rings_again_once_its_broker_is_back(children: Children, ground_folder: Path):
    broker = servers.own_redis(children, ground_folder / "bells-redis")
    broker.start()
    bell = Bell(broker.url)
    assert bell(RINGS)
    broker.stop()
    assert not bell(RINGS)
    broker.start()
    assert bell(RINGS)
    broker.stop()


def test_of_what_nobody_hears_no_more_is_rung_than_is_loud_enough(redis: Redis, redis_url: str):
    bell = Bell(redis_url)
    for first in (0, 1000):
        assert bell(Ring(first + number, Kind.SYNC_STATUS, "") for number in range(3 * MOST_UNHEARD))
    assert redis.llen("bridge:sync_status") == MOST_UNHEARD
    assert bell([Ring(5, Kind.SYNC_STATUS, ""), Ring(7, Kind.CREATE_DEAL, "")])
    assert redis.llen("bridge:create_deal") == 1
    redis.delete("bridge:sync_status")
    assert bell([Ring(6, Kind.SYNC_STATUS, "")])
    assert redis.llen("bridge:sync_status") == 1


def test_a_dead_broker_neither_raises_nor_holds_anybody_up():
    bell, began = Bell(NOBODY), time.monotonic()
    assert not bell(RINGS * 100)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("address", "celerys", "clients"),
    [
        ("redis://h:1/0", "redis://h:1/0", "redis://h:1/0"),
        ("unix:///run/r.sock", "redis+socket:///run/r.sock", "unix:///run/r.sock"),
        ("redis+socket:///run/r.sock", "redis+socket:///run/r.sock", "unix:///run/r.sock"),
        ("unix:///run/r.sock?db=2", "redis+socket:///run/r.sock?virtual_host=2", "unix:///run/r.sock?db=2"),
        ("redis+socket:///r.sock?virtual_host=2", "redis+socket:///r.sock?virtual_host=2", "unix:///r.sock?db=2"),
    ],
)
def test_a_sockets_address_is_written_as_each_wants_it(address: str, celerys: str, clients: str):
    assert (broker_address(address), client_address(address)) == (celerys, clients)


class Sent:
    """What the housekeeper had sent."""

    def __init__(self) -> None:
        self.tasks: list[tuple[str, tuple[str, ...]]] = []

    def __call__(self, task: str, expires: float, *arguments: str) -> None:
        self.tasks.append((task, arguments))


def test_each_round_is_done_when_it_is_due_and_not_more_often(shop: Shop, redis: Redis):
    sent = Sent()
    rounds = Rounds(shop.workshop, sent)
    shop.entered(1)
    at = time.monotonic()
    assert 0 < rounds.run_due(at) <= shop.workshop.settings.timing.sweep_seconds
    rounds.run_due(at + 1)
    assert sorted(sent.tasks) == [("canary", ()), ("look", ()), ("reconcile", ("demo",))]
    assert redis.llen("bridge:create_invoice") == 1
    rounds.run_due(at + CANARY_EVERY + 1)
    assert sent.tasks.count(("canary", ())) == 2


def test_a_round_that_fails_stops_no_other(shop: Shop):
    def fail(task: str, expires: float, *arguments: str) -> None:
        raise ConnectionError("no broker")

    rounds = Rounds(shop.workshop, fail)
    lead_id = shop.deal()
    shop.entered(lead_id)
    rounds.run_due(time.monotonic())
    shop.work()
    assert len(shop.books().invoices_for(lead_id)) == 1


def test_a_due_date_that_passes_is_found_by_the_round(shop: Shop):
    lead_id = shop.deal()
    shop.entered(lead_id)
    shop.work()
    shop.pass_time(20 * 86400)
    Rounds(shop.workshop, Sent()).overdue()
    shop.work()
    assert shop.lead(lead_id).status == "Overdue"


def test_what_is_mended_in_xero_is_found_by_the_round(shop: Shop):
    lead_id = shop.deal(fields={"Invoice currency": "CHF"})
    shop.entered(lead_id)
    shop.work()
    shop.sandbox.post("xero/currencies", {"code": "CHF"})
    Rounds(shop.workshop, Sent()).books()
    shop.work()
    assert len(shop.books().invoices_for(lead_id)) == 1
