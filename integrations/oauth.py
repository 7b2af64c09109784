"""Consent and token requests, by the book (Authlib), and when a token runs out.

Used for the request only: who renews a token, and where it is kept, is the worker's to say. Authlib's own renewal has no lock.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from integrations.errors import Broken, CallError, Missing, RateLimited, Refusal, Rejected, Unauthorised, Unreachable
from integrations.line import is_loopback, never_left

# What a custom connection needs (xero.md 1.8): invoices, their contacts, and reading currencies, accounts and tax rates.
XERO_SCOPES = ("accounting.invoices", "accounting.contacts", "accounting.settings.read")

# What a person consents to (xero.md 1.8): the same, to go on without that person, payments, and the PDF on the invoice.
XERO_CONSENT_SCOPES = (
    "offline_access", "accounting.invoices", "accounting.contacts", "accounting.settings.read", "accounting.payments.read",
    "accounting.attachments",
)  # fmt: skip

# The same for apps made before 2 March 2026, which may use the broad ones until September 2027 (xero.md 1.8).
XERO_BROAD_CONSENT_SCOPES = (
    "offline_access", "accounting.transactions", "accounting.contacts", "accounting.settings.read", "accounting.attachments",
)  # fmt: skip

TIMEOUTS = (5.0, 30.0)
# Whoever renews keeps all others waiting, and asks once more where no answer came: identity hosts answer within a second or two.
RENEWAL_TIMEOUTS = (5.0, 10.0)
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
# What tells a lost answer, which may have been a new pair, from a request that never left.
NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class Client:
    """Our app at a vendor: its id, and the secret that proves that it is us."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenSet:
    """Tokens that were given. Access tokens have several thousand characters.

    `subdomain` is where a Kommo account is now, where it was found to have moved.
    """

    access_token: str
    expires_at: datetime
    refresh_token: str | None = None
    scopes: tuple[str, ...] = ()
    subdomain: str | None = None

    def __repr__(self) -> str:
        return f"TokenSet(expires_at={self.expires_at.isoformat()}, scopes={self.scopes})"  # never the tokens


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a vendor gives tokens, and how it wants to see who asks."""

    vendor: str
    base_url: str
    path: str
    method: str

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self.base_url.rstrip('/')}{self.path}"

    @property
    def call(self) -> str:
        """Its name in errors."""
        return f"POST {self.path}"


def _xero(identity_url: str) -> Endpoint:
    return Endpoint("xero", identity_url, "/connect/token", "client_secret_basic")


def _kommo(base_url: str) -> Endpoint:
    """The account's own host; it takes forms as well as JSON (kommo.md 2.2)."""
    return Endpoint("kommo", base_url, "/oauth2/access_token", "client_secret_post")


def kommo_consent(oauth_url: str, client_id: str, *, state: str) -> str:
    """The address where a person lets us into a Kommo account (kommo.md 2.1); the integration knows where to send them back to."""
    return f"{oauth_url}?{urlencode({'client_id': client_id, 'state': state, 'mode': 'popup'})}"


def xero_scopes(*, broad: bool) -> tuple[str, ...]:
    """What a person is asked to consent to at Xero: the broad scopes only for an app that is old enough (XERO_BROAD_SCOPES)."""
    return XERO_BROAD_CONSENT_SCOPES if broad else XERO_CONSENT_SCOPES


def xero_consent(login_url: str, client_id: str, redirect_uri: str, scopes: Iterable[str], *, state: str) -> str:
    """The address where a person lets us into Xero organisations (xero.md 1.1)."""
    asked = {
        "response_type": "code", "client_id": client_id, "redirect_uri": redirect_uri, "scope": " ".join(scopes), "state": state,
    }  # fmt: skip
    return f"{login_url.rstrip('/')}/identity/connect/authorize?{urlencode(asked)}"


def kommo_code(
    base_url: str,
    client: Client,
    code: str,
    redirect_uri: str,
    *,
    now: datetime,
    timeouts: tuple[float, float] = TIMEOUTS,
) -> TokenSet:
    """The tokens for a consent's code, which holds for 20 minutes and once (kommo.md 2.1, 2.2), from the account's own host.

    Unauthorised where the code, the client or the redirect address is refused; its detail is Kommo's `hint`. Our secret goes to
    `base_url`: whoever calls has made sure that it is a host of Kommo's.
    """
    return _ask(
        _kommo(base_url), client, {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri},
        now=now, timeouts=timeouts,
    )  # fmt: skip


def kommo_refresh(
    base_url: str,
    client: Client,
    refresh_token: str,
    redirect_uri: str,
    *,
    now: datetime,
    timeouts: tuple[float, float] = RENEWAL_TIMEOUTS,
) -> TokenSet:
    """A new pair for the old one; `redirect_uri` must be the registered one here too (kommo.md 2.3).

    The old pair works until the new one is first used. Missing, or Unauthorised, where the account has moved to another host (1.2).
    """
    asked = {"grant_type": "refresh_token", "refresh_token": refresh_token, "redirect_uri": redirect_uri}
    return _ask(_kommo(base_url), client, asked, now=now, timeouts=timeouts)


def xero_code(
    identity_url: str,
    client: Client,
    code: str,
    redirect_uri: str,
    *,
    now: datetime,
    timeouts: tuple[float, float] = TIMEOUTS,
) -> TokenSet:
    """The tokens for a consent's code, which holds for 5 minutes and once (xero.md 1.2, 1.3).

    Unauthorised where a person must consent again (`invalid_grant`), or mend the app's id, secret or redirect address.
    """
    asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    return _ask(_xero(identity_url), client, asked, now=now, timeouts=timeouts)


def xero_refresh(
    identity_url: str,
    client: Client,
    refresh_token: str,
    *,
    now: datetime,
    timeouts: tuple[float, float] = RENEWAL_TIMEOUTS,
) -> TokenSet:
    """A new pair for the old one, which still works for 30 minutes in case this answer is lost (xero.md 1.3)."""
    asked = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return _ask(_xero(identity_url), client, asked, now=now, timeouts=timeouts)


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
    asked = {"grant_type": "client_credentials", "scope": " ".join(scopes)}
    return _ask(_xero(identity_url), Client(client_id, client_secret), asked, now=now, timeouts=timeouts)


def kommo_subdomain(
    base_url: str, refresh_token: str, *, timeouts: tuple[float, float] = RENEWAL_TIMEOUTS
) -> str | None:
    """The present subdomain of the account that the refresh token is for, from the shared API host (kommo.md 1.2).

    None where the host does not know it; Unreachable or Broken where it does not say. The token is not spent.
    """
    path = "/oauth2/account/current/subdomain"
    url, call = f"{base_url.rstrip('/')}{path}", f"GET {path}"
    with requests.Session() as session:
        session.trust_env = not is_loopback(url)
        try:
            answer = session.get(
                url, headers={"X-Refresh-Token": refresh_token}, timeout=timeouts, allow_redirects=False
            )
            if 400 <= answer.status_code < 500:
                return None
            said = answer.json().get("subdomain") if answer.ok else ""
        except requests.JSONDecodeError:
            said = ""
        except requests.RequestException as error:
            raise Unreachable("kommo", call, type(error).__name__) from None
    if not re.fullmatch(r"[a-z0-9-]{1,63}", str(said).lower()):
        raise Broken("kommo", call, "no subdomain where one was due", status=answer.status_code)
    return str(said).lower()


def _ask(
    endpoint: Endpoint, client: Client, asked: Mapping[str, str], *, now: datetime, timeouts: tuple[float, float]
) -> TokenSet:
    call = endpoint.call
    with OAuth2Session(
        client.client_id, client.client_secret, token_endpoint_auth_method=endpoint.method, default_timeout=timeouts
    ) as session:
        session.trust_env = not is_loopback(endpoint.url)
        session.register_compliance_hook("access_token_response", _judge(endpoint))
        try:
            said = session.fetch_token(endpoint.url, allow_redirects=False, **asked)
        except OAuthError as error:
            raise _refusal(endpoint, error) from error
        except requests.HTTPError as error:
            raise _failure(endpoint, error.response) from error
        except requests.RequestException as error:
            detail = "not connected" if never_left(error) else NO_ANSWER
            raise Unreachable(endpoint.vendor, call, f"{detail}: {type(error).__name__}") from None
        except ValueError as error:
            raise Broken(endpoint.vendor, call, "no JSON where a token was due") from error
    return parse_tokens(said, now=now, endpoint=endpoint)


def is_lost(error: CallError) -> bool:
    """Whether tokens may have been given that we never saw: no answer, or one that can't be read."""
    return isinstance(error, Broken) or (isinstance(error, Unreachable) and error.detail.startswith(NO_ANSWER))


def parse_tokens(said: Any, *, now: datetime, endpoint: Endpoint | None = None) -> TokenSet:
    """The tokens of an answer (xero.md 1.2, kommo.md 2.2). Rejected where it holds none."""
    endpoint = endpoint or _xero("")
    if not said.get("access_token"):
        detail = str(said.get("hint") or said.get("title") or "an answer without a token")
        raise Rejected(endpoint.vendor, endpoint.call, detail)
    return TokenSet(
        access_token=str(said["access_token"]),
        expires_at=now + timedelta(seconds=int(said.get("expires_in") or 0)),
        refresh_token=said.get("refresh_token"),
        scopes=tuple(str(said.get("scope") or "").split()),
    )


def _judge(endpoint: Endpoint) -> Callable[[requests.Response], requests.Response]:
    """Kommo's refusals are no OAuth errors: they have a status and a hint (kommo.md 2.4)."""

    def judge(response: requests.Response) -> requests.Response:
        if endpoint.vendor == "kommo" and 400 <= response.status_code < 500:
            raise _kommo_refusal(endpoint, response)
        return response

    return judge


def _kommo_refusal(endpoint: Endpoint, response: requests.Response) -> CallError:
    """What a person must mend: the code, the token, the id, the secret, the redirect address; 403 is a page, and a block (kommo.md 2.4)."""
    status = response.status_code
    try:
        said = response.json()
        detail = str(said.get("hint") or said.get("title") or "")
    except (ValueError, AttributeError):
        detail = response.headers.get("Content-Type", "").partition(";")[0] or "no body"
    if status in {400, 401}:
        return Unauthorised(endpoint.vendor, endpoint.call, detail, reason=Refusal.REVOKED, status=status)
    if status == 403:
        return Unauthorised(endpoint.vendor, endpoint.call, detail, reason=Refusal.BLOCKED, status=status)
    if status == 404:
        return Missing(endpoint.vendor, endpoint.call, detail, status=status)
    return _failure(endpoint, response)


def _refusal(endpoint: Endpoint, error: OAuthError) -> CallError:
    """Terminal or a matter of configuration, in both cases a person's move (xero.md 1.4); a description may be absent."""
    detail = f"{error.error}: {error.description}" if error.description else str(error.error)
    if reason := REASONS.get(str(error.error)):
        return Unauthorised(endpoint.vendor, endpoint.call, detail, reason=reason)
    if error.error in PASSING:
        return Broken(endpoint.vendor, endpoint.call, detail)
    return Rejected(endpoint.vendor, endpoint.call, detail)


def _failure(endpoint: Endpoint, response: requests.Response) -> CallError:
    """No word of the token endpoint's own: passing trouble, and never taken for a disconnection (xero.md 1.4)."""
    if response.status_code == 429:
        said = response.headers.get("Retry-After", "")
        wait = float(said) if said.isdecimal() else UNSAID
        return RateLimited(endpoint.vendor, endpoint.call, "too many token requests", retry_after=wait, status=429)
    return Broken(endpoint.vendor, endpoint.call, "no token", status=response.status_code)


def claims(token: str) -> Mapping[str, Any]:
    """What a token says of itself (the payload of a JWT); nothing where it is none. Its signature is the vendor's to check."""
    try:
        payload = token.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (LookupError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def authentication_event_id(token: str) -> str | None:
    """Which consent a Xero access token comes from: `authEventId` of /connections (xero.md 1.2, 1.5)."""
    said = claims(token).get("authentication_event_id")
    return str(said) if said else None


def expiry(token: str) -> datetime | None:
    """When a token runs out by its own word (`exp` of a JWT), as Kommo's long-lived ones do (kommo.md 1.3); None if it has none."""
    try:
        return datetime.fromtimestamp(int(claims(token)["exp"]), UTC)
    except (LookupError, TypeError, ValueError, OverflowError, OSError):
        return None
