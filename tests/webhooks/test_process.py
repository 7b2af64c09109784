"""The receiver as it is deployed: Gunicorn with our settings, on a PostgreSQL and a Redis that are stopped and frozen under it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
import redis
import requests
import sqlalchemy as sa

from stack.children import Child, Children
from stack.redis import Redis, free_port
from tests import servers
from tests.webhooks.bodies import sample
from tests.webhooks.conftest import ACCOUNT, APPROVED, KEY, SALES, TOKEN, connect
from webhooks.xero import sign
from worker import tables
from worker.database import Database, open_database
from worker.deliveries import Delivery
from worker.jobs import Job

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "gunicorn", "-c", "webhooks/gunicorn.py", "webhooks.wsgi:app"]

# What each vendor waits for (kommo.md 4.5, xero.md 9.4), and what we promise with the broker gone.
KOMMOS_PATIENCE, XEROS_PATIENCE, WITHOUT_BROKER = 2.0, 5.0, 1.0
THREADS = 16
SLOWEST_READ = 5

pytestmark = pytest.mark.system


@dataclass
class Deployment:
    """A running receiver with its servers."""

    web: Child
    port: int
    postgres: servers.Postgres
    redis: Redis
    database: Database

    def kommo(self, lead_id: int, path: str = f"/webhooks/kommo/{TOKEN}") -> tuple[int, float]:
        """Status and seconds of a stage move that Kommo tells."""
        entry = {"id": lead_id, "status_id": APPROVED, "pipeline_id": SALES}
        body = urlencode(
            {"account[id]": ACCOUNT, **{f"leads[status][0][{key}]": value for key, value in entry.items()}}
        )
        return self.post(path, body.encode(), {"Content-Type": "application/x-www-form-urlencoded"})

    def xero(self) -> tuple[int, float]:
        """Status and seconds of an invoice's update that Xero tells."""
        body = sample("xero_invoice_update.json")
        return self.post("/webhooks/xero", body, {"x-xero-signature": sign(body, KEY).decode()})

    def post(self, path: str, body: object, headers: dict[str, str]) -> tuple[int, float]:
        begun = time.monotonic()
        answer = requests.post(f"http://127.0.0.1:{self.port}{path}", data=body, headers=headers, timeout=30)  # type: ignore[arg-type]
        assert answer.content == b""
        return answer.status_code, time.monotonic() - begun

    def bodies(self) -> set[bytes]:
        """What was kept."""
        with self.database.reading() as session:
            return set(session.scalars(sa.select(Delivery.body)))

    def leads(self) -> set[str | None]:
        """The leads that there are jobs for."""
        with self.database.reading() as session:
            return set(session.scalars(sa.select(Job.lead)))


@pytest.fixture(scope="module")
def deployment(children: Children, ground_folder: Path) -> Iterator[Deployment]:
    """One process of sixteen threads on servers of its own, set up for the one connection of these tests."""
    with ExitStack() as stack:
        try:
            postgres = stack.enter_context(servers.own_postgres(children, ground_folder / "receivers-postgres"))
            broker = servers.own_redis(children, ground_folder / "receivers-redis")
        except servers.Absent as absent:
            pytest.skip(str(absent).splitlines()[0])
        broker.start()
        database = open_database(postgres.url)
        stack.callback(database.close)
        tables.METADATA.create_all(database.engine)
        with database.begin() as session:
            connect(session)
        port = free_port()
        web = children.start(
            "receiver", [*COMMAND, "--bind", f"127.0.0.1:{port}"], env=environment(postgres.url, broker.url), cwd=ROOT
        )
        web.wait_ready(lambda: answers(port), 30)
        yield Deployment(web, port, postgres, broker, database)
        children.stop(web)
        broker.stop()


def environment(database_url: str, redis_url: str, **more: str) -> dict[str, str]:
    own = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "KOMMO_WEBHOOK_TOKEN": TOKEN, "XERO_WEBHOOK_KEY": KEY}
    inherited = {
        name: value for name, value in os.environ.items() if name.startswith(("PATH", "HOME", "COVERAGE", "COV_"))
    }
    return {**inherited, **own, "WEB_CONCURRENCY": "1", "PORT": "1", **more}


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=2).ok
    except requests.ConnectionError:
        return False


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Those processes stand still meanwhile."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def family(pid: int) -> list[int]:
    """A process and its children: PostgreSQL's sessions leave its group."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def test_both_vendors_are_answered_and_the_bell_rings(deployment, until):
    assert deployment.kommo(1)[0] == deployment.xero()[0] == 200
    assert f"{ACCOUNT}:1" in deployment.leads()
    with redis.Redis.from_url(deployment.redis.url) as broker:
        assert until(lambda: broker.keys("*create_invoice*") and broker.keys("*create_deal*"))


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_without_the_broker_both_are_acknowledged_within_a_second(deployment, how):
    with ExitStack() as trouble:
        if how == "frozen":
            trouble.enter_context(frozen(deployment.redis.child.pid))
        else:
            deployment.redis.stop()
            trouble.callback(deployment.redis.start)
        asked = [deployment.kommo(100 + number) for number in range(12)] + [deployment.xero() for _ in range(3)]
    assert {status for status, _ in asked} == {200}
    assert max(took for _, took in asked) < WITHOUT_BROKER
    assert {f"{ACCOUNT}:{100 + number}" for number in range(12)} <= deployment.leads()


def test_without_the_database_it_is_a_503_in_time_and_a_200_once_it_is_back(deployment, until):
    deployment.postgres.stop()
    refused = [deployment.kommo(200), deployment.xero()]
    ready = requests.get(f"http://127.0.0.1:{deployment.port}/readyz", timeout=30).status_code
    deployment.postgres.start()
    assert "not_durable" in deployment.web.output()
    assert [status for status, _ in refused] == [503, 503]
    assert max(took for _, took in refused) < KOMMOS_PATIENCE
    assert ready == 503
    until(lambda: deployment.kommo(201)[0] == 200)
    assert f"{ACCOUNT}:201" in deployment.leads()


def test_a_frozen_database_is_a_503_in_time_too_for_as_many_as_may_ask(deployment, until):
    deployment.kommo(300)
    assert deployment.postgres.child
    with frozen(*family(deployment.postgres.child.pid)):
        with ThreadPoolExecutor(2 * THREADS) as kommo:
            refused = list(kommo.map(deployment.kommo, range(301, 301 + 2 * THREADS)))
        assert answers(deployment.port)
    assert {status for status, _ in refused} == {503}
    assert max(took for _, took in refused) < KOMMOS_PATIENCE
    until(lambda: deployment.kommo(399)[0] == 200)


def test_bodies_are_measured_on_the_wire(deployment):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    mebibyte = 1024 * 1024
    for size, status in ((mebibyte, 200), (mebibyte + 1, 413), (2 * mebibyte, 413)):
        assert deployment.post(f"/webhooks/kommo/{TOKEN}", b"a" * size, headers)[0] == status
        assert deployment.post(f"/webhooks/kommo/{TOKEN}", in_chunks(b"a" * size, 65536), headers)[0] == status


def in_chunks(body: bytes, size: int) -> Iterator[bytes]:
    """Sent so, a body does not say its length."""
    return (body[start : start + size] for start in range(0, len(body), size))


def test_a_chunked_body_is_read_whole(deployment):
    body = sample("xero_invoice_update.json")
    assert (
        deployment.post("/webhooks/xero", in_chunks(body, 50), {"x-xero-signature": sign(body, KEY).decode()})[0] == 200
    )


def test_senders_that_stop_in_the_middle_hold_nobody_up_for_long_and_leave_nothing(deployment):
    deployment.kommo(400)
    head = f"POST /webhooks/kommo/{TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
    with ExitStack() as stalled:
        for number in range(THREADS):
            sender = stalled.enter_context(socket.create_connection(("127.0.0.1", deployment.port)))
            sender.sendall((head + "\r\nleads" if number % 2 else head).encode())
        status, took = deployment.kommo(401)
    assert status == 200
    assert took < SLOWEST_READ + 2
    assert f"{ACCOUNT}:401" in deployment.leads()
    assert not {b"", b"leads"} & deployment.bodies()
    assert "Traceback" not in deployment.web.output()


def test_no_line_of_the_log_holds_a_secret(deployment):
    deployment.kommo(500)
    deployment.kommo(501, "/webhooks/kommo/wrong-token")
    deployment.post("/webhooks/xero", b"{}", {"x-xero-signature": "wrong-signature"})
    for request in (
        f"POST /webhooks/kommo/{TOKEN} HTTP/x",
        f"POST /webhooks/kommo/{TOKEN} HTTP/1.1\r\nTransfer-Encoding: odd",
    ):
        with socket.create_connection(("127.0.0.1", deployment.port), timeout=10) as sender:
            sender.sendall(f"{request}\r\n\r\n".encode())
            assert sender.recv(1000)
    text = deployment.web.output()
    assert "delivery_recorded" in text
    assert "token_refused" in text
    for secret in (TOKEN, KEY, "wrong-token", "wrong-signature", "leads"):
        assert secret not in text


def test_a_receiver_without_its_secrets_says_so_and_ends(tmp_path):
    bare = {name: os.environ[name] for name in ("PATH",)}
    for config in (["-c", "webhooks/gunicorn.py"], []):
        command = [sys.executable, "-m", "gunicorn", *config, "webhooks.wsgi:app", "--bind", f"127.0.0.1:{free_port()}"]
        ended = subprocess.run(
            command,
            env={**bare, "HOME": str(tmp_path)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = ended.stderr + ended.stdout
        assert ended.returncode != 0
        assert "XERO_WEBHOOK_KEY is missing (web needs it)" in said
        assert "Traceback" not in said
