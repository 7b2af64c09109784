"""What no webhook brought is found by reading both systems."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from integrations.errors import Broken
from tests.worker.shop import Shop
from worker import cursors
from worker.cursors import Cursor, Side
from worker.hooks import Registered
from worker.jobs import Kind
from worker.reconciling import Found, reconcile


def look(shop: Shop, **more: object) -> Found:
    found = reconcile(shop.workshop, "demo", **more)  # type: ignore[arg-type]
    assert found is not None
    return found


def repaired(shop: Shop) -> Found:
    found = look(shop)
    shop.work()
    return found


def test_a_deal_whose_webhook_was_lost_gets_its_invoice(shop: Shop):
    moved, made = shop.deal(stage="Offer"), shop.deal(company={"name": "Globex GmbH"})
    shop.sandbox.post("kommo/leads/move", {"ids": [moved], "pipeline": "Sales", "stage": "Payment approved"})
    assert repaired(shop).count(Kind.CREATE_INVOICE) == 2
    assert [len(shop.books().invoices_for(lead_id)) for lead_id in (moved, made)] == [1, 1]


def test_a_deal_that_entered_the_stage_and_went_on_unseen_is_found_by_the_log(shop: Shop):
    lead_id = shop.deal(stage="Offer")
    shop.sandbox.post("kommo/leads/move", {"ids": [lead_id], "pipeline": "Sales", "stage": "Payment approved"})
    shop.sandbox.post("kommo/leads/move", {"ids": [lead_id], "pipeline": "Sales", "stage": 142})
    repaired(shop)
    assert len(shop.books().invoices_for(lead_id)) == 1


def test_an_invoice_whose_webhook_was_lost_becomes_a_deal(shop: Shop):
    invoice_id = shop.invoice()
    assert repaired(shop).count(Kind.CREATE_DEAL) == 1
    assert len([one for one in shop.books().deals.values() if one.fields.get("XERO_INVOICE_ID") == invoice_id]) == 1


def test_a_payment_whose_webhook_was_lost_is_shown(shop: Shop):
    lead_id = invoiced(shop)
    shop.sandbox.post(f"xero/invoices/{shop.lead(lead_id).number}/pay", {})
    assert repaired(shop).count(Kind.SYNC_STATUS) == 1
    assert shop.lead(lead_id).status == "Paid"


def test_a_round_that_finds_nothing_costs_four_calls_and_says_how_many_agree(shop: Shop):
    for n in range(3):
        invoiced(shop, company={"name": f"Client {n}"})
    repaired(shop)
    since = shop.sandbox.mark()
    found = look(shop)
    assert len(shop.calls(since)) <= 4
    assert (found.wanted, found.agree) == (set(), 3)


def test_the_cursor_moves_with_the_jobs_and_never_back(shop: Shop):
    invoiced(shop)
    look(shop)
    before = positions(shop)
    look(shop)
    assert positions(shop) == before
    with shop.workshop.database.begin() as session:
        cursors.move(session, "demo", cursors.Side.XERO, before[cursors.Side.XERO].replace(year=2020))
    assert positions(shop) == before


def test_a_since_after_what_is_unread_leaves_no_gap(shop: Shop):
    shop.deal()
    shop.pass_time(3 * 3600)
    assert look(shop, since=shop.now() - timedelta(hours=1)).count(Kind.CREATE_INVOICE) == 1


def test_a_change_that_xero_tells_nobody_of_is_found_once_a_day(shop: Shop):
    lead_id = invoiced(shop)
    repaired(shop)
    shop.sandbox.post(f"xero/invoices/{shop.lead(lead_id).number}/edit", {"due_date": "2030-01-31"})
    forget_xeros_news(shop)
    assert look(shop).wanted == set()
    shop.pass_time(25 * 3600)
    repaired(shop)
    assert "2030-01-31" in str(shop.lead(lead_id).fields["XERO_DUE_DATE"])


def test_a_hook_that_kommo_switched_off_is_switched_on_again(shop: Shop):
    shop.sandbox.post("kommo/webhooks/disable", {"destination": shop.workshop.settings.kommo_webhook_url()})
    assert look(shop).hook in (Registered.REPLACED, Registered.MADE)
    assert look(shop).hook is Registered.KEPT


def test_a_dry_run_changes_nothing(shop: Shop):
    lead_id = shop.deal()
    assert look(shop, dry_run=True).count(Kind.CREATE_INVOICE) == 1
    shop.work()
    assert shop.books().invoices_for(lead_id) == []
    assert look(shop).count(Kind.CREATE_INVOICE) == 1


def test_two_at_once_do_no_harm(shop: Shop):
    with shop.workshop.database.begin() as session:
        assert cursors.take(session, "demo", now=shop.now(), silence=timedelta(seconds=60))
    shop.pass_time(59)
    assert reconcile(shop.workshop, "demo") is None


def test_whoever_died_while_reconciling_is_replaced_once_no_call_can_take_so_long(shop: Shop):
    with shop.workshop.database.begin() as session:
        assert cursors.take(session, "demo", now=shop.now(), silence=timedelta(seconds=60))
    shop.pass_time(66)
    assert reconcile(shop.workshop, "demo") is not None


def test_a_reconciliation_that_was_not_brought_to_its_end_is_due_again_at_once(shop: Shop):
    def is_due() -> bool:
        with shop.workshop.database.reading() as session:
            return cursors.is_due(session, "demo", now=shop.now(), every=timedelta(seconds=900))

    look(shop)
    assert not is_due()
    shop.pass_time(901)
    assert is_due()
    shop.fault("xero", "GET /api.xro/2.0/Invoices", 500, when="before")
    with pytest.raises(Broken):
        reconcile(shop.workshop, "demo")
    assert is_due()
    look(shop)
    assert not is_due()


def test_a_deal_that_waits_goes_on_although_its_clients_webhook_was_lost(shop: Shop):
    lead_id = shop.deal(company=None)
    shop.entered(lead_id)
    shop.work()
    shop.sandbox.post(f"kommo/leads/{lead_id}/link", {"company": {"name": "Found Ltd"}})
    repaired(shop)
    assert len(shop.books().invoices_for(lead_id)) == 1


@pytest.mark.parametrize("call", ["PUT /api.xro/2.0/Invoices", "POST /api/v4/leads/notes"])
def test_what_was_tried_is_resolved_whatever_became_of_its_job(shop: Shop, call: str):
    lead_id = shop.deal()
    shop.fault("*", call, "reset")
    ids = shop.entered(lead_id)
    shop.work()
    cancel(shop, ids)
    shop.pass_time(61)
    repaired(shop)
    deal = shop.lead(lead_id)
    assert (len(shop.books().invoices_for(lead_id)), len(deal.notes), len(deal.files)) == (1, 1, 1)


def test_what_failed_waits_for_a_person_and_is_not_tried_every_quarter_of_an_hour(shop: Shop):
    lead_id = shop.deal()
    shop.fault("kommo", "POST /api/v4/leads/notes", "reset")
    ids = shop.entered(lead_id)
    shop.work()
    cancel(shop, ids, state="failed")
    shop.pass_time(3600)
    assert look(shop).wanted == set()
    shop.pass_time(25 * 3600)
    assert look(shop).count(Kind.CREATE_INVOICE) == 1


def invoiced(shop: Shop, **more: object) -> int:
    lead_id = shop.deal(**more)  # type: ignore[arg-type]
    shop.entered(lead_id)
    shop.work()
    return lead_id


def positions(shop: Shop) -> dict[cursors.Side, datetime]:
    with shop.workshop.database.reading() as session:
        known = cursors.positions(session, "demo")
    return {
        side: read_until for side, read_until in known.items() if side is not Side.FINISHED
    }  # which is our own time


def forget_xeros_news(shop: Shop) -> None:
    """As if If-Modified-Since did not tell of it, as it does not of some due dates."""
    with shop.workshop.database.begin() as session:
        later = sa.update(Cursor).where(Cursor.side == cursors.Side.XERO)
        session.execute(later.values(read_until=shop.now().replace(year=2035)))


def cancel(shop: Shop, ids: list[int], state: str = "cancelled") -> None:
    with shop.workshop.database.begin() as session:
        session.execute(sa.text("UPDATE jobs SET state = :state WHERE id IN (SELECT id FROM jobs)"), {"state": state})
    assert ids
