"""`setup`: names become ids, our fields and webhook stand in Kommo, the receiver knows; done again it changes nothing."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.admin.conftest import Desk
from worker import facts, routes
from worker.database import Database
from worker.routes import Route

PROMISED = {
    "XERO_INVOICE_ID": "text",
    "XERO_INVOICE_NUMBER": "text",
    "XERO_INVOICE_STATUS": "select",
    "XERO_INVOICE_TOTAL": "numeric",
    "XERO_AMOUNT_DUE": "numeric",
    "XERO_CURRENCY": "text",
    "XERO_DUE_DATE": "date",
    "XERO_INVOICE_URL": "url",
    "XERO_INVOICE_PDF": "file",
    "XERO_SYNC_MESSAGE": "text",
}


@pytest.fixture
def connected(desk: Desk) -> Desk:
    desk.connect()
    return desk


def kommo(desk: Desk) -> Any:
    return desk.sandbox.books()["kommo"]


def our_fields(desk: Desk, entity: str = "leads") -> dict[str, Any]:
    return {
        one["code"]: one
        for one in kommo(desk)["fields"]
        if one["entity"] == entity and (one["code"] or "").startswith("XERO_")
    }


def route(ledger: Database) -> Route:
    with ledger.reading() as session:
        found = routes.load(session, "demo")
    assert found is not None
    return found


def writes(desk: Desk, since: int) -> list[str]:
    return [
        f"{call['method']} {call['path']}"
        for call in desk.sandbox.calls_after(since)
        if call["method"] != "GET" and "/connect/token" not in call["path"]
    ]


def test_the_first_setup_makes_everything(connected, ledger):
    said = connected.do("setup", "demo")
    assert {code: one["type"] for code, one in our_fields(connected).items()} == PROMISED
    assert all(one["is_api_only"] for one in our_fields(connected).values())
    for entity in ("contacts", "companies"):
        assert {code: one["type"] for code, one in our_fields(connected, entity).items()} == {"XERO_CONTACT_ID": "text"}
    (hook,) = kommo(connected)["webhooks"]
    assert hook["destination"] == f"{connected.env['PUBLIC_URL']}/webhooks/kommo/{connected.env['KOMMO_WEBHOOK_TOKEN']}"
    assert {"add_lead", "status_lead", "update_contact", "update_company"} <= set(hook["settings"])
    found = route(ledger)
    assert (found.account_id, found.subdomain, found.tenant_id) == (
        30896271,
        "acme",
        "5b96e86b-418e-48d8-8949-308c14aec278",
    )
    assert found.triggers == {(6950551, 58141815)}
    assert found.deal_stage == (6950551, 58141819)
    assert found.fields == {"currency": 184994, "description": 184996}
    with ledger.reading() as session:
        known = facts.last_known(session, "demo")
    assert known is not None
    assert known.organisation.base_currency == "NZD"
    assert f"delivery URL {connected.env['PUBLIC_URL']}/webhooks/xero" in said
    assert "Invoices" in said


def test_secrets_are_not_printed(connected):
    said = connected.do("setup", "demo")
    for secret in ("KOMMO_WEBHOOK_TOKEN", "XERO_CLIENT_SECRET", "SECRET_KEYS", "XERO_WEBHOOK_KEY"):
        assert connected.env[secret] not in said


def test_our_fields_stand_in_a_tab_of_their_own(connected, kommo_api):
    connected.do("setup", "demo")
    connected.sandbox.delete("kommo/fields/leads/XERO_CURRENCY")
    connected.do("setup", "demo")
    tabs = kommo_api("GET", "leads/custom_fields/groups")["_embedded"]["custom_field_groups"]
    (ours,) = [tab for tab in tabs if tab["name"] == "Xero"]
    fields = kommo_api("GET", "leads/custom_fields?limit=250")["_embedded"]["custom_fields"]
    assert {one["code"] for one in fields if one["group_id"] == ours["id"]} == set(PROMISED)


def test_done_again_it_writes_nothing(connected, ledger):
    connected.do("setup", "demo")
    before = route(ledger)
    since = connected.sandbox.mark()
    connected.do("setup", "demo")
    assert writes(connected, since) == []
    assert route(ledger) == before


def test_a_field_that_was_deleted_is_made_again(connected):
    connected.do("setup", "demo")
    connected.sandbox.delete("kommo/fields/leads/XERO_CURRENCY")
    assert "1 made in Kommo" in connected.do("setup", "demo")
    assert set(our_fields(connected)) == set(PROMISED)


def test_a_field_of_ours_of_the_wrong_kind_is_told_and_nothing_is_changed(connected, kommo_api):
    made = [{"name": "Mine", "type": "text", "code": "XERO_DUE_DATE"}]
    kommo_api("POST", "leads/custom_fields", made)
    told = connected.refused("setup", "demo")
    assert '"Mine" (XERO_DUE_DATE) is of the kind text, not date' in told
    assert "delete it in Kommo" in told
    assert set(our_fields(connected)) == {"XERO_DUE_DATE"}
    assert kommo(connected)["webhooks"] == []


def test_options_that_are_missing_are_added_and_the_others_keep_their_ids(connected, kommo_api):
    options = [{"value": "Paid", "sort": 1}, {"value": "Draft", "sort": 2}]
    made = [{"name": "Status", "type": "select", "code": "XERO_INVOICE_STATUS", "enums": options}]
    kommo_api("POST", "leads/custom_fields", made)
    before = status_options(kommo_api)
    connected.do("setup", "demo")
    after = status_options(kommo_api)
    assert len(after) == 10
    assert before.items() <= after.items()
    assert {"Partly paid", "Problem"} <= set(after)


def status_options(kommo_api: Any) -> dict[str, int]:
    fields = kommo_api("GET", "leads/custom_fields?limit=250")["_embedded"]["custom_fields"]
    (status,) = [one for one in fields if one["code"] == "XERO_INVOICE_STATUS"]
    return {option["value"]: option["id"] for option in status["enums"]}


def test_everything_that_is_not_found_is_told_at_once_with_the_nearest(connected):
    connected.rewrite('stage = "Payment approved"', 'stage = "Payment aproved"')
    connected.rewrite('currency_field = "Invoice currency"', 'currency_field = "Invoise currency"')
    connected.rewrite('account_code = "200"', 'account_code = "201"')
    connected.rewrite('tax_type = "OUTPUT2"', 'tax_type = "OUTPUT3"')
    told = connected.refused("setup", "demo")
    assert 'Kommo has no stage in the pipeline "Sales" "Payment aproved": did you mean "Payment approved"?' in told
    assert 'did you mean "Invoice currency"?' in told
    assert 'Xero has no account "201"' in told
    assert 'no tax rate "OUTPUT3"' in told
    assert our_fields(connected) == {}


def test_names_may_be_ids(connected, ledger):
    connected.rewrite('pipeline = "Sales"\nstage = "Payment approved"', "pipeline = 6950551\nstage = 58141815")
    connected.do("setup", "demo")
    assert route(ledger).triggers == {(6950551, 58141815)}


def test_an_earlier_address_of_ours_is_replaced(connected):
    connected.do("setup", "demo")
    connected.env["KOMMO_WEBHOOK_TOKEN"] = f"newer-token,{connected.env['KOMMO_WEBHOOK_TOKEN']}"
    assert "in place of the earlier one" in connected.do("setup", "demo")
    (hook,) = kommo(connected)["webhooks"]
    assert hook["destination"].endswith("/newer-token")


def test_an_address_on_an_earlier_host_of_ours_is_replaced(connected):
    connected.do("setup", "demo")
    connected.env["PUBLIC_URL"] = "https://bridge.example"
    connected.do("setup", "demo")
    (hook,) = kommo(connected)["webhooks"]
    assert hook["destination"].startswith("https://bridge.example/webhooks/kommo/")


def test_webhooks_of_others_are_left_alone(connected, kommo_api):
    theirs = {"destination": "https://other.example/webhooks/kommo/their-token", "settings": ["add_lead"]}
    kommo_api("POST", "webhooks", theirs)
    connected.do("setup", "demo")
    assert theirs["destination"] in {hook["destination"] for hook in kommo(connected)["webhooks"]}


def test_a_webhook_that_kommo_switched_off_is_registered_anew(connected):
    connected.do("setup", "demo")
    (hook,) = kommo(connected)["webhooks"]
    connected.sandbox.post("kommo/webhooks/disable", {"destination": hook["destination"]})
    connected.do("setup", "demo")
    (hook,) = kommo(connected)["webhooks"]
    assert not hook["disabled"]


def test_a_webhook_that_tells_too_little_is_completed(connected, kommo_api):
    connected.do("setup", "demo")
    (hook,) = kommo(connected)["webhooks"]
    kommo_api("POST", "webhooks", {"destination": hook["destination"], "settings": ["add_lead"]})
    connected.do("setup", "demo")
    (again,) = kommo(connected)["webhooks"]
    assert set(again["settings"]) == set(hook["settings"])


@pytest.mark.parametrize("status", [402, 403])
def test_a_plan_without_webhooks_is_no_failure(connected, ledger, status):
    connected.sandbox.patch("settings", {"kommo": {"plan": "Base", "no_plan_status": status}})
    said = connected.do("setup", "demo")
    assert 'Digital Pipeline, stage "Sales" / "Payment approved"' in said
    assert f"{connected.env['PUBLIC_URL']}/webhooks/kommo/<KOMMO_WEBHOOK_TOKEN>" in said
    assert route(ledger).account_id == 30896271


def test_invoices_count_from_the_day_of_the_first_setup_in_the_organisations_zone(connected, ledger):
    connected.rewrite("since = 2020-01-01\n", "")
    before = datetime.now(UTC)
    connected.do("setup", "demo")
    zone = ZoneInfo("Pacific/Auckland")
    assert route(ledger).since in {before.astimezone(zone).date(), datetime.now(zone).date()}


def test_that_day_is_kept(connected, ledger):
    connected.do("setup", "demo")
    connected.rewrite("since = 2020-01-01\n", "")
    connected.do("setup", "demo")
    assert route(ledger).since == date(2020, 1, 1)


def test_stages_for_labels_are_found(connected, ledger):
    connected.rewrite("[connection.deal]", '[connection.stages]\npaid = "closed - WON"\n\n[connection.deal]')
    connected.do("setup", "demo")
    assert route(ledger).moves == {"paid": (6950551, 142)}


def test_an_earlier_subdomain_stays_known(connected, ledger):
    connected.do("setup", "demo")
    connected.sandbox.patch("kommo/account", {"subdomain": "umbrella"})
    connected.rewrite('kommo_subdomain = "acme"', 'kommo_subdomain = "umbrella"')
    connected.do("setup", "demo")
    assert route(ledger).subdomains == ("umbrella", "acme")


def test_an_account_named_after_xero_is_refused_with_the_reason(connected):
    connected.sandbox.patch("kommo/account", {"subdomain": "xerofans"})
    connected.rewrite('kommo_subdomain = "acme"', 'kommo_subdomain = "xerofans"')
    assert 'Xero refuses addresses with "xero" in them' in connected.refused("setup", "demo")


def test_two_connections_may_not_share_a_stage_by_name_and_by_id(connected):
    connected.do("setup", "demo")
    text = """
[[connection]]
name = "other"
kommo_subdomain = "acme"
[connection.trigger]
pipeline = 6950551
stage = 58141815
[connection.invoice]
account_code = "200"
[connection.deal]
pipeline = "Sales"
stage = "New"
"""
    path = connected.folder / "connections.toml"
    path.write_text(path.read_text() + text)
    connected.do("connect", "kommo", "other", "--token", connected.sandbox.ready["kommo_token"])
    connected.do("connect", "xero", "other", "--client-credentials")
    told = connected.refused("setup", "other")
    assert 'the connection "demo" has the same stage' in told
    assert 'the connection "demo" makes deals of this organisation' in told


def test_before_connect_it_says_what_to_do(desk):
    assert "admin connect kommo" in desk.refused("setup", "demo")


def test_a_lost_answer_is_mended_by_setting_up_again(connected):
    fault = {"vendor": "kommo", "call": "POST */leads/custom_fields", "when": "after", "do": "reset", "times": 1}
    connected.sandbox.post("faults", fault)
    assert "run the same command again" in connected.refused("setup", "demo")
    connected.do("setup", "demo")
    assert {code: one["type"] for code, one in our_fields(connected).items()} == PROMISED


def test_a_token_that_is_no_admins_is_told(desk):
    token = desk.sandbox.post("kommo/tokens", {"user": 8375361})["token"]
    desk.do("connect", "kommo", "demo", "--token", token)
    desk.do("connect", "xero", "demo", "--client-credentials")
    assert "right" in desk.refused("setup", "demo")
