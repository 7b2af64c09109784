"""calls of a batch

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("told_in", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))


def downgrade() -> None:
    """Take it away again."""
    op.execute(
        "UPDATE attempts SET calls = (SELECT first.calls FROM attempts AS first WHERE first.id = attempts.told_in) "
        "WHERE told_in IN (SELECT id FROM attempts)"
    )
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.drop_column("told_in")
