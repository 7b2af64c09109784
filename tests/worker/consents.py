"""Consent as a person gives it in a browser, at the sandbox: the page is opened, somebody and some place are chosen, and "allow" is pressed."""

from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from integrations import oauth
from integrations.oauth import Client, TokenSet
from stack.sandbox import Sandbox
from worker import grants
from worker.workshop import Workshop

VENDORS = ("kommo", "xero")
TOKEN_CALL = {"kommo": "POST /oauth2/access_token", "xero": "POST /connect/token"}


class Choices(HTMLParser):
    """The first choice of each kind on a consent page."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") == "radio":
            self.first.setdefault(given.get("name") or "", given.get("value") or "")


def client(sandbox: Sandbox, vendor: str) -> Client:
    """The app that people connect."""
    name = "kommo_client" if vendor == "kommo" else "xero_app_client"
    return Client(sandbox.ready[f"{name}_id"], sandbox.ready[f"{name}_secret"])


def allow(workshop: Workshop, sandbox: Sandbox, vendor: str, **chosen: str) -> dict[str, str]:
    """What the vendor sends the person's browser back with."""
    app, settings = client(sandbox, vendor), workshop.settings
    if vendor == "kommo":
        address = oauth.kommo_consent(sandbox.ready["kommo_oauth_url"], app.client_id, state="s")
    else:
        redirect, scopes = settings.redirect_url("xero"), oauth.xero_scopes(broad=settings.xero_broad_scopes)
        address = oauth.xero_consent(sandbox.ready["xero_login_url"], app.client_id, redirect, scopes, state="s")
    with requests.Session() as browser:
        page = browser.get(address, timeout=10)
        assert page.ok, page.text
        choices = Choices()
        choices.feed(page.text)
        form = choices.first | {"answer": "allow"} | chosen
        answer = browser.post(address, data=form, allow_redirects=False, timeout=10)
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def tokens_for(workshop: Workshop, sandbox: Sandbox, vendor: str, **chosen: str) -> TokenSet:
    """The tokens of a new consent."""
    code, app, settings = allow(workshop, sandbox, vendor, **chosen)["code"], client(sandbox, vendor), workshop.settings
    redirect = settings.redirect_url("kommo" if vendor == "kommo" else "xero")
    if vendor == "kommo":
        return oauth.kommo_code(settings.kommo_base("acme"), app, code, redirect, now=workshop.now())
    return oauth.xero_code(settings.xero_identity_url, app, code, redirect, now=workshop.now())


def consent(workshop: Workshop, sandbox: Sandbox, vendor: str, *connections: str, **chosen: str) -> TokenSet:
    """A consent, kept for these connections as the console does."""
    token, app = tokens_for(workshop, sandbox, vendor, **chosen), client(sandbox, vendor)
    said = oauth.claims(token.access_token)
    with workshop.database.begin() as session:
        grants.store_consent(
            session, workshop.vault, vendor=vendor, connections=list(connections or ("demo",)),
            who=str(said["account_id"] if vendor == "kommo" else said["xero_userid"]), token=token,
            client_id=app.client_id, client_secret=app.client_secret, now=workshop.now(),
            subdomain="acme" if vendor == "kommo" else None,
        )  # fmt: skip
    return token


def requests_for_tokens(sandbox: Sandbox, vendor: str, kind: str = "refresh_token") -> list[dict[str, Any]]:
    """What the vendor's token endpoint was asked, in order; `error` is empty where tokens were given."""
    return [one for one in sandbox.books()[vendor]["token_requests"] if one["grant_type"] == kind]
