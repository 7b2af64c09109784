"""What the attack stands on: the product's own processes, a PostgreSQL or SQLite, a Redis, and the sandbox, all in one folder."""

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stack.children import Children, NotReady
from stack.plan import CONNECTION, environment, is_ours
from stack.processes import Processes, inherited
from stack.redis import Redis
from stack.sandbox import Sandbox, start_sandbox
from stack.trial import Say, bring_up
from tests import servers

KINDS = {"web": 2, "worker": 3, "beat": 2}

TIME_FACTOR = 10
"""How many times faster the vendors' periods pass. More would make Xero's tokens shorter than the two minutes of margin
within which we renew them."""

# Ours, in seconds: each a tenth of its default or somewhat more, since three workers share two cores with all else.
PERIODS = {
    "BRIDGE_TIME_FACTOR": str(TIME_FACTOR),
    "BRIDGE_LEASE_SECONDS": "4",
    "BRIDGE_RENEW_SECONDS": "1",
    "BRIDGE_SWEEP_SECONDS": "0.5",
    "BRIDGE_QUIET_SECONDS": "6",
    "BRIDGE_READ_TIMEOUT_SECONDS": "4",
    "BRIDGE_CONNECT_TIMEOUT_SECONDS": "2",
    "BRIDGE_PATIENCE_SECONDS": "1",
    "BRIDGE_RECONCILE_SECONDS": "90",
}
LEASE, QUIET, READ_TIMEOUT = (float(PERIODS[f"BRIDGE_{name}_SECONDS"]) for name in ("LEASE", "QUIET", "READ_TIMEOUT"))
# A run does a week's work in minutes, and no day passes meanwhile.
DAY_LIMIT = 100_000
CONCURRENCY = {"CELERY_WORKER_CONCURRENCY": "2", "WEB_CONCURRENCY": "1"}

# The room that SQLite has on a disk that is to be full.
DISK = 256 * 1024 * 1024


@dataclass(slots=True)
class Ledger:
    """The product's database: how it is taken away, and given back."""

    url: str
    postgres: servers.Postgres | None = None
    disk: Path | None = None

    @property
    def file(self) -> Path:
        return Path(self.url.removeprefix("sqlite:///"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Somebody else writes (SQLite)."""
        with sqlite3.connect(self.file, timeout=10, isolation_level=None, check_same_thread=False) as other:
            other.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                other.execute("ROLLBACK")
        other.close()

    @contextmanager
    def full(self) -> Iterator[None]:
        """The disk has no room left (SQLite)."""
        assert self.disk
        filler = self.disk / "filler"
        try:
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while file.write(bytes(1024 * 64)):
                    pass
            with suppress(OSError), filler.open("ab", buffering=0) as file:
                while file.write(bytes(512)):
                    pass
            yield
        finally:
            filler.unlink(missing_ok=True)


@dataclass(slots=True)
class Ground:
    """All that stands. `desk` runs an operator's commands, apart from the processes that are attacked."""

    folder: Path
    sandbox: Sandbox
    processes: Processes
    desk: Processes
    redis: Redis
    redis_folder: Path
    servers: Children
    ledger: Ledger

    @property
    def settings(self) -> Mapping[str, str]:
        return self.processes.environment

    def another_sandbox(self) -> Sandbox:
        """The same sandbox for another thread."""
        return Sandbox(self.sandbox.ready)

    def admin(self, *words: str) -> str:
        """What an operator's command says; `NotReady` with its words if it fails."""
        return self.desk.admin(words)[0]

    def jobs_left(self) -> int:
        """How many jobs wait or run: asked of the ledger itself, since a command costs a second or two of a processor; `NotReady` if it is down."""
        engine = sa.create_engine(self.ledger.url, poolclass=sa.NullPool)
        try:
            with engine.connect() as connection:
                left = connection.scalar(sa.text("SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')"))
        except sa.exc.OperationalError as down:
            raise NotReady(str(down)) from down
        return int(left or 0)

    def jobs(self, state: str | None = None) -> list[dict[str, Any]]:
        """The jobs in this state, or all."""
        which = ("--state", state) if state else ()
        found: list[dict[str, Any]] = json.loads(self.admin("jobs", "list", "--json", "--limit", "1000000", *which))
        return found


@contextmanager
def ground(folder: Path, *, database: str, say: Say) -> Iterator[Ground]:
    """Up and connected; ended in order, or by the watchdog."""
    folder.mkdir(parents=True, exist_ok=True)
    bare = inherited(os.environ, without=is_ours)
    with ExitStack() as stack:
        machines = stack.enter_context(Children(folder / "logs"))
        crew = stack.enter_context(Children(folder / "logs"))
        clerks = stack.enter_context(Children(folder / "desk"))
        redis = servers.own_redis(machines, folder / "redis", appendonly=True)
        redis.start()
        ledger = stack.enter_context(_ledger(machines, folder, database))
        say("starting the sandbox")
        sandbox = start_sandbox(machines, folder, env=bare, more=["--time-factor", str(TIME_FACTOR)])
        stack.callback(sandbox.close)
        settings = environment(
            folder=folder, sandbox=sandbox.ready, redis_url=redis.url, database_url=ledger.url
        )  # fmt: skip
        settings = settings | PERIODS | CONCURRENCY
        sandbox.patch("settings", {"xero": {"day_limit": DAY_LIMIT}})
        with Path(settings["CONNECTIONS_FILE"]).open("a", encoding="utf-8") as file:
            file.write(f"\n[connection.limits]\nxero_day = {DAY_LIMIT}\n")
        processes, desk = Processes(crew, settings), Processes(clerks, settings)
        bring_up(processes, sandbox, kinds=KINDS, say=say)
        yield Ground(folder, sandbox, processes, desk, redis, folder / "redis", machines, ledger)
        say("stopping")
        for kind in ("beat", "worker", "web"):
            processes.stop(*processes.of(kind), grace=5)


@contextmanager
def _ledger(children: Children, folder: Path, database: str) -> Iterator[Ledger]:
    if database == "postgres":
        with servers.own_postgres(children, folder / "postgres") as postgres:
            yield Ledger(postgres.url, postgres=postgres)
        return
    disk = folder / "disk"
    disk.mkdir()
    with _mounted(disk) as mounted:
        yield Ledger(f"sqlite:///{disk.resolve() / 'bridge.db'}", disk=disk if mounted else None)


@contextmanager
def _mounted(disk: Path) -> Iterator[bool]:
    """A small disk of its own at this folder, where this machine lets us have one."""
    can = can_mount() and _succeeds("mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(disk))
    try:
        yield can
    finally:
        if can:
            _succeeds("umount", "-l", str(disk))


def can_mount() -> bool:
    """Whether a disk can be had that fills up."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def has_reconcile(ground: Ground) -> bool:
    """Whether there is a command that finds what no webhook brought."""
    return " reconcile " in ground.admin("--help")


def reconcile(ground: Ground, tries: int = 5) -> str:
    """What the operator's command says; somebody else may be at it just then."""
    said = ""
    for _ in range(tries):
        with suppress(NotReady):
            said = ground.admin("reconcile", CONNECTION, "--json")
            if not json.loads(said)["busy"]:
                break
            time.sleep(1)
    return said
