"""The ledger on a database of its own, on both kinds."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from redis import Redis

from stack.children import Children
from stack.plan import write_connections
from stack.sandbox import Sandbox, start_sandbox
from worker.connecting import connect_kommo, connect_xero
from worker.database import Database, open_database
from worker.grants import Credentials
from worker.settings import Settings, Timing
from worker.setup import set_up
from worker.tables import METADATA
from worker.workshop import Workshop

from .shop import Shop


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty ledger."""
    opened = open_database(database_url)
    METADATA.create_all(opened.engine)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def sandbox(children: Children, ground_folder: Path) -> Iterator[Sandbox]:
    """Both vendors, whose periods pass fifty times faster, so that no test waits for a window."""
    opened = start_sandbox(children, ground_folder / "vendors", env=os.environ, more=["--time-factor", "50"])
    yield opened
    opened.close()


# What hangs on locks and indexes is tried on both databases; the rest is the same on either.
ON_BOTH = ("test_create_invoice", "test_four_processes", "test_hard_cases", "test_the_fence")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "shop_database" in metafunc.fixturenames:
        both = metafunc.module.__name__.rpartition(".")[2] in ON_BOTH
        metafunc.parametrize("shop_database", ["sqlite", "postgres"] if both else ["sqlite"], indirect=True)


@pytest.fixture
def shop_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of the kind that is asked for."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bridge.db'}"
    url: str = request.getfixturevalue("fresh_postgres_url")
    return url


@pytest.fixture
def shop(sandbox: Sandbox, redis: Redis, redis_url: str, shop_database: str, tmp_path: Path) -> Iterator[Shop]:
    """A worker that is connected and set up, on vendors as they were at the beginning."""
    sandbox.post("reset", {"seed": "demo"})
    sandbox.patch("settings", {"time_factor": 50})
    ready = sandbox.ready
    settings = Settings(
        _env_file=None,
        database_url=shop_database,
        redis_url=redis_url,
        connections_file=write_connections(tmp_path, ready),
        secret_keys=[Fernet.generate_key().decode()],
        kommo_webhook_token=["token"],
        kommo_api_url=ready["kommo_api_url"],
        xero_api_url=ready["xero_url"],
        xero_identity_url=ready["xero_url"],
        timing=Timing(time_factor=50, read_timeout_seconds=2, quiet_seconds=60),
    )
    workshop = Workshop(settings)
    METADATA.create_all(workshop.database.engine)
    opened = Shop(sandbox, workshop)
    workshop.now = opened.now
    connect_kommo(workshop, "demo", ready["kommo_token"])
    connect_xero(workshop, "demo", Credentials(ready["xero_client_id"], ready["xero_client_secret"]))
    set_up(workshop, "demo")
    for hook in sandbox.get("webhooks"):
        assert hook["state"] != "lost"
    yield opened
    workshop.close()
