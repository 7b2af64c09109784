"""What people grant an app: codes, and refresh tokens that are replaced at each use (xero.md 1.2, 1.3)."""

import base64
import hashlib
import secrets
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.kit import Clock
from sandbox.kit.tokens import TokenRequest
from sandbox.xero.act import new_id
from sandbox.xero.tokens import LIFE, App, Token, Tokens, jwt

CODE_LIFE, REFRESH_LIFE, GRACE = 300.0, 60 * 86_400.0, 1800.0
# a token's life is told in whole seconds, so that one of less than a second could not be told truly
SHORTEST = 1.0
# a code must come back through a browser, which no time factor makes faster
SHORTEST_CODE = 5.0
# how many requests for tokens the books remember
KEPT = 10_000


class Ungranted(Exception):
    """A token request that is refused; the error as OAuth names it (xero.md 1.4)."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can log in to Xero."""

    id: str
    name: str
    email: str


PEOPLE = (
    Person("1b2c6f70-4a0e-4c53-9d5f-5d0b5a7c1e01", "Administrator", "admin@acme.example"),
    Person("1b2c6f70-4a0e-4c53-9d5f-5d0b5a7c1e02", "Accountant", "accounts@acme.example"),
)


@dataclass(slots=True)
class Authorisation:
    """One consent of one person to one app."""

    client_id: str
    person: Person
    scopes: frozenset[str]
    made_at: datetime
    event_id: str = field(default_factory=new_id)
    session_id: str = field(default_factory=lambda: secrets.token_hex(16))

    def claims(self, now: datetime) -> dict[str, object]:
        """What is in a person's token and not in an app's own (xero.md 1.2)."""
        return {
            "iat": int(now.timestamp()),
            "sub": hashlib.sha256(self.person.id.encode()).hexdigest()[:32],
            "auth_time": int(self.made_at.timestamp()),
            "xero_userid": self.person.id,
            "global_session_id": self.session_id,
            "sid": self.session_id,
            "authentication_event_id": self.event_id,
            "amr": ["pwd"],
        }


@dataclass(slots=True)
class Code:
    value: str
    authorisation: Authorisation
    redirect_uri: str
    challenge: str  # of PKCE, S256; "" for none
    dies_at: float
    is_used: bool = False


@dataclass(slots=True)
class RefreshToken:
    """`replaced_at`: when it first brought a new one; it may be used again for the grace from then on (xero.md 1.3)."""

    value: str
    authorisation: Authorisation
    dies_at: float
    replaced_at: float | None = None
    uses: int = 0
    is_revoked: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """A token set; `refresh` is "" without offline_access, `id_token` without openid (xero.md 1.2)."""

    access: Token
    refresh: str
    id_token: str
    scopes: frozenset[str]
    life: float


class Grants:
    """Not safe by itself: the state's lock guards it."""

    def __init__(self, clock: Clock, tokens: Tokens, switches: Mapping[str, Any]) -> None:
        self._clock = clock
        self._tokens = tokens
        self._switches = switches
        self._codes: dict[str, Code] = {}
        self._refresh: dict[str, RefreshToken] = {}
        self.requests: deque[TokenRequest] = deque(maxlen=KEPT)

    # --- consent ---

    def consent(
        self,
        app: App,
        person: Person,
        tenant_id: str,
        scopes: frozenset[str],
        *,
        redirect_uri: str,
        challenge: str = "",
    ) -> Code:
        """Connects one organisation (since 2026 one a consent), and hands out the code for it (xero.md 1.5)."""
        now = self._clock.now()
        connection = app.reached_by(person.id).get(tenant_id)
        granted = Authorisation(app.client_id, person, scopes, now)
        if connection is None:
            connection = app.connect(tenant_id, now, user_id=person.id, event_id=granted.event_id)
        elif self._switches["reauthorised_event"] == "new":
            connection.event_id = granted.event_id
        connection.updated_at = now
        connection.scopes |= scopes
        granted.scopes = connection.scopes
        if self._switches["second_consent"] == "ends":
            self.revoke(app.client_id, person.id)
        dies_at = self._clock.ticks() + max(self._clock.lasts(CODE_LIFE), SHORTEST_CODE)
        code = Code(secrets.token_urlsafe(32), granted, redirect_uri, challenge, dies_at)
        self._codes[code.value] = code
        return code

    # --- tokens ---

    def exchange(self, app: App, value: str, *, redirect_uri: str, verifier: str) -> Given:
        """Tokens for a code, once and within five minutes. Raises Ungranted."""
        code = self._codes.get(value)
        is_good = (
            code is not None
            and not code.is_used
            and self._clock.ticks() < code.dies_at
            and code.authorisation.client_id == app.client_id
            and code.redirect_uri == redirect_uri
            and _proves(verifier, code.challenge)
        )
        if code is None or not is_good:
            raise Ungranted("invalid_grant")
        code.is_used = True
        return self._give(app, code.authorisation)

    def refresh(self, app: App, value: str) -> Given:
        """A new set for a refresh token. Raises Ungranted where it is dead: too old, revoked, or replaced for too long."""
        found = self._refresh.get(value)
        if found is None or found.authorisation.client_id != app.client_id or not self._is_alive(found):
            raise Ungranted("invalid_grant")
        found.uses += 1
        if found.replaced_at is None:
            found.replaced_at = self._clock.ticks()
        return self._give(app, found.authorisation)

    def _is_alive(self, token: RefreshToken) -> bool:
        now = self._clock.ticks()
        if token.is_revoked or now >= token.dies_at:
            return False
        if token.replaced_at is None:
            return True
        return self._switches["refresh_rotation"] == "grace" and now < token.replaced_at + self._clock.lasts(GRACE)

    def _give(self, app: App, granted: Authorisation) -> Given:
        life = max(self._clock.lasts(LIFE), SHORTEST)
        now, ticks = self._clock.now(), self._clock.ticks()
        access = self._tokens.issue(
            app,
            granted.scopes,
            now=now,
            ticks=ticks,
            life=life,
            user_id=granted.person.id,
            claims=granted.claims(now),
        )
        refresh = ""
        if "offline_access" in granted.scopes:
            refresh = secrets.token_urlsafe(32)
            self._refresh[refresh] = RefreshToken(refresh, granted, ticks + self._clock.lasts(REFRESH_LIFE))
        id_token = jwt(_identity(app, granted, now)) if "openid" in granted.scopes else ""
        return Given(access, refresh, id_token, granted.scopes, life)

    # --- ends ---

    def find(self, refresh: str) -> RefreshToken | None:
        return self._refresh.get(refresh)

    def revoke(self, client_id: str, user_id: str | None = None) -> int:
        """A person's refresh tokens and codes, or all of the app's; says how many tokens died of it."""
        dying = [one for one in self._of(client_id, user_id) if self._is_alive(one)]
        for one in dying:
            one.is_revoked = True
        for code in self._codes.values():
            if code.authorisation.client_id == client_id and user_id in (None, code.authorisation.person.id):
                code.is_used = True
        return len(dying)

    def age(self, client_id: str, user_id: str | None = None) -> int:
        """As if sixty days had gone by unused; says how many refresh tokens died of it."""
        dying = [one for one in self._of(client_id, user_id) if self._is_alive(one)]
        for one in dying:
            one.dies_at = 0.0
        return len(dying)

    def _of(self, client_id: str, user_id: str | None) -> list[RefreshToken]:
        return [
            one
            for one in self._refresh.values()
            if one.authorisation.client_id == client_id and user_id in (None, one.authorisation.person.id)
        ]

    def take_scopes(self, client_id: str, taken: Collection[str]) -> None:
        """From all that people granted the app so far: the next tokens have them no more."""
        for one in self._of(client_id, None):
            one.authorisation.scopes -= set(taken)

    # --- books ---

    def note(self, client_id: str, grant_type: str, spent: str, error: str = "") -> None:
        self.requests.append(TokenRequest(self._clock.now(), client_id, grant_type, spent, error))

    def shown(self) -> list[dict[str, Any]]:
        """Every refresh token since the start. `state`: fresh, spent (replaced, good for the rest of the grace), dead."""
        return [
            {
                "token": one.value,
                "client_id": one.authorisation.client_id,
                "user": one.authorisation.person.email,
                "auth_event_id": one.authorisation.event_id,
                "uses": one.uses,
                "state": "dead" if not self._is_alive(one) else "fresh" if one.replaced_at is None else "spent",
            }
            for one in self._refresh.values()
        ]

    def secrets(self) -> list[str]:
        """All that must be in no log."""
        return [*self._codes, *self._refresh]


def _identity(app: App, granted: Authorisation, now: datetime) -> dict[str, object]:
    at = int(now.timestamp())
    return {
        "nbf": at,
        "exp": at + 300,
        "iss": "https://identity.xero.com",
        "aud": app.client_id,
        "iat": at,
        "xero_userid": granted.person.id,
        "preferred_username": granted.person.email,
        "email": granted.person.email,
        "given_name": granted.person.name,
    }


def _proves(verifier: str, challenge: str) -> bool:
    """PKCE: a challenge wants its verifier, no challenge wants none."""
    if not challenge:
        return True
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return secrets.compare_digest(digest, challenge)
