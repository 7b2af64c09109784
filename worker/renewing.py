"""Renewing: one at a time, chosen by compare-and-swap on `renewing_until` as a job is claimed; the others wait for the new token.

No lock and no transaction is held across the token request. The new pair is committed before anybody uses it, since only its use ends the old one
(kommo.md 2.3). Where the answer was lost, the old pair is tried again: once at once by whoever renews, and by the next one if that one has died
(xero.md 1.3: it holds for 30 minutes more).
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from integrations.errors import CallError, Missing, RateLimited, Refusal, Unauthorised, Unreachable
from integrations.oauth import TokenSet, claims, is_lost
from worker import grants, routes
from worker.database import Database, changed_rows
from worker.grants import ASKING, Credentials, Grant, GrantKind, GrantUse
from worker.vault import Vault

# Two token requests fit in with their time-outs of 15 s each; who dies in it is replaced after this.
RENEWAL = timedelta(seconds=40)

# A token this near to its end is renewed before it is used: a batch may take a minute. Of a shorter life, a quarter.
MARGIN = timedelta(minutes=2)

# A consent that was refused is not asked about again before this, however many jobs wait for it: only a person can mend it, and rings then.
PROBE = timedelta(hours=1)

# A new pair that can't be written down is lost for good, so a database that is away for a moment is waited for.
KEEP_TRIES, KEEP_PAUSE = 10, 0.5

POLL = 0.1

RENEWABLE = frozenset({GrantKind.CLIENT_CREDENTIALS, GrantKind.OAUTH})

log = structlog.get_logger()


class GrantTokens:
    """Access tokens of the grant that one connection uses, for a client that makes calls (integrations' Tokens)."""

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
        self._was_refused = False

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
            self._must_be_renewable(grant)
            if self._take_on(grant):
                return self._renew(grant)
            if self._now() > give_up:
                raise RateLimited(self._vendor, ASKING, "another worker renews it", retry_after=POLL, own=True)
            self._sleep(POLL)
        return self._vault.open(grant.access_token) or ""

    def refused(self, reason: Refusal, call: str = "") -> None:
        """Remember that the vendor no longer lets us in, for `status` and `check`. A block passes, and the budget tells of it.

        While an access token lives, a removed organisation and a revoked consent look the same to a call (xero.md 8.3): a renewal tells them apart.
        """
        if reason is Refusal.BLOCKED:
            return
        with self._database.begin() as session:
            is_new = grants.refuse(session, self._vendor, self._connection, reason, call=call, now=self._now())
        if is_new and reason is Refusal.DISCONNECTED and (grant := self._read()).kind == GrantKind.OAUTH:
            with suppress(CallError):  # which has written down what it met
                self.renew(self._vault.open(grant.access_token) or "")

    def let_in(self, call: str) -> None:
        """A call has worked: what was refused before has passed, unless it is something that this call does not tell of."""
        if self._was_refused:
            with self._database.begin() as session:
                grants.let_in(session, self._vendor, self._connection, call)

    def _read(self) -> Grant:
        with self._database.reading() as session:
            grant = grants.find(session, self._vendor, self._connection)
            use = session.get(GrantUse, (self._connection, self._vendor))
        if grant is None:
            raise Unauthorised(self._vendor, ASKING, "it was never connected", reason=Refusal.REVOKED)
        self._was_refused = bool(grant.refusal or (use and use.refusal))
        return grant

    def _is_ending(self, grant: Grant) -> bool:
        if grant.expires_at is None:
            return False
        life = grant.expires_at - grant.renewed_at if grant.renewed_at else MARGIN * 4
        margin = min(MARGIN, life / 4) if grant.kind in RENEWABLE else timedelta()
        return grant.expires_at - margin <= self._now()

    def _must_be_renewable(self, grant: Grant) -> None:
        if grant.kind not in RENEWABLE:
            over = "a long-lived token can't be renewed"
            if grant.refusal == Refusal.REVOKED:  # and since when is known
                raise Unauthorised(self._vendor, ASKING, over, reason=Refusal.REVOKED)
            raise self._refused(grant, Refusal.REVOKED, over, call=None)
        if grant.kind == GrantKind.OAUTH and grant.refresh_token is None:
            raise self._refused(grant, Refusal.REVOKED, "the consent came without a refresh token")
        if _is_given_up(grant, self._now()):
            raise Unauthorised(self._vendor, ASKING, "it was refused before", reason=Refusal.REVOKED)

    def _take_on(self, grant: Grant) -> bool:
        now = self._now()
        free = sa.or_(Grant.renewing_until.is_(None), Grant.renewing_until < now)
        taken = sa.update(Grant).where(_same(grant), free).values(renewing_until=now + RENEWAL)
        with self._database.begin() as session:
            return changed_rows(session.execute(taken)) == 1

    def _renew(self, grant: Grant) -> str:
        try:
            token = self._ask(grant)
        except CallError as error:
            return self._not_given(grant, error)
        return self._keep(grant, token)

    def _ask(self, grant: Grant) -> TokenSet:
        secret, pair = self._vault.open(grant.client_secret), self._vault.open(grant.refresh_token)
        domain = claims(self._vault.open(grant.access_token) or "").get("api_domain")
        credentials = Credentials(
            grant.client_id or "", secret or "", pair, grant.subdomain, str(domain) if domain else None
        )
        try:
            return self._request(credentials)
        except CallError as error:
            if grant.kind != GrantKind.OAUTH or not is_lost(error):
                raise
            log.warning("renewal_lost", vendor=self._vendor, connection=self._connection, error=type(error).__name__)
            return self._request(credentials)

    def _not_given(self, grant: Grant, error: CallError) -> str:
        """Another one's token, where somebody took us for dead and was given it; else why there is none."""
        newest = self._read()
        if newest.version != grant.version and newest.access_token:
            return self._vault.open(newest.access_token) or ""
        if isinstance(error, Unauthorised):
            raise self._refused(grant, error.reason, error.detail) from error
        if isinstance(error, Missing):
            raise self._refused(grant, Refusal.REVOKED, error.detail) from error
        with self._database.begin() as session:  # the next one may try at once
            session.execute(sa.update(Grant).where(_same(grant)).values(renewing_until=None))
        raise error

    def _keep(self, grant: Grant, token: TokenSet) -> str:
        values: dict[str, Any] = {
            "access_token": self._vault.seal(token.access_token),
            "expires_at": token.expires_at,
            "renewed_at": self._now(),
            "version": grant.version + 1,
            "renewing_until": None,
            "refusal": None,
            "refused_at": None,
            "refused_call": None,
        }
        if token.refresh_token:
            values["refresh_token"] = self._vault.seal(token.refresh_token)
        if token.scopes:
            values["scopes"] = " ".join(token.scopes)
        if token.subdomain:
            values["subdomain"] = token.subdomain
        if not self._write(grant, values):
            return self._vault.open(self._read().access_token) or ""  # whoever took us for dead was given another
        if token.subdomain and token.subdomain != grant.subdomain:
            # the call that wanted the token goes to the old address: its job tries again, and finds the new one
            raise Unreachable(self._vendor, ASKING, f"the account has moved to {token.subdomain}: on with it there")
        return token.access_token

    def _write(self, grant: Grant, values: Mapping[str, Any]) -> bool:
        for left in reversed(range(KEEP_TRIES)):
            try:
                return self._write_once(grant, values)
            except sa.exc.OperationalError as error:
                if not left:
                    raise
                about = {"vendor": self._vendor, "connection": self._connection}
                log.warning("renewal_not_kept", **about, error=type(error.orig).__name__)
                self._sleep(KEEP_PAUSE)
        return False

    def _write_once(self, grant: Grant, values: Mapping[str, Any]) -> bool:
        with self._database.begin() as session:
            mine = changed_rows(session.execute(sa.update(Grant).where(_same(grant)).values(values))) == 1
            if mine and (subdomain := values.get("subdomain")):
                for connection in grants.users(session, grant.id):
                    routes.move(session, connection, subdomain)
            return mine

    def _refused(self, grant: Grant, reason: Refusal, detail: str, call: str | None = ASKING) -> Unauthorised:
        values = {"refusal": reason.value, "refused_at": self._now(), "refused_call": call, "renewing_until": None}
        with self._database.begin() as session:
            session.execute(sa.update(Grant).where(_same(grant)).values(values))
        return Unauthorised(self._vendor, ASKING, detail, reason=reason)


def _same(grant: Grant) -> sa.ColumnElement[bool]:
    """The grant as it was read: nobody has been given another token since."""
    return sa.and_(Grant.id == grant.id, Grant.version == grant.version)


def _is_given_up(grant: Grant, now: datetime) -> bool:
    refused = grant.refusal == Refusal.REVOKED and grant.refused_call == ASKING
    return grant.kind == GrantKind.OAUTH and refused and grant.refused_at is not None and now < grant.refused_at + PROBE
