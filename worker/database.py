"""The database: one door to it, the same on SQLite and PostgreSQL.

SQLite runs in WAL mode, and every writing transaction begins IMMEDIATE: it takes the one write lock at its start and waits for it, so that two
writers queue up and neither fails half-way with "database is locked".
"""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Dialect, make_url
from sqlalchemy.orm import DeclarativeBase, Session

# Names of constraints are the same on both databases, so that migrations can name them.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# Kommo gives the receiver 2 s (kommo.md 4.5); what has no database by then must still answer 503.
PATIENCE = 1.5


class Base(DeclarativeBase):
    """What all tables share: their names' conventions."""

    metadata = sa.MetaData(naming_convention=NAMES)


# SQLite counts rows only in an INTEGER PRIMARY KEY.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class UtcTime(sa.TypeDecorator[datetime]):
    """An instant: aware UTC in, aware UTC out, on both databases."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value!r}")
        return value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  (SQLAlchemy's signature)
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# Where only statements are carried out, either will do.
Transaction = Session | sa.Connection


class Database:
    """Sessions on one database. `begin` writes, `reading` only reads; both end their transaction when the block ends."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._reading = engine.execution_options(reading=True)

    @property
    def writes_singly(self) -> bool:
        """Whether there is one writer at a time, whatever they write."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def begin(self) -> Generator[Session]:
        """One writing transaction: committed at the block's end, rolled back by an exception."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def statements(self) -> Generator[sa.Connection]:
        """A writing transaction for statements alone, without the account that a session keeps of objects."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Generator[Session]:
        """One transaction that only reads; on SQLite it waits for no writer."""
        with Session(self._reading, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def changed_rows(result: sa.Result[Any]) -> int:
    """How many rows an update or delete touched."""
    assert isinstance(result, sa.CursorResult)
    return int(result.rowcount)


def open_database(url: str, *, patience: float = PATIENCE, pool: int = 5) -> Database:
    """Open the database at this SQLAlchemy URL; waiting for a connection, a lock or a statement ends after `patience` seconds."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Database(_sqlite(parsed, patience))
    return Database(_postgresql(parsed, patience, pool))


def _sqlite(url: URL, patience: float) -> sa.Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": patience}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # else the driver begins transactions by itself, and not IMMEDIATE
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # what was acknowledged survives a power cut
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("reading")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _postgresql(url: URL, patience: float, pool: int) -> sa.Engine:
    milliseconds = int(patience * 1000)
    options = f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} -c timezone=UTC"
    return sa.create_engine(
        url,
        hide_parameters=True,  # they hold what people typed, and errors are logged
        pool_size=pool,
        max_overflow=pool,
        pool_timeout=patience,
        pool_pre_ping=True,  # a restarted server costs no failed job, however busy its connections were
        connect_args={"connect_timeout": 2, "tcp_user_timeout": milliseconds, "options": options},
    )
