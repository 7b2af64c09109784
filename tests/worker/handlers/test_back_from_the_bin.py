"""Deals that were deleted, and that somebody took back."""

from datetime import timedelta

import sqlalchemy as sa

from integrations.turns import Priority
from tests.worker.shop import Shop
from webhooks import kommo
from webhooks.recording import Arrival, record
from worker.cursors import Cursor, Side
from worker.reconciling import reconcile


def deleted_before_its_invoice(shop: Shop) -> int:
    lead_id = shop.deal()
    shop.sandbox.delete(f"kommo/leads/{lead_id}")
    shop.entered(lead_id)
    shop.work()
    return lead_id


def paid_while_it_was_deleted(shop: Shop, *, stage: str | int) -> int:
    lead_id = shop.deal()
    shop.entered(lead_id)
    shop.work()
    shop.sandbox.post("kommo/leads/move", {"ids": [lead_id], "pipeline": "Sales", "stage": stage})
    shop.sandbox.delete(f"kommo/leads/{lead_id}")
    (invoice,) = shop.books().invoices_for(lead_id)
    shop.sandbox.post(f"xero/invoices/{invoice.id}/pay", {})
    shop.changed(invoice.id)
    shop.work()
    return lead_id


def take_back(shop: Shop, lead_id: int, *, stage: int | None = None) -> None:
    """A person takes the deal back, and Kommo tells us."""
    shop.sandbox.post(f"kommo/leads/{lead_id}/restore", {})
    ((pipeline, trigger),) = shop.workshop.world("demo", priority=Priority.NEW).route.triggers
    event = kommo.LeadEvent("restore", lead_id, pipeline, stage or trigger)
    with shop.workshop.database.begin() as session:
        notice = kommo.Notice(shop.account_id, "acme", (event,))
        record(session, [Arrival("kommo", b"leads", "", shop.now(), notice)])
    shop.work()


def reconciled_since_then(shop: Shop) -> None:
    """Its entry into the stage has been read long ago, and its return is told by nobody."""
    with shop.workshop.database.begin() as session:
        ahead = shop.now() + timedelta(seconds=119)
        session.execute(sa.update(Cursor).where(Cursor.side == Side.KOMMO).values(read_until=ahead))
    reconcile(shop.workshop, "demo")
    shop.work()


def test_a_deal_gets_its_invoice_when_it_is_back(shop: Shop):
    lead_id = deleted_before_its_invoice(shop)
    take_back(shop, lead_id)
    assert len(shop.books().invoices_for(lead_id)) == 1


def test_a_deal_shows_what_became_of_its_invoice_meanwhile(shop: Shop):
    lead_id = paid_while_it_was_deleted(shop, stage="Payment approved")
    take_back(shop, lead_id)
    assert shop.lead(lead_id).status == "Paid"


def test_so_does_one_that_is_beyond_the_stage(shop: Shop):
    lead_id = paid_while_it_was_deleted(shop, stage=142)
    take_back(shop, lead_id, stage=142)
    assert shop.lead(lead_id).status == "Paid"


def test_a_deal_whose_return_nobody_told_us_of_gets_its_invoice(shop: Shop):
    lead_id = deleted_before_its_invoice(shop)
    shop.sandbox.post(f"kommo/leads/{lead_id}/restore", {})
    reconciled_since_then(shop)
    assert len(shop.books().invoices_for(lead_id)) == 1


def test_a_deal_whose_return_nobody_told_us_of_shows_its_invoice(shop: Shop):
    lead_id = paid_while_it_was_deleted(shop, stage="Payment approved")
    shop.sandbox.post(f"kommo/leads/{lead_id}/restore", {})
    reconciled_since_then(shop)
    assert shop.lead(lead_id).status == "Paid"
