"""Migrations: a ledger of the first version with work in it becomes one of today, and loses nothing on the way, nor back."""

import time
from collections.abc import Iterator
from pathlib import Path

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from pydantic import SecretStr

from integrations.oauth import TokenSet
from worker import attempts, grants
from worker.claims import settle
from worker.database import Database, open_database
from worker.jobs import State
from worker.vault import Vault
from worker.verdicts import Done

from .ledger import THEN, at, for_lead, must_claim, record, states

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIG = alembic.config.Config(toml_file=ROOT / "pyproject.toml")
CALLS = [{"vendor": "xero", "path": "/api.xro/2.0/Invoices"}]


def migrate(to: str) -> None:
    (alembic.command.upgrade if to == "head" else alembic.command.downgrade)(CONFIG, to)


@pytest.fixture
def old(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A ledger of the first version: a job that is done and its attempt, one that waits, one that runs, and a delivery."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    alembic.command.upgrade(CONFIG, "0001")
    database = open_database(database_url, patience=60)
    job = {"connection": "acme", "kind": "create_invoice", "due_at": THEN, "recorded_at": THEN}
    job |= {"attempts": 0, "deaths": 0, "alone": False, "batch": 0}
    with database.begin() as session:
        tables = sa.MetaData()
        tables.reflect(session.connection())
        for number, state in enumerate(("done", "queued", "running"), 1):
            values = job | {"subject": f"lead:1:{number}", "lead": f"1:{number}", "state": state}
            ended = {"ended_at": THEN} if state == "done" else {}
            held = {"holder": "me", "leased_until": at(10)} if state == "running" else {}
            session.execute(sa.insert(tables.tables["jobs"]).values(**values, **ended, **held))
        tried = {"job_id": 1, "ended_at": THEN, "verdict": "done", "sentence": "INV-1", "batch": 1, "calls": CALLS}
        session.execute(sa.insert(tables.tables["attempts"]).values(**tried))
        session.execute(
            sa.insert(tables.tables["deliveries"]).values(
                source="kommo", received_at=THEN, content_type="form", body=b"1"
            )
        )
    yield database
    database.close()


def test_a_ledger_of_the_first_version_goes_on_where_it_was(old: Database):
    migrate("head")
    assert states(old) == [State.DONE, State.QUEUED, State.RUNNING]
    settle(old, must_claim(old, 2, now=at(1)), {2: Done()}, now=at(2))
    assert states(old) == [State.DONE, State.DONE, State.RUNNING]


def test_an_attempt_of_the_first_version_keeps_its_calls(old: Database):
    migrate("head")
    with old.reading() as session:
        assert [one.calls for one in attempts.story(session, [1])] == [CALLS]


def test_going_back_gives_each_attempt_the_calls_of_its_batch(old: Database):
    migrate("head")
    first, *_ = record(old, *(for_lead(lead) for lead in (7, 8, 9)))
    batch = must_claim(old, first, most=50)
    settle(old, batch, {job.id: Done() for job in batch.jobs}, now=at(1), calls=CALLS)
    migrate("0001")
    with old.reading() as session:
        kept = sa.text("SELECT count(*) FROM attempts WHERE batch > 1 AND CAST(calls AS TEXT) LIKE '%Invoices%'")
        assert session.scalar(kept) == len(batch.jobs)


def test_an_upgrade_whose_indexes_were_broken_off_is_simply_run_again(old: Database):
    alembic.command.upgrade(CONFIG, "0003")
    with old.begin() as session:  # as if it had died before it could say that it was through
        session.execute(sa.text("UPDATE alembic_version SET version_num = '0002'"))
        session.execute(sa.text("DROP INDEX ix_jobs_lead_state"))
    migrate("head")
    assert "ix_jobs_lead_state" in {index["name"] for index in sa.inspect(old.engine).get_indexes("jobs")}


def test_old_code_goes_on_with_the_new_tables_until_it_is_exchanged(old: Database):
    migrate("head")
    with old.begin() as session:
        tried = sa.text(
            "INSERT INTO attempts (job_id, ended_at, verdict, sentence, batch, calls) VALUES (1, '2026-09-14', 'done', '', 1, '[]')"
        )
        session.execute(tried)


def test_each_connection_goes_on_with_the_grant_that_was_its_own(old: Database):
    made = "INSERT INTO grants (vendor, connection, kind, version, granted_at) VALUES ('kommo', 'acme', 'long_lived', 1, '2026-09-14')"
    with old.begin() as session:
        session.execute(sa.text(made))
    migrate("head")
    with old.reading() as session:
        found = grants.find(session, "kommo", "acme")
    assert found is not None
    assert (found.kind, found.connection) == ("long_lived", "acme")
    with old.begin() as session:
        token = TokenSet("token", at(60), "refresh")
        vault = Vault([SecretStr(Fernet.generate_key().decode())])
        grants.store_consent(
            session, vault, vendor="kommo", connections=["acme"], who="7", token=token, client_id="app",
            client_secret="secret", now=THEN,
        )  # fmt: skip
    migrate("0003")
    with old.reading() as session:
        assert session.scalar(sa.text("SELECT count(*) FROM grants")) == 0  # old code could not renew a consent


def test_a_migration_does_not_stand_in_the_receivers_way_for_long(old: Database):
    """Somebody's long transaction holds the table: the change gives up, so that nobody has to wait in line behind it."""
    if old.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer, who rests while it is migrated")
    with old.begin() as session:
        session.execute(sa.text("SELECT count(*) FROM attempts"))
        began = time.monotonic()
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            migrate("head")
    assert time.monotonic() - began < 5
    migrate("head")
