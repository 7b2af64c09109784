"""Token requests, and when tokens run out."""

import base64
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from integrations import oauth
from integrations.errors import Broken, CallError, Missing, RateLimited, Refusal, Rejected, Unauthorised, Unreachable
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


# --- consent -----------------------------------------------------------------------------------------------------------

APP = oauth.Client("the-id", "the-secret")
REDIRECT = "http://localhost:8001/oauth/xero/callback"
PAIR = {"access_token": "eyJ", "expires_in": 1800, "refresh_token": "next", "token_type": "Bearer"}


def asked(vendor: Vendor) -> dict[str, str]:
    return dict(parse_qsl(vendor.last.body.decode()))


def test_the_address_of_consent_says_who_asks_for_what_and_where_to_come_back_to():
    scopes = oauth.xero_scopes(broad=False)
    address = urlsplit(oauth.xero_consent("https://login.xero.com", "the-id", REDIRECT, scopes, state="a b&c"))
    assert (address.netloc, address.path) == ("login.xero.com", "/identity/connect/authorize")
    assert dict(parse_qsl(address.query)) == {
        "response_type": "code", "client_id": "the-id", "redirect_uri": REDIRECT, "state": "a b&c",
        "scope": "offline_access accounting.invoices accounting.contacts accounting.settings.read "
        "accounting.payments.read accounting.attachments",
    }  # fmt: skip
    kommo = urlsplit(oauth.kommo_consent("https://www.kommo.com/oauth", "the-id", state="a b&c"))
    assert dict(parse_qsl(kommo.query)) == {"client_id": "the-id", "state": "a b&c", "mode": "popup"}


def test_an_old_app_is_asked_for_the_broad_scopes():
    scopes = oauth.xero_scopes(broad=True)
    assert "accounting.transactions" in scopes
    assert "accounting.invoices" not in scopes
    assert "offline_access" in scopes


def test_a_code_is_exchanged_at_xero_by_the_book(vendor: Vendor):
    vendor.will(said(PAIR))
    tokens = oauth.xero_code(vendor.url, APP, "the-code", REDIRECT, now=NOW)
    assert (tokens.refresh_token, tokens.expires_at) == ("next", NOW + timedelta(minutes=30))
    assert asked(vendor) == {"grant_type": "authorization_code", "code": "the-code", "redirect_uri": REDIRECT}
    assert vendor.last.headers["Authorization"] == "Basic " + base64.b64encode(b"the-id:the-secret").decode()


def test_a_refresh_token_is_exchanged_at_xero(vendor: Vendor):
    vendor.will(said(PAIR))
    assert oauth.xero_refresh(vendor.url, APP, "old", now=NOW).refresh_token == "next"
    assert asked(vendor) == {"grant_type": "refresh_token", "refresh_token": "old"}


def test_kommo_is_asked_at_the_accounts_own_host_with_the_secret_in_the_body(vendor: Vendor):
    vendor.will(said(PAIR), said(PAIR))
    oauth.kommo_code(vendor.url, APP, "the-code", REDIRECT, now=NOW)
    ours = {"client_id": "the-id", "client_secret": "the-secret", "redirect_uri": REDIRECT}
    assert vendor.last.path == "/oauth2/access_token"
    assert asked(vendor) == ours | {"grant_type": "authorization_code", "code": "the-code"}
    oauth.kommo_refresh(vendor.url, APP, "old", REDIRECT, now=NOW)
    assert asked(vendor) == ours | {"grant_type": "refresh_token", "refresh_token": "old"}


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (said({"hint": "Authorization code has expired", "status": 400}, 400), Unauthorised, "has expired"),
        (said({"hint": "Token has been revoked", "status": 401}, 401), Unauthorised, "revoked"),
        (page("<html>nginx</html>", 403), Unauthorised, "text/html"),
        (page("<html>nginx</html>", 404), Missing, "text/html"),
        (said([1], 400), Unauthorised, "application/json"),
        (page("busy", 429, Retry_After="7"), RateLimited, "too many"),
        (page("<html>502</html>", 502), Broken, "no token"),
        (said({"title": "nothing"}, 200), Rejected, "nothing"),
    ],
)
def test_kommos_refusals_have_a_status_and_a_hint(vendor: Vendor, reply: Reply, error, words):
    vendor.will(reply)
    with pytest.raises(error, match=words) as told:
        oauth.kommo_refresh(vendor.url, APP, "old", REDIRECT, now=NOW)
    assert not {"old", "the-secret"} & set(str(told.value).split())


@pytest.mark.parametrize(
    ("reply", "is_lost"),
    [
        (Reply(act="reset"), True),
        (Reply(act="silence"), True),
        (Reply(act="half"), True),
        (page("<html>502</html>", 502), True),
        (page("busy", 429), False),
        (said({"error": "invalid_grant"}, 400), False),
    ],
)
def test_a_lost_answer_may_have_been_a_new_pair(vendor: Vendor, reply: Reply, is_lost: bool):
    vendor.will(reply)
    with pytest.raises(CallError) as told:
        oauth.xero_refresh(vendor.url, APP, "old", now=NOW, timeouts=(1.0, 0.5))
    assert oauth.is_lost(told.value) is is_lost


def test_what_never_left_is_not_lost():
    with pytest.raises(Unreachable) as told:
        oauth.xero_refresh("http://127.0.0.1:1", APP, "old", now=NOW)
    assert not oauth.is_lost(told.value)


def test_where_an_account_is_now_is_asked_with_the_refresh_token(vendor: Vendor):
    vendor.will(said({"id": 1, "subdomain": "Umbrella", "domain": "umbrella.kommo.com"}), empty(401))
    assert oauth.kommo_subdomain(vendor.url, "the-pair") == "umbrella"
    assert (vendor.last.path, vendor.last.headers["X-Refresh-Token"]) == (
        "/oauth2/account/current/subdomain", "the-pair",
    )  # fmt: skip
    assert oauth.kommo_subdomain(vendor.url, "the-pair") is None


@pytest.mark.parametrize("reply", [page("<html>", 200), said({"subdomain": "no/such"}), empty(503), empty(302)])
def test_nonsense_about_where_an_account_is_now_is_broken(vendor: Vendor, reply: Reply):
    vendor.will(reply)
    with pytest.raises(Broken):
        oauth.kommo_subdomain(vendor.url, "the-pair")


def test_a_token_tells_which_consent_it_comes_from():
    token = jwt({"authentication_event_id": "d99ecdfe", "xero_userid": "1"})
    assert oauth.authentication_event_id(token) == "d99ecdfe"
    assert oauth.authentication_event_id("opaque") is None
    assert oauth.claims(jwt([1])) == {}
