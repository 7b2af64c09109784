"""A receiver on a database of its own, set up for one connection: Kommo account 30896271 ("acme") and one organisation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr
from sqlalchemy.orm import Session

from webhooks.receive import create_app
from worker import routes, tables
from worker.database import Database, open_database
from worker.deliveries import Delivery
from worker.jobs import Job, Ring
from worker.routes import Route
from worker.settings import Settings

ACCOUNT, SALES, APPROVED, OFFER = 30896271, 8572511, 67548619, 67548607
TENANT = "4e3e0000-0000-4000-8000-000000000000"
INVOICE = "fc5b0d6c-0000-4000-8000-000000000000"
TOKEN, OLD_TOKEN, KEY, OLD_KEY = "9f3c-new", "11aa-old", "new-key==", "old-key=="
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass
class Stand:
    """A receiver, what it wrote down and what it rang for."""

    app: Flask
    database: Database
    rung: list[Ring] = field(default_factory=list)

    def all(self, table: type[Any]) -> list[Any]:
        """Every row of the table, in the order of their making."""
        with self.database.reading() as session:
            return list(session.query(table).order_by(table.id))

    def jobs(self) -> list[tuple[str, str, str | None, str | None]]:
        """Connection, kind, lead and invoice of each job."""
        return [(job.connection, job.kind, job.lead, job.invoice) for job in self.all(Job)]

    def deliveries(self) -> list[Delivery]:
        """What was kept."""
        return self.all(Delivery)

    def write(self, *rows: Any) -> None:
        """Put rows into the ledger, as a worker would."""
        with self.database.begin() as session:
            session.add_all(rows)


def receiver_settings(**changes: Any) -> Settings:
    """Settings with two tokens and two keys, in mid-rotation."""
    return Settings(
        _env_file=None,
        kommo_webhook_token=(SecretStr(TOKEN), SecretStr(OLD_TOKEN)),
        xero_webhook_key=(SecretStr(KEY), SecretStr(OLD_KEY)),
        **changes,
    )


def connect(session: Session, **changes: Any) -> None:
    """What `setup` writes down for the connection."""
    values = {
        "connection": "acme", "account_id": ACCOUNT, "subdomains": ("acme",), "tenant_id": TENANT,
        "triggers": frozenset({(SALES, APPROVED)}), "deal_stage": (SALES, 67548620), **changes,
    }  # fmt: skip
    routes.save(session, Route(**values))


# A machine that runs other tests may be slow; those about slow databases set a patience of their own.
PATIENCE = 20.0


@pytest.fixture
def make_stand(tmp_path: Path) -> Iterator[Callable[..., Stand]]:
    """`make_stand(url, ring=...)`: a receiver on this database, SQLite in a fresh file unless told."""
    opened: list[Database] = []

    def make(
        url: str = f"sqlite:///{tmp_path / 'receiver.db'}",
        ring: Callable[[Any], object] | None = None,
        now: Callable[[], datetime] = lambda: NOON,
        **changes: Any,
    ) -> Stand:
        database = open_database(url)
        opened.append(database)
        tables.METADATA.create_all(database.engine)
        with database.begin() as session:
            connect(session)
        rung: list[Ring] = []
        app = create_app(receiver_settings(**changes), database, ring or rung.extend, now=now, patience=PATIENCE)
        return Stand(app, database, rung)

    yield make
    for database in opened:
        database.close()


@pytest.fixture
def stand(make_stand: Callable[..., Stand]) -> Stand:
    """A receiver on SQLite that remembers what it rang for."""
    return make_stand()
