"""Redis is emptied, restarted, gone and full while twenty deals become invoices: nothing but latency changes."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from stack.children import Children
from tests.system.product import Product
from tests.system.twenty import DEALS, Twenty, assert_at_rest, hooks_since, last_hook, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

OUTAGE = 20.0

# A webhook is answered in this time whatever is the matter with Redis, in milliseconds.
PROMPT_MS = 1000


@pytest.fixture(scope="module")
def product(children: Children, ground_folder: Path, ground: dict[str, str]) -> Iterator[Product]:
    with running(children, ground_folder, told=ground) as product:
        yield product


@pytest.fixture(scope="module")
def trials() -> list[Twenty]:
    return []


@pytest.fixture
def twenty(product: Product, trials: list[Twenty], request: pytest.FixtureRequest) -> Twenty:
    """Twenty deals that are not approved yet."""
    trials.append(Twenty(product, request.node.name.removeprefix("test_").split("_")[-1].title()))
    return trials[-1]


@pytest.fixture
def client(product: Product) -> Iterator[redis_py.Redis]:
    with redis_py.Redis.from_url(product.redis.url) as client:
        yield client


def assert_acknowledged(product: Product, seq: int) -> None:
    """Each was taken in at the first try, and in time."""
    attempts = [one["attempts"][0] for one in hooks_since(product, seq)]
    assert attempts
    assert [one for one in attempts if one["status"] != 200 or one["ms"] > PROMPT_MS] == []


def whole_again(twenty: Twenty, what: str, since: float) -> None:
    twenty.wait_whole()
    print(f"{what}: {DEALS} deals whole {time.monotonic() - since:.1f} s later")


def test_it_is_emptied(product: Product, twenty: Twenty, client: redis_py.Redis):
    """Each time while rings are on their way, and in the middle of the calls."""
    for group in twenty.groups():
        product.approve(*group)
        client.flushall()
    for count in (1, DEALS // 2):
        twenty.wait_for(count)
        client.flushall()
    whole_again(twenty, "emptied seven times", time.monotonic())
    assert product.processes.dead() == []


def test_it_is_restarted(product: Product, twenty: Twenty, client: redis_py.Redis):
    """It keeps what it knew."""
    client.set("known", 1)
    for group in twenty.groups():
        product.approve(*group)
    twenty.wait_for(1)
    product.redis.stop()
    product.redis.start()
    assert client.get("known")
    whole_again(twenty, "restarted", time.monotonic())
    assert product.processes.dead() == []


def test_it_is_restarted_and_has_forgotten(product: Product, twenty: Twenty, client: redis_py.Redis):
    """Without persistence a restart empties it, in the middle of everything."""
    client.set("known", 1)
    for group in twenty.groups():
        product.approve(*group)
    twenty.wait_for(1)
    product.redis.stop()
    shutil.rmtree(product.redis._folder / "appendonlydir", ignore_errors=True)
    for kept in product.redis._folder.glob("*.aof"):
        kept.unlink()
    product.redis.start()
    assert client.get("known") is None
    whole_again(twenty, "restarted without its memory", time.monotonic())
    assert product.processes.dead() == []


def test_it_is_gone(product: Product, twenty: Twenty, until: Callable[..., Any]):
    """For twenty seconds webhooks are recorded and acknowledged, and no vendor is called: without a budget there are no calls."""
    first, *others = twenty.groups()
    product.approve(*first)
    twenty.wait_for(1)
    before = last_hook(product)
    product.redis.stop()
    gone = time.monotonic()
    for group in others:
        product.approve(*group)
    until(lambda: time.monotonic() - gone > OUTAGE / 4, OUTAGE)  # what was on its way has ended
    calls = product.sandbox.mark()
    until(lambda: time.monotonic() - gone > OUTAGE, 2 * OUTAGE)
    assert product.sandbox.mark() == calls
    assert_acknowledged(product, before)
    product.redis.start()
    whole_again(twenty, f"gone for {OUTAGE:g} s", time.monotonic())
    assert product.processes.dead() == []


def test_it_is_full(product: Product, twenty: Twenty, client: redis_py.Redis, until: Callable[..., Any]):
    """With no room left it refuses every write; webhooks are acknowledged all the same."""
    first, *others = twenty.groups()
    product.approve(*first)
    twenty.wait_for(1)
    before = last_hook(product)
    client.config_set("maxmemory", "1")
    full = time.monotonic()
    try:
        with pytest.raises(redis_py.exceptions.OutOfMemoryError):
            client.set("one more", 1)
        for group in others:
            product.approve(*group)
        until(lambda: time.monotonic() - full > OUTAGE / 2, OUTAGE)
        assert_acknowledged(product, before)
    finally:
        client.config_set("maxmemory", "0")
    whole_again(twenty, f"full for {OUTAGE / 2:g} s", time.monotonic())
    assert product.processes.dead() == []


def test_after_all_that_there_is_one_of_each(product: Product, trials: list[Twenty]):
    assert_at_rest(product, trials)
