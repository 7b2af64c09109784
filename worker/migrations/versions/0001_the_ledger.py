"""the ledger

Revision: 0001, the first
"""

import sqlalchemy as sa
from alembic import op

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new."""
    op.create_table('attempts',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('verdict', sa.Text(), nullable=False),
    sa.Column('sentence', sa.Text(), nullable=False),
    sa.Column('batch', sa.Integer(), nullable=False),
    sa.Column('calls', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_attempts'))
    )
    with op.batch_alter_table('attempts', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_attempts_job_id'), ['job_id'], unique=False)

    op.create_table('contacts',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('account_id', sa.BigInteger(), nullable=False),
    sa.Column('entity', sa.Text(), nullable=False),
    sa.Column('kommo_id', sa.BigInteger(), nullable=False),
    sa.Column('tenant_id', sa.Text(), nullable=False),
    sa.Column('xero_id', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('pays', sa.Boolean(), nullable=False),
    sa.Column('terms_day', sa.Integer(), nullable=True),
    sa.Column('terms_kind', sa.Text(), nullable=True),
    sa.Column('known_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_contacts')),
    sa.UniqueConstraint('account_id', 'entity', 'kommo_id', 'tenant_id', name=op.f('uq_contacts_account_id_entity_kommo_id_tenant_id'))
    )
    with op.batch_alter_table('contacts', schema=None) as batch_op:
        batch_op.create_index('ix_contacts_tenant_id_xero_id', ['tenant_id', 'xero_id'], unique=False)

    op.create_table('cursors',
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('side', sa.Text(), nullable=False),
    sa.Column('read_until', sa.DateTime(timezone=True), nullable=False),
    sa.Column('busy_until', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('connection', 'side', name=op.f('pk_cursors'))
    )
    op.create_table('deliveries',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('content_type', sa.Text(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.Column('connection', sa.Text(), nullable=True),
    sa.Column('problem', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_deliveries'))
    )
    with op.batch_alter_table('deliveries', schema=None) as batch_op:
        batch_op.create_index('ix_deliveries_problem', ['received_at'], unique=False, sqlite_where=sa.text('problem IS NOT NULL'), postgresql_where=sa.text('problem IS NOT NULL'))
        batch_op.create_index(batch_op.f('ix_deliveries_received_at'), ['received_at'], unique=False)

    op.create_table('facts',
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('read_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('written', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('connection', name=op.f('pk_facts'))
    )
    op.create_table('grants',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('vendor', sa.Text(), nullable=False),
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('client_id', sa.Text(), nullable=True),
    sa.Column('client_secret', sa.LargeBinary(), nullable=True),
    sa.Column('access_token', sa.LargeBinary(), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('renewing_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('refusal', sa.Text(), nullable=True),
    sa.Column('granted_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_grants')),
    sa.UniqueConstraint('vendor', 'connection', name=op.f('uq_grants_vendor_connection'))
    )
    op.create_table('jobs',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('lead', sa.Text(), nullable=True),
    sa.Column('invoice', sa.Text(), nullable=True),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('not_before', sa.DateTime(timezone=True), nullable=True),
    sa.Column('rung_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('deaths', sa.Integer(), nullable=False),
    sa.Column('died_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('alone', sa.Boolean(), nullable=False),
    sa.Column('holder', sa.Text(), nullable=True),
    sa.Column('batch', sa.Integer(), nullable=False),
    sa.Column('leased_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('sentence', sa.Text(), nullable=True),
    sa.Column('delivery_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('entered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('recorded_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_jobs'))
    )
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.create_index('ix_jobs_due', ['due_at'], unique=False, sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'"))
        batch_op.create_index('ix_jobs_failed', ['connection', 'kind', 'subject'], unique=False, sqlite_where=sa.text("state = 'failed'"), postgresql_where=sa.text("state = 'failed'"))
        batch_op.create_index('ix_jobs_invoice', ['invoice'], unique=False)
        batch_op.create_index('ix_jobs_lead', ['lead'], unique=False)
        batch_op.create_index('ix_jobs_leased', ['leased_until'], unique=False, sqlite_where=sa.text("state = 'running'"), postgresql_where=sa.text("state = 'running'"))
        batch_op.create_index('ix_jobs_siblings', ['connection', 'kind', 'due_at'], unique=False, sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'"))
        batch_op.create_index('uq_jobs_queued', ['connection', 'kind', 'subject'], unique=True, sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'"))
        batch_op.create_index('uq_jobs_running_invoice', ['invoice'], unique=True, sqlite_where=sa.text("state = 'running' AND invoice IS NOT NULL"), postgresql_where=sa.text("state = 'running' AND invoice IS NOT NULL"))
        batch_op.create_index('uq_jobs_running_lead', ['lead'], unique=True, sqlite_where=sa.text("state = 'running' AND lead IS NOT NULL"), postgresql_where=sa.text("state = 'running' AND lead IS NOT NULL"))

    op.create_table('links',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('origin', sa.Text(), nullable=False),
    sa.Column('account_id', sa.BigInteger(), nullable=False),
    sa.Column('lead_id', sa.BigInteger(), nullable=True),
    sa.Column('part', sa.Integer(), nullable=False),
    sa.Column('tenant_id', sa.Text(), nullable=False),
    sa.Column('invoice_id', sa.Text(), nullable=True),
    sa.Column('number', sa.Text(), nullable=True),
    sa.Column('entered_on', sa.Date(), nullable=True),
    sa.Column('made_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('linked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('waiting', sa.Boolean(), nullable=False),
    sa.Column('waits_contact', sa.BigInteger(), nullable=True),
    sa.Column('waits_company', sa.BigInteger(), nullable=True),
    sa.Column('waits_books', sa.Boolean(), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('question', sa.Text(), nullable=True),
    sa.Column('gone', sa.Boolean(), nullable=False),
    sa.Column('synced', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('label', sa.Text(), nullable=True),
    sa.Column('due_on', sa.Date(), nullable=True),
    sa.Column('remarks', sa.JSON(), nullable=False),
    sa.Column('note_sent_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('noted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('pdf_wanted', sa.Text(), nullable=True),
    sa.Column('pdf_stored', sa.Text(), nullable=True),
    sa.Column('pdf_shown', sa.Text(), nullable=True),
    sa.Column('file_uuid', sa.Text(), nullable=True),
    sa.Column('file_version', sa.Text(), nullable=True),
    sa.Column('file_name', sa.Text(), nullable=True),
    sa.Column('file_size', sa.Integer(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_links')),
    sa.UniqueConstraint('account_id', 'lead_id', 'part', name=op.f('uq_links_account_id_lead_id_part')),
    sa.UniqueConstraint('tenant_id', 'invoice_id', name=op.f('uq_links_tenant_id_invoice_id'))
    )
    with op.batch_alter_table('links', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_links_connection'), ['connection'], unique=False)
        batch_op.create_index('ix_links_label_due_on', ['label', 'due_on'], unique=False)
        batch_op.create_index('ix_links_waiting', ['account_id'], unique=False, sqlite_where=sa.text('waiting'), postgresql_where=sa.text('waiting'))

    op.create_table('routes',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('what', sa.Text(), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_routes')),
    sa.UniqueConstraint('connection', 'what', 'value', name=op.f('uq_routes_connection_what_value'))
    )
    with op.batch_alter_table('routes', schema=None) as batch_op:
        batch_op.create_index('ix_routes_what_value', ['what', 'value'], unique=False)

    op.create_table('sends',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('connection', sa.Text(), nullable=False),
    sa.Column('what', sa.Text(), nullable=False),
    sa.Column('about', sa.Text(), nullable=True),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sends')),
    sa.UniqueConstraint('key', name=op.f('uq_sends_key'))
    )
    with op.batch_alter_table('sends', schema=None) as batch_op:
        batch_op.create_index('uq_sends_open_about', ['about'], unique=True, sqlite_where=sa.text('closed_at IS NULL AND about IS NOT NULL'), postgresql_where=sa.text('closed_at IS NULL AND about IS NOT NULL'))

    op.create_table('mentions',
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('delivery_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['delivery_id'], ['deliveries.id'], name=op.f('fk_mentions_delivery_id_deliveries'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('subject', 'delivery_id', name=op.f('pk_mentions'))
    )
    with op.batch_alter_table('mentions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_mentions_delivery_id'), ['delivery_id'], unique=False)

    op.create_table('send_members',
    sa.Column('send_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('link_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('place', sa.Integer(), nullable=False),
    sa.Column('reference', sa.Text(), nullable=True),
    sa.Column('client', sa.Text(), nullable=True),
    sa.Column('issued_on', sa.Date(), nullable=True),
    sa.Column('currency', sa.Text(), nullable=True),
    sa.Column('total', sa.Text(), nullable=True),
    sa.Column('open', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['link_id'], ['links.id'], name=op.f('fk_send_members_link_id_links'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['send_id'], ['sends.id'], name=op.f('fk_send_members_send_id_sends'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('send_id', 'link_id', name=op.f('pk_send_members'))
    )
    with op.batch_alter_table('send_members', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_send_members_link_id'), ['link_id'], unique=False)



def downgrade() -> None:
    """Take it away again."""
    with op.batch_alter_table('send_members', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_send_members_link_id'))

    op.drop_table('send_members')
    with op.batch_alter_table('mentions', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_mentions_delivery_id'))

    op.drop_table('mentions')
    with op.batch_alter_table('sends', schema=None) as batch_op:
        batch_op.drop_index('uq_sends_open_about', sqlite_where=sa.text('closed_at IS NULL AND about IS NOT NULL'), postgresql_where=sa.text('closed_at IS NULL AND about IS NOT NULL'))

    op.drop_table('sends')
    with op.batch_alter_table('routes', schema=None) as batch_op:
        batch_op.drop_index('ix_routes_what_value')

    op.drop_table('routes')
    with op.batch_alter_table('links', schema=None) as batch_op:
        batch_op.drop_index('ix_links_waiting', sqlite_where=sa.text('waiting'), postgresql_where=sa.text('waiting'))
        batch_op.drop_index('ix_links_label_due_on')
        batch_op.drop_index(batch_op.f('ix_links_connection'))

    op.drop_table('links')
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.drop_index('uq_jobs_running_lead', sqlite_where=sa.text("state = 'running' AND lead IS NOT NULL"), postgresql_where=sa.text("state = 'running' AND lead IS NOT NULL"))
        batch_op.drop_index('uq_jobs_running_invoice', sqlite_where=sa.text("state = 'running' AND invoice IS NOT NULL"), postgresql_where=sa.text("state = 'running' AND invoice IS NOT NULL"))
        batch_op.drop_index('uq_jobs_queued', sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'"))
        batch_op.drop_index('ix_jobs_siblings', sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'"))
        batch_op.drop_index('ix_jobs_leased', sqlite_where=sa.text("state = 'running'"), postgresql_where=sa.text("state = 'running'"))
        batch_op.drop_index('ix_jobs_lead')
        batch_op.drop_index('ix_jobs_invoice')
        batch_op.drop_index('ix_jobs_failed', sqlite_where=sa.text("state = 'failed'"), postgresql_where=sa.text("state = 'failed'"))
        batch_op.drop_index('ix_jobs_due', sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'"))

    op.drop_table('jobs')
    op.drop_table('grants')
    op.drop_table('facts')
    with op.batch_alter_table('deliveries', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_deliveries_received_at'))
        batch_op.drop_index('ix_deliveries_problem', sqlite_where=sa.text('problem IS NOT NULL'), postgresql_where=sa.text('problem IS NOT NULL'))

    op.drop_table('deliveries')
    op.drop_table('cursors')
    with op.batch_alter_table('contacts', schema=None) as batch_op:
        batch_op.drop_index('ix_contacts_tenant_id_xero_id')

    op.drop_table('contacts')
    with op.batch_alter_table('attempts', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_attempts_job_id'))

    op.drop_table('attempts')
