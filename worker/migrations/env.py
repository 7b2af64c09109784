"""Alembic's way to our database: the address from DATABASE_URL, the tables from the modules that own them."""

from typing import Any, Literal

from alembic import context

from worker import tables
from worker.database import UtcTime, open_database
from worker.settings import load

# A migration waits for its locks, but not for ever: it must not stand in the way of running workers.
PATIENCE = 60.0


def render(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Migrations name no type of ours: what it means may change, and they must not."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcTime) else False


def run() -> None:
    """Bring the database that DATABASE_URL names to the newest version."""
    database = open_database(load().database_url, patience=PATIENCE)
    with database.engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=tables.METADATA, render_as_batch=True, render_item=render
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    database.close()


run()
