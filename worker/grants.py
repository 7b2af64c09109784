"""Grants: the tokens that let us into a vendor's system, encrypted, with the client that they belong to, and which connections use them.

One row a grant, whoever uses it: a consent at Xero serves all organisations that its person has connected to the app, and its tokens rotate, so
that a second copy would be worthless with the first renewal (xero.md 1.3). Consenting again replaces the tokens in the row.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from integrations.errors import Refusal
from integrations.oauth import TokenSet
from worker.database import Base, BigId, UtcTime
from worker.vault import Vault

# What is refused where a token is asked for: no call that still works tells that this has passed.
ASKING = "asking for a token"


class GrantKind(StrEnum):
    """How a grant's access token is had."""

    LONG_LIVED = "long_lived"  # pasted by a person, can't be renewed (kommo.md 1.3)
    CLIENT_CREDENTIALS = "client_credentials"  # asked for again and again (xero.md 1.7)
    OAUTH = "oauth"  # a person has consented; renewed with a refresh token, which is renewed with it


class Grant(Base):
    """One grant of one vendor."""

    __tablename__ = "grants"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    vendor: Mapped[str] = mapped_column(sa.Text)
    connection: Mapped[str | None] = mapped_column(sa.Text)  # whose own it is; None where connections may share it
    consent: Mapped[str | None] = mapped_column(sa.Text)  # "client:who": who consented to which app
    kind: Mapped[str] = mapped_column(sa.Text)
    client_id: Mapped[str | None] = mapped_column(sa.Text)
    client_secret: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    access_token: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    refresh_token: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    scopes: Mapped[str | None] = mapped_column(sa.Text)  # as granted, with spaces between; None where not said
    subdomain: Mapped[str | None] = mapped_column(sa.Text)  # of the Kommo account: its tokens are renewed there
    version: Mapped[int] = mapped_column(default=0)  # counts the tokens: what compare-and-swap compares
    expires_at: Mapped[datetime | None] = mapped_column(UtcTime)
    renewed_at: Mapped[datetime | None] = mapped_column(UtcTime)  # when these tokens were given
    renewing_until: Mapped[datetime | None] = mapped_column(UtcTime)
    refusal: Mapped[str | None] = mapped_column(sa.Text)  # why the vendor last refused us; None while it lets us in
    refused_at: Mapped[datetime | None] = mapped_column(UtcTime)
    refused_call: Mapped[str | None] = mapped_column(sa.Text)  # which one: another that works says nothing of it
    announced: Mapped[int | None]  # how many days were left when its end was last announced
    granted_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (sa.UniqueConstraint("vendor", "connection"), sa.UniqueConstraint("vendor", "consent"))


class GrantUse(Base):
    """Which grant a connection uses at a vendor, and whether the vendor lets it in there: a grant may reach some organisations and others not."""

    __tablename__ = "grant_uses"

    connection: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    vendor: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    grant_id: Mapped[int] = mapped_column(sa.ForeignKey(Grant.id), index=True)
    tenant_id: Mapped[str | None] = mapped_column(sa.Text)  # the organisation that was chosen of several
    refusal: Mapped[str | None] = mapped_column(sa.Text)  # why it does not let in this connection, while it does others
    refused_at: Mapped[datetime | None] = mapped_column(UtcTime)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a token request needs: our app, and for a consent its refresh token and where to renew it.

    `api_domain` is the host of Kommo's that knows where an account has moved to (kommo.md 1.2).
    """

    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    subdomain: str | None = None
    api_domain: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a connection stands with a vendor. `refusal` is why it is not let in, since `refused_at`; None while it is."""

    grant_id: int
    connection: str
    vendor: str
    kind: GrantKind
    expires_at: datetime | None
    granted_at: datetime
    scopes: tuple[str, ...]
    refusal: Refusal | None
    refused_at: datetime | None


def store(
    session: Session,
    vault: Vault,
    *,
    vendor: str,
    connection: str,
    kind: GrantKind,
    now: datetime,
    token: TokenSet | None = None,
    credentials: Credentials | None = None,
) -> None:
    """Make the connection's own grant, or replace it: connecting again never makes a second one."""
    mine = sa.and_(Grant.vendor == vendor, Grant.connection == connection)
    grant = session.scalar(sa.select(Grant).where(mine)) or Grant(vendor=vendor, connection=connection, version=0)
    grant.kind = kind
    _fill(grant, vault, token, credentials, now)
    _use(session, grant, vendor, [connection])


def store_consent(
    session: Session,
    vault: Vault,
    *,
    vendor: str,
    connections: list[str],
    who: str,
    token: TokenSet,
    client_id: str,
    client_secret: str,
    now: datetime,
    subdomain: str | None = None,
) -> int:
    """Keep the tokens of a person's consent for these connections, and answer the grant's id.

    `who` is the Kommo account's id, or the Xero person's (claim `xero_userid`). The same one's next consent to the same app replaces the
    tokens, also for the other connections that use them. What a connection used before, and nobody uses now, is taken away.
    """
    consent = f"{client_id}:{who}"
    mine = sa.and_(Grant.vendor == vendor, Grant.consent == consent)
    grant = session.scalar(sa.select(Grant).where(mine)) or Grant(vendor=vendor, consent=consent, version=0)
    grant.kind, grant.subdomain = GrantKind.OAUTH, subdomain
    _fill(grant, vault, token, Credentials(client_id, client_secret), now)
    _use(session, grant, vendor, connections)
    return grant.id


def is_consented(session: Session, vendor: str, client_id: str, who: str) -> bool:
    """Whether tokens of this one's consent to this app are kept already."""
    mine = sa.and_(Grant.vendor == vendor, Grant.consent == f"{client_id}:{who}")
    return session.scalar(sa.select(Grant.id).where(mine)) is not None


def _fill(grant: Grant, vault: Vault, token: TokenSet | None, credentials: Credentials | None, now: datetime) -> None:
    grant.client_id = credentials.client_id if credentials else None
    grant.client_secret = vault.seal(credentials.client_secret) if credentials else None
    grant.access_token = vault.seal(token.access_token) if token else None
    grant.refresh_token = vault.seal(token.refresh_token) if token and token.refresh_token else None
    grant.scopes = " ".join(token.scopes) or None if token else None
    grant.expires_at = token.expires_at if token else None
    grant.version += 1
    grant.renewing_until, grant.refusal, grant.refused_at, grant.refused_call = None, None, None, None
    grant.announced = None
    grant.granted_at = grant.renewed_at = now


def _use(session: Session, grant: Grant, vendor: str, connections: list[str]) -> None:
    session.add(grant)
    session.flush()
    for connection in connections:
        use = session.get(GrantUse, (connection, vendor)) or GrantUse(connection=connection, vendor=vendor)
        use.grant_id = grant.id
        session.add(use)
    session.flush()
    # whoever consented again has connected the organisations that were removed, too
    session.execute(sa.update(GrantUse).where(GrantUse.grant_id == grant.id).values(refusal=None, refused_at=None))
    session.flush()
    used = sa.select(GrantUse.grant_id)
    session.execute(sa.delete(Grant).where(Grant.vendor == vendor, Grant.id.not_in(used)))


def choose_tenant(session: Session, connection: str, tenant_id: str | None) -> None:
    """Remember which organisation a connection works with, of several that its consent reaches; consenting again changes nothing of it."""
    mine = sa.and_(GrantUse.connection == connection, GrantUse.vendor == "xero")
    session.execute(sa.update(GrantUse).where(mine).values(tenant_id=tenant_id))


def chosen_tenant(session: Session, connection: str) -> str | None:
    """The organisation that was chosen for a connection; None where there was nothing to choose."""
    use = session.get(GrantUse, (connection, "xero"))
    return use.tenant_id if use else None


def find(session: Session, vendor: str, connection: str) -> Grant | None:
    """The grant that the connection uses at this vendor."""
    mine = sa.and_(GrantUse.vendor == vendor, GrantUse.connection == connection)
    return session.scalar(sa.select(Grant).join(GrantUse, GrantUse.grant_id == Grant.id).where(mine))


def users(session: Session, grant_id: int) -> list[str]:
    """The connections that use a grant."""
    return list(
        session.scalars(
            sa.select(GrantUse.connection).where(GrantUse.grant_id == grant_id).order_by(GrantUse.connection)
        )
    )


def standing(session: Session, vendor: str, connection: str) -> Standing | None:
    """How a connection stands with a vendor; None where it was never connected."""
    return next((one for one in standings(session) if (one.vendor, one.connection) == (vendor, connection)), None)


def standings(session: Session) -> list[Standing]:
    """How all connections stand, by name and vendor."""
    rows = session.execute(
        sa.select(GrantUse, Grant)
        .join(Grant, GrantUse.grant_id == Grant.id)
        .order_by(GrantUse.connection, GrantUse.vendor)
    )
    return [_standing(use, grant) for use, grant in rows]


def _standing(use: GrantUse, grant: Grant) -> Standing:
    refusal, at = (grant.refusal, grant.refused_at) if grant.refusal else (use.refusal, use.refused_at)
    return Standing(
        grant_id=grant.id,
        connection=use.connection,
        vendor=use.vendor,
        kind=GrantKind(grant.kind),
        expires_at=grant.expires_at,
        granted_at=grant.granted_at,
        scopes=tuple((grant.scopes or "").split()),
        refusal=Refusal(refusal) if refusal else None,
        refused_at=at,
    )


def refuse(session: Session, vendor: str, connection: str, reason: Refusal, *, call: str, now: datetime) -> bool:
    """Remember why a call was not let in, and answer whether that is new.

    An organisation that was removed says nothing of the others that the same consent reaches (xero.md 8.3).
    """
    if reason is Refusal.DISCONNECTED:
        use = session.get(GrantUse, (connection, vendor))
        if use is None or use.refusal == reason:
            return False
        use.refusal, use.refused_at = reason, now
        return True
    grant = find(session, vendor, connection)
    if grant is None or grant.refusal == reason:
        return False
    grant.refusal, grant.refused_at, grant.refused_call = reason, now, _family(call) or None
    return True


def let_in(session: Session, vendor: str, connection: str, call: str) -> None:
    """Take back what this call, which was let in, shows to have passed."""
    grant = find(session, vendor, connection)
    if grant is not None and grant.refusal and _has_passed(grant, call):
        grant.refusal, grant.refused_at, grant.refused_call = None, None, None
    use = session.get(GrantUse, (connection, vendor))
    if use is not None and use.refusal and not call.endswith(LISTS_ORGANISATIONS):
        use.refusal, use.refused_at = None, None


# Needs no organisation, and tells that one was removed (xero.md 1.5).
LISTS_ORGANISATIONS = "/connections"


def _has_passed(grant: Grant, call: str) -> bool:
    if grant.refused_call == ASKING:
        return False
    # a right that one kind of call lacks is nothing that another kind tells of
    return grant.refusal != Refusal.SCOPE or grant.refused_call in {None, _family(call)}


def _family(call: str) -> str:
    """The call without the ids and names in its path: "GET /api/v4/leads/*"."""
    parts = call.split("/")
    return "/".join(
        "*" if any(letter.isdigit() for letter in part) and part not in VERSIONS else part for part in parts
    )


VERSIONS = frozenset({"v4", "2.0", "v1.0"})
