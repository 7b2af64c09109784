"""Faults, limits, settings and traffic, and what holds for every page."""

import threading

import pytest
import requests

from sandbox.kit.settings import DEFAULTS
from sandbox.kommo.switches import SWITCHES as KOMMO
from sandbox.pages.__main__ import PAGE, written
from sandbox.pages.meanings import GROUPS, TRUST
from sandbox.xero.state import SWITCHES as XERO
from tests.sandbox.pages.visitor import Visitor

NOBODY = "http://127.0.0.1:9/kommo"
EVERYWHERE = [
    "/", "/kommo/", "/kommo/leads/new", "/xero/", "/xero/invoices/new", "/xero/invoices/S-1002", "/traffic", "/faults",
]  # fmt: skip


@pytest.mark.parametrize("path", EVERYWHERE)
def test_every_page_brings_all_it_needs(visitor: Visitor, path: str):
    page = visitor.open(path)
    assert page.status == 200
    assert [address for address in page.addresses if not address.startswith(("/", "#"))] == []


@pytest.mark.parametrize("path", EVERYWHERE)
def test_a_page_that_has_not_changed_is_not_sent_again(visitor: Visitor, path: str):
    headers = {"X-Live": "1"}
    first = visitor.session.get(visitor.url + path, headers=headers, timeout=10)
    again = headers | {"If-None-Match": first.headers["ETag"]}
    assert visitor.session.get(visitor.url + path, headers=again, timeout=10).status_code == 304


def test_the_pages_are_no_calls(visitor: Visitor):
    visitor.open("/kommo/")
    visitor.open("/traffic")
    assert visitor.sandbox.kit.calls.after() == []


def test_the_control_plane_is_where_it_was(visitor: Visitor):
    assert visitor.session.get(f"{visitor.url}/_sandbox/health", timeout=5).json()["ok"]
    assert (
        visitor.session.get(f"{visitor.url}/_sandbox/nothing", timeout=5).headers["Content-Type"] == "application/json"
    )


# --- settings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "switches"), [("kommo", KOMMO), ("xero", XERO)])
def test_what_can_be_switched_can_be_understood(path, switches):
    named = [one.name for group in GROUPS if group.path == path for one in group.meanings]
    assert sorted(named) == sorted(switches)


def test_the_sandboxs_own_settings_can_be_understood():
    paths = {name for name, value in DEFAULTS.items() if isinstance(value, dict)}
    named = {one.name for group in GROUPS if group.path == "" for one in group.meanings} | {
        group.path for group in GROUPS if group.path in paths
    }
    assert named | {"hooks_paused"} == set(DEFAULTS)  # which has its button on the page of traffic


def test_every_choice_is_one_that_the_switch_starts_with_or_may_have():
    for group in GROUPS:
        for one in group.meanings:
            usual = {"kommo": KOMMO, "xero": XERO}.get(group.path, {}).get(one.name)
            assert one.trust in TRUST
            assert bool(one.sheet) == (one.trust != "ours"), one.name
            assert not one.choices or usual in [value for value, _ in one.choices], one.name


@pytest.mark.parametrize(
    ("form", "value", "path", "now"),
    [
        ("retry_after", "3", ("kommo", "retry_after"), None),
        ("minor_units", "no", ("kommo", "minor_units"), False),
        ("minute_limit", "5", ("xero", "minute_limit"), 5),
        ("hook_categories", "INVOICE, CREDITNOTE", ("xero", "hook_categories"), ["INVOICE", "CREDITNOTE"]),
        ("time_factor", "60", ("time_factor",), 60.0),
        ("drop", "0.5", ("noise", "drop"), 0.5),
    ],
)
def test_a_setting_is_changed_and_changed_back(
    visitor: Visitor, form: str, value: str, path: tuple[str, ...], now: object
):
    def read() -> object:
        found = visitor.session.get(f"{visitor.url}/_sandbox/settings", timeout=5).json()
        for name in path:
            found = found[name]
        return found

    usual = read()
    page = visitor.press(visitor.open("/faults"), f"/{form}", value=value)
    assert read() == now
    visitor.press(page, f"/{form}", "As it was")
    assert read() == usual


def test_a_setting_that_cannot_be_is_refused(visitor: Visitor):
    page = visitor.press(visitor.open("/faults"), "/minute_limit", value="many")
    assert page.said.strip() == "Minute_limit “many” is no number: write it like 1234.50."


def test_a_choice_that_is_none_is_refused(visitor: Visitor):
    page = visitor.press(visitor.open("/faults"), "/plan", value="²")
    assert page.said.strip() == "Plan has no such choice."


# --- faults --------------------------------------------------------------------------------------------------------------


def test_a_fault_is_set_by_one_press_and_fires_once(visitor: Visitor):
    page = visitor.press(visitor.open("/faults"), "/faults", trouble="closed")
    assert "any" not in page.said
    url = visitor.sandbox.kit.urls["xero"]
    statuses = [visitor.session.get(f"{url}/connections", timeout=5).status_code for _ in range(6)]
    assert statuses == [503] * 5 + [401]
    page = visitor.open("/faults")
    assert "fired 5 of 5" in page.seen
    assert "None: all goes well." in visitor.press(page, "/clear").seen


def test_a_fault_of_ones_own(visitor: Visitor):
    typed = {"vendor": "kommo", "method": "GET", "path": "/api/v4/leads", "do": "500", "when": "before", "times": ""}
    page = visitor.press(visitor.open("/faults"), "/faults", trouble="", **typed)
    assert visitor.sandbox.kit.faults.all()[0]["times"] is None
    refused = visitor.press(page, "/faults", trouble="", path="leads")
    assert "is a method and a path" in refused.said


def test_a_held_call_is_let_through_by_hand(visitor: Visitor, until):
    visitor.tell("/faults", {"vendor": "xero", "call": "GET /connections", "do": "hold"})
    answers: list[int] = []
    url = f"{visitor.sandbox.kit.urls['xero']}/connections"
    asking = threading.Thread(target=lambda: answers.append(requests.get(url, timeout=10).status_code))
    asking.start()
    until(lambda: "Held at the door" in visitor.open("/faults").seen, 5)
    assert visitor.press(visitor.open("/faults"), "/release").said == "Let through."
    asking.join(5)
    assert answers == [401]


# --- traffic -------------------------------------------------------------------------------------------------------------


def test_what_was_sent_and_what_came_is_shown(visitor: Visitor, until):
    visitor.kommo("POST", "/webhooks", {"destination": NOBODY, "settings": ["add_lead"]})
    lead_id = visitor.tell("/kommo/leads", {"name": "Website"})["id"]
    until(lambda: "retrying" in visitor.open("/traffic").seen, 5)
    page = visitor.open("/traffic")
    assert f"leads add {lead_id}" in page.seen
    assert "leads[add][0][name] = Website" in page.seen
    assert "refused" in page.seen
    assert "POST /api/v4/webhooks" in page.seen
    assert "of 7 left" in page.seen
    assert "Website" not in visitor.open("/traffic?hooks=xero").seen
    assert "/api/v4/webhooks" not in visitor.open("/traffic?calls=xero").seen


def test_webhooks_are_held_back_and_let_go(visitor: Visitor):
    page = visitor.press(visitor.open("/traffic"), "/pause")
    assert visitor.sandbox.kit.settings["hooks_paused"] is True
    visitor.kommo("POST", "/webhooks", {"destination": NOBODY, "settings": ["add_lead"]})
    visitor.tell("/kommo/leads", {"name": "Website"})
    assert "Tried 1 at once" in visitor.press(visitor.open("/traffic"), "/flush").said
    visitor.press(page, "/pause")
    assert visitor.sandbox.kit.settings["hooks_paused"] is False


def test_a_webhook_is_switched_off_and_on(visitor: Visitor):
    visitor.kommo("POST", "/webhooks", {"destination": NOBODY, "settings": ["add_lead"]})
    page = visitor.press(visitor.open("/traffic"), "/webhooks/switch")
    assert visitor.books()["kommo"]["webhooks"][0]["disabled"]
    visitor.press(page, "/webhooks/switch")
    assert not visitor.books()["kommo"]["webhooks"][0]["disabled"]


def test_starting_over_takes_everything_away(visitor: Visitor):
    visitor.tell("/kommo/leads", {"name": "Website"})
    page = visitor.press(visitor.open("/"), "/reset")
    assert page.said.startswith("All is as at the start.")
    assert visitor.books()["kommo"]["leads"] == []


def test_the_docs_tell_what_every_switch_is():
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page, "run python -m sandbox.pages"
