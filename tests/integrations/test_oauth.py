"""Token requests, and when tokens run out."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from integrations import oauth
from integrations.errors import Broken, RateLimited, Refusal, Rejected, Unauthorised, Unreachable
from integrations.oauth import client_credentials, expiry
from tests.integrations.vendor import Reply, Vendor, empty, page, said

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def request(url: str, **more):
    return client_credentials(f"{url}/", "the-id", "the-secret", now=NOW, **more)


def test_a_token_is_asked_for_by_the_book(vendor: Vendor):
    vendor.will(
        said(
            {
                "access_token": "eyJ",
                "expires_in": 1800,
                "token_type": "Bearer",
                "scope": "accounting.invoices accounting.contacts",
            },
            Set_Cookie="bm_sz=1",
        )
    )
    tokens = request(vendor.url)
    assert (tokens.access_token, tokens.refresh_token) == ("eyJ", None)
    assert tokens.expires_at == NOW + timedelta(minutes=30)
    assert tokens.scopes == ("accounting.invoices", "accounting.contacts")
    assert "eyJ" not in repr(tokens)
    assert (vendor.last.method, vendor.last.path) == ("POST", "/connect/token")
    assert vendor.last.headers["Authorization"] == "Basic " + base64.b64encode(b"the-id:the-secret").decode()
    assert b"grant_type=client_credentials" in vendor.last.body
    assert b"scope=accounting.invoices+accounting.contacts+accounting.settings.read" in vendor.last.body


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("invalid_grant", Refusal.REVOKED),
        ("invalid_client", Refusal.REVOKED),
        ("unauthorized_client", Refusal.REVOKED),
        ("invalid_scope", Refusal.SCOPE),
    ],
)
def test_what_a_person_must_mend(vendor: Vendor, error: str, reason: Refusal):
    vendor.will(said({"error": error}, 400))
    with pytest.raises(Unauthorised, match=error) as refused:
        request(vendor.url)
    assert refused.value.reason is reason


def test_another_refusal_is_rejected_with_its_description(vendor: Vendor):
    vendor.will(said({"error": "invalid_request", "error_description": "no grant"}, 400), said({"hint": "No"}, 400))
    with pytest.raises(Rejected, match="invalid_request: no grant"):
        request(vendor.url)
    with pytest.raises(Rejected, match="No"):
        request(vendor.url)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (page("<html>502</html>", 502), Broken),
        (said({"error": "server_error"}, 400), Broken),
        (page("<html>hello</html>", 200), Broken),
        (empty(302, Location="http://127.0.0.1:1/"), Broken),
        (page("<html>busy</html>", 429, Retry_After="7"), RateLimited),
        (page("<html>busy</html>", 429), RateLimited),
        (Reply(act="reset"), Unreachable),
        (Reply(act="silence"), Unreachable),
    ],
)
def test_passing_trouble_is_never_a_disconnection(vendor: Vendor, reply: Reply, error):
    vendor.will(reply)
    with pytest.raises(error):
        request(vendor.url, timeouts=(1.0, 0.3))
    assert len(vendor.seen) == 1


def test_how_long_to_wait_is_said_or_guessed(vendor: Vendor):
    vendor.will(page("busy", 429, Retry_After="7"), page("busy", 429))
    for seconds in (7, oauth.UNSAID):
        with pytest.raises(RateLimited) as refused:
            request(vendor.url)
        assert refused.value.retry_after == seconds


def test_nobody_there_is_unreachable():
    with pytest.raises(Unreachable, match="not connected"):
        request("http://127.0.0.1:1")


def jwt(claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{payload}.c2lnbmF0dXJl"


def test_a_long_lived_token_says_when_it_runs_out():
    assert expiry(jwt({"exp": 1893456000, "scopes": ["crm", "files"]})) == datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "token", ["", "opaque", "a.b", "a.%%%.c", "a.e30.c", jwt([]), jwt({"exp": None}), jwt({"exp": 10**30}), "é.é.é"]
)
def test_a_token_that_does_not_say_has_no_known_end(token: str):
    assert expiry(token) is None
