"""Who is let in, how fast, and how Kommo says no."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import wait_until
from tests.sandbox.kommo_stand import Stand

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def running() -> Iterator[Stand]:
    made = Stand()
    yield made
    made.stop()


@pytest.fixture
def stand(running: Stand) -> Stand:
    running.tell("/reset", {"seed": "demo"})
    return running


def slow(stand: Stand) -> None:
    """A second lasts five, so that a busy machine is not mistaken for a patient client."""
    stand.tell("/settings", {"time_factor": 0.2}, "PATCH")


def test_the_eighth_call_in_a_second_is_refused(stand: Stand):
    slow(stand)
    answers = [stand.api("GET", "/account") for _ in range(9)]
    assert [answer.status_code for answer in answers] == [200] * 7 + [429] * 2
    assert answers[-1].headers["Content-Type"] == "application/problem+json"
    assert answers[-1].json() == {
        "title": "Too Many Requests",
        "type": "https://httpstatus.es/429",
        "status": 429,
        "detail": "You have sent too many requests in a given amount of time. Please try again later.",
        "retry_after": 5,
    }
    assert stand.api("GET", f"{stand.drive_url}/v1.0/files").status_code == 204


def test_the_time_factor_shrinks_the_second(stand: Stand):
    slow(stand)
    assert [stand.api("GET", "/account").status_code for _ in range(8)] == [200] * 7 + [429]
    stand.tell("/settings", {"time_factor": 1000}, "PATCH")
    assert stand.api("GET", "/account").status_code == 200


def test_a_429_is_not_always_json(stand: Stand):
    slow(stand)
    stand.switch(rate=1, rate_answer="text")
    stand.api("GET", "/account")
    answer = stand.api("GET", "/account")
    assert (answer.status_code, answer.headers["Content-Type"]) == (429, "text/html")


def test_calls_can_be_counted_by_integration_and_by_account(stand: Stand):
    slow(stand)
    stand.switch(rate=1, account_rate=3, limit_scope="integration")
    assert stand.api("GET", "/account").status_code == 200
    assert stand.api("GET", "/account").status_code == 429
    stand.switch(rate=5)
    assert [stand.api("GET", "/account").status_code for _ in range(3)] == [200, 200, 429]


def test_lasting_abuse_ends_in_a_block_that_only_support_lifts(stand: Stand):
    slow(stand)
    stand.switch(rate=1, block_after=2)
    for _ in range(4):
        stand.api("GET", "/account")
    stand.tell("/settings", {"clock_shift_s": 3600}, "PATCH")
    answer = stand.api("GET", "/leads")
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "text/html")
    assert b"<title>403 Forbidden</title>" in answer.content
    stand.tell("/kommo/unblock")
    assert stand.api("GET", "/account").status_code == 200
    stand.tell("/kommo/block")
    assert stand.api("GET", "/account").status_code == 403


@pytest.mark.parametrize("how", ["revoke", "expire"])
def test_a_token_that_ended_is_refused(stand: Stand, how: str):
    stand.token = stand.tell("/kommo/tokens", {"days": 1})["token"]
    assert stand.api("GET", "/account").status_code == 200
    stand.tell(f"/kommo/tokens/{how}", {"token": stand.token})
    answer = stand.api("GET", "/account")
    stand.token = stand.sandbox.ready["kommo_token"]
    assert answer.json() == {
        "title": "Unauthorized",
        "type": "https://httpstatus.es/401",
        "status": 401,
        "detail": "Invalid user name or password",
    }


def test_a_token_says_when_it_ends_and_ends_then(stand: Stand):
    token = stand.tell("/kommo/tokens", {"days": 1, "scopes": ["crm"]})["token"]
    part = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert abs(claims["exp"] - time.time() - 86400) < 5
    assert (claims["account_id"], claims["scopes"]) == (30896271, ["crm"])
    assert len(token) > 800
    stand.tell("/settings", {"clock_shift_s": 86401}, "PATCH")
    assert (
        requests.get(f"{stand.api_url}/account", headers={"Authorization": f"Bearer {token}"}, timeout=5).status_code
        == 401
    )


def test_who_is_no_admin_may_not_touch_hooks_and_fields(stand: Stand):
    token = stand.tell("/kommo/tokens", {"user": 8375361})["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.get(f"{stand.api_url}/webhooks", headers=headers, timeout=5).status_code == 403
    answer = requests.post(
        f"{stand.api_url}/leads/custom_fields", json=[{"name": "x", "type": "text"}], headers=headers, timeout=5
    )
    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "application/problem+json")


def test_an_account_that_does_not_pay_gets_402(stand: Stand):
    stand.switch(paid=False)
    assert stand.api("GET", "/account").json()["title"] == "Payment Required"


def test_refusals_are_worded_as_kommo_words_them(stand: Stand):
    assert stand.api("GET", "/example").json()["detail"] == "Cannot GET https://acme.kommo.com/api/v4/example"
    assert stand.api("DELETE", "/account").json() == {
        "title": "Method Not Allowed",
        "type": "https://httpstatus.es/405",
        "status": 405,
        "detail": "Method Not Allowed",
    }
    assert stand.api("POST", "/leads").json()["detail"] == "Request data can not be empty"
    assert stand.api("POST", "/leads", [{}] * 251).status_code == 422


def test_every_answer_has_a_request_id_and_its_content_type(stand: Stand):
    answer = stand.api("GET", "/account")
    assert answer.headers["Content-Type"] == "application/hal+json"
    assert len(answer.headers["X-Request-Id"]) == 32
    assert answer.headers["X-Request-Id"] != stand.api("GET", "/account").headers["X-Request-Id"]
    [call] = stand.ask("/calls?vendor=kommo")[-1:]
    assert (call["pattern"], call["client"]) == ("/api/v4/account", "user 8375357")


def test_the_account_is_known_by_host_or_by_path(stand: Stand):
    headers = {"Authorization": f"Bearer {stand.token}", "Host": "acme.kommo.test"}
    root = stand.sandbox.kit.urls["kommo"]
    assert requests.get(f"{root}/api/v4/account", headers=headers, timeout=5).status_code == 200
    assert (
        requests.get(
            f"{root}/other/api/v4/account", headers=headers | {"Host": "other.kommo.test"}, timeout=5
        ).status_code
        == 404
    )
    stand.tell("/kommo/account", {"subdomain": "renamed"}, "PATCH")
    assert stand.api("GET", "/account").status_code == 404
    stand.tell("/kommo/account", {"subdomain": "acme"}, "PATCH")


@pytest.mark.parametrize(
    ("do", "status", "kind"),
    [(429, 429, "application/problem+json"), (401, 401, "application/problem+json"), (403, 403, "text/html"), (500, 500, "application/problem+json"), (504, 504, "text/html")],
)  # fmt: skip
def test_ordered_faults_are_worded_as_kommo_words_them(stand: Stand, do: int, status: int, kind: str):
    stand.tell("/faults", {"vendor": "kommo", "call": "GET /api/v4/account", "do": do})
    answer = stand.api("GET", "/account")
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, kind)
    assert stand.api("GET", "/account").status_code == 200


def test_an_answer_can_be_lost_after_its_effect(stand: Stand):
    stand.tell("/faults", {"vendor": "kommo", "call": "POST /api/v4/leads$", "when": "after", "do": "reset"})
    with pytest.raises(requests.ConnectionError):
        stand.api("POST", "/leads", [{"name": "Lost"}])
    assert [lead["name"] for lead in stand.ask("/books")["kommo"]["leads"]] == ["Lost"]


def test_it_runs_alone_and_stops_when_told(tmp_path: Path):
    ports = [f"--{name}-port=0" for name in ("control", "kommo", "drive", "xero")]
    command = [
        sys.executable,
        "-m",
        "sandbox",
        *ports,
        "--port-file",
        str(tmp_path / "ports.json"),
        "--time-factor",
        "5",
        "--seed",
        "empty",
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        ready = json.loads(child.stdout.readline())
        assert ready == json.loads((tmp_path / "ports.json").read_text())
        headers = {"Authorization": f"Bearer {ready['kommo_token']}"}
        found = requests.get(f"{ready['kommo_url']}/acme/api/v4/leads/pipelines", headers=headers, timeout=5)
        assert found.json()["_embedded"]["pipelines"][0]["name"] == "Pipeline"
        child.terminate()
        assert wait_until(lambda: child.poll() is not None, 5)
        assert child.returncode == 0
