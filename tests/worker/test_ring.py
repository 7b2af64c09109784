"""Ringing, and the housekeeper's rounds."""

import json
import time

import pytest
from redis import Redis

from tests.worker.shop import Shop
from worker.beat import CANARY_EVERY, Rounds
from worker.jobs import Kind, Ring
from worker.ring import Bell, broker_address, client_address

RINGS = [Ring(7, Kind.CREATE_INVOICE, "lead 1:7"), Ring(8, Kind.SYNC_STATUS, "lead 1:8, invoice t:i")]
NOBODY = "redis://127.0.0.1:1/0"


def test_a_ring_carries_an_id_and_nothing_else(redis: Redis, redis_url: str):
    bell = Bell(redis_url)
    assert bell(RINGS)
    (message,) = redis.lrange("bridge:create_invoice", 0, -1)
    sent = json.loads(message)
    assert sent["headers"]["argsrepr"] == "(lead 1:7)"
    assert sent["headers"]["task"] == "create_invoice"
    assert bell.waiting(Kind.SYNC_STATUS, redis) == 1


def test_a_dead_broker_neither_raises_nor_holds_anybody_up():
    bell, began = Bell(NOBODY), time.monotonic()
    assert not bell(RINGS * 100)
    assert time.monotonic() - began < 1


def test_nothing_is_heard_of_a_queue_on_a_dead_broker():
    assert Bell(NOBODY).waiting(Kind.CREATE_DEAL, Redis.from_url(NOBODY, socket_connect_timeout=0.2)) == 0


@pytest.mark.parametrize(
    ("address", "celerys", "clients"),
    [
        ("redis://h:1/0", "redis://h:1/0", "redis://h:1/0"),
        ("unix:///run/r.sock", "redis+socket:///run/r.sock", "unix:///run/r.sock"),
        ("redis+socket:///run/r.sock", "redis+socket:///run/r.sock", "unix:///run/r.sock"),
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
    assert sorted(sent.tasks) == [("canary", ()), ("reconcile", ("demo",))]
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
