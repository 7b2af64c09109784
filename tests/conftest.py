"""What tests share: real servers, waiting, and a closing word on what they ran against."""

import os
import platform
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis as redis_py

from stack.children import Children
from stack.redis import answers
from tests import servers

T = TypeVar("T")

GROUND = pytest.StashKey[dict[str, str]]()
"""What this run stands on, by name; said in its last lines."""

NOT_ASKED_FOR = "not asked for by these tests"

MEMORY = Path("/dev/shm")
"""Linux' disk in memory. On others a commit waits some milliseconds, and there are ten thousands of them."""

ROOM = 2 * 1024**3
"""Bytes that a run's databases and its copies of the tree may take there."""


def pytest_configure(config: pytest.Config) -> None:
    if "TMPDIR" not in os.environ and (folder := folder_in_memory()):
        os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.tempdir = folder
    config.stash[GROUND] = {
        "Python": platform.python_version(),
        "Files in": tempfile.gettempdir(),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": NOT_ASKED_FOR,
        "Redis": NOT_ASKED_FOR,
    }


def folder_in_memory() -> str | None:
    """Where files are in memory: with room enough, and a place that programs may be started from."""
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK | os.X_OK):
        return None
    there = os.statvfs(MEMORY)
    roomy, executable = there.f_bavail * there.f_frsize >= ROOM, not there.f_flag & os.ST_NOEXEC
    return str(MEMORY) if roomy and executable else None


LONG = ("test_deaths.py", "test_redis.py", "test_database.py")
"""System tests that wait for the periods of everyday, several minutes in all."""

FIRST = (
    "test_crash_points.py",
    "test_mutants.py",
    "test_chaos.py",
    "test_the_main_job.py",
    "test_reconciling_at_size.py",
    "test_dropped_webhooks.py",
)
"""Files that take longest: where two processes share all files out, who begins with these has none left over at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))
    if os.environ.get("LONG") == "yes":
        return
    for item in items:
        if item.path.parent.name == "system" and item.path.name in LONG:
            item.add_marker(pytest.mark.skip(reason="takes minutes: make test LONG=yes"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes tells the first what it stood on."""
    if told := getattr(session.config, "workeroutput", None):
        told["ground"] = session.config.stash[GROUND]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The first hears it, and says what each of them stood on where that differs."""
    ground = node.config.stash[GROUND]
    for name, what in getattr(node, "workeroutput", {}).get("ground", {}).items():
        known = ground.get(name, NOT_ASKED_FOR)
        if what not in (NOT_ASKED_FOR, known):
            ground[name] = what if known == NOT_ASKED_FOR else f"{known}; {what}"


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What it ran against, and what was skipped and why, below everything else (coverage included)."""
    terminalreporter.section("ran against")
    for name, what in config.stash[GROUND].items():
        terminalreporter.line(f"{name:<11}{what}")
    skipped: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        skipped[reason.removeprefix("Skipped: ")] = skipped.get(reason.removeprefix("Skipped: "), 0) + 1
    terminalreporter.line(f"{'Skipped':<11}{'nothing' if not skipped else ''}".rstrip())
    for reason, count in sorted(skipped.items()):
        terminalreporter.line(f"  {count} x {reason.splitlines()[0]}")


@pytest.fixture(scope="session")
def until() -> Callable[..., object]:
    """`until(check, timeout)` asks until the answer is true, and gives it; fails after `timeout` seconds."""
    return wait_until


def wait_until(check: Callable[[], T], timeout: float = 10.0, pause: float = 0.02) -> T:
    """The answer of `check`, as soon as it is true."""
    deadline = time.monotonic() + timeout
    while not (answer := check()):
        if time.monotonic() > deadline:
            pytest.fail(
                f"waited {timeout:g} s in vain for {getattr(check, '__qualname__', check)}; last answer: {answer!r}"
            )
        time.sleep(pause)
    return answer


@pytest.fixture(scope="session")
def ground(pytestconfig: pytest.Config) -> dict[str, str]:
    """What the last lines will say that this run stood on."""
    return pytestconfig.stash[GROUND]


@pytest.fixture(scope="session")
def ground_folder() -> Iterator[Path]:
    """A short path (a unix socket's may have 107 bytes) that other users may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="bridge-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def children(ground_folder: Path) -> Iterator[Children]:
    """Processes that tests start; none outlives the run, even one that is killed."""
    with Children(ground_folder / "logs") as started:
        yield started


@pytest.fixture(scope="session")
def redis_url(ground: dict[str, str], children: Children, ground_folder: Path) -> Iterator[str]:
    """The URL of a real Redis that belongs to the tests. Take `redis` where it must be empty."""
    server = servers.redis_server(os.environ, children, ground_folder / "redis")
    yield from found_server(ground, "Redis", server, answers)


@pytest.fixture
def redis(redis_url: str) -> Iterator[redis_py.Redis]:
    """A client of that Redis, emptied."""
    with redis_py.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def postgres_url(ground: dict[str, str], children: Children, ground_folder: Path) -> Iterator[str]:
    """The SQLAlchemy URL of a real PostgreSQL's database; take `fresh_postgres_url` or `database_url` to write to one."""
    server = servers.postgres_server(os.environ, children, ground_folder / "postgres")
    yield from found_server(ground, "PostgreSQL", server, servers.version)


@pytest.fixture
def fresh_postgres_url(postgres_url: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, for one test."""
    with servers.fresh_database(postgres_url) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, for one test that runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bridge.db'}"
    url: str = request.getfixturevalue("fresh_postgres_url")
    return url


def found_server(
    ground: dict[str, str], name: str, server: AbstractContextManager[str], version: Callable[[str], str | None]
) -> Iterator[str]:
    """The server's URL, noted for the last lines; a skip where there is none, and the end where it must not be used."""
    try:
        with server as url:
            ground[name] = f"{version(url)}"
            yield url
    except servers.Absent as absent:
        ground[name] = "none found"
        pytest.skip(str(absent).splitlines()[0])
    except servers.Refused as refused:
        pytest.exit(f"{refused}", returncode=2)
