"""Grants: the tokens that let us into a vendor's system, encrypted, with the client that they belong to.

One renewer at a time, chosen by compare-and-swap on `renewing_until` as a job is claimed; the others wait for the new token. No lock and no
transaction is held across the token request.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from integrations.errors import CallError, RateLimited, Refusal, Unauthorised
from integrations.oauth import TokenSet
from worker.database import Base, BigId, Database, UtcTime
from worker.vault import Vault

# A token request takes a second or two; who dies in it is replaced after this.
RENEWAL = timedelta(seconds=30)

# A token this near to its end is renewed before it is used: a batch may take a minute.
MARGIN = timedelta(minutes=2)

POLL = 0.1


class GrantKind(StrEnum):
    """How a grant's access token is had."""

    LONG_LIVED = "long_lived"  # pasted by a person, can't be renewed (kommo.md 1.3)
    CLIENT_CREDENTIALS = "client_credentials"  # asked for again and again (xero.md 1.7)


class Grant(Base):
    """One grant of one vendor for one connection."""

    __tablename__ = "grants"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    vendor: Mapped[str] = mapped_column(sa.Text)
    connection: Mapped[str] = mapped_column(sa.Text)
    kind: Mapped[str] = mapped_column(sa.Text)
    client_id: Mapped[str | None] = mapped_column(sa.Text)
    client_secret: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    access_token: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    version: Mapped[int] = mapped_column(default=0)  # counts the tokens: what compare-and-swap compares
    expires_at: Mapped[datetime | None] = mapped_column(UtcTime)
    renewing_until: Mapped[datetime | None] = mapped_column(UtcTime)
    refusal: Mapped[str | None] = mapped_column(sa.Text)  # why the vendor last refused us; None while it lets us in
    granted_at: Mapped[datetime] = mapped_column(UtcTime)

    __table_args__ = (sa.UniqueConstraint("vendor", "connection"),)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a token request needs."""

    client_id: str
    client_secret: str


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
    """Make the connection's grant, or replace it: connecting again never makes a second one."""
    grant = find(session, vendor, connection) or Grant(vendor=vendor, connection=connection, version=0)
    grant.kind = kind
    grant.client_id = credentials.client_id if credentials else None
    grant.client_secret = vault.seal(credentials.client_secret) if credentials else None
    grant.access_token = vault.seal(token.access_token) if token else None
    grant.expires_at = token.expires_at if token else None
    grant.version += 1
    grant.renewing_until, grant.refusal, grant.granted_at = None, None, now
    session.add(grant)


def find(session: Session, vendor: str, connection: str) -> Grant | None:
    """The connection's grant at this vendor."""
    return session.scalar(sa.select(Grant).where(Grant.vendor == vendor, Grant.connection == connection))


class GrantTokens:
    """Access tokens of one grant, for a client that makes calls (integrations' Tokens)."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        *,
        vendor: str,
        connection: str,
        request: Callable[[Credentials], TokenSet],
        now: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database, self._vault = database, vault
        self._vendor, self._connection = vendor, connection
        self._request, self._now, self._sleep = request, now, sleep

    def current(self) -> str:
        """A token that should work; renewed first if its end is near."""
        grant = self._read()
        token = self._vault.open(grant.access_token)
        if token and not self._is_ending(grant):
            return token
        return self.renew(token or "")

    def renew(self, stale: str) -> str:
        """Another token than `stale`: ours, or the one that somebody else is fetching just now."""
        give_up = self._now() + RENEWAL
        while (self._vault.open((grant := self._read()).access_token) or "") == stale:
            if grant.kind != GrantKind.CLIENT_CREDENTIALS:
                raise self._refused(grant.version, Refusal.REVOKED, "a long-lived token can't be renewed")
            if self._take_on(grant.version):
                return self._keep(grant.version, self._ask(grant))
            if self._now() > give_up:
                raise RateLimited(self._vendor, "token", "another worker renews it", retry_after=POLL, own=True)
            self._sleep(POLL)
        return self._vault.open(grant.access_token) or ""

    def refused(self, reason: Refusal) -> None:
        """Remember that the vendor no longer lets us in, for `status` and `check`. A block passes, and the budget tells of it."""
        if reason is Refusal.BLOCKED:
            return
        with self._database.begin() as session:
            grant = find(session, self._vendor, self._connection)
            if grant and grant.refusal != reason:
                grant.refusal = reason

    def _read(self) -> Grant:
        with self._database.reading() as session:
            grant = find(session, self._vendor, self._connection)
        if grant is None:
            raise Unauthorised(self._vendor, "token", "it was never connected", reason=Refusal.REVOKED)
        return grant

    def _is_ending(self, grant: Grant) -> bool:
        margin = MARGIN if grant.kind == GrantKind.CLIENT_CREDENTIALS else timedelta()
        return grant.expires_at is not None and grant.expires_at - margin <= self._now()

    def _take_on(self, version: int) -> bool:
        now = self._now()
        free = sa.or_(Grant.renewing_until.is_(None), Grant.renewing_until < now)
        mine = sa.and_(
            Grant.vendor == self._vendor, Grant.connection == self._connection, Grant.version == version, free
        )
        with self._database.begin() as session:
            result = session.execute(sa.update(Grant).where(mine).values(renewing_until=now + RENEWAL))
            assert isinstance(result, sa.CursorResult)
            return result.rowcount == 1

    def _ask(self, grant: Grant) -> TokenSet:
        secret = self._vault.open(grant.client_secret)
        try:
            return self._request(Credentials(grant.client_id or "", secret or ""))
        except Unauthorised as error:
            raise self._refused(grant.version, error.reason, error.detail) from error
        except CallError:
            self._let_go(grant.version)  # the next one may try at once
            raise

    def _let_go(self, version: int) -> None:
        mine = sa.and_(Grant.vendor == self._vendor, Grant.connection == self._connection, Grant.version == version)
        with self._database.begin() as session:
            session.execute(sa.update(Grant).where(mine).values(renewing_until=None))

    def _keep(self, version: int, token: TokenSet) -> str:
        mine = sa.and_(Grant.vendor == self._vendor, Grant.connection == self._connection, Grant.version == version)
        values = {
            "access_token": self._vault.seal(token.access_token),
            "expires_at": token.expires_at,
            "version": version + 1,
            "renewing_until": None,
            "refusal": None,
        }
        with self._database.begin() as session:
            session.execute(sa.update(Grant).where(mine).values(values))
        return token.access_token

    def _refused(self, version: int, reason: Refusal, detail: str) -> Unauthorised:
        mine = sa.and_(Grant.vendor == self._vendor, Grant.connection == self._connection, Grant.version == version)
        with self._database.begin() as session:
            session.execute(sa.update(Grant).where(mine).values(refusal=reason, renewing_until=None))
        return Unauthorised(self._vendor, "token", detail, reason=reason)
