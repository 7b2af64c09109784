"""Contacts: which Kommo contact or company is which Xero contact, by account and organisation."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from integrations.xero.entities import Contact, Terms
from worker.database import Base, BigId, UtcTime


class ContactPair(Base):
    """One Kommo contact or company, and the Xero contact that it is in one organisation."""

    __tablename__ = "contacts"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(sa.BigInteger)
    entity: Mapped[str] = mapped_column(sa.Text)
    kommo_id: Mapped[int] = mapped_column(sa.BigInteger)
    tenant_id: Mapped[str] = mapped_column(sa.Text)
    xero_id: Mapped[str] = mapped_column(sa.Text)
    name: Mapped[str] = mapped_column(sa.Text, default="")
    pays: Mapped[bool] = mapped_column(
        default=True
    )  # False: a person beside a company, whose own deals are not the company's
    terms_day: Mapped[int | None] = mapped_column()
    terms_kind: Mapped[str | None] = mapped_column(sa.Text)
    known_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (
        sa.UniqueConstraint("account_id", "entity", "kommo_id", "tenant_id"),
        sa.Index("ix_contacts_tenant_id_xero_id", "tenant_id", "xero_id"),
    )

    @property
    def terms(self) -> Terms | None:
        """The payment terms that Xero told us last."""
        if self.terms_day is None or self.terms_kind is None:
            return None
        return Terms(self.terms_day, self.terms_kind)


def known(
    session: Session,
    account_id: int,
    tenant_id: str,
    clients: Iterable[tuple[str, int]],
) -> dict[tuple[str, int], ContactPair]:
    """Who these clients are as payers, by (entity, Kommo id)."""
    wanted = set(clients)
    statement = sa.select(ContactPair).where(
        ContactPair.account_id == account_id,
        ContactPair.tenant_id == tenant_id,
        ContactPair.kommo_id.in_({kommo_id for _, kommo_id in wanted}),
        ContactPair.pays.is_(True),
    )
    pairs = {(pair.entity, pair.kommo_id): pair for pair in session.scalars(statement)}
    return {key: pair for key, pair in pairs.items() if key in wanted}


def of_xero_contact(session: Session, account_id: int, tenant_id: str, xero_id: str) -> list[ContactPair]:
    """Which Kommo clients of this account are this Xero contact."""
    statement = sa.select(ContactPair).where(
        ContactPair.account_id == account_id, ContactPair.tenant_id == tenant_id, ContactPair.xero_id == xero_id
    )
    return list(session.scalars(statement.order_by(ContactPair.id)))


def taken(session: Session, account_id: int, tenant_id: str, xero_ids: Iterable[str]) -> frozenset[str]:
    """Which of these Xero contacts are some Kommo client's already."""
    statement = sa.select(ContactPair.xero_id).where(
        ContactPair.account_id == account_id, ContactPair.tenant_id == tenant_id, ContactPair.xero_id.in_(set(xero_ids))
    )
    return frozenset(session.scalars(statement))


def of_others(
    session: Session, account_id: int, tenant_id: str, *, entity: str, kommo_ids: Iterable[int], xero_id: str
) -> frozenset[int]:
    """Which of these Kommo clients are other Xero contacts than this one."""
    statement = sa.select(ContactPair.kommo_id).where(
        ContactPair.account_id == account_id,
        ContactPair.tenant_id == tenant_id,
        ContactPair.entity == entity,
        ContactPair.kommo_id.in_(set(kommo_ids)),
        ContactPair.xero_id != xero_id,
    )
    return frozenset(session.scalars(statement))


def remember(
    session: Session,
    *,
    account_id: int,
    tenant_id: str,
    entity: str,
    kommo_id: int,
    contact: Contact,
    now: datetime,
    pays: bool = True,
) -> None:
    """Write down, or mend, which Xero contact this client is. One that only stands beside a payer never takes the place of a payer."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    learnt = {
        "xero_id": contact.id,
        "name": contact.name,
        "terms_day": contact.terms.day if contact.terms else None,
        "terms_kind": contact.terms.kind if contact.terms else None,
        "known_at": now,
        "pays": pays,
    }
    statement = insert(ContactPair).values(
        account_id=account_id, entity=entity, kommo_id=kommo_id, tenant_id=tenant_id, **learnt
    )
    unique = ["account_id", "entity", "kommo_id", "tenant_id"]
    session.execute(
        statement.on_conflict_do_update(index_elements=unique, set_=learnt)
        if pays
        else statement.on_conflict_do_nothing(index_elements=unique)
    )


def forget(session: Session, *, account_id: int, tenant_id: str, entity: str, kommo_id: int) -> None:
    """The Xero contact is no longer usable (archived, merged, gone): look again next time."""
    session.execute(
        sa.delete(ContactPair).where(
            ContactPair.account_id == account_id,
            ContactPair.tenant_id == tenant_id,
            ContactPair.entity == entity,
            ContactPair.kommo_id == kommo_id,
        )
    )
