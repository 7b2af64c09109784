"""People let an app in at Xero, and what it gets by that (xero.md 1)."""

import base64
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.sandbox.consents import Page, claims_of, heard, open_page
from tests.sandbox.xero_office import Office, keys

HOME = "http://localhost:8001/oauth/xero/callback"
SCOPES = "offline_access accounting.invoices accounting.contacts accounting.settings.read"
DAY = 86_400


class Client:
    """An app that people connect."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.id, self.secret = office.ready["xero_app_client_id"], office.ready["xero_app_client_secret"]
        self.place = f"{office.ready['xero_login_url']}/identity/connect/authorize"

    def asked(self, **other: str) -> dict[str, str]:
        whole = {"response_type": "code", "client_id": self.id, "redirect_uri": HOME, "scope": SCOPES, "state": "s 1"}
        return {name: value for name, value in (whole | other).items() if value}

    def page(self, **other: str) -> Page:
        return open_page(self.place, self.asked(**other))

    def code(self, *, organisation: str = "Acme Trading", person: str = "Administrator", **other: str) -> str:
        pressed = self.page(**other).press("Allow access", place=organisation, person=person)
        return heard(pressed)[1]["code"]

    def ask(self, *, in_body: bool = False, **form: Any) -> requests.Response:
        own = {"client_id": self.id, "client_secret": self.secret}
        auth = None if in_body else (self.id, self.secret)
        sent = form | own if in_body else form
        return requests.post(f"{self.office.url}/connect/token", data=sent, auth=auth, timeout=10)

    def exchange(self, code: str, **other: str) -> requests.Response:
        form: dict[str, Any] = {"grant_type": "authorization_code", "code": code, "redirect_uri": HOME} | other
        return self.ask(**form)

    def connect(self, **how: str) -> dict[str, Any]:
        found: dict[str, Any] = self.exchange(self.code(**how)).json()
        return found

    def refresh(self, tokens: dict[str, Any]) -> requests.Response:
        return self.ask(grant_type="refresh_token", refresh_token=tokens["refresh_token"])

    def renewed(self, tokens: dict[str, Any]) -> dict[str, Any]:
        answer = self.refresh(tokens)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def connections(self, tokens: dict[str, Any], **query: str) -> list[dict[str, str]]:
        url = f"{self.office.url}/connections"
        answer = requests.get(url, params=query, headers=bearer(tokens), timeout=10)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, str]] = answer.json()
        return found

    def get(self, tokens: dict[str, Any], path: str = "Organisation", tenant: str = "") -> requests.Response:
        headers = bearer(tokens) | {"xero-tenant-id": tenant or self.office.ready["xero_tenant_id"]}
        return self.office.call("GET", path, headers=headers)


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def refusal(answer: requests.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()


@pytest.fixture
def client(xero: Office) -> Iterator[Client]:
    xero.human("/grants", method="DELETE")
    yield Client(xero)
    xero.human("/grants", method="DELETE")


def later(xero: Office, seconds: float) -> None:
    xero.tell("/settings", {"clock_shift_s": seconds}, "PATCH")


# --- the page ---


def test_the_page_asks_who_and_which_one_organisation_and_says_what_is_wanted(client: Client):
    client.office.human("/organisations", {"name": "Globex GmbH"})
    page = client.page()
    assert page.answer.status_code == 200
    assert list(page.choices["place"]) == ["Acme Trading (NZ)", "Globex GmbH"]
    assert [label.split()[0] for label in page.choices["person"]] == ["Administrator", "Accountant"]
    assert list(page.buttons) == ["Allow access", "Cancel"]
    assert "settings of the organisation (read only)" in page.answer.text
    assert page.answer.headers["X-Frame-Options"] == "DENY"
    assert "form-action 'self' http://localhost:8001;" in page.answer.headers["Content-Security-Policy"]


def test_its_looks_come_from_the_vendors_own_port(client: Client):
    sheet = client.page().answer.text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    assert requests.get(client.office.url + sheet, timeout=10).headers["Content-Type"].startswith("text/css")


def test_allowing_sends_back_a_code_and_the_state(client: Client):
    home, told = heard(client.page().press("Allow access"))
    assert home == HOME
    assert keys(told) == "code scope session_state state"
    assert (told["state"], told["scope"]) == ("s 1", SCOPES)


def test_cancelling_sends_back_access_denied(client: Client):
    before = client.office.books()["refresh_tokens"]
    assert heard(client.page().press("Cancel")) == (HOME, {"error": "access_denied", "state": "s 1"})
    assert client.office.books()["refresh_tokens"] == before


def test_a_redirect_uri_keeps_its_own_query(client: Client):
    client.office.human("/app/redirect-uris", {"uri": f"{HOME}?from=xero"})
    pressed = client.page(redirect_uri=f"{HOME}?from=xero").press("Cancel")
    assert heard(pressed)[1] == {"from": "xero", "error": "access_denied", "state": "s 1"}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"client_id": "nobody"}, "unauthorized_client"),
        ({"client_id": ""}, "unauthorized_client"),
        ({"redirect_uri": HOME + "/"}, "unauthorized_client"),
        ({"redirect_uri": HOME.replace("http", "https")}, "unauthorized_client"),
        ({"redirect_uri": ""}, "unauthorized_client"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "accounting.everything offline_access"}, "invalid_scope"),
        ({"scope": "accounting.transactions offline_access"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"code_challenge": "x" * 43, "code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_a_request_that_is_wrong_gets_a_page_and_no_redirect(client: Client, wrong: dict[str, str], error: str):
    answer = client.page(**wrong).answer
    assert (answer.status_code, "Location" in answer.headers) == (400, False)
    assert f"<code>{error}</code>" in answer.text
    form = {"answer": "allow", "person": "x", "place": "x"}
    sent = requests.post(client.place, params=client.asked(**wrong), data=form, allow_redirects=False, timeout=10)
    assert sent.status_code == 400


def test_the_custom_connection_is_not_for_people(client: Client):
    answer = client.page(client_id=client.office.ready["xero_client_id"]).answer
    assert (answer.status_code, "unauthorized_client" in answer.text) == (400, True)


def test_what_is_typed_into_the_address_is_not_run(client: Client):
    answer = client.page(client_id="<script>alert(1)</script>").answer
    assert "<script>" not in answer.text


def test_an_app_of_before_march_2026_may_ask_for_broad_scopes(client: Client):
    client.office.switch(old_app=True)
    tokens = client.connect(scope="offline_access accounting.transactions accounting.settings")
    assert client.get(tokens, "Invoices?page=1").status_code == 200
    assert client.get(tokens, "Payments").status_code == 200
    assert client.get(tokens, "Contacts").headers["WWW-Authenticate"] == "insufficent_scope"


def test_a_wrong_scope_can_be_told_by_redirect(client: Client):
    client.office.switch(scope_error="redirect")
    answer = client.page(scope="accounting.everything").answer
    assert heard(answer)[1] == {"error": "invalid_scope", "state": "s 1"}


def test_one_organisation_a_consent(client: Client):
    other = client.office.human("/organisations", {"name": "Globex GmbH"})["tenant_id"]
    both = {"answer": "allow", "person": client.page().checked["person"]}
    tenants = [client.office.ready["xero_tenant_id"], other]
    for places in (tenants, [], ["11111111-1111-4111-8111-111111111111"]):
        sent = requests.post(client.place, params=client.asked(), data={**both, "place": places}, timeout=10)
        assert (sent.status_code, "one organisation" in sent.text) == (200, True)


# --- registration ---


def test_redirect_uris_are_https_or_on_localhost(client: Client):
    for good in ("https://bridge.example/oauth/xero/callback", "http://localhost:8123/x"):
        assert good in client.office.human("/app/redirect-uris", {"uri": good})["redirect_uris"]
        assert client.page(redirect_uri=good).answer.status_code == 200
    for bad in ("http://127.0.0.1:8001/x", "http://bridge.example/x", "https://*.example/x", "nonsense"):
        answer = client.office.ask("/xero/app/redirect-uris", {"uri": bad})
        assert (answer.status_code, bad in answer.json()["error"]) == (400, True)
    many = [f"https://bridge.example/{number}" for number in range(51)]
    assert client.office.ask("/xero/app", {"redirect_uris": many}, "PATCH").status_code == 400


def test_a_reset_keeps_what_people_granted_and_what_is_registered(client: Client):
    client.office.human("/app/redirect-uris", {"uri": "https://bridge.example/x"})
    tokens = client.connect()
    client.office.tell("/reset", {"seed": "empty"})
    assert client.get(tokens).status_code == 200
    assert client.refresh(tokens).status_code == 200
    assert client.page(redirect_uri="https://bridge.example/x").answer.status_code == 200


# --- codes ---


def test_a_code_brings_tokens_in_the_order_of_the_recorded_answer(client: Client):
    answer = client.exchange(client.code(scope=f"openid {SCOPES}"))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert keys(answer.json()) == "id_token access_token expires_in token_type refresh_token scope"
    assert (answer.json()["expires_in"], answer.json()["token_type"]) == (1800, "Bearer")
    assert set(answer.json()["scope"].split()) == set(SCOPES.split()) | {"openid"}


def test_a_token_is_long_and_says_whose_consent_it_is(client: Client):
    tokens = client.connect()
    claims = claims_of(tokens["access_token"])
    assert 2000 < len(tokens["access_token"]) < 8000
    assert claims["exp"] - claims["iat"] == 1800
    assert claims["aud"] == "https://identity.xero.com/resources"
    assert set(claims["scope"]) == set(SCOPES.split())
    assert {"xero_userid", "global_session_id"} < set(claims)
    [only] = client.connections(tokens, authEventId=claims["authentication_event_id"])
    assert only["tenantId"] == client.office.ready["xero_tenant_id"]
    assert claims_of(client.renewed(tokens)["access_token"])["authentication_event_id"] == only["authEventId"]


def test_without_offline_access_there_is_nothing_to_renew_with(client: Client):
    assert keys(client.connect(scope="accounting.invoices")) == "access_token expires_in token_type scope"


def test_a_code_is_good_once(client: Client):
    code = client.code()
    assert client.exchange(code).status_code == 200
    assert refusal(client.exchange(code)) == (400, {"error": "invalid_grant"})


def test_a_code_is_good_for_five_minutes(client: Client):
    code, late = client.code(), client.code()
    later(client.office, 299)
    assert client.exchange(code).status_code == 200
    later(client.office, 301)
    assert refusal(client.exchange(late)) == (400, {"error": "invalid_grant"})


def test_a_code_is_only_good_with_its_own_redirect_uri(client: Client):
    client.office.human("/app/redirect-uris", {"uri": "https://bridge.example/x"})
    code = client.code()
    assert refusal(client.exchange(code, redirect_uri="https://bridge.example/x")) == (400, {"error": "invalid_grant"})
    assert client.exchange(code).status_code == 200


def test_a_challenge_wants_its_verifier(client: Client):
    verifier = "a-verifier-of-forty-three-characters-or-more"
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    code = client.code(code_challenge=challenge, code_challenge_method="S256")
    assert refusal(client.exchange(code)) == (400, {"error": "invalid_grant"})
    assert refusal(client.exchange(code, code_verifier="another")) == (400, {"error": "invalid_grant"})
    assert client.exchange(code, code_verifier=verifier).status_code == 200


@pytest.mark.parametrize("in_body", [False, True])
def test_the_client_may_name_itself_in_either_place(client: Client, in_body: bool):
    form: dict[str, Any] = {"grant_type": "authorization_code", "code": client.code(), "redirect_uri": HOME}
    tokens = client.ask(in_body=in_body, **form).json()
    answer = client.ask(in_body=in_body, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert answer.status_code == 200


def test_a_token_request_is_refused_by_its_first_fault(client: Client):
    tokens = client.connect()
    url = f"{client.office.url}/connect/token"
    form: dict[str, Any] = {"grant_type": "refresh_token", "refresh_token": "nonsense"}
    assert refusal(client.ask(**form)) == (400, {"error": "invalid_grant"})
    assert refusal(client.ask(grant_type="password")) == (400, {"error": "unsupported_grant_type"})
    assert refusal(client.ask()) == (400, {"error": "invalid_request"})
    assert requests.post(url, data=form, timeout=10).json() == {"error": "unauthorized_client"}
    assert requests.post(url, data=form, auth=(client.id, "wrong"), timeout=10).json() == {"error": "invalid_client"}
    custom = (client.office.ready["xero_client_id"], client.office.ready["xero_client_secret"])
    stolen = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert requests.post(url, data=stolen, auth=custom, timeout=10).json() == {"error": "unauthorized_client"}
    assert client.refresh(tokens).status_code == 200


def test_the_app_may_ask_in_its_own_name_only_for_what_concerns_itself(client: Client):
    assert client.ask(grant_type="client_credentials", scope="app.connections").status_code == 200
    answer = client.ask(grant_type="client_credentials", scope="accounting.invoices")
    assert refusal(answer) == (400, {"error": "invalid_scope"})


# --- rotation ---


def test_a_refresh_brings_a_new_refresh_token_and_the_old_is_good_for_another_half_hour(client: Client):
    old = client.connect()
    new = client.renewed(old)
    assert old["refresh_token"] != new["refresh_token"]
    later(client.office, 1799)
    again = client.renewed(old)
    assert again["refresh_token"] not in (old["refresh_token"], new["refresh_token"])
    later(client.office, 1801)
    assert refusal(client.refresh(old)) == (400, {"error": "invalid_grant"})
    assert client.refresh(new).status_code == 200


def test_with_strict_rotation_a_refresh_token_is_good_once(client: Client):
    client.office.switch(refresh_rotation="strict")
    old = client.connect()
    new = client.renewed(old)
    assert refusal(client.refresh(old)) == (400, {"error": "invalid_grant"})
    assert client.refresh(new).status_code == 200


def test_of_fifty_at_once_strict_rotation_serves_one(client: Client):
    client.office.switch(refresh_rotation="strict")
    tokens = client.connect()
    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(lambda _: client.refresh(tokens).status_code, range(50)))
    assert sorted(statuses) == [200] + [400] * 49


def test_a_refresh_whose_answer_is_lost_may_be_tried_again(client: Client):
    tokens = client.connect()
    lost = {"vendor": "xero", "call": "POST /connect/token", "when": "after", "do": "reset"}
    for rotation, status in (("grace", 200), ("strict", 400)):
        client.office.switch(refresh_rotation=rotation)
        client.office.tell("/faults", lost)
        with pytest.raises(requests.ConnectionError):
            client.refresh(tokens)
        answer = client.refresh(tokens)
        assert answer.status_code == status
        tokens = answer.json()


def test_a_refresh_token_lives_for_sixty_days_of_not_being_used(client: Client):
    first = client.connect()
    later(client.office, 59 * DAY)
    second = client.renewed(first)
    later(client.office, 118 * DAY)
    third = client.renewed(second)
    later(client.office, 179 * DAY)
    assert refusal(client.refresh(third)) == (400, {"error": "invalid_grant"})


def test_a_year_can_last_minutes(client: Client, until: Any):
    client.office.tell("/settings", {"time_factor": 30 * DAY}, "PATCH")
    tokens = client.connect()
    assert tokens["expires_in"] == 1
    assert client.get(tokens).status_code == 200
    until(lambda: client.get(tokens).status_code == 401)
    until(lambda: client.refresh(tokens).status_code == 400)


# --- what the tokens reach ---


def test_a_missing_scope_is_told_apart(client: Client):
    tokens = client.connect(scope="offline_access accounting.invoices.read accounting.settings.read")
    assert client.get(tokens, "Invoices?page=1").status_code == 200
    answer = client.get(tokens, "Payments")
    assert (answer.status_code, answer.json()["Detail"]) == (401, "AuthorizationUnsuccessful")
    assert answer.headers["WWW-Authenticate"] == "insufficent_scope"


def test_scopes_add_up_over_consents(client: Client):
    client.connect()
    tokens = client.connect(scope="offline_access accounting.payments.read")
    assert client.get(tokens, "Payments").status_code == 200
    assert client.get(tokens, "Contacts").status_code == 200


def test_scopes_can_be_taken_away(client: Client):
    tokens = client.connect()
    client.office.human("/grants/scopes", {"take": ["accounting.contacts"]})
    assert client.get(tokens, "Contacts").status_code == 401
    assert client.get(client.renewed(tokens), "Contacts").status_code == 401
    assert client.get(tokens).status_code == 200
    assert client.get(client.connect(), "Contacts").status_code == 200


def test_one_token_set_serves_all_organisations_of_a_person(client: Client):
    other = client.office.human("/organisations", {"name": "Globex GmbH"})["tenant_id"]
    first = client.connect()
    second = client.connect(organisation="Globex")
    for tokens in (first, second, client.renewed(first), client.renewed(second)):
        assert [one["tenantName"] for one in client.connections(tokens)] == ["Acme Trading (NZ)", "Globex GmbH"]
        assert [client.get(tokens, tenant=tenant).status_code for tenant in ("", other)] == [200, 200]


def test_another_persons_organisations_are_not_reached(client: Client):
    other = client.office.human("/organisations", {"name": "Globex GmbH"})["tenant_id"]
    first = client.connect()
    second = client.connect(organisation="Globex", person="Accountant")
    assert [one["tenantName"] for one in client.connections(first)] == ["Acme Trading (NZ)"]
    assert client.get(first, tenant=other).status_code == 403
    assert client.get(second, tenant=other).status_code == 200


def test_a_second_consent_can_end_the_tokens_of_the_first(client: Client):
    client.office.switch(second_consent="ends")
    first = client.connect()
    second = client.connect()
    assert refusal(client.refresh(first)) == (400, {"error": "invalid_grant"})
    assert client.refresh(second).status_code == 200


def test_the_present_consent_s_organisation_is_found_unless_it_was_authorised_before(client: Client):
    first = client.connect()
    event = claims_of(first["access_token"])["authentication_event_id"]
    assert len(client.connections(first, authEventId=event)) == 1
    again = client.connect()
    new_event = claims_of(again["access_token"])["authentication_event_id"]
    assert client.connections(again, authEventId=new_event) == []
    assert [one["authEventId"] for one in client.connections(again)] == [event]
    client.office.switch(reauthorised_event="new")
    third = client.connect()
    latest = claims_of(third["access_token"])["authentication_event_id"]
    assert len(client.connections(third, authEventId=latest)) == 1


def test_without_its_header_no_organisation_is_reached_though_there_is_one(client: Client):
    headers = bearer(client.connect()) | {"xero-tenant-id": ""}
    assert client.office.call("GET", "Organisation", headers=headers).status_code == 403


# --- ends ---


@pytest.mark.parametrize("how", ["the app", "a person"])
def test_a_connection_that_is_gone_is_403_and_the_token_good_for_the_others(client: Client, how: str):
    other = client.office.human("/organisations", {"name": "Globex GmbH"})["tenant_id"]
    client.connect()
    tokens = client.connect(organisation="Globex")
    if how == "the app":
        gone = next(one["id"] for one in client.connections(tokens) if one["tenantId"] == other)
        url = f"{client.office.url}/connections/{gone}"
        assert requests.delete(url, headers=bearer(tokens), timeout=10).status_code == 204
        assert requests.delete(url, headers=bearer(tokens), timeout=10).status_code == 404
    else:
        client.office.human(f"/disconnect?tenant={other}", {"client_id": client.id})
    answer = client.get(tokens, tenant=other)
    assert (answer.status_code, answer.json()["Detail"]) == (403, "AuthenticationUnsuccessful")
    assert [one["tenantName"] for one in client.connections(tokens)] == ["Acme Trading (NZ)"]
    assert client.get(tokens).status_code == 200
    assert client.refresh(tokens).status_code == 200


def test_revocation_ends_all_of_a_persons_connections_and_nobody_elses(client: Client):
    mine, other = client.connect(), client.connect(person="Accountant")
    url = f"{client.office.url}/connect/revocation"
    form, auth = {"token": mine["refresh_token"]}, (client.id, client.secret)
    assert requests.post(url, data=form, auth=(client.id, "wrong"), timeout=10).status_code == 400
    answer = requests.post(url, data=form, auth=auth, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"")
    assert requests.post(url, data={"token": "unknown"}, auth=auth, timeout=10).status_code == 200
    assert refusal(client.refresh(mine)) == (400, {"error": "invalid_grant"})
    assert client.get(mine).status_code == 403
    assert client.get(other).status_code == 200
    assert client.get(client.connect()).status_code == 200


def test_people_and_time_can_end_grants_by_order(client: Client):
    tokens = client.connect()
    assert client.office.human("/grants/expire") == {"ended": 1}
    assert client.get(tokens).json()["Detail"].startswith("TokenExpired")
    renewed = client.renewed(tokens)
    assert client.get(renewed).status_code == 200
    assert client.office.human("/grants/expire", {"what": "refresh"}) == {"ended": 2}
    assert client.refresh(renewed).status_code == 400
    again = client.connect()
    assert client.office.human("/grants/revoke", {"user": "admin@acme.example"}) == {"ended": 1}
    assert client.refresh(again).status_code == 400
    assert client.get(again).status_code == 403
    assert client.office.ask("/xero/grants/revoke", {"user": "nobody@acme.example"}).status_code == 404


def test_the_custom_connection_goes_on_whatever_becomes_of_consents(client: Client):
    client.connect()
    client.office.human("/grants/revoke")
    client.office.human("/grants/expire", {"what": "all"})
    assert client.office.call("GET", "Organisation").status_code == 200


# --- books ---


def test_the_books_tell_which_tokens_were_asked_for_and_spent(client: Client):
    code = client.code()
    tokens = client.exchange(code).json()
    client.renewed(tokens)
    client.exchange(code)
    books = client.office.books()
    mine = [one for one in books["token_requests"] if one["client_id"] == client.id]
    told = [(one["grant_type"], one["spent"], one["error"]) for one in mine]
    assert told == [
        ("authorization_code", code, ""),
        ("refresh_token", tokens["refresh_token"], ""),
        ("authorization_code", code, "invalid_grant"),
    ]
    states = {one["token"]: (one["state"], one["uses"]) for one in books["refresh_tokens"]}
    assert states[tokens["refresh_token"]] == ("spent", 1)
    assert ("fresh", 0) in states.values()
    known = client.office.human("/secrets", method="GET")
    assert {code, tokens["access_token"], tokens["refresh_token"], client.secret} <= set(known)
