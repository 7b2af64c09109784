"""grants that are shared, and notices

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STANDING = sa.text("ended_at IS NULL")
COLUMNS = (
    ("consent", sa.Text()),
    ("refresh_token", sa.LargeBinary()),
    ("scopes", sa.Text()),
    ("subdomain", sa.Text()),
    ("renewed_at", sa.DateTime(timezone=True)),
    ("refused_at", sa.DateTime(timezone=True)),
    ("refused_call", sa.Text()),
    ("announced", sa.Integer()),
)


def upgrade() -> None:
    """Add what is new."""
    # before anything refers to it: SQLite makes the table anew
    with op.batch_alter_table("grants", schema=None) as batch_op:
        for name, kind in COLUMNS:
            batch_op.add_column(sa.Column(name, kind, nullable=True))
        batch_op.alter_column("connection", existing_type=sa.TEXT(), nullable=True)
        batch_op.create_unique_constraint(batch_op.f("uq_grants_vendor_consent"), ["vendor", "consent"])
    op.create_table(
        "grant_uses",
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("grant_id", BIG, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name=op.f("fk_grant_uses_grant_id_grants")),
        sa.PrimaryKeyConstraint("connection", "vendor", name=op.f("pk_grant_uses")),
    )
    op.create_index(op.f("ix_grant_uses_grant_id"), "grant_uses", ["grant_id"])
    # until now each grant was its connection's own
    op.execute("INSERT INTO grant_uses (connection, vendor, grant_id) SELECT connection, vendor, id FROM grants")
    op.create_table(
        "notices",
        sa.Column("id", BIG, nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index(
        "uq_notices_standing", "notices", ["connection", "about"],
        unique=True, sqlite_where=STANDING, postgresql_where=STANDING,
    )
    op.create_table(
        "messages",
        sa.Column("id", BIG, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
    )
    op.create_index(op.f("ix_messages_due_at"), "messages", ["due_at"])


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("messages")
    op.drop_table("notices")
    op.drop_table("grant_uses")
    # a consent is of no use to whoever can't renew it
    op.execute("DELETE FROM grants WHERE connection IS NULL")
    with op.batch_alter_table("grants", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_grants_vendor_consent"), type_="unique")
        batch_op.alter_column("connection", existing_type=sa.TEXT(), nullable=False)
        for name, _ in reversed(COLUMNS):
            batch_op.drop_column(name)
