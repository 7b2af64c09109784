"""Real processes, on one host and on two, that share the budgets: the vendors never see more than their limits.

What they saw is read from their own log of calls. Kommo's second lasts a second here, and Xero's minute six.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from integrations import oauth
from integrations.kommo import limits as kommo_limits
from integrations.xero import limits as xero_limits
from stack.children import Children
from stack.sandbox import Sandbox, start_sandbox
from tests.integrations.caller import join

pytestmark = pytest.mark.system

SECONDS, XERO_FACTOR = 10.0, 10
# The margin in our windows is for calls that travel at unlike speeds. Where this machine is so busy that some take this much longer
# than others, what arrives says nothing of our turns, and it is tried again.
MARGIN, TRIES = kommo_limits.PERIOD - 1.0, 3
KOMMO_RATE, XERO_RATE = 7, 60

# A network and a clock of its own: what runs in it reaches nothing of ours but files.
HOST = ["unshare", "--net", "--time", "--fork", "--monotonic"]
UP = 'ip link set lo up && exec "$@"'
DAYS_APART = (0, 90)


@dataclass(frozen=True, slots=True)
class Vendors:
    """Two sandboxes, since their time factors differ; `told` is what a caller must know of both."""

    kommo: Sandbox
    xero: Sandbox
    told: Mapping[str, Any]


@pytest.fixture(scope="module")
def vendors(children: Children, ground_folder: Path) -> Iterator[Vendors]:
    kommo = start_sandbox(children, ground_folder / "kommo", env=dict(os.environ))
    xero = start_sandbox(
        children, ground_folder / "xero", env=dict(os.environ), more=["--time-factor", str(XERO_FACTOR)]
    )
    ready = xero.ready
    token = oauth.client_credentials(
        ready["xero_url"], ready["xero_client_id"], ready["xero_client_secret"], now=datetime.now(UTC)
    )
    told = {
        "kommo": kommo.ready["kommo_api_url"].format(subdomain=kommo.ready["kommo_subdomain"]),
        "kommo_token": kommo.ready["kommo_token"],
        "xero": ready["xero_url"],
        "xero_token": token.access_token,
        "xero_factor": XERO_FACTOR,
        "tenant": ready["xero_tenant_id"],
        "seconds": SECONDS,
    }
    yield Vendors(kommo, xero, told)
    for sandbox in (kommo, xero):
        sandbox.close()
        assert sandbox.child
        children.stop(sandbox.child)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A call as its vendor saw it."""

    at: datetime
    status: int
    request_id: str


def seen(sandbox: Sandbox, vendor: str, mark: int) -> list[Arrived]:
    """What arrived there, in its order."""
    calls = [call for call in sandbox.calls_after(mark) if call["vendor"] == vendor]
    found = [
        Arrived(
            datetime.fromisoformat(call["at"]) - timedelta(milliseconds=call["ms"]), call["status"], call["request_id"]
        )
        for call in calls
    ]
    return sorted(found, key=lambda one: one.at)


def most_in(period: float, calls: Sequence[Arrived]) -> int:
    """The most calls that any period of so many seconds held."""
    times = [one.at.timestamp() for one in calls]
    most, first = 0, 0
    for last, time in enumerate(times):
        while times[first] <= time - period:
            first += 1
        most = max(most, last - first + 1)
    return most


def run(hosts: Sequence[Sequence[str]], told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What these hosts say at their end."""
    command = [sys.executable, "-m", "tests.integrations.caller"]
    started = [
        subprocess.Popen([*host, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for host in hosts
    ]
    try:
        for one, words in zip(started, told, strict=True):
            assert one.stdin
            one.stdin.write(json.dumps(words))
            one.stdin.close()
        return [json.loads(one.stdout.read()) for one in started if one.stdout]
    finally:
        for one in started:
            one.kill()
            one.wait()
            assert one.stdout
            one.stdout.close()


@dataclass(frozen=True, slots=True)
class Trial:
    """What hosts said, and what the vendors saw of them."""

    said: Sequence[Mapping[str, Any]]
    kommo: Sequence[Arrived]
    xero: Sequence[Arrived]

    @property
    def unlike(self) -> float:
        """By how many seconds calls took longer to arrive than others."""
        left: dict[str, float] = {name: time for one in self.said for name, time in one["left"].items()}
        took = [one.at.timestamp() - left[one.request_id] for one in (*self.kommo, *self.xero)]
        return max(took) - min(took)

    @property
    def answered(self) -> list[int]:
        """How many answers each host had."""
        return [one["seen"]["answered"] for one in self.said]


def attempt(vendors: Vendors, redis: Redis, hosts: Sequence[Sequence[str]], told: Sequence[Mapping[str, Any]]) -> Trial:
    """One of which the machine was not too busy to say anything."""
    for _ in range(TRIES):
        redis.flushall()
        marks = vendors.kommo.mark(), vendors.xero.mark()
        said = run(hosts, told)
        found = Trial(said, seen(vendors.kommo, "kommo", marks[0]), seen(vendors.xero, "xero", marks[1]))
        if found.unlike < MARGIN:
            return found
    pytest.skip(f"this machine is too busy: some calls took {found.unlike:.2f} s longer than others")


def judge(vendors: Vendors, found: Trial, *, most_of_xero: int) -> None:
    """Never more than the limits, though they press. The sandbox itself refuses what is too much for Xero's fixed minute."""
    kommo, xero = most_in(1.0, found.kommo), most_in(60 / XERO_FACTOR, found.xero)
    print(
        f"{len(found.kommo)} calls of Kommo, at most {kommo} a second; {len(found.xero)} of Xero, at most {xero} a minute"
    )
    assert {one.status for one in (*found.kommo, *found.xero)} == {200}
    assert kommo <= KOMMO_RATE
    assert xero <= most_of_xero
    shown = vendors.xero.books()["xero"]["limits"]
    assert max(one["most_in_flight"] for one in shown) <= xero_limits.PLACES
    assert len(found.kommo) > 3 * KOMMO_RATE
    assert len(found.xero) > XERO_RATE / 2
    assert sum(found.answered) == len(found.kommo) + len(found.xero)


def test_four_processes_share_the_budgets(vendors: Vendors, redis: Redis, redis_url: str):
    told = {**vendors.told, "redis": redis_url, "relays": {}, "processes": 4, "party": "a", "by_our_log": True}
    judge(vendors, attempt(vendors, redis, [[]], [told]), most_of_xero=XERO_RATE)


@pytest.fixture(scope="session")
def hosts() -> list[list[str]]:
    """What starts a program on each of two hosts, whose clocks are months apart."""
    found = [[*HOST, str(days * 86_400), "sh", "-c", UP, "sh"] for days in DAYS_APART]
    try:
        tried = subprocess.run([*found[0], "true"], check=False, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"this machine makes no networks for tests: {error}")
    if tried.returncode:
        pytest.skip(f"this machine makes no networks for tests: {tried.stderr.strip()}")
    return found


@pytest.fixture
def sockets(vendors: Vendors, redis_url: str, ground_folder: Path) -> Iterator[dict[str, str]]:
    """A unix socket for each of our ports, so that hosts without a network of ours reach them."""
    opened: list[socket.socket] = []
    relays = {}
    for number, url in enumerate((redis_url, vendors.kommo.ready["kommo_url"], vendors.xero.ready["xero_url"])):
        port = int(url.partition("://")[2].partition("/")[0].rpartition(":")[2])
        path = str(ground_folder / f"relay-{number}")
        here = socket.socket(socket.AF_UNIX)
        here.bind(path)
        here.listen(128)
        threading.Thread(target=let_in, args=(here, port), daemon=True).start()
        opened.append(here)
        relays[str(port)] = path
    yield relays
    for here in opened:
        Path(here.getsockname()).unlink()
        here.close()


def let_in(here: socket.socket, port: int) -> None:
    while True:
        try:
            near, _ = here.accept()
        except OSError:  # closed: the test is over
            return
        join(near, socket.create_connection(("127.0.0.1", port)))


def test_two_hosts_with_clocks_of_their_own_share_the_budgets(
    vendors: Vendors, redis: Redis, redis_url: str, hosts: list[list[str]], sockets: dict[str, str]
):
    told = [
        {**vendors.told, "redis": redis_url, "relays": sockets, "processes": 2, "party": party, "by_our_log": False}
        for party in ("a", "b")
    ]
    found = attempt(vendors, redis, hosts, told)
    # Xero's minutes begin when they please: any of ours may hold parts of two of its own.
    judge(vendors, found, most_of_xero=2 * XERO_RATE)
    assert len({one["network"] for one in found.said} | {str(Path("/proc/self/ns/net").readlink())}) == 3
    assert abs(found.said[0]["clock"] - found.said[1]["clock"]) > 80 * 86_400
    assert min(found.answered) > 0.2 * sum(found.answered)
