"""Links: which lead is which invoice.

A link is made before the call that makes the other side, so that whoever comes after a crash knows what was tried. It also remembers what has
been done on the deal (fields, note, file), and what a deal without an invoice waits for.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.orm.attributes import set_committed_value

from worker.database import Base, BigId, Transaction, UtcTime
from worker.jobs import InvoiceRef, LeadRef


class Origin(StrEnum):
    """Which side was first."""

    DEAL = "deal"
    INVOICE = "invoice"


class Link(Base):
    """One lead and one invoice, either of which may not be there yet."""

    __tablename__ = "links"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    connection: Mapped[str] = mapped_column(sa.Text, index=True)
    origin: Mapped[str] = mapped_column(sa.Text)
    account_id: Mapped[int] = mapped_column(sa.BigInteger)
    lead_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    part: Mapped[int] = mapped_column(default=1)  # a deal has one invoice today; deposits and instalments will count up
    tenant_id: Mapped[str] = mapped_column(sa.Text)
    invoice_id: Mapped[str | None] = mapped_column(sa.Text)
    number: Mapped[str | None] = mapped_column(sa.Text)
    entered_on: Mapped[date | None] = mapped_column(sa.Date)  # the day the deal entered the stage: the invoice's date
    made_at: Mapped[datetime] = mapped_column(UtcTime)
    linked_at: Mapped[datetime | None] = mapped_column(UtcTime)

    # what a deal without an invoice waits for
    waiting: Mapped[bool] = mapped_column(default=False)
    waits_contact: Mapped[int | None] = mapped_column(sa.BigInteger)
    waits_company: Mapped[int | None] = mapped_column(sa.BigInteger)
    waits_books: Mapped[bool] = mapped_column(
        default=False
    )  # mended in Xero, which tells nobody: asked again by a timer
    asked_at: Mapped[datetime | None] = mapped_column(
        UtcTime
    )  # when it was last looked at, so that all have their turn
    question: Mapped[str | None] = mapped_column(
        sa.Text
    )  # the sentence that stands on the deal, so that it is written once

    gone: Mapped[bool] = mapped_column(default=False)  # the deal is no longer in Kommo: nothing can be shown on it

    # what stands on the deal
    synced: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    label: Mapped[str | None] = mapped_column(sa.Text)
    due_on: Mapped[date | None] = mapped_column(sa.Date)  # with the label: what the overdue timer looks for
    remarks: Mapped[list[str]] = mapped_column(sa.JSON, default=list)
    note_sent_at: Mapped[datetime | None] = mapped_column(
        UtcTime
    )  # set before the call: a note is looked for before a second try
    noted_at: Mapped[datetime | None] = mapped_column(UtcTime)

    # the PDF: `wanted` is the print of the invoice as it is, `stored` of what is in the drive, `shown` of what the deal shows
    pdf_wanted: Mapped[str | None] = mapped_column(sa.Text)
    pdf_stored: Mapped[str | None] = mapped_column(sa.Text)
    pdf_shown: Mapped[str | None] = mapped_column(sa.Text)
    file_uuid: Mapped[str | None] = mapped_column(sa.Text)
    file_version: Mapped[str | None] = mapped_column(sa.Text)
    file_name: Mapped[str | None] = mapped_column(sa.Text)
    file_size: Mapped[int | None] = mapped_column()

    __table_args__ = (
        sa.UniqueConstraint("account_id", "lead_id", "part"),
        sa.UniqueConstraint("tenant_id", "invoice_id"),
        sa.Index(
            "ix_links_waiting", "account_id",
            sqlite_where=sa.text("waiting"), postgresql_where=sa.text("waiting"),
        ),
        sa.Index("ix_links_label_due_on", "label", "due_on"),
    )  # fmt: skip

    @property
    def lead(self) -> LeadRef | None:
        """The deal, once there is one."""
        return None if self.lead_id is None else LeadRef(self.account_id, self.lead_id)

    @property
    def invoice(self) -> InvoiceRef | None:
        """The invoice, once there is one."""
        return None if self.invoice_id is None else InvoiceRef(self.tenant_id, self.invoice_id)


# In the index's own words: neither database would use it for "waiting IS TRUE" or "waiting = 1".
IS_WAITING: sa.ColumnElement[bool] = sa.literal_column("links.waiting")


def for_leads(session: Session, account_id: int, lead_ids: Iterable[int]) -> dict[int, Link]:
    """The links of these leads, by lead id."""
    statement = sa.select(Link).where(Link.account_id == account_id, Link.lead_id.in_(set(lead_ids)))
    return {link.lead_id: link for link in session.scalars(statement) if link.lead_id is not None}


def find_invoices(session: Session, tenant_id: str, invoice_ids: Iterable[str]) -> dict[str, Link]:
    """The links of these invoices, by invoice id."""
    statement = sa.select(Link).where(Link.tenant_id == tenant_id, Link.invoice_id.in_(set(invoice_ids)))
    return {link.invoice_id: link for link in session.scalars(statement) if link.invoice_id is not None}


@dataclass(frozen=True, slots=True)
class Linked:
    """Which deal an invoice is linked to, if there is one yet, and by whom."""

    connection: str
    lead: LeadRef | None
    origin: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A deal that has no invoice yet, and what it waits for besides news of itself."""

    connection: str
    lead: LeadRef
    contact_id: int | None = None
    company_id: int | None = None


# A statement may have some 32,000 values on SQLite, and twice as many on PostgreSQL.
MOST_ASKED = 5_000

# Built once, of the table and not of objects: every webhook waits for these.
_ROW = Link.metadata.tables["links"].columns
_LINKED = sa.select(_ROW.connection, _ROW.account_id, _ROW.lead_id, _ROW.origin, _ROW.invoice_id)
_BY_INVOICE = _LINKED.where(
    _ROW.tenant_id == sa.bindparam("tenant"), _ROW.invoice_id.in_(sa.bindparam("invoices", expanding=True))
)
_BY_LEAD = _LINKED.where(
    _ROW.account_id == sa.bindparam("account"), _ROW.lead_id.in_(sa.bindparam("leads", expanding=True))
)
_WAITING = (
    sa.select(_ROW.connection, _ROW.lead_id, _ROW.waits_contact, _ROW.waits_company)
    .where(
        _ROW.account_id == sa.bindparam("account"),
        IS_WAITING,
        sa.or_(
            _ROW.lead_id.in_(sa.bindparam("leads", expanding=True)),
            _ROW.waits_contact.in_(sa.bindparam("contacts", expanding=True)),
            _ROW.waits_company.in_(sa.bindparam("companies", expanding=True)),
        ),
    )
    .order_by(_ROW.id)
)


def by_invoice(transaction: Transaction, tenant_id: str, invoice_ids: Iterable[str]) -> dict[str, Linked]:
    """What these invoices are linked to, by invoice id."""
    asked = {"tenant": tenant_id, "invoices": sorted(set(invoice_ids))}
    return {row.invoice_id: _linked(row) for row in transaction.execute(_BY_INVOICE, asked)}


def by_lead(transaction: Transaction, account_id: int, lead_ids: Iterable[int]) -> dict[int, Linked]:
    """The links of these leads, by lead id."""
    asked = {"account": account_id, "leads": sorted(set(lead_ids))}
    return {row.lead_id: _linked(row) for row in transaction.execute(_BY_LEAD, asked)}


def _linked(row: Any) -> Linked:
    lead = None if row.lead_id is None else LeadRef(row.account_id, row.lead_id)
    return Linked(row.connection, lead, row.origin)


def waiting(
    transaction: Transaction,
    account_id: int,
    *,
    leads: Collection[int] = (),
    contacts: Collection[int] = (),
    companies: Collection[int] = (),
) -> list[Waiting]:
    """The deals that wait, and that an event of one of these may have mended."""
    found: dict[Waiting, None] = {}
    about = [sorted(ids) for ids in (leads, contacts, companies)]
    for start in range(0, max(map(len, about)), MOST_ASKED):
        some = [ids[start : start + MOST_ASKED] for ids in about]
        asked = {"account": account_id, **dict(zip(("leads", "contacts", "companies"), some, strict=True))}
        for connection, lead_id, contact_id, company_id in transaction.execute(_WAITING, asked):
            if lead_id is not None:
                found[Waiting(connection, LeadRef(account_id, lead_id), contact_id, company_id)] = None
    return list(found)


def past_due(session: Session, connection: str, *, today: date, labels: Sequence[str], most: int) -> list[Link]:
    """Links whose invoice is owed and past its due date but does not say so yet: no webhook tells of a date that passes."""
    statement = (
        sa.select(Link)
        .where(
            Link.connection == connection,
            Link.label.in_(labels),
            Link.due_on < today,
            Link.invoice_id.is_not(None),
            Link.gone.is_(False),
        )
        .order_by(Link.id)
        .limit(most)
    )
    return list(session.scalars(statement))


def settle_invoice(session: Session, link_id: int, *, invoice_id: str, number: str, now: datetime) -> bool:
    """Tell the link its invoice; False if it has another one (then nothing is changed)."""
    return bool(settle_invoices(session, {link_id: (invoice_id, number)}, now=now))


def settle_invoices(session: Session, invoices: Mapping[int, tuple[str, str]], *, now: datetime) -> dict[int, Link]:
    """Tell these links their invoices, each an id and a number; answers the links, without those that have another one."""
    statement = sa.select(Link).where(Link.id.in_(invoices)).order_by(Link.id).with_for_update()
    told: dict[int, Link] = {}
    for link in session.scalars(statement, execution_options={"populate_existing": True}):
        invoice_id, number = invoices[link.id]
        if link.invoice_id in (None, invoice_id):
            link.invoice_id, link.number, link.linked_at = invoice_id, number, now
            link.waiting, link.question = False, None
            told[link.id] = link
    session.flush()
    return told


def change(session: Session, link: Link, **values: Any) -> None:
    """Write these columns of a link, which is added if it is new, and nothing else of it: what is in hand may be older than the row."""
    change_all(session, [(link, values)])


def change_all(session: Session, changes: Iterable[tuple[Link, Mapping[str, Any]]]) -> None:
    """The same for many links, in as few statements as there can be: whoever else writes waits for them."""
    changes = list(changes)
    known = [(link, values) for link, values in changes if sa.inspect(link).has_identity]
    new = [(link, values) for link, values in changes if not sa.inspect(link).has_identity]
    for link, values in new:
        for name, value in values.items():
            setattr(link, name, value)
        session.add(link)
    session.flush()
    if not known:
        return
    known.sort(key=lambda pair: pair[0].id)  # no two writers wait for each other
    session.execute(
        sa.update(Link),
        [{"id": link.id, **values} for link, values in known],
        execution_options={"synchronize_session": False},
    )
    for link, values in known:
        for name, value in values.items():
            set_committed_value(link, name, value)
