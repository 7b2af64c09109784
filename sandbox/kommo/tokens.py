"""Access tokens (kommo.md 1.3, 2): long-lived ones, static and with an expiry, and those of a consent, which last a day."""

import base64
import json
import uuid
from dataclasses import dataclass
from typing import Any

from sandbox.kit import Clock

ALL_SCOPES = ("crm", "files", "files_delete", "notifications", "push_notifications")
FIVE_YEARS_S = 5 * 365 * 86400


@dataclass(slots=True)
class Grant:
    """`born_of`: the refresh token that brought it; using it ends that one (kommo.md 2.3). `by_consent`: not a long-lived one."""

    token: str
    user_id: int
    client_uuid: str
    scopes: frozenset[str]
    expires_at: float  # on the sandbox's clock, Unix seconds
    revoked: bool = False
    by_consent: bool = False
    born_of: str = ""


class Tokens:
    """All tokens of the account. The caller holds the state's lock where it changes any."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._grants: dict[str, Grant] = {}

    def issue(
        self,
        *,
        account_id: int,
        user_id: int,
        client_uuid: str,
        scopes: tuple[str, ...] = ALL_SCOPES,
        life_s: float = FIVE_YEARS_S,
        least_s: float = 0.0,
        by_consent: bool = False,
        born_of: str = "",
    ) -> Grant:
        """`life_s` is in the vendor's time, and at least `least_s` here; the token's `exp` says when it really ends here."""
        moment = self._clock.now().timestamp()
        now = int(moment)
        expires_at = moment + max(self._clock.lasts(life_s), least_s)
        claims = {
            "aud": client_uuid,
            "jti": uuid.uuid4().hex * 2,
            "iat": now,
            "nbf": now,
            "exp": int(expires_at),
            "sub": str(user_id),
            "grant_type": "",
            "account_id": account_id,
            "base_domain": "kommo.com",
            "version": 2,
            "scopes": list(scopes),
            "hash_uuid": str(uuid.uuid4()),
            "api_domain": "api-g.kommo.com",
        }
        grant = Grant(_jwt(claims), user_id, client_uuid, frozenset(scopes), expires_at, False, by_consent, born_of)
        self._grants[grant.token] = grant
        return grant

    def find(self, token: str) -> Grant | None:
        """The grant that lets in, None for expired, revoked and unknown ones alike."""
        grant = self._grants.get(token)
        if grant is None or grant.revoked or self._clock.now().timestamp() >= grant.expires_at:
            return None
        return grant

    def end(self, token: str | None, *, expire: bool) -> int:
        """Expires or revokes one token, or all; says how many."""
        return self._end([grant for grant in self._grants.values() if token in (None, grant.token)], expire=expire)

    def end_consents(self, client_uuid: str, *, expire: bool) -> int:
        """All access tokens that came of consents to an integration."""
        those = [one for one in self._grants.values() if one.by_consent and one.client_uuid == client_uuid]
        return self._end(those, expire=expire)

    def end_integration(self, client_uuid: str) -> int:
        """All of an integration's, long-lived ones too: it is not there any more."""
        return self._end([one for one in self._grants.values() if one.client_uuid == client_uuid], expire=False)

    def _end(self, those: list[Grant], *, expire: bool) -> int:
        now = self._clock.now().timestamp()
        ending = [grant for grant in those if not grant.revoked and now < grant.expires_at]
        for grant in those:
            if expire:
                grant.expires_at = min(now, grant.expires_at)
            else:
                grant.revoked = True
        return len(ending)

    def values(self) -> list[str]:
        return list(self._grants)


def _jwt(claims: dict[str, Any]) -> str:
    """Shaped and as long as a real one; nobody but the vendor can check its signature."""
    head = {"typ": "JWT", "alg": "RS256"}
    return ".".join([_part(json.dumps(head).encode()), _part(json.dumps(claims).encode()), _part(bytes(range(256)))])


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
