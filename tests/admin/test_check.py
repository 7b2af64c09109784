"""`check`: each precondition on its line with its mend, and exit status 1 if any fails."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.admin.conftest import Desk
from worker import canary


@pytest.fixture
def ready(desk: Desk, redis: Any) -> Desk:
    """A desk whose connection stands, with a worker that hears rings."""
    desk.connect()
    desk.do("setup", "demo")
    canary.sing(redis, datetime.now(UTC))
    return desk


def found(desk: Desk, *, fails: bool) -> dict[str, Any]:
    """The findings by what they are about; of several the worst."""
    order = ["ok", "note", "failed"]
    told = desk.ask("check", status=int(fails))
    return {one["about"]: one for one in sorted(told, key=lambda one: order.index(one["grade"]))}


def failing(desk: Desk) -> dict[str, str]:
    """What fails, in one sentence each."""
    return {
        about: f"{one['said']}: {one['mend']}"
        for about, one in found(desk, fails=True).items()
        if one["grade"] == "failed"
    }


def test_all_is_well(ready):
    ready.env["PUBLIC_URL"] = "https://bridge.example"
    ready.do("setup", "demo")
    told = found(ready, fails=False)
    assert {one["grade"] for one in told.values()} == {"ok"}
    assert {
        "database", "redis", "workers", "address", "kommo grant", "xero grant", "kommo account", "xero organisation",
        "trigger", "deal", "currency_field", "leads fields", "kommo webhook", "account_code", "tax_type", "currencies",
        "lock dates", "setup",
    } <= set(told)  # fmt: skip


def test_a_person_sees_a_line_for_each(ready):
    said = ready.do("check", "demo")
    lines = [line for line in said.splitlines() if line.startswith(("ok", "note", "failed"))]
    assert len(lines) == len(ready.ask("check", "demo"))
    assert "All is as it must be." in said


def test_it_changes_nothing(ready):
    since = ready.sandbox.mark()
    ready.run("check")
    calls = [call for call in ready.sandbox.calls_after(since) if call["path"] != "/connect/token"]
    assert {call["method"] for call in calls} == {"GET"}


def test_an_unknown_name_is_refused(ready):
    assert 'did you mean "demo"?' in ready.refused("check", "demmo")


def test_before_anything_was_done_each_step_is_named(desk):
    wrong = failing(desk)
    assert "admin connect kommo demo --token TOKEN" in wrong["kommo grant"]
    assert "admin connect xero demo --client-credentials" in wrong["xero grant"]
    assert "admin setup demo" in wrong["setup"]
    assert "start the lines worker and beat" in wrong["workers"]


def test_a_database_that_was_not_migrated(ready, tmp_path):
    ready.env["DATABASE_URL"] = f"sqlite:///{tmp_path / 'new.db'}"
    assert "alembic upgrade head" in failing(ready)["database"]


def test_no_redis(ready):
    ready.env["REDIS_URL"] = "redis://127.0.0.1:1/0"
    assert "REDIS_URL" in failing(ready)["redis"]


def test_a_redis_that_throws_keys_away(ready, redis):
    before = redis.config_get("maxmemory-policy")["maxmemory-policy"]
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert "set maxmemory-policy noeviction" in failing(ready)["redis"]
    finally:
        redis.config_set("maxmemory-policy", before)


def test_workers_that_hear_nothing(ready, redis):
    canary.sing(redis, datetime.now(UTC) - timedelta(minutes=5))
    assert "no worker has heard a ring for 300 s" in failing(ready)["workers"]


def test_a_token_that_ends_soon_is_only_a_note(ready):
    token = ready.sandbox.post("kommo/tokens", {"days": 500})["token"]  # ten days of ours
    ready.do("connect", "kommo", "demo", "--token", token)
    grant = found(ready, fails=False)["kommo grant"]
    assert grant["grade"] == "note"
    assert "9 days left" in grant["said"]


def test_a_revoked_token(ready):
    ready.sandbox.post("kommo/tokens/revoke", {"token": ready.sandbox.ready["kommo_token"]})
    try:
        assert "connect it again" in failing(ready)["kommo account"]
        assert "connect it again" in failing(ready)["kommo grant"]  # from then on without asking
    finally:
        ready.sandbox.ready.update(kommo_token=ready.sandbox.post("kommo/tokens")["token"])


def test_a_stage_that_was_renamed(ready):
    ready.sandbox.patch("kommo/stages", {"pipeline": "Sales", "stage": "Payment approved", "name": "Paid up"})
    wrong = failing(ready)
    assert "Payment approved" in wrong["trigger"]
    assert "admin setup demo" in wrong["setup"]


def test_a_field_that_was_deleted(ready):
    ready.sandbox.delete("kommo/fields/leads/XERO_DUE_DATE")
    assert "Kommo lacks XERO_DUE_DATE: run admin setup again" in failing(ready)["leads fields"]


def test_options_that_are_missing(ready, kommo_api):
    ready.sandbox.delete("kommo/fields/leads/XERO_INVOICE_STATUS")
    made = {"name": "S", "type": "select", "code": "XERO_INVOICE_STATUS", "enums": [{"value": "Paid", "sort": 1}]}
    kommo_api("POST", "leads/custom_fields", [made])
    assert "lacks the options Draft, Submitted" in failing(ready)["leads fields"]


def test_a_webhook_that_was_switched_off(ready):
    (hook,) = ready.sandbox.books()["kommo"]["webhooks"]
    ready.sandbox.post("kommo/webhooks/disable", {"destination": hook["destination"]})
    assert "switched it off" in failing(ready)["kommo webhook"]


def test_a_webhook_that_is_gone_and_its_address_without_the_secret(ready, kommo_api):
    (hook,) = ready.sandbox.books()["kommo"]["webhooks"]
    kommo_api("DELETE", "webhooks", {"destination": hook["destination"]})
    wrong = failing(ready)["kommo webhook"]
    assert "<KOMMO_WEBHOOK_TOKEN>" in wrong
    assert ready.env["KOMMO_WEBHOOK_TOKEN"] not in wrong


def test_a_webhook_that_tells_too_little(ready, kommo_api):
    (hook,) = ready.sandbox.books()["kommo"]["webhooks"]
    kommo_api("POST", "webhooks", {"destination": hook["destination"], "settings": ["add_lead"]})
    assert "it does not tell of add_company" in failing(ready)["kommo webhook"]


def test_a_plan_without_webhooks_is_only_a_note(ready):
    ready.sandbox.patch("settings", {"kommo": {"plan": "Base"}})
    assert found(ready, fails=False)["kommo webhook"]["grade"] == "note"


def test_an_account_that_was_archived(ready):
    ready.sandbox.patch("xero/accounts/200", {"status": "ARCHIVED"})
    assert "archived: restore it in Xero" in failing(ready)["account_code"]


def test_an_account_that_sales_are_not_booked_on(ready):
    ready.rewrite('account_code = "200"', 'account_code = "090"')
    assert "of the kind BANK" in failing(ready)["account_code"]


def test_a_currency_that_xero_lacks(ready):
    ready.sandbox.delete("xero/currencies/USD")
    told = found(ready, fails=False)["currencies"]
    assert told["grade"] == "note"
    assert "add USD in Xero" in told["mend"]
    ready.rewrite('currency_field = "Invoice currency"\n', "")
    assert "name a currency_field" in failing(ready)["currencies"]


def test_a_lock_date_that_is_not_over(ready):
    ready.sandbox.patch("xero/organisation", {"period_lock_date": "2099-12-31"})
    assert "locked until 2099-12-31" in failing(ready)["lock dates"]


def test_an_organisation_that_was_disconnected(ready):
    ready.sandbox.post("xero/disconnect")
    assert "Xero" in failing(ready)["xero organisation"]


def test_a_vendor_that_is_down_leaves_the_other_checked(ready):
    ready.sandbox.post("faults", {"vendor": "kommo", "call": "GET *", "when": "before", "do": 503, "times": 50})
    wrong = failing(ready)
    assert "not well" in wrong["kommo account"]
    assert set(wrong) == {"kommo account"}


def test_a_file_that_changed_since_setup(ready):
    ready.rewrite('stage = "Invoiced in Xero"', 'stage = "New"')
    assert "admin setup demo" in failing(ready)["setup"]


def test_a_subdomain_that_changed(ready):
    ready.sandbox.patch("kommo/account", {"subdomain": "umbrella"})
    ready.env["KOMMO_API_URL"] = ready.env["KOMMO_API_URL"].replace("{subdomain}", "umbrella")
    assert "mend kommo_subdomain" in failing(ready)["kommo account"]
