"""Deliveries: what an authenticated sender sent, byte for byte. What can't be understood is kept and shown, never lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from worker.database import Base, BigId, Transaction, UtcTime

# Kommo's word that access was revoked is signed, and only the worker can judge that; until then it is nothing that is understood.
UNJUDGED = "its signature has not been judged yet"


class Delivery(Base):
    """One webhook request."""

    __tablename__ = "deliveries"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    source: Mapped[str] = mapped_column(sa.Text)  # kommo, xero, kommo-uninstall
    received_at: Mapped[datetime] = mapped_column(UtcTime)
    content_type: Mapped[str] = mapped_column(sa.Text)
    body: Mapped[bytes] = mapped_column(sa.LargeBinary)
    connection: Mapped[str | None] = mapped_column(sa.Text)
    problem: Mapped[str | None] = mapped_column(sa.Text)  # why it was not understood, or is nobody's

    __table_args__ = (
        sa.Index("ix_deliveries_heard", "connection", "source", "received_at"),  # whom we last heard of, and when
        sa.Index(
            "ix_deliveries_problem", "received_at",
            sqlite_where=sa.text("problem IS NOT NULL"), postgresql_where=sa.text("problem IS NOT NULL"),
        ),
    )  # fmt: skip


class Mention(Base):
    """A delivery speaks of a subject ("lead:account:lead", "invoice:tenant:invoice"): how a deal's story finds its webhooks."""

    __tablename__ = "mentions"

    subject: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(
        sa.ForeignKey(Delivery.id, ondelete="CASCADE"), primary_key=True, index=True
    )


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery that is to be kept, and the subjects that it speaks of."""

    source: str
    body: bytes
    content_type: str
    at: datetime
    problem: str | None = None
    connection: str | None = None
    subjects: frozenset[str] = frozenset()


# Built once, for tables and not for objects: every webhook waits for these.
_KEEP = sa.insert(Base.metadata.tables["deliveries"]).returning(Delivery.id, sort_by_parameter_order=True)
# what is returned is of no use, but makes many rows one statement
_MENTION = sa.insert(Base.metadata.tables["mentions"]).returning(Mention.delivery_id)


def keep(transaction: Transaction, deliveries: Sequence[Received]) -> list[int]:
    """Keep these deliveries and answer their ids, in the same order."""
    rows = [
        {
            "source": one.source, "received_at": one.at, "content_type": one.content_type, "body": one.body,
            "problem": one.problem, "connection": one.connection,
        }
        for one in deliveries
    ]  # fmt: skip
    ids = list(transaction.scalars(_KEEP, rows))
    mentions = [
        {"subject": subject, "delivery_id": delivery_id}
        for delivery_id, one in zip(ids, deliveries, strict=True)
        for subject in sorted(one.subjects)
    ]
    if mentions:
        transaction.execute(_MENTION, mentions)
    return ids


def about(session: Session, subjects: Sequence[str]) -> list[Delivery]:
    """All deliveries that speak of one of these subjects, oldest first."""
    ids = sa.select(Mention.delivery_id).where(Mention.subject.in_(subjects))
    return list(session.scalars(sa.select(Delivery).where(Delivery.id.in_(ids)).order_by(Delivery.id)))


def not_understood(session: Session, *, most: int = 50) -> list[Delivery]:
    """The newest deliveries that made nobody do anything because they could not be understood or placed."""
    statement = (
        sa.select(Delivery).where(Delivery.problem.is_not(None)).order_by(Delivery.received_at.desc()).limit(most)
    )
    return list(session.scalars(statement))
