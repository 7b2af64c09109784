"""What stands before an answer: tokens, scopes, tenants, limits, idempotency keys, faults (xero.md 1, 2, 3, 8)."""

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
import requests

from tests.sandbox.xero_office import API, Office, draft, keys, read

Until = Callable[..., Any]
CREATE = "PUT /api.xro/2.0/Invoices"


def made_by_app(xero: Office) -> int:
    return sum(each["created_by_app"] for each in xero.books()["invoices"])


# --- tokens ---


def test_a_token_is_given_for_credentials_in_either_place(xero: Office):
    answer = xero.ask_token(scope="accounting.invoices accounting.contacts")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert keys(answer.json()) == "access_token expires_in token_type scope"
    assert answer.json()["expires_in"] == 1800
    client = {"client_id": xero.ready["xero_client_id"], "client_secret": xero.ready["xero_client_secret"]}
    form = {"grant_type": "client_credentials", **client}
    assert requests.post(f"{xero.url}/connect/token", data=form, timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("form", "secret", "error"),
    [
        ({"grant_type": "client_credentials"}, "wrong", "invalid_client"),
        ({"grant_type": "client_credentials", "scope": "accounting.transactions"}, None, "invalid_scope"),
        ({"grant_type": "password"}, None, "unsupported_grant_type"),
    ],
)
def test_a_token_is_refused(xero: Office, form: dict[str, str], secret: str | None, error: str):
    client = (xero.ready["xero_client_id"], secret or xero.ready["xero_client_secret"])
    answer = requests.post(f"{xero.url}/connect/token", data=form, auth=client, timeout=5)
    assert (answer.status_code, answer.text) == (400, f'{{"error":"{error}"}}')


def test_a_token_dies_after_half_an_hour_of_the_vendors_time(xero: Office):
    xero.tell("/settings", {"clock_shift_s": 1799}, "PATCH")
    assert xero.call("GET", "Organisation").status_code == 200
    xero.tell("/settings", {"clock_shift_s": 1801}, "PATCH")
    answer = xero.call("GET", "Organisation")
    assert answer.status_code == 401
    assert keys(answer.json()) == "Type Title Status Detail Instance Extensions"
    assert re.fullmatch(r"TokenExpired: token expired at \d\d/\d\d/\d{4} \d\d:\d\d:\d\d", answer.json()["Detail"])
    xero.tell("/settings", {"clock_shift_s": 0, "time_factor": 60}, "PATCH")
    assert xero.ask_token().json()["expires_in"] == 30
    xero.tell("/settings", {"time_factor": 1}, "PATCH")


def test_tokens_can_be_made_to_expire(xero: Office):
    xero.human("/tokens/expire")
    assert xero.call("GET", "Organisation").json()["Detail"].startswith("TokenExpired")


def test_a_strange_token_is_no_token(xero: Office):
    for value in ("Bearer nonsense", "", "Basic abc"):
        answer = xero.call("GET", "Organisation", headers={"Authorization": value})
        assert (answer.status_code, answer.json()["Detail"]) == (401, "AuthenticationUnsuccessful")


def test_a_missing_scope_is_a_401_of_its_own(xero: Office):
    bearer = {"Authorization": f"Bearer {xero.token(scope='accounting.invoices.read accounting.settings.read')}"}
    assert xero.call("GET", "Invoices?page=1", headers=bearer).status_code == 200
    for method, path in (("PUT", "Invoices"), ("GET", "Contacts"), ("PUT", "Currencies")):
        answer = xero.call(method, path, headers=bearer, json=draft() if method == "PUT" else None)
        assert (answer.status_code, answer.json()["Detail"]) == (401, "AuthorizationUnsuccessful")
        assert answer.headers["WWW-Authenticate"] == "insufficent_scope"


def test_a_tenant_must_be_connected(xero: Office):
    answer = xero.call("GET", "Organisation", headers={"xero-tenant-id": "11111111-1111-4111-8111-111111111111"})
    assert answer.status_code == 403
    assert answer.json()["Title"] == "Forbidden"
    assert answer.json()["Type"] is None
    xero.human("/disconnect")
    assert xero.call("GET", "Organisation").status_code == 403
    assert xero.session.get(f"{xero.url}/connections", headers=xero.headers, timeout=5).json() == []
    xero.human("/connect")
    assert xero.call("GET", "Organisation").status_code == 200


def test_connections_are_a_bare_array_that_costs_nothing(xero: Office):
    answer = xero.session.get(f"{xero.url}/connections", headers=xero.headers, timeout=5)
    only = answer.json()[0]
    assert keys(only) == "id authEventId tenantId tenantType tenantName createdDateUtc updatedDateUtc"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}", only["createdDateUtc"])
    assert datetime.fromisoformat(only["createdDateUtc"])
    assert not any(name.startswith("X-") for name in answer.headers if "Limit" in name)
    gone = xero.session.delete(f"{xero.url}/connections/{only['id']}", headers=xero.headers, timeout=5)
    assert (gone.status_code, gone.content) == (204, b"")
    again = xero.session.delete(f"{xero.url}/connections/{only['id']}", headers=xero.headers, timeout=5)
    assert again.status_code == 404


def test_two_organisations_of_one_app_are_told_apart_by_the_header(xero: Office):
    client = xero.ready["xero_client_id"]
    other = xero.human("/organisations", {"name": "Other Ltd", "client_id": client})["tenant_id"]
    shown = xero.get("Organisation", headers={"xero-tenant-id": other})["Organisations"][0]
    assert shown["Name"] == "Other Ltd"
    assert xero.call("GET", "Organisation", headers={"xero-tenant-id": ""}).status_code == 403
    assert xero.put("Invoices", draft())["Invoices"][0]["InvoiceNumber"] == "INV-0001"
    elsewhere = xero.call("PUT", "Invoices", json=draft(), headers={"xero-tenant-id": other})
    assert elsewhere.json()["Invoices"][0]["InvoiceNumber"] == "INV-0001"


def test_what_is_not_there_is_an_empty_page(xero: Office):
    for path in ("Invoices/11111111-1111-4111-8111-111111111111", "Invoices/INV-9999", "Nothing", "Contacts/none"):
        answer = xero.call("GET", path)
        assert (answer.status_code, answer.content) == (404, b"")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert xero.call("DELETE", "Invoices").status_code == 501


# --- limits ---


def test_every_answer_says_what_is_left(xero: Office):
    xero.get("Organisation")
    answer = xero.call("GET", "Invoices/none")
    assert answer.headers["X-MinLimit-Remaining"] == "58"
    assert answer.headers["X-DayLimit-Remaining"] == "4998"
    assert answer.headers["X-AppMinLimit-Remaining"] == "9998"


def test_the_sixty_first_call_of_a_minute_is_refused_as_recorded(xero: Office):
    for _ in range(60):
        assert xero.call("GET", "Currencies").status_code == 200
    answer = xero.call("PUT", "Invoices", json=draft())
    assert (answer.status_code, answer.content) == (429, b"")
    assert "Content-Type" not in answer.headers
    assert answer.headers["X-Rate-Limit-Problem"] == "minute"
    assert answer.headers["X-MinLimit-Remaining"] == "0"
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert made_by_app(xero) == 0
    xero.tell("/settings", {"limits": False}, "PATCH")
    assert xero.call("GET", "Currencies").status_code == 200


def test_the_minute_ends_sooner_when_time_runs_faster(xero: Office, until: Until):
    xero.tell("/settings", {"time_factor": 100}, "PATCH")
    xero.switch(minute_limit=2)
    until(lambda: xero.call("GET", "Currencies").status_code == 429, timeout=5)
    until(lambda: xero.call("GET", "Currencies").status_code == 200, timeout=5)


def test_the_day_runs_out(xero: Office):
    xero.human("/limits/day", {"left": 1})
    assert xero.call("GET", "Currencies").status_code == 200
    answer = xero.call("GET", "Currencies")
    assert (answer.status_code, answer.headers["X-Rate-Limit-Problem"]) == (429, "day")
    assert int(answer.headers["Retry-After"]) >= 1


def test_five_at_a_time_and_no_more(xero: Office, until: Until, pool: ThreadPoolExecutor):
    xero.tell(
        "/faults", {"vendor": "xero", "call": "GET /api.xro/2.0/Currencies", "when": "after", "do": "hold", "times": 5}
    )
    running = [pool.submit(xero.call, "GET", "Currencies") for _ in range(5)]
    held = until(lambda: found if len(found := xero.ask("/held", method="GET").json()) == 5 else None)
    answer = xero.call("GET", "Currencies")
    assert (answer.status_code, answer.headers["X-Rate-Limit-Problem"]) == (429, "concurrent")
    assert "Retry-After" not in answer.headers
    for each in held:
        xero.tell(f"/held/{each['id']}/release")
    assert [each.result(5).status_code for each in running] == [200] * 5
    until(lambda: xero.call("GET", "Currencies").status_code == 200)
    assert xero.books()["limits"][0]["most_in_flight"] == 5


# --- idempotency keys ---


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as made:
        yield made


def send(xero: Office, key: str = "k-1", **fields: Any) -> requests.Response:
    return xero.call("PUT", "Invoices", json=draft(**fields), headers={"Idempotency-Key": key})


def test_the_same_request_under_the_same_key_is_answered_from_memory(xero: Office):
    first, again = send(xero), send(xero)
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert first.headers["X-MinLimit-Remaining"] != again.headers["X-MinLimit-Remaining"]
    assert made_by_app(xero) == 1


def test_another_request_under_the_same_key_is_refused(xero: Office):
    send(xero)
    other = send(xero, Reference="other")
    assert other.status_code == 400
    assert "Idempotency Key: k-1 is used with a different request." in other.text
    assert send(xero, key="k" * 129).status_code == 400
    assert made_by_app(xero) == 1


def test_errors_are_remembered_too(xero: Office):
    refused = send(xero, CurrencyCode="CHF")
    xero.human("/currencies", {"code": "CHF"})
    assert send(xero, CurrencyCode="CHF").content == refused.content
    assert send(xero, key="k-2", CurrencyCode="CHF").status_code == 200


def test_a_key_is_forgotten_after_six_minutes(xero: Office):
    send(xero)
    xero.tell("/settings", {"clock_shift_s": 359}, "PATCH")
    send(xero)
    assert made_by_app(xero) == 1
    xero.tell("/settings", {"clock_shift_s": 361}, "PATCH")
    send(xero)
    assert made_by_app(xero) == 2


def test_a_refusal_by_the_limits_is_not_remembered(xero: Office):
    xero.switch(minute_limit=0)
    assert send(xero).status_code == 429
    xero.switch(minute_limit=60)
    assert send(xero).status_code == 200


@pytest.mark.parametrize(
    ("habit", "statuses", "made"), [("wait", [200, 200], 1), ("conflict", [200, 409], 1), ("process", [200, 200], 2)]
)
def test_a_duplicate_in_flight_meets_what_the_switch_says(
    xero: Office, until: Until, pool: ThreadPoolExecutor, habit: str, statuses: list[int], made: int
):
    xero.switch(in_flight_duplicate=habit)
    xero.tell("/faults", {"vendor": "xero", "call": CREATE, "when": "after", "do": "hold"})
    first = pool.submit(send, xero)
    held = until(lambda: xero.ask("/held", method="GET").json())
    second = pool.submit(send, xero)
    if habit != "wait":
        assert second.result(5).status_code == statuses[1]
    xero.tell(f"/held/{held[0]['id']}/release")
    assert [first.result(5).status_code, second.result(5).status_code] == statuses
    assert made_by_app(xero) == made


# --- faults ---


def test_an_answer_can_be_lost_after_the_effect(xero: Office):
    xero.tell("/faults", {"vendor": "xero", "call": CREATE, "when": "after", "do": "reset"})
    with pytest.raises(requests.ConnectionError):
        send(xero)
    assert made_by_app(xero) == 1
    again = send(xero)
    assert again.status_code == 200
    assert made_by_app(xero) == 1


def test_a_fault_before_the_effect_has_none(xero: Office):
    for do, kind in (
        (500, "application/json"),
        (503, "text/plain"),
        (504, "text/html"),
        (429, None),
        (403, "application/json"),
    ):
        xero.tell("/faults", {"vendor": "xero", "call": CREATE, "when": "before", "do": do})
        answer = xero.call("PUT", "Invoices", json=draft())
        assert answer.status_code == do
        assert (answer.headers.get("Content-Type") or "").startswith(kind or "")
    assert made_by_app(xero) == 0
    xero.tell("/faults", {"vendor": "xero", "call": "POST /connect/token", "do": 503})
    assert xero.ask_token().status_code == 503


# --- many at once ---


def test_many_at_once_get_numbers_of_their_own(xero: Office, pool: ThreadPoolExecutor):
    xero.tell("/settings", {"limits": False}, "PATCH")
    local = threading.local()

    def make(number: int) -> Any:
        session = local.__dict__.setdefault("session", requests.Session())
        with session.put(f"{xero.url}{API}Invoices", json=draft(), headers=xero.headers, timeout=10) as answer:
            return read(answer)["Invoices"][0]

    made = list(pool.map(make, range(80)))
    assert len({each["InvoiceNumber"] for each in made}) == 80
    assert len({each["Contact"]["ContactID"] for each in made}) == 1
