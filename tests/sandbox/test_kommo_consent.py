"""People install an integration at Kommo, and what it gets by that (kommo.md 1.2, 2)."""

import hashlib
import hmac
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.conftest import wait_until
from tests.sandbox.consents import Page, claims_of, heard, open_page
from tests.sandbox.kommo_stand import Stand

HOME = "http://localhost:8001/oauth/kommo/callback"
DAY = 86_400


class Client:
    """An integration that people install."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        ready = stand.sandbox.ready
        self.id, self.secret, self.place = (
            ready["kommo_client_id"],
            ready["kommo_client_secret"],
            ready["kommo_oauth_url"],
        )
        self.root = ready["kommo_url"]

    def page(self, **other: str) -> Page:
        return open_page(self.place, {"client_id": self.id, "state": "s 1", "mode": "popup"} | other)

    def code(self) -> str:
        return heard(self.page().press("Allow"))[1]["code"]

    def ask(self, *, host: str = "acme", as_form: bool = False, **sent: Any) -> requests.Response:
        url = f"{self.root}/{host}/oauth2/access_token"
        whole = {"client_id": self.id, "client_secret": self.secret, "redirect_uri": HOME} | sent
        return requests.post(url, data=whole if as_form else None, json=None if as_form else whole, timeout=10)

    def exchange(self, code: str, **other: Any) -> requests.Response:
        return self.ask(grant_type="authorization_code", code=code, **other)

    def connect(self) -> dict[str, Any]:
        found: dict[str, Any] = self.exchange(self.code()).json()
        return found

    def refresh(self, tokens: dict[str, Any], **other: Any) -> requests.Response:
        return self.ask(grant_type="refresh_token", refresh_token=tokens["refresh_token"], **other)

    def renewed(self, tokens: dict[str, Any]) -> dict[str, Any]:
        answer = self.refresh(tokens)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, tokens: dict[str, Any], path: str = "/account", *, host: str = "acme") -> requests.Response:
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        return requests.get(f"{self.root}/{host}/api/v4{path}", headers=headers, timeout=10)

    def subdomain(self, tokens: dict[str, Any], *, host: str = "api-g") -> requests.Response:
        headers = {"X-Refresh-Token": tokens["refresh_token"]}
        return requests.get(f"{self.root}/{host}/oauth2/account/current/subdomain", headers=headers, timeout=10)


def refusal(answer: requests.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["hint"]


@pytest.fixture(scope="module")
def running() -> Iterator[Stand]:
    made = Stand()
    yield made
    made.stop()


@pytest.fixture
def client(running: Stand) -> Client:
    running.tell("/reset", {"seed": "demo"})
    running.tell("/settings", {"limits": False}, "PATCH")
    running.tell("/kommo/grants", method="DELETE")
    return Client(running)


def later(client: Client, seconds: float) -> None:
    client.stand.tell("/settings", {"clock_shift_s": seconds}, "PATCH")


# --- the page ---


def test_the_page_asks_who_and_which_account_and_says_what_is_wanted(client: Client):
    page = client.page()
    assert page.answer.status_code == 200
    assert list(page.choices["place"]) == ["Acme Ltd (acme.kommo.com)"]
    assert [label.split()[0] for label in page.choices["person"]] == ["Administrator", "Sales"]
    assert list(page.buttons) == ["Allow", "Deny"]
    assert "access to files" in page.answer.text
    assert page.answer.headers["X-Frame-Options"] == "DENY"
    sheet = page.answer.text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    assert requests.get(client.root + sheet, timeout=10).headers["Content-Type"].startswith("text/css")


def test_allowing_sends_back_the_code_with_the_account_it_is_of(client: Client):
    home, told = heard(client.page().press("Allow"))
    assert home == HOME
    assert list(told) == ["code", "referer", "state", "client_id"]
    assert (told["referer"], told["state"], told["client_id"]) == ("acme.kommo.com", "s 1", client.id)
    assert told["code"].startswith("def502")


def test_denying_sends_back_access_denied(client: Client):
    told = {"error": "access_denied", "state": "s 1", "client_id": client.id}
    assert heard(client.page().press("Deny")) == (HOME, told)


def test_only_admins_may_install(client: Client):
    answer = client.page().press("Allow", person="Sales desk")
    assert (answer.status_code, "only admins may install" in answer.text) == (200, True)
    assert list(Page(answer).buttons) == ["Allow", "Deny"]


@pytest.mark.parametrize(
    ("setting", "referer"),
    [("{subdomain}.amocrm.com", "acme.amocrm.com"), ("{host}", ""), ("evil.example", "evil.example")],
)
def test_the_referer_is_what_it_is_set_to(client: Client, setting: str, referer: str):
    client.stand.switch(oauth_referer=setting)
    assert heard(client.page().press("Allow"))[1]["referer"] == (referer or urlsplit(client.root).netloc)


@pytest.mark.parametrize("wrong", [{"client_id": "nobody"}, {"client_id": ""}, {"mode": "<script>"}])
def test_a_request_that_is_wrong_gets_a_page_and_no_redirect(client: Client, wrong: dict[str, str]):
    answer = client.page(**wrong).answer
    assert (answer.status_code, "Location" in answer.headers, "<script>" in answer.text) == (400, False, False)


def test_an_integration_without_a_redirect_uri_is_not_for_people(client: Client):
    assert client.page(client_id=client.stand.ask("/kommo/integration")["client_id"]).answer.status_code == 200
    client.stand.tell("/kommo/integration", {"redirect_uri": ""}, "PATCH")
    assert client.page().answer.status_code == 400


# --- codes ---


@pytest.mark.parametrize("as_form", [False, True])
def test_a_code_brings_a_pair_of_tokens(client: Client, as_form: bool):
    answer = client.exchange(client.code(), as_form=as_form)
    assert answer.status_code == 200
    tokens = answer.json()
    assert list(tokens) == ["token_type", "expires_in", "server_time", "access_token", "refresh_token"]
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", DAY)
    assert 900 < len(tokens["access_token"]) < 1200
    assert len(tokens["refresh_token"]) == 990
    claims = claims_of(tokens["access_token"])
    assert claims["exp"] - claims["iat"] == DAY
    assert (claims["account_id"], claims["aud"], claims["api_domain"]) == (30896271, client.id, "api-g.kommo.com")
    assert client.get(tokens).json()["current_user_id"] == 8_375_357


def test_a_code_is_good_once_and_for_twenty_minutes(client: Client):
    code, late = client.code(), client.code()
    later(client, 1199)
    assert client.exchange(code).status_code == 200
    assert refusal(client.exchange(code)) == (400, "Authorization code has been revoked")
    later(client, 1201)
    assert refusal(client.exchange(late)) == (400, "Authorization code has expired")


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"client_id": "nobody"}, "Check the `client_id` parameter"),
        ({"client_secret": "wrong"}, "Check the `client_secret` parameter"),
        ({"redirect_uri": HOME + "/"}, "Redirect URI is not associated with client"),
        ({"redirect_uri": ""}, "Redirect URI is not associated with client"),
        ({"code": "def502garbage"}, "Cannot decrypt the authorization code"),
        ({"host": "api-g"}, "Invalid account"),
    ],
)
def test_a_code_is_refused_by_its_first_fault_and_stays_good(client: Client, wrong: dict[str, str], hint: str):
    code = client.code()
    sent: dict[str, Any] = {"grant_type": "authorization_code", "code": code} | wrong
    assert refusal(client.ask(**sent)) == (400, hint)
    assert client.exchange(code).status_code == 200


def test_what_a_refusal_looks_like(client: Client):
    answer = client.ask(grant_type="refresh_token", refresh_token="garbage")
    assert list(answer.json()) == ["hint", "title", "type", "status", "detail"]
    assert refusal(answer) == (400, "Invalid refresh token")
    assert client.ask(grant_type="password").status_code == 400
    nothing = requests.post(f"{client.root}/acme/oauth2/access_token", data=b"[", timeout=10)
    assert refusal(nothing) == (400, "Check the `client_id` parameter")


# --- rotation ---


def test_an_old_refresh_token_is_good_until_the_new_pair_is_used(client: Client):
    old = client.connect()
    lost, kept = client.renewed(old), client.renewed(old)
    assert len({old["refresh_token"], lost["refresh_token"], kept["refresh_token"]}) == 3
    assert client.get(kept).status_code == 200
    assert refusal(client.refresh(old)) == (401, "Token has been revoked")
    assert client.refresh(kept).status_code == 200


def test_refreshing_again_is_use_of_the_new_pair_too(client: Client):
    old = client.connect()
    new = client.renewed(old)
    newest = client.renewed(new)
    assert refusal(client.refresh(old)) == (401, "Token has been revoked")
    assert client.refresh(new).status_code == 200
    assert client.get(newest).status_code == 200
    assert refusal(client.refresh(new)) == (401, "Token has been revoked")


def test_with_strict_rotation_a_refresh_token_is_good_once(client: Client):
    client.stand.switch(refresh_rotation="strict", spent_refresh_status=400)
    old = client.connect()
    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(lambda _: client.refresh(old).status_code, range(50)))
    assert sorted(statuses) == [200] + [400] * 49


def test_a_refresh_wants_the_registered_redirect_uri_too(client: Client):
    tokens = client.connect()
    answer = client.refresh(tokens, redirect_uri="http://localhost:8001/other")
    assert refusal(answer) == (400, "Redirect URI is not associated with client")
    assert client.refresh(tokens).status_code == 200


def test_a_refresh_whose_answer_is_lost_may_be_tried_again(client: Client):
    tokens = client.connect()
    lost = {"vendor": "kommo", "call": "POST /oauth2/access_token", "when": "after", "do": "reset"}
    for rotation, status in (("grace", 200), ("strict", 401)):
        client.stand.switch(refresh_rotation=rotation)
        client.stand.tell("/faults", lost)
        with pytest.raises(requests.ConnectionError):
            client.refresh(tokens)
        answer = client.refresh(tokens)
        assert answer.status_code == status
        tokens = answer.json()


def test_an_access_token_lives_a_day_and_a_refresh_token_three_months_unused(client: Client):
    first = client.connect()
    later(client, DAY - 2)
    assert client.get(first).status_code == 200
    later(client, DAY + 2)
    assert client.get(first).json()["detail"] == "Invalid user name or password"
    later(client, 89 * DAY)
    second = client.renewed(first)
    later(client, 178 * DAY)
    third = client.renewed(second)
    later(client, 269 * DAY)
    assert refusal(client.refresh(third)) == (401, "Token has expired")


def test_a_year_can_last_minutes(client: Client):
    client.stand.tell("/settings", {"time_factor": 30 * DAY}, "PATCH")
    tokens = client.connect()
    assert tokens["expires_in"] == 1
    assert client.get(tokens).status_code == 200
    wait_until(lambda: client.get(tokens).status_code == 401, 10)
    wait_until(lambda: client.refresh(tokens).status_code == 401, 10)


# --- another name ---


def test_who_has_a_refresh_token_finds_a_renamed_account(client: Client):
    tokens = client.connect()
    client.stand.tell("/kommo/account", {"subdomain": "globex"}, "PATCH")
    for status in (404, 401):
        client.stand.switch(old_subdomain_status=status)
        assert client.get(tokens).status_code == status
        assert client.refresh(tokens).status_code == status
        assert client.exchange(client.code()).status_code == status
        assert client.subdomain(tokens, host="acme").status_code == status
    answer = client.subdomain(tokens)
    assert answer.status_code == 200
    assert list(answer.json().values()) == [30896271, "globex", "globex.kommo.com", "com"]
    again = client.refresh(tokens, host="globex").json()
    assert client.get(again, host="globex").json()["subdomain"] == "globex"
    assert heard(client.page().press("Allow"))[1]["referer"] == "globex.kommo.com"


def test_the_common_api_host_answers_for_the_account(client: Client):
    tokens = client.connect()
    assert client.get(tokens, host="api-g").json()["subdomain"] == "acme"
    assert client.subdomain(tokens, host="acme").json()["domain"] == "acme.kommo.com"
    headers = {"Host": "api-g.kommo.test", "X-Refresh-Token": tokens["refresh_token"]}
    url = f"{client.root}/oauth2/account/current/subdomain"
    assert requests.get(url, headers=headers, timeout=10).status_code == 200


def test_a_dead_refresh_token_finds_nothing(client: Client):
    tokens = client.connect()
    client.stand.tell("/kommo/grants/revoke")
    assert client.subdomain(tokens).json()["title"] == "Unauthorized"
    assert client.subdomain({"refresh_token": "garbage"}).status_code == 401


# --- ends ---


class Told:
    """Where an integration is told that its access was revoked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told.asked.append(("GET", self.path, {name.lower(): text for name, text in self.headers.items()}))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/uninstall?from=kommo"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_uninstalling_ends_everything_and_says_so_signed(client: Client, told: Told):
    client.stand.tell("/kommo/integration", {"uninstall_url": told.url}, "PATCH")
    tokens = client.connect()
    assert client.stand.tell("/kommo/integration/uninstall")["ended"] == 1
    wait_until(lambda: told.asked, 5)
    [(method, path, headers)] = told.asked
    assert (method, headers["user-agent"]) == ("GET", "amoService-oAuth-Code-Sender/1.0")
    assert "content-length" not in headers
    query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
    message = f"{client.id}|30896271".encode()
    assert query == {
        "from": "kommo",
        "client_uuid": client.id,
        "account_id": "30896271",
        "signature": hmac.new(client.secret.encode(), message, hashlib.sha256).hexdigest(),
    }
    assert client.get(tokens).status_code == 401
    assert refusal(client.refresh(tokens)) == (401, "Token has been revoked")
    assert client.get({"access_token": client.stand.token}).status_code == 200
    assert client.get(client.connect()).status_code == 200


def test_the_hook_may_never_arrive(client: Client, told: Told):
    client.stand.tell("/kommo/integration", {"uninstall_url": told.url}, "PATCH")
    tokens = client.connect()
    client.stand.tell("/kommo/integration/uninstall", {"hook": False})
    assert client.get(tokens).status_code == 401
    assert client.stand.ask("/webhooks?vendor=kommo") == []


def test_a_drive_refuses_a_revoked_token_too(client: Client):
    tokens = client.connect()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    url = f"{client.stand.drive_url}/v1.0/files"
    assert requests.get(url, headers=headers, timeout=10).status_code == 204
    client.stand.tell("/kommo/grants/revoke")
    assert requests.get(url, headers=headers, timeout=10).status_code == 401


def test_a_new_secret_ends_what_was_granted_unless_that_is_kept(client: Client):
    tokens = client.connect()
    kept = client.stand.tell("/kommo/integration/secret", {"keep": True})["client_secret"]
    assert refusal(client.refresh(tokens)) == (400, "Check the `client_secret` parameter")
    client.secret = kept
    tokens = client.renewed(tokens)
    client.secret = client.stand.tell("/kommo/integration/secret")["client_secret"]
    assert client.get(tokens).status_code == 401
    assert refusal(client.refresh(tokens)) == (401, "Token has been revoked")


def test_other_scopes_count_from_the_next_consent_on(client: Client):
    tokens = client.connect()
    client.stand.tell("/kommo/integration", {"scopes": ["crm"]}, "PATCH")
    assert "files" in claims_of(client.renewed(tokens)["access_token"])["scopes"]
    assert claims_of(client.connect()["access_token"])["scopes"] == ["crm"]


def test_people_and_time_can_end_grants_by_order(client: Client):
    tokens = client.connect()
    assert client.stand.tell("/kommo/grants/expire") == {"ended": 1}
    assert client.get(tokens).status_code == 401
    renewed = client.renewed(tokens)
    assert client.get(renewed).status_code == 200
    assert client.stand.tell("/kommo/grants/expire", {"what": "refresh"}) == {"ended": 1}
    assert refusal(client.refresh(renewed)) == (401, "Token has expired")
    assert client.get({"access_token": client.stand.token}).status_code == 200


def test_a_block_is_a_page_for_tokens_too(client: Client):
    code = client.code()
    client.stand.tell("/kommo/block")
    answer = client.exchange(code)
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "text/html")
    client.stand.tell("/kommo/unblock")
    assert client.exchange(code).status_code == 200


# --- books ---


def test_the_books_tell_which_tokens_were_asked_for_and_spent(client: Client):
    code = client.code()
    tokens = client.exchange(code).json()
    client.renewed(tokens)
    client.exchange(code)
    books = client.stand.ask("/books")["kommo"]
    asked = [(one["grant_type"], one["spent"], one["error"]) for one in books["token_requests"]]
    assert asked == [
        ("authorization_code", code, ""),
        ("refresh_token", tokens["refresh_token"], ""),
        ("authorization_code", code, "Authorization code has been revoked"),
    ]
    states = {one["token"]: (one["state"], one["uses"]) for one in books["refresh_tokens"]}
    assert states[tokens["refresh_token"]] == ("spent", 1)
    known = client.stand.ask("/kommo/secrets")
    assert {code, tokens["access_token"], tokens["refresh_token"], client.secret} <= set(known)
