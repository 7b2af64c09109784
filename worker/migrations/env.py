"""Alembic's way to our database: the address from DATABASE_URL, the tables from the modules that own them.

How we write migrations, since those of PostgreSQL run while the old processes work (`release` comes before they are exchanged):

- Old code must go on with the new tables: columns are added with NULL or a default that the database knows, and taken away a release after the
  last code that used them. Rows are not rewritten; what reads them understands both forms.
- An index of a table that may be big is built CONCURRENTLY, in an `autocommit_block`, and the old one is dropped after it. A build that was
  broken off leaves an invalid index: drop it first, so that the migration can simply be run again. Such a block commits what came before it, so
  that migration does nothing that can't be done twice. Nothing may time out there.
- What locks a table (ALTER TABLE) takes an instant once it has its lock, and gives up soon if it does not get it: whoever comes after it would have
  to wait in line behind it, the receiver among them. Run it again then.
- Each migration is a transaction of its own, so that what stands before a broken one stays.

SQLite has one writer and none of this: there the processes rest while `release` runs.
"""

from contextlib import closing
from typing import Any, Literal

from alembic import context
from sqlalchemy.engine import Connection

from worker import tables
from worker.database import UtcTime, open_database
from worker.settings import load

# How long a statement of a migration may take.
PATIENCE = 60.0
# How long it waits for a lock: who asks for one stands in the way of all that come later, and the receiver has 1.3 s.
LOCK_PATIENCE = 1.0


def render(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Migrations name no type of ours: what it means may change, and they must not."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcTime) else False


def run() -> None:
    """Bring the database that DATABASE_URL names to the newest version."""
    opened = closing(open_database(load().database_url, patience=PATIENCE))
    with opened as database, database.engine.connect() as connection:
        _migrate(connection)
        connection.commit()


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET lock_timeout = {int(LOCK_PATIENCE * 1000)}")
        connection.commit()
    context.configure(
        connection=connection,
        target_metadata=tables.METADATA,
        render_as_batch=True,
        render_item=render,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
