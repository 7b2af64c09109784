"""`reconcile`: what it says is missing, and that a dry run only says it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.admin.conftest import Desk
from worker import links
from worker.database import Database
from worker.links import Link

ACCOUNT, TENANT = 30896271, "5b96e86b-418e-48d8-8949-308c14aec278"


@pytest.fixture
def ready(desk: Desk) -> Desk:
    desk.connect()
    desk.do("setup", "demo")
    return desk


def deal(desk: Desk) -> int:
    """A deal in the trigger's stage, of which no webhook came."""
    made: Any = desk.sandbox.post("kommo/leads", {"name": "Website", "pipeline": "Sales", "stage": "Payment approved"})
    return int(made["id"])


def test_what_is_missing_is_said_and_then_repaired(ready):
    deal(ready)
    said = ready.do("reconcile", "demo", "--dry-run")
    assert "1 deal without its invoice: would be repaired." in said
    assert "Nothing is missing." not in said
    assert ready.ask("jobs", "list") == []
    assert "1 deal without its invoice: being repaired." in ready.do("reconcile", "demo")
    assert [job["state"] for job in ready.ask("jobs", "list")] == ["queued"]


def test_nothing_is_missing(ready):
    said = ready.do("reconcile", "demo", "--since", "2d")
    assert "Nothing is missing." in said
    assert ready.ask("reconcile", "demo")["jobs"] == {}


def test_a_deal_that_waits_for_its_client_is_asked_about_and_is_not_missing(ready, ledger: Database):
    now = datetime.now(UTC)
    with ledger.begin() as session:
        session.add(
            Link(
                connection="demo", origin=links.Origin.DEAL, account_id=ACCOUNT, lead_id=deal(ready), tenant_id=TENANT,
                made_at=now, asked_at=now, waiting=True, question="The deal has no client.", remarks=[],
            )
        )  # fmt: skip
    for words in (("--dry-run",), ("--since", "2d"), ()):
        said = ready.do("reconcile", "demo", *words)
        assert "1 deal waits for what its message asks for" in said, words
        assert "without its invoice" not in said, words
        assert "Nothing is missing." in said, words
    assert ready.ask("reconcile", "demo")["waiting"] == 1
    assert [job["kind"] for job in ready.ask("jobs", "list")] == ["create_invoice"]
