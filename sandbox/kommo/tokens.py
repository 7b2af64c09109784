"""Long-lived tokens (kommo.md 1.3): static, with an expiry, revocable. Consent and rotation would issue theirs here too."""

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
    token: str
    user_id: int
    client_uuid: str
    scopes: frozenset[str]
    expires_at: float  # on the sandbox's clock, Unix seconds
    revoked: bool = False


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
    ) -> Grant:
        """`life_s` is in the vendor's time; the token's `exp` says when it really ends here."""
        now = self._clock.stamp()
        expires_at = now + self._clock.lasts(life_s)
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
        grant = Grant(_jwt(claims), user_id, client_uuid, frozenset(scopes), expires_at)
        self._grants[grant.token] = grant
        return grant

    def find(self, token: str) -> Grant | None:
        """The grant that lets in, None for expired, revoked and unknown ones alike."""
        grant = self._grants.get(token)
        if grant is None or grant.revoked or self._clock.stamp() >= grant.expires_at:
            return None
        return grant

    def end(self, token: str | None, *, expire: bool) -> int:
        """Expires or revokes one token, or all; says how many."""
        those = [grant for grant in self._grants.values() if token in (None, grant.token)]
        for grant in those:
            if expire:
                grant.expires_at = self._clock.stamp()
            else:
                grant.revoked = True
        return len(those)


def _jwt(claims: dict[str, Any]) -> str:
    """Shaped and as long as a real one; nobody but the vendor can check its signature."""
    head = {"typ": "JWT", "alg": "RS256"}
    return ".".join([_part(json.dumps(head).encode()), _part(json.dumps(claims).encode()), _part(bytes(range(256)))])


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
