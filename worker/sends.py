"""Sends: each creating call before it is sent, with its exact bytes.

A send without an answer is an outcome unknown: it stays open until somebody has looked what became of it.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from integrations.xero.entities import Invoice
from worker.database import Base, BigId, UtcTime

OPEN = sa.text("closed_at IS NULL")

# More calls than this are not made while a client is looked for: what was sent meanwhile is found without walking through all.
LATEST = 500


class Send(Base):
    """One creating call. `members` are the ids of the links that it was to serve, in the order of the body's elements."""

    __tablename__ = "sends"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    connection: Mapped[str] = mapped_column(sa.Text)
    what: Mapped[str] = mapped_column(sa.Text)  # invoices, lead, contact, company
    about: Mapped[str | None] = mapped_column(
        sa.Text
    )  # what only one call at a time may make, such as one client in Kommo
    key: Mapped[str] = mapped_column(sa.Text, unique=True)  # begins with the tenant: Xero scopes keys to the app
    body: Mapped[bytes] = mapped_column(sa.LargeBinary)
    sent_at: Mapped[datetime] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)  # when we stopped waiting for its answer
    closed_at: Mapped[datetime | None] = mapped_column(UtcTime)  # when its outcome was known

    __table_args__ = (
        # two invoices of one new client must not make it twice
        sa.Index(
            "uq_sends_open_about", "about", unique=True,
            sqlite_where=sa.text("closed_at IS NULL AND about IS NOT NULL"),
            postgresql_where=sa.text("closed_at IS NULL AND about IS NOT NULL"),
        ),
        # what is under way, however much has been answered
        sa.Index("ix_sends_open", "what", "sent_at", sqlite_where=OPEN, postgresql_where=OPEN),
    )  # fmt: skip


class SendMember(Base):
    """A link that a send serves, while the outcome is open or known."""

    __tablename__ = "send_members"

    send_id: Mapped[int] = mapped_column(sa.ForeignKey(Send.id, ondelete="CASCADE"), primary_key=True)
    link_id: Mapped[int] = mapped_column(sa.ForeignKey("links.id", ondelete="CASCADE"), primary_key=True, index=True)
    place: Mapped[int] = mapped_column()  # its element in the body
    reference: Mapped[str | None] = mapped_column(
        sa.Text
    )  # what was asked for, to be recognised if its marks are edited
    client: Mapped[str | None] = mapped_column(sa.Text)
    issued_on: Mapped[date | None] = mapped_column(sa.Date)
    currency: Mapped[str | None] = mapped_column(sa.Text)
    total: Mapped[str | None] = mapped_column(sa.Text)
    open: Mapped[bool] = mapped_column(default=True)


@dataclass(frozen=True, slots=True)
class Drafted:
    """What one element of a send asked for. `reference` None: it may be another deal's too; `total` None: its tax was not known before."""

    reference: str | None
    client: str  # the contact's id, or the name of the one to be made
    issued_on: date | None
    currency: str | None
    total: Decimal | None

    def is_like(self, invoice: Invoice) -> bool:
        """Whether the invoice may have come of it, marks apart."""
        same = (invoice.issued_on, invoice.currency) == (self.issued_on, self.currency)
        same = same and self.client in (invoice.contact_id, invoice.contact_name)
        return same and self.total is not None and invoice.total == self.total


def open_send(
    session: Session,
    *,
    connection: str,
    scope: str,
    what: str,
    body: bytes,
    members: Mapping[int, Drafted | None],
    now: datetime,
    about: str | None = None,
) -> Send:
    """Write down a call that is about to be sent, for these links, in the order of the body's elements.

    IntegrityError: another call about the same thing is open.
    """
    key = f"{scope}:{uuid.uuid4().hex}"
    send = Send(connection=connection, what=what, about=about, key=key, body=body, sent_at=now)
    session.add(send)
    session.flush()
    session.add_all(_member(send, link, place, asked) for place, (link, asked) in enumerate(members.items()))
    session.flush()
    return send


def _member(send: Send, link_id: int, place: int, asked: Drafted | None) -> SendMember:
    if asked is None:
        return SendMember(send_id=send.id, link_id=link_id, place=place)
    total = None if asked.total is None else str(asked.total)
    return SendMember(
        send_id=send.id, link_id=link_id, place=place, reference=asked.reference, client=asked.client, issued_on=asked.issued_on,
        currency=asked.currency, total=total,
    )  # fmt: skip


def drafted(session: Session, send_id: int) -> dict[int, Drafted]:
    """What each link of a send asked for, by link id."""
    rows = session.scalars(sa.select(SendMember).where(SendMember.send_id == send_id))
    return {
        row.link_id: Drafted(
            row.reference, row.client or "", row.issued_on, row.currency, Decimal(row.total) if row.total else None
        )
        for row in rows
    }


def unresolved(session: Session, link_ids: Sequence[int]) -> dict[int, Send]:
    """The open send of each of these links that has one, by link id."""
    statement = (
        sa.select(SendMember.link_id, Send)
        .join(Send, Send.id == SendMember.send_id)
        .where(SendMember.link_id.in_(link_ids), SendMember.open.is_(True))
        .order_by(Send.id)
    )
    return {row.link_id: row.Send for row in session.execute(statement)}


def ended_without_answer(session: Session, send_id: int, *, now: datetime) -> None:
    """We stopped waiting: the quiet period begins."""
    session.execute(sa.update(Send).where(Send.id == send_id, Send.ended_at.is_(None)).values(ended_at=now))


def close(session: Session, send_id: int, link_ids: Sequence[int], *, now: datetime) -> None:
    """The outcome for these links is known; with the last of them the send itself is closed."""
    session.execute(
        sa.update(SendMember).where(SendMember.send_id == send_id, SendMember.link_id.in_(link_ids)).values(open=False)
    )
    still_open = sa.exists().where(SendMember.send_id == send_id, SendMember.open.is_(True))
    session.execute(sa.update(Send).where(Send.id == send_id, sa.not_(still_open)).values(closed_at=now))


def resolve_link(session: Session, link_id: int, *, now: datetime) -> None:
    """The link's invoice or deal turned up by itself: no send of it needs to be looked for any more."""
    statement = sa.select(SendMember.send_id).where(SendMember.link_id == link_id, SendMember.open.is_(True))
    for send_id in list(session.scalars(statement)):
        close(session, send_id, [link_id], now=now)


def sending_since(session: Session, scope: str, *, after: datetime) -> datetime | None:
    """When the oldest call was sent that makes invoices of this organisation and still waits for its answer; `after`: others have died."""
    waits = sa.select(sa.func.min(Send.sent_at)).where(
        Send.closed_at.is_(None), Send.ended_at.is_(None), Send.what == "invoices", Send.sent_at > after,
        Send.key.startswith(f"{scope}:", autoescape=True),
    )  # fmt: skip
    return session.scalar(waits)


def is_any_unknown(session: Session, scope: str, *, before: datetime) -> bool:
    """Whether nobody knows what became of some call that makes invoices of this organisation; one sent `before` then gets no answer any more."""
    lost = sa.select(Send.id).where(
        Send.closed_at.is_(None), Send.what == "invoices", sa.or_(Send.ended_at.is_not(None), Send.sent_at <= before),
        Send.key.startswith(f"{scope}:", autoescape=True),
    )  # fmt: skip
    return session.scalar(lost.limit(1)) is not None


def bodies_since(session: Session, scope: str, *, since: datetime, open_since: datetime) -> list[bytes]:
    """The bodies of calls that make invoices of this organisation and were sent since then, or are open and were sent since an earlier time."""
    newest = session.scalar(sa.select(sa.func.max(Send.id))) or 0
    statement = sa.select(Send.body).where(
        Send.id > newest - LATEST, Send.what == "invoices", Send.key.startswith(f"{scope}:", autoescape=True),
        sa.or_(Send.sent_at >= since, sa.and_(Send.closed_at.is_(None), Send.sent_at >= open_since)),
    )  # fmt: skip
    return list(session.scalars(statement))


def open_elsewhere(session: Session, about: str, link_id: int) -> Send | None:
    """The open call about this that is for another link, if there is one."""
    others = sa.select(Send).join(SendMember, SendMember.send_id == Send.id)
    found = others.where(Send.about == about, Send.closed_at.is_(None), SendMember.link_id != link_id)
    return session.scalar(found.limit(1))


def members_of(session: Session, send_id: int) -> list[int]:
    """The links that a send serves."""
    return list(session.scalars(sa.select(SendMember.link_id).where(SendMember.send_id == send_id)))
