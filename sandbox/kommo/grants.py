"""Integrations that people install by consent: codes, and refresh tokens that are replaced at each use (kommo.md 2)."""

import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.kit import Clock
from sandbox.kit.tokens import TokenRequest
from sandbox.kommo.tokens import ALL_SCOPES, Grant, Tokens

CODE_LIFE_S, ACCESS_LIFE_S, REFRESH_LIFE_S = 20 * 60, 86_400, 90 * 86_400
# a token's life is told in whole seconds, so that one of less than a second could not be told truly
SHORTEST_S = 1.0
# a code must come back through a browser, which no time factor makes faster
SHORTEST_CODE_S = 5.0
# codes and refresh tokens are hex, begin like this, and are about so long (kommo.md 2.1, 2.2)
HEAD, CODE_BYTES, REFRESH_BYTES = "def502", 430, 492
# how many requests for tokens the books remember
KEPT = 10_000


class Ungranted(Exception):
    """A token request that is refused: status and hint (kommo.md 2.4)."""

    def __init__(self, status: int, hint: str) -> None:
        super().__init__(status, hint)
        self.status, self.hint = status, hint


@dataclass(slots=True)
class Integration:
    """As it is registered. `uninstall_url`: where Kommo tells that access was revoked; "" for nowhere (kommo.md 2.6)."""

    client_id: str
    secret: str
    name: str
    redirect_uri: str = ""
    uninstall_url: str = ""
    scopes: tuple[str, ...] = ALL_SCOPES
    is_installed: bool = False

    def uninstall_address(self, account_id: int) -> str:
        """Signed with the secret over "client_uuid|account_id" (kommo.md 2.6)."""
        signature = sign_uninstall(self.secret, self.client_id, account_id)
        asked = f"client_uuid={self.client_id}&account_id={account_id}&signature={signature}"
        return f"{self.uninstall_url}{'&' if '?' in self.uninstall_url else '?'}{asked}"


def sign_uninstall(secret: str, client_id: str, account_id: int) -> str:
    return hmac.new(secret.encode(), f"{client_id}|{account_id}".encode(), hashlib.sha256).hexdigest()


@dataclass(slots=True)
class Code:
    value: str
    client_id: str
    user_id: int
    scopes: tuple[str, ...]
    dies_at: float  # ticks
    is_used: bool = False


@dataclass(slots=True)
class RefreshToken:
    """`born_of`: the refresh token that it replaced, which lives until this one or its access token is used (kommo.md 2.3)."""

    value: str
    client_id: str
    user_id: int
    scopes: tuple[str, ...]
    dies_at: float  # ticks
    born_of: str = ""
    uses: int = 0
    is_dead: bool = False  # spent for good, or revoked


@dataclass(frozen=True, slots=True)
class Given:
    access: Grant
    refresh: str
    life_s: int


@dataclass(slots=True)
class Asked:
    """The body of a token request; unknown fields are passed over."""

    grant_type: str
    client_id: str
    secret: str
    redirect_uri: str
    spent: str

    @staticmethod
    def of(sent: Mapping[str, Any]) -> "Asked":
        fields = {name: str(value) for name, value in sent.items()}
        kind = fields.get("grant_type", "")
        spent = fields.get("code" if kind == "authorization_code" else "refresh_token", "")
        return Asked(
            kind, fields.get("client_id", ""), fields.get("client_secret", ""), fields.get("redirect_uri", ""), spent
        )


class Grants:
    """Not safe by itself: the state's lock guards it."""

    def __init__(self, clock: Clock, tokens: Tokens, switches: Mapping[str, Any]) -> None:
        self._clock = clock
        self._tokens = tokens
        self._switches = switches
        self._codes: dict[str, Code] = {}
        self._refresh: dict[str, RefreshToken] = {}
        self.integrations: dict[str, Integration] = {}
        self.requests: deque[TokenRequest] = deque(maxlen=KEPT)

    def consent(self, integration: Integration, user_id: int) -> Code:
        """An admin has said yes: the code for it, good for 20 minutes, once."""
        integration.is_installed = True
        dies_at = self._clock.ticks() + max(self._clock.lasts(CODE_LIFE_S), SHORTEST_CODE_S)
        code = Code(_opaque(CODE_BYTES), integration.client_id, user_id, integration.scopes, dies_at)
        self._codes[code.value] = code
        return code

    def give(self, asked: Asked, account_id: int | None) -> Given:
        """Tokens for a code or a refresh token; `account_id` is the host's, None for one that is no account's. Raises Ungranted."""
        try:
            given = self._give(asked, account_id)
        except Ungranted as refusal:
            self._note(asked, refusal.hint)
            raise
        self._note(asked, "")
        return given

    def _give(self, asked: Asked, account_id: int | None) -> Given:
        integration = self._integration(asked)
        if account_id is None:
            raise Ungranted(400, "Invalid account")
        if asked.grant_type == "authorization_code":
            code = self._code(asked.spent, integration)
            code.is_used = True
            return self._pair(code.client_id, code.user_id, code.scopes, account_id)
        if asked.grant_type == "refresh_token":
            old = self._alive(asked.spent, integration)
            old.uses += 1
            self.used(old.born_of)
            if self._switches["refresh_rotation"] == "strict":
                old.is_dead = True
            return self._pair(old.client_id, old.user_id, old.scopes, account_id, born_of=old.value)
        raise Ungranted(400, "Check the `grant_type` parameter")

    def _integration(self, asked: Asked) -> Integration:
        found = self.integrations.get(asked.client_id)
        if found is None:
            raise Ungranted(400, "Check the `client_id` parameter")
        if not hmac.compare_digest(found.secret.encode(), asked.secret.encode()):
            raise Ungranted(400, "Check the `client_secret` parameter")
        if not found.redirect_uri or asked.redirect_uri != found.redirect_uri:
            raise Ungranted(400, "Redirect URI is not associated with client")
        return found

    def _code(self, value: str, integration: Integration) -> Code:
        code = self._codes.get(value)
        if code is None or code.client_id != integration.client_id:
            raise Ungranted(400, "Cannot decrypt the authorization code")
        if code.is_used:
            raise Ungranted(400, "Authorization code has been revoked")
        if self._clock.ticks() >= code.dies_at:
            raise Ungranted(400, "Authorization code has expired")
        return code

    def _alive(self, value: str, integration: Integration) -> RefreshToken:
        found = self._refresh.get(value)
        if found is None or found.client_id != integration.client_id:
            raise Ungranted(400, "Invalid refresh token")
        if found.is_dead:
            raise Ungranted(int(self._switches["spent_refresh_status"]), "Token has been revoked")
        if self._clock.ticks() >= found.dies_at:
            raise Ungranted(401, "Token has expired")
        return found

    def _pair(
        self, client_id: str, user_id: int, scopes: tuple[str, ...], account_id: int, *, born_of: str = ""
    ) -> Given:
        access = self._tokens.issue(
            account_id=account_id,
            user_id=user_id,
            client_uuid=client_id,
            scopes=scopes,
            life_s=ACCESS_LIFE_S,
            least_s=SHORTEST_S,
            by_consent=True,
            born_of=born_of,
        )
        dies_at = self._clock.ticks() + self._clock.lasts(REFRESH_LIFE_S)
        refresh = RefreshToken(_opaque(REFRESH_BYTES), client_id, user_id, scopes, dies_at, born_of)
        self._refresh[refresh.value] = refresh
        return Given(access, refresh.value, int(max(self._clock.lasts(ACCESS_LIFE_S), SHORTEST_S)))

    # --- ends ---

    def used(self, refresh: str) -> None:
        """What it brought has been used: from now on it is dead, and all that it had replaced."""
        while refresh and not (found := self._refresh[refresh]).is_dead:
            found.is_dead = True
            refresh = found.born_of

    def find(self, refresh: str) -> RefreshToken | None:
        """One that would still be taken."""
        found = self._refresh.get(refresh)
        return None if found is None or found.is_dead or self._clock.ticks() >= found.dies_at else found

    def revoke(self, client_id: str) -> int:
        """All that people granted the integration: codes, refresh tokens, access tokens. How many refresh tokens that were."""
        dying = [one for one in self._of(client_id) if not one.is_dead]
        for one in dying:
            one.is_dead = True
        for code in self._codes.values():
            code.is_used = code.is_used or code.client_id == client_id
        self._tokens.end_consents(client_id, expire=False)
        return len(dying)

    def uninstall(self, client_id: str) -> int:
        """As `revoke`, and the integration's long-lived tokens too."""
        self.integrations[client_id].is_installed = False
        self._tokens.end_integration(client_id)
        return self.revoke(client_id)

    def age(self, client_id: str) -> int:
        """As if three months had gone by unused."""
        dying = [one for one in self._of(client_id) if self.find(one.value)]
        for one in dying:
            one.dies_at = 0.0
        return len(dying)

    def _of(self, client_id: str) -> list[RefreshToken]:
        return [one for one in self._refresh.values() if one.client_id == client_id]

    # --- books ---

    def _note(self, asked: Asked, hint: str) -> None:
        self.requests.append(TokenRequest(self._clock.now(), asked.client_id, asked.grant_type, asked.spent, hint))

    def shown(self) -> list[dict[str, Any]]:
        """Every refresh token since the start. `state`: fresh, spent (good until the new pair is used), dead."""
        return [
            {
                "token": one.value,
                "client_id": one.client_id,
                "user": one.user_id,
                "uses": one.uses,
                "state": "dead" if not self.find(one.value) else "spent" if one.uses else "fresh",
            }
            for one in self._refresh.values()
        ]

    def secrets(self) -> list[str]:
        """All that must be in no log."""
        return [*(one.secret for one in self.integrations.values()), *self._codes, *self._refresh]


def _opaque(size: int) -> str:
    return HEAD + secrets.token_hex(size)
