"""the ledger at size

Revision: 0003, after 0002
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ENDED = sa.text("ended_at IS NOT NULL")
RUNNING = sa.text("state = 'running'")
OPEN = sa.text("closed_at IS NULL")
TOLD = sa.text("told_in IS NOT NULL")

# Each new index, and the old one that it replaces.
INDEXES: tuple[Any, ...] = (
    (("ix_attempts_told_in", "attempts", ["told_in"], TOLD), None),
    (
        ("ix_deliveries_heard", "deliveries", ["connection", "source", "received_at"], None),
        ("ix_deliveries_received_at", "deliveries", ["received_at"], None),
    ),
    (("ix_jobs_ended", "jobs", ["state", "kind", "ended_at"], ENDED), None),
    (("ix_jobs_held", "jobs", ["holder"], RUNNING), ("ix_jobs_leased", "jobs", ["leased_until"], RUNNING)),
    (("ix_jobs_invoice_state", "jobs", ["invoice", "state"], None), ("ix_jobs_invoice", "jobs", ["invoice"], None)),
    (("ix_sends_open", "sends", ["what", "sent_at"], OPEN), None),
    (("ix_jobs_lead_state", "jobs", ["lead", "state"], None), ("ix_jobs_lead", "jobs", ["lead"], None)),
)


def upgrade() -> None:
    """Add what is new."""
    for new, old in INDEXES:
        replace(new, old)
    if op.get_bind().dialect.name == "postgresql":
        # a job's row is written five times and then rests: by the usual rule a fifth of all of them would lie dead before anybody tidies up
        op.execute(
            "ALTER TABLE jobs SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0.01)"
        )


def downgrade() -> None:
    """Take it away again."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "ALTER TABLE jobs RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_analyze_scale_factor)"
        )
    for new, old in reversed(INDEXES):
        replace(old, new)


def replace(new: Any, old: Any) -> None:
    """One index by another, with nobody kept waiting: there is always one of the two."""
    if op.get_bind().dialect.name == "sqlite":
        exchange(new, old, concurrently=False)
        return
    with op.get_context().autocommit_block():
        patience = {
            name: op.get_bind().scalar(sa.text(f"SHOW {name}")) for name in ("lock_timeout", "statement_timeout")
        }
        for name in patience:  # building waits for those who were at it before, and nobody for it
            op.execute(f"SET {name} = 0")
        exchange(new, old, concurrently=True)
        for name, was in patience.items():
            op.execute(f"SET {name} = '{was}'")


def exchange(new: Any, old: Any, *, concurrently: bool) -> None:
    if new:
        name, table, columns, where = new
        # one that was broken off stays as a ruin
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=concurrently)
        op.create_index(
            name,
            table,
            columns,
            unique=False,
            sqlite_where=where,
            postgresql_where=where,
            postgresql_concurrently=concurrently,
        )
    if old:
        op.drop_index(old[0], old[1], if_exists=True, postgresql_concurrently=concurrently)
