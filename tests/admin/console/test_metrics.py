"""The metrics: what the ledger holds, in Prometheus' words."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from admin.console.app import create_app
from tests.admin.console.conftest import Browser
from worker import canary, jobs, notices
from worker.grants import Grant
from worker.jobs import Kind, LeadRef, Wanted
from worker.notices import Look
from worker.workshop import utcnow


def read(browser) -> dict[tuple[str, ...], float]:
    """Each measure by its name and the values of its labels."""
    answer = browser.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_jobs_are_counted_by_connection_kind_and_state(stranger, ledger):
    with ledger.begin() as session:
        wanted = [Wanted("demo", Kind.CREATE_INVOICE, lead=LeadRef(1, lead_id)) for lead_id in (7, 8)]
        jobs.record(session, wanted, now=utcnow() - timedelta(seconds=90))
    told = read(stranger)
    assert told["bridge_jobs", "demo", "create_invoice", "queued"] == 2
    assert 90 <= told[("bridge_oldest_due_seconds",)] < 120
    with ledger.begin() as session:
        session.execute(sa.update(jobs.Job).values(state="done", ended_at=utcnow()))
    told = read(stranger)
    assert told["bridge_jobs_ended", "create_invoice", "done"] == 2
    assert ("bridge_jobs", "demo", "create_invoice", "queued") not in told
    assert told[("bridge_oldest_due_seconds",)] == 0


def test_grants_budgets_and_who_was_heard(stranger, desk, ledger, redis):
    desk.connect()
    desk.do("setup", "demo")
    canary.sing(redis, utcnow())
    told = read(stranger)
    assert told["bridge_grant_refused", "demo", "kommo"] == 0
    assert told["bridge_grant_days_left", "demo", "kommo"] > 30
    assert ("bridge_grant_days_left", "demo", "xero") not in told
    assert any(name[0] == "bridge_budget_left" and name[1].startswith("xero:") and name[2] == "day" for name in told)
    assert told[("bridge_workers_heard_timestamp_seconds",)] == pytest.approx(utcnow().timestamp(), abs=60)
    assert told[("bridge_deliveries_not_understood",)] == 0
    assert told[("bridge_database_up",)] == 1


def test_a_connection_that_has_left_the_file_alerts_nobody_for_ever(stranger, desk, ledger):
    desk.connect()
    with ledger.begin() as session:
        session.execute(sa.update(Grant).values(refusal="revoked"))
    assert read(stranger)["bridge_grant_refused", "demo", "kommo"] == 1
    desk.rewrite('name = "demo"', 'name = "another"')
    assert ("bridge_grant_refused", "demo", "kommo") not in read(stranger)
    assert desk.ask("status")["grants"] == []


def test_without_a_database_it_says_so(stranger, desk):
    (desk.folder / "bridge.db").write_bytes(b"no database at all" * 100)
    assert read(stranger) == {("bridge_database_up",): 0}


def test_without_redis_the_ledger_is_still_told(settings):
    app = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    told = read(Browser(app, "unused"))
    assert told[("bridge_database_up",)] == 1
    assert ("bridge_workers_heard_timestamp_seconds",) not in told


def test_no_secret_and_no_token_is_in_it(stranger, desk):
    desk.connect()
    desk.do("setup", "demo")
    text = stranger.get("/metrics").text
    for name, value in desk.env.items():
        if name.endswith(("TOKEN", "SECRET", "KEYS", "KEY", "PASSWORD")):
            assert value not in text, name


def test_checks_that_fail_are_counted_each(stranger, ledger):
    with ledger.begin() as session:
        look = Look({("demo", "trigger"): "gone", ("", "redis"): "full"}, (), sure=True)
        notices.remember(session, look, now=utcnow())
    told = read(stranger)
    assert told["bridge_check_failing", "trigger", "demo"] == 1
    assert told["bridge_check_failing", "redis", ""] == 1
