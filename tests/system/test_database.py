"""The database is restarted, gone, full and locked while twenty deals become invoices: a vendor that was not told 200 sends again, and nothing is half there."""

import resource
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from stack.children import Children
from tests.system.product import Product
from tests.system.twenty import DEALS, Twenty, assert_at_rest, hooks_since, last_hook, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

OUTAGE = 20.0

# Kommo waits for two seconds; what has no database by then has to be told so.
PATIENCE_MS = 2000


ON_POSTGRESQL = pytest.mark.parametrize("product", ["postgresql"], indirect=True, scope="module")
ON_SQLITE = pytest.mark.parametrize("product", ["sqlite"], indirect=True, scope="module")
ON_BOTH = pytest.mark.parametrize("product", ["postgresql", "sqlite"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def product(
    request: pytest.FixtureRequest, children: Children, ground_folder: Path, ground: dict[str, str]
) -> Iterator[Product]:
    with running(children, ground_folder, told=ground, on_sqlite=request.param == "sqlite") as product:
        yield product


@pytest.fixture(scope="module")
def trials(product: Product) -> list[Twenty]:
    return []


@pytest.fixture
def twenty(product: Product, trials: list[Twenty], request: pytest.FixtureRequest) -> Twenty:
    """Twenty deals that are not approved yet."""
    name = request.node.originalname.removeprefix("test_").split("_")[-1]
    trials.append(Twenty(product, name.title()))
    return trials[-1]


@pytest.fixture
def file(product: Product) -> Path:
    """SQLite's."""
    return Path(product.processes.environment["DATABASE_URL"].removeprefix("sqlite:///"))


def whole_again(twenty: Twenty, what: str, since: float) -> None:
    """What was refused is sent again at once, as the vendors would in some minutes."""
    twenty.product.sandbox.post("webhooks/flush")
    twenty.wait_whole()
    print(f"{what}: {DEALS} deals whole {time.monotonic() - since:.1f} s later")


def assert_told_to_come_again(product: Product, seq: int) -> None:
    """Each that came then was refused in time."""
    attempts = [one["attempts"][0] for one in hooks_since(product, seq)]
    assert attempts
    assert [one for one in attempts if one["status"] != 503 or one["ms"] > PATIENCE_MS] == []


# --- PostgreSQL -----------------------------------------------------------------------------------------------------------


@ON_POSTGRESQL
def test_the_server_is_restarted(product: Product, twenty: Twenty):
    """In the middle of everything, and every transaction with it."""
    for group in twenty.groups():
        product.approve(*group)
    twenty.wait_for(1)
    product.postgres.stop()
    product.postgres.start()
    whole_again(twenty, "restarted", time.monotonic())
    assert product.processes.dead() == []


@ON_POSTGRESQL
def test_the_server_is_gone(product: Product, twenty: Twenty, until: Callable[..., Any]):
    """For twenty seconds, in the middle of everything."""
    first, *others = twenty.groups()
    product.approve(*first)
    twenty.wait_for(1)
    product.sandbox.wait_idle(quiet=0.3, timeout=60)
    before = last_hook(product)
    product.postgres.stop()
    gone = time.monotonic()
    for group in others:
        product.approve(*group)
    until(lambda: time.monotonic() - gone > OUTAGE, 2 * OUTAGE)
    assert_told_to_come_again(product, before)
    product.postgres.start()
    whole_again(twenty, f"gone for {OUTAGE:g} s", time.monotonic())
    assert product.processes.dead() == []


# --- SQLite ---------------------------------------------------------------------------------------------------------------


def rows(file: Path) -> tuple[int, int]:
    """How many deliveries and jobs there are."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reader:
        (deliveries,) = reader.execute("SELECT count(*) FROM deliveries").fetchone()
        (jobs,) = reader.execute("SELECT count(*) FROM jobs").fetchone()
    return deliveries, jobs


def assert_sound(file: Path) -> None:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert reader.execute("PRAGMA foreign_key_check").fetchall() == []


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Somebody else writes, and does not come to an end."""
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@ON_SQLITE
def test_the_file_is_locked(product: Product, file: Path, twenty: Twenty, until: Callable[..., Any]):
    """For longer than a lease, so that everybody who works loses it."""
    first, *others = twenty.groups()
    product.approve(*first)
    twenty.wait_for(1)
    product.sandbox.wait_idle(quiet=0.3, timeout=60)
    before = last_hook(product)
    with locked(file):
        since = time.monotonic()
        known = rows(file)
        for group in others:
            product.approve(*group)
        until(lambda: time.monotonic() - since > OUTAGE / 2, OUTAGE)
        assert_told_to_come_again(product, before)
        assert rows(file) == known
    whole_again(twenty, f"locked for {OUTAGE / 2:g} s", time.monotonic())
    assert_sound(file)
    assert product.processes.dead() == []


def family(pid: int) -> list[int]:
    """A process and all that it has forked."""
    told = Path(f"/proc/{pid}/task/{pid}/children")
    if not told.exists():
        pytest.skip("this system does not tell a process's children in /proc")
    return [pid, *(one for child in told.read_text().split() for one in family(int(child)))]


def limit(pids: Sequence[int], size: int) -> None:
    """No file of theirs may grow beyond so many bytes: SQLite then finds no room, whoever we are and whatever disk this is."""
    if not hasattr(resource, "prlimit"):
        pytest.skip("this system lets nobody limit the files of a process that runs")
    for pid in pids:
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))


@contextmanager
def full(product: Product, file: Path) -> Iterator[None]:
    """There is no room for another page of the log that SQLite writes first.

    A reader that does not come to its end keeps that log from being begun anew, and what nobody can read is kept until it is longer than any
    other file here, so that only the database is short of room.
    """
    pids = [pid for line in product.processes.lines.values() for pid in family(line.child.pid)]
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM jobs").fetchone()
        log = file.with_name(f"{file.name}-wal")
        url = f"{product.processes['web.1'].url}/webhooks/kommo/{product.processes.environment['KOMMO_WEBHOOK_TOKEN']}"
        while log.stat().st_size < 4 * 1024 * 1024:
            assert requests.post(url, data=b"\xff" * 900_000, timeout=10).status_code == 200
        limit(pids, log.stat().st_size)
        try:
            yield
        finally:
            limit(pids, resource.RLIM_INFINITY)


@ON_SQLITE
def test_the_disk_is_full(product: Product, file: Path, twenty: Twenty, until: Callable[..., Any]):
    """For the receiver, the workers and the housekeeper alike, in the middle of everything."""
    first, *others = twenty.groups()
    product.approve(*first)
    twenty.wait_for(1)
    with full(product, file):
        since = time.monotonic()
        before, known = last_hook(product), rows(file)
        for group in others:
            product.approve(*group)
        until(lambda: time.monotonic() - since > OUTAGE / 2, OUTAGE)
        assert_told_to_come_again(product, before)
        assert rows(file) == known
        assert requests.get(f"{product.processes['web.1'].url}/healthz", timeout=5).status_code == 200
    whole_again(twenty, f"full for {OUTAGE / 2:g} s", time.monotonic())
    assert_sound(file)
    assert product.processes.dead() == []


@ON_BOTH
def test_after_all_that_there_is_one_of_each(product: Product, trials: list[Twenty]):
    assert_at_rest(product, trials)
