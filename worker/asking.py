"""Asking for tokens: which request a grant needs, by its vendor and its kind; and following a Kommo account that got another subdomain."""

import re
from dataclasses import replace
from datetime import datetime

from integrations import oauth
from integrations.errors import CallError, Missing, Unauthorised
from integrations.oauth import Client, TokenSet
from worker.grants import Credentials
from worker.settings import Settings

# The only hosts that are shown a token (kommo.md 1.1).
_API_DOMAIN = re.compile(r"([a-z0-9-]+)\.(?:kommo|amocrm)\.com")

# What a token endpoint says of an account that is not at this subdomain (kommo.md 2.4).
ELSEWHERE = "Invalid account"


def ask(settings: Settings, vendor: str, credentials: Credentials, *, now: datetime) -> TokenSet:
    """New tokens for the grant that these credentials belong to."""
    if vendor == "kommo":
        return _ask_kommo(settings, credentials, now)
    if credentials.refresh_token is None:
        url = settings.xero_identity_url
        return oauth.client_credentials(url, credentials.client_id, credentials.client_secret, now=now)
    return oauth.xero_refresh(settings.xero_identity_url, _client(credentials), credentials.refresh_token, now=now)


def shared_host(api_domain: object) -> str | None:
    """The subdomain of the host that answers wherever an account is now, if what a token says of it is a host of Kommo's (kommo.md 1.1)."""
    found = _API_DOMAIN.fullmatch(str(api_domain or ""))
    return found[1] if found else None


def new_subdomain(settings: Settings, credentials: Credentials) -> str | None:
    """Where the account is now, if it is not where it was (kommo.md 1.2); None where it is, or nobody knows."""
    host = shared_host(credentials.api_domain)
    if host is None or credentials.refresh_token is None:
        return None
    subdomain = oauth.kommo_subdomain(settings.kommo_base(host), credentials.refresh_token)
    return None if subdomain == credentials.subdomain else subdomain


def _ask_kommo(settings: Settings, credentials: Credentials, now: datetime) -> TokenSet:
    try:
        return _refresh(settings, credentials, now)
    except (Missing, Unauthorised) as error:
        subdomain = new_subdomain(settings, credentials) if _may_have_moved(error) else None
        if subdomain is None:
            raise
    return replace(_refresh(settings, replace(credentials, subdomain=subdomain), now), subdomain=subdomain)


def _may_have_moved(error: CallError) -> bool:
    return error.status in {401, 404} or error.detail == ELSEWHERE


def _refresh(settings: Settings, credentials: Credentials, now: datetime) -> TokenSet:
    base_url = settings.kommo_base(credentials.subdomain or "")
    redirect_uri = settings.redirect_url("kommo")
    return oauth.kommo_refresh(base_url, _client(credentials), credentials.refresh_token or "", redirect_uri, now=now)


def _client(credentials: Credentials) -> Client:
    return Client(credentials.client_id, credentials.client_secret)
