"""Token requests, by the book (Authlib), and when a token runs out.

Used for the request only: who renews a token, and where it is kept, is the worker's to say. Authlib's own renewal has no lock.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from integrations.errors import Broken, CallError, RateLimited, Refusal, Rejected, Unauthorised, Unreachable
from integrations.line import is_loopback, never_left

# What a custom connection needs (xero.md 1.8): invoices, their contacts, and reading currencies, accounts and tax rates.
XERO_SCOPES = ("accounting.invoices", "accounting.contacts", "accounting.settings.read")

TIMEOUTS = (5.0, 30.0)
CALL = "POST /connect/token"
# Where a token endpoint is too busy and does not say for how long.
UNSAID = 30.0

REASONS = {
    "invalid_grant": Refusal.REVOKED,
    "invalid_client": Refusal.REVOKED,
    "unauthorized_client": Refusal.REVOKED,
    "access_denied": Refusal.REVOKED,
    "invalid_scope": Refusal.SCOPE,
}
PASSING = frozenset({"server_error", "temporarily_unavailable"})


@dataclass(frozen=True, slots=True)
class TokenSet:
    """Tokens that were given. Access tokens have several thousand characters."""

    access_token: str
    expires_at: datetime
    refresh_token: str | None = None
    scopes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"TokenSet(expires_at={self.expires_at.isoformat()}, scopes={self.scopes})"  # never the tokens


def client_credentials(
    identity_url: str,
    client_id: str,
    client_secret: str,
    *,
    now: datetime,
    scopes: Iterable[str] = XERO_SCOPES,
    timeouts: tuple[float, float] = TIMEOUTS,
) -> TokenSet:
    """A token for a Xero custom connection: no refresh token, one just asks again (xero.md 1.7).

    Unauthorised where a person must mend the id, the secret or the scopes; asking twice is harmless, so nothing is unknown.
    """
    url = f"{identity_url.rstrip('/')}/connect/token"
    with OAuth2Session(client_id, client_secret, scope=" ".join(scopes), default_timeout=timeouts) as session:
        session.trust_env = not is_loopback(url)
        try:
            said = session.fetch_token(url, grant_type="client_credentials", allow_redirects=False)
        except OAuthError as error:
            raise _refusal(error) from error
        except requests.HTTPError as error:
            raise _failure(error.response) from error
        except requests.RequestException as error:
            detail = "not connected" if never_left(error) else "no answer"
            raise Unreachable("xero", CALL, f"{detail}: {type(error).__name__}") from error
        except ValueError as error:
            raise Broken("xero", CALL, "no JSON where a token was due") from error
    return parse_tokens(said, now=now)


def parse_tokens(said: Any, *, now: datetime) -> TokenSet:
    """The tokens of an answer (xero.md 1.2). Rejected where it holds none."""
    if not said.get("access_token"):
        raise Rejected("xero", CALL, str(said.get("hint") or said.get("title") or "an answer without a token"))
    return TokenSet(
        access_token=str(said["access_token"]),
        expires_at=now + timedelta(seconds=int(said.get("expires_in") or 0)),
        refresh_token=said.get("refresh_token"),
        scopes=tuple(str(said.get("scope") or "").split()),
    )


def _refusal(error: OAuthError) -> CallError:
    """Terminal or a matter of configuration, in both cases a person's move (xero.md 1.4); a description may be absent."""
    detail = f"{error.error}: {error.description}" if error.description else str(error.error)
    if reason := REASONS.get(str(error.error)):
        return Unauthorised("xero", CALL, detail, reason=reason)
    if error.error in PASSING:
        return Broken("xero", CALL, detail)
    return Rejected("xero", CALL, detail)


def _failure(response: requests.Response) -> CallError:
    """No word of the token endpoint's own: passing trouble, and never taken for a disconnection (xero.md 1.4)."""
    if response.status_code == 429:
        said = response.headers.get("Retry-After", "")
        wait = float(said) if said.isdecimal() else UNSAID
        return RateLimited("xero", CALL, "too many token requests", retry_after=wait, status=429)
    return Broken("xero", CALL, "no token", status=response.status_code)


def expiry(token: str) -> datetime | None:
    """When a token runs out by its own word (`exp` of a JWT), as Kommo's long-lived ones do (kommo.md 1.3); None if it has none.

    Its signature is the vendor's to check.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return datetime.fromtimestamp(int(claims["exp"]), UTC)
    except (LookupError, TypeError, ValueError, OverflowError, OSError):
        return None
