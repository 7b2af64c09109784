"""`check`: each precondition on its line with its mend, and exit status 1 if any fails."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from cryptography.fernet import Fernet

import celeryconfig
from stack.redis import free_port
from tests.admin.conftest import Desk
from worker import canary, celery_checks, checks, deliveries, routes
from worker.database import Database
from worker.deliveries import Received
from worker.routes import Route
from worker.settings import Settings


class Receiver(BaseHTTPRequestHandler):
    """As much of a receiver as can be seen from outside."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(port: int, status: int = 200) -> Iterator[None]:
    """Somebody answers at that port of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", port), type("R", (Receiver,), {"status": status})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def ready(desk: Desk, redis: Any, ledger: Database) -> Iterator[Desk]:
    """A desk whose connection stands, with a receiver that answers, and a worker that hears rings."""
    desk.connect()
    desk.do("setup", "demo")
    canary.sing(redis, datetime.now(UTC))
    with ledger.begin() as session:  # Xero has asked whether we check signatures
        deliveries.keep(session, [Received("xero", b'{"events": []}', "application/json", datetime.now(UTC))])
    with answering(int(desk.env["PORT"])):
        yield desk


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
    told = found(ready, fails=False)
    assert {one["grade"] for one in told.values()} == {"ok"}
    assert {
        "database", "redis", "workers", "address", "kommo grant", "xero grant", "kommo account", "xero organisation",
        "trigger", "deal", "currency_field", "leads fields", "kommo webhook", "account_code", "tax_type", "currencies",
        "lock dates", "setup", "clock", "celery", "kommo rights", "xero rights", "kommo plan", "xero plan",
        "kommo last spoke", "xero last spoke",
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
    assert "connect it in the console, or by admin connect kommo demo, or with --token TOKEN" in wrong["kommo grant"]
    assert "by admin connect xero demo, or with --client-credentials" in wrong["xero grant"]
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


def test_an_account_that_is_not_the_files(desk):
    desk.connect()
    desk.sandbox.patch("kommo/account", {"subdomain": "umbrella"})
    desk.env["KOMMO_API_URL"] = desk.env["KOMMO_API_URL"].replace("{subdomain}", "umbrella")
    assert "mend kommo_subdomain" in failing(desk)["kommo account"]


@pytest.mark.parametrize(("stage", "about"), [("Payment approved", "trigger"), ("Invoiced in Xero", "deal")])
def test_a_stage_that_was_deleted_is_told_and_setup_makes_it_again(ready, ledger, stage, about):
    before = routes_of(ledger)
    place = requests.delete(
        f"{ready.sandbox.control_url}/kommo/stages", json={"pipeline": "Sales", "stage": stage}, timeout=10
    )
    assert place.ok
    assert "it was deleted: run admin setup demo, which makes it again" in failing(ready)[about]
    assert f'the stage "{stage}" was deleted, and is made again' in ready.do("setup", "demo")
    assert found(ready, fails=False)[about]["grade"] == "ok"
    after = routes_of(ledger)
    assert (before.triggers == after.triggers) == (about != "trigger")
    assert (before.deal_stage == after.deal_stage) == (about != "deal")
    since = ready.sandbox.mark()
    assert "made again" not in ready.do("setup", "demo")
    assert not [
        call for call in ready.sandbox.calls_after(since) if call["method"] != "GET" and "token" not in call["path"]
    ]


def test_a_lost_key_is_told_of_each_account_and_ends_no_look(ready):
    ready.env["SECRET_KEYS"] = Fernet.generate_key().decode()
    wrong = failing(ready)
    assert "SECRET_KEYS no longer holds the key" in wrong["kommo account"]
    assert "SECRET_KEYS no longer holds the key" in wrong["xero organisation"]


def test_a_name_that_was_never_there_is_mistyped_and_made_by_nobody(ready):
    ready.rewrite('stage = "Payment approved"', 'stage = "Payment aproved"')
    assert 'did you mean "Payment approved"?' in failing(ready)["trigger"]
    assert "did you mean" in ready.refused("setup", "demo")


def routes_of(ledger: Database) -> Route:
    with ledger.reading() as session:
        route = routes.load(session, "demo")
    assert route is not None
    return route


def test_an_account_that_was_renamed_since_the_setup_is_only_a_note(ready):
    ready.sandbox.patch("kommo/account", {"subdomain": "umbrella"})
    ready.rewrite('kommo_subdomain = "acme"', 'kommo_subdomain = "umbrella"')
    ready.do("setup", "demo")
    ready.rewrite('kommo_subdomain = "umbrella"', 'kommo_subdomain = "acme"')
    told = found(ready, fails=False)["kommo account"]
    assert told["grade"] == "note"
    assert "renamed" in told["said"]


def test_a_vendor_that_never_spoke_says_what_to_type_in_there(ready, ledger):
    with ledger.begin() as session:
        session.execute(sa.delete(deliveries.Delivery))
    told = found(ready, fails=False)
    assert told["kommo last spoke"]["grade"] == "ok"  # nothing has happened there yet
    assert told["xero last spoke"]["grade"] == "note"
    assert f"delivery URL {ready.env['PUBLIC_URL']}/webhooks/xero" in told["xero last spoke"]["mend"]


def test_an_integration_that_may_not_use_files(ready):
    token = ready.sandbox.post("kommo/tokens", {"scopes": ["crm"]})["token"]
    ready.do("connect", "kommo", "demo", "--token", token)
    assert "may not use files" in failing(ready)["kommo rights"]


def test_a_plan_that_allows_few_invoices_is_a_note(ready):
    ready.sandbox.patch("xero/organisation", {"plan": "STARTER"})
    told = found(ready, fails=False)["xero plan"]
    assert told["grade"] == "note"
    assert "calls of the day left" in told["said"]


def test_the_receiver_is_asked_at_its_own_address(ready):
    port = free_port()
    ready.env["PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    assert "start the line web" in failing(ready)["address"]
    with answering(port, 404):
        assert "answers 404: have it lead to the process web" in failing(ready)["address"]


@pytest.mark.parametrize(
    ("url", "grade", "told"),
    [
        ("http://bridge.example", "note", "only reach an https address"),
        ("https://127.0.0.1:1", "note", "could not be reached from this machine"),
    ],
)
def test_what_this_machine_can_not_see_is_no_failure(url, grade, told):
    finding = checks.address(Settings(public_url=url, _env_file=None))
    assert finding.grade == grade
    assert told in finding.sentence


class TestCelery:
    """Settings that lose jobs, and queues that nobody hears."""

    @pytest.mark.parametrize("name", celery_checks.ELSEWHERE)
    def test_an_environment_that_sends_workers_elsewhere(self, ready, name):
        ready.env[name] = "redis://127.0.0.1:1/0"
        assert name in failing(ready)["celery"]

    def test_settings_that_were_changed_are_named(self):
        conf = {name: getattr(celeryconfig, name) for name in dir(celeryconfig) if not name.startswith("_")}
        assert celery_checks.settings(conf, {}).grade == "ok"
        changed = conf | {"task_acks_late": True, "task_time_limit": 4000, "worker_prefetch_multiplier": 4}
        finding = celery_checks.settings(changed, {})
        assert finding.grade == "failed"
        for name in ("task_acks_late", "visibility_timeout", "worker_prefetch_multiplier"):
            assert name in finding.said

    def test_a_queue_that_nobody_listens_to(self):
        assert celery_checks.queues(set(celery_checks.QUEUES)).grade == "ok"
        finding = celery_checks.queues(set(celery_checks.QUEUES) - {"attach_invoice"})
        assert finding.said == "no worker listens to attach_invoice"
