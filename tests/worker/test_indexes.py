"""What the database itself refuses, whatever the code does: the partial indexes, as the tables say them and as migrations make them."""

from collections.abc import Iterator
from pathlib import Path

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from worker.database import Database, open_database
from worker.jobs import Job, Kind, State
from worker.tables import METADATA

from .ledger import THEN

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(params=["tables", "migrations"])
def database(request: pytest.FixtureRequest, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """An empty ledger, made in either way."""
    opened = open_database(database_url)
    if request.param == "tables":
        METADATA.create_all(opened.engine)
    else:
        monkeypatch.setenv("DATABASE_URL", database_url)
        alembic.command.upgrade(alembic.config.Config(toml_file=ROOT / "pyproject.toml"), "head")
    yield opened
    opened.close()


def put(database: Database, state: State, *, subject: str, lead: str | None = None, invoice: str | None = None) -> None:
    """A row, without asking the code that would have prevented it."""
    row = {"connection": "acme", "kind": Kind.SYNC_STATUS, "due_at": THEN, "recorded_at": THEN}
    row |= {"attempts": 0, "deaths": 0, "alone": False, "batch": 0}
    with database.begin() as session:
        session.execute(sa.insert(Job).values(**row, state=state, subject=subject, lead=lead, invoice=invoice))


def test_one_job_waits_for_a_subject(database: Database):
    put(database, State.QUEUED, subject="a")
    with pytest.raises(IntegrityError):
        put(database, State.QUEUED, subject="a")
    put(database, State.RUNNING, subject="a")
    put(database, State.DONE, subject="a")
    put(database, State.DONE, subject="a")


def test_one_job_about_a_lead_runs(database: Database):
    put(database, State.RUNNING, subject="a", lead="1:7")
    with pytest.raises(IntegrityError):
        put(database, State.RUNNING, subject="b", lead="1:7")
    put(database, State.QUEUED, subject="b", lead="1:7")
    put(database, State.RUNNING, subject="c", invoice="x:1")


def test_one_job_about_an_invoice_runs(database: Database):
    put(database, State.RUNNING, subject="a", invoice="x:1")
    with pytest.raises(IntegrityError):
        put(database, State.RUNNING, subject="b", invoice="x:1")
    put(database, State.QUEUED, subject="b", invoice="x:1")
    put(database, State.RUNNING, subject="c", lead="1:7")
