"""What becomes of an invoice is shown on its deal; an invoice raised by hand becomes a deal."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from integrations.turns import Priority
from integrations.wire import CallRecord
from tests.worker.shop import Shop
from worker import claims
from worker.handlers import HANDLERS
from worker.jobs import Kind


def invoiced(shop: Shop, **more: object) -> tuple[int, str]:
    """A deal, and its invoice's id."""
    lead_id = shop.deal(**more)  # type: ignore[arg-type]
    shop.entered(lead_id)
    shop.work()
    return lead_id, shop.books().invoices_for(lead_id)[0].id


def test_a_payment_in_part_and_the_rest_are_shown(shop: Shop):
    lead_id, invoice_id = invoiced(shop)
    shop.sandbox.post(f"xero/invoices/{invoice_id}/pay", {"amount": "150.00"})
    shop.changed(invoice_id)
    shop.work()
    assert (shop.lead(lead_id).status, shop.lead(lead_id).due) == ("Partly paid", Decimal(1000))
    shop.sandbox.post(f"xero/invoices/{invoice_id}/pay", {})
    shop.changed(invoice_id)
    shop.work()
    assert (shop.lead(lead_id).status, shop.lead(lead_id).due) == ("Paid", Decimal(0))


def test_status_may_go_backwards(shop: Shop):
    lead_id, invoice_id = invoiced(shop)
    shop.sandbox.post(f"xero/invoices/{invoice_id}/pay", {})
    shop.changed(invoice_id)
    shop.work()
    shop.sandbox.post(f"xero/invoices/{invoice_id}/unpay", {})
    shop.changed(invoice_id)
    shop.work()
    assert shop.lead(lead_id).status == "Awaiting payment"


def test_a_credited_and_a_voided_invoice_are_shown_as_such(shop: Shop):
    (credited, first), (voided, second) = invoiced(shop), invoiced(shop, company={"name": "Globex GmbH"})
    shop.sandbox.post(f"xero/invoices/{first}/credit", {})
    shop.sandbox.post(f"xero/invoices/{second}/void", {})
    shop.changed(first, second)
    shop.work()
    assert (shop.lead(credited).status, shop.lead(voided).status) == ("Credited", "Voided")
    assert shop.lead(voided).due == Decimal(0)


def test_forty_payments_are_one_read_and_one_write(shop: Shop):
    made = [invoiced(shop, company={"name": f"Client {n}"}) for n in range(5)]
    for _, invoice_id in made:
        shop.sandbox.post(f"xero/invoices/{invoice_id}/pay", {})
    since = shop.sandbox.mark()
    shop.changed(*(invoice_id for _, invoice_id in made))
    shop.work()
    assert shop.calls(since) == ["xero GET /api.xro/2.0/Invoices", "kommo PATCH /api/v4/leads"]
    assert {shop.lead(lead_id).status for lead_id, _ in made} == {"Paid"}


def test_an_event_without_a_change_writes_nothing(shop: Shop):
    _, invoice_id = invoiced(shop)
    since = shop.sandbox.mark()
    shop.changed(invoice_id)
    shop.work()
    assert shop.calls(since) == ["xero GET /api.xro/2.0/Invoices"]


def test_a_changed_invoice_gets_a_new_version_of_the_same_file(shop: Shop):
    lead_id, invoice_id = invoiced(shop)
    (before,) = files(shop, lead_id)
    line = {"description": "More", "quantity": "2", "unit_amount": "100.00", "account_code": "200"}
    shop.sandbox.post(f"xero/invoices/{invoice_id}/edit", {"lines": [line]})
    shop.changed(invoice_id)
    shop.work()
    (after,) = files(shop, lead_id)
    assert after["uuid"] == before["uuid"]
    assert (before["versions"], after["versions"]) == (1, 2)
    assert shop.lead(lead_id).total == Decimal(230)


def test_a_due_date_that_passed_is_shown_although_no_webhook_tells(shop: Shop):
    lead_id, invoice_id = invoiced(shop)
    shop.pass_time(20 * 86400)
    shop.changed(invoice_id)
    shop.work()
    assert shop.lead(lead_id).status == "Overdue"


def test_an_invoice_raised_by_hand_becomes_a_deal_with_everything(shop: Shop):
    invoice_id = shop.invoice(contact="Umbrella Ltd")
    shop.raised(invoice_id)
    shop.work()
    (deal,) = [one for one in shop.books().deals.values() if one.fields.get("XERO_INVOICE_ID") == invoice_id]
    assert (deal.stage, deal.status, deal.price) == ("Invoiced in Xero", "Awaiting payment", Decimal(115))
    assert (len(deal.notes), len(deal.files), deal.clients) == (1, 1, 1)
    assert "Consulting" in deal.notes[0]
    assert shop.unfinished() == []


def test_a_second_event_makes_no_second_deal(shop: Shop):
    invoice_id = shop.invoice()
    for _ in range(3):
        shop.raised(invoice_id)
        shop.work()
    assert len([one for one in shop.books().deals.values() if one.fields.get("XERO_INVOICE_ID") == invoice_id]) == 1


def test_two_invoices_of_one_client_make_two_deals_and_one_client(shop: Shop):
    shop.raised(shop.invoice(contact="Umbrella Ltd"), shop.invoice(contact="Umbrella Ltd"))
    shop.work()
    companies = [one for one in shop.sandbox.books()["kommo"]["companies"] if one["name"] == "Umbrella Ltd"]
    assert len(companies) == 1
    assert len([one for one in shop.books().deals.values() if one.stage == "Invoiced in Xero"]) == 2


def test_an_old_invoice_a_draft_and_one_of_our_own_make_no_deal(shop: Shop):
    _, ours = invoiced(shop)
    before = len(shop.books().deals)
    old = shop.invoice(date="2019-12-31", due_date="2020-01-31")
    draft = shop.invoice(status="DRAFT")
    shop.raised(old, draft, ours)
    shop.work()
    assert len(shop.books().deals) == before


def test_a_draft_becomes_a_deal_once_it_is_approved(shop: Shop):
    draft = shop.invoice(status="DRAFT")
    shop.raised(draft)
    shop.work()
    shop.sandbox.post(f"xero/invoices/{draft}/approve", {})
    shop.raised(draft)
    shop.work()
    assert len([one for one in shop.books().deals.values() if one.fields.get("XERO_INVOICE_ID") == draft]) == 1


def test_a_deal_made_by_us_that_stands_in_the_trigger_stage_gets_no_second_invoice(shop: Shop):
    invoice_id = shop.invoice()
    shop.raised(invoice_id)
    shop.work()
    (deal,) = [one for one in shop.books().deals.values() if one.fields.get("XERO_INVOICE_ID") == invoice_id]
    shop.sandbox.post("kommo/leads/move", {"ids": [deal.id], "pipeline": "Sales", "stage": "Payment approved"})
    count = len(shop.books().invoices)
    shop.entered(deal.id)
    shop.work()
    assert len(shop.books().invoices) == count


def files(shop: Shop, lead_id: int) -> list[dict[str, object]]:
    """The files on a deal, with the number of their versions."""
    (lead,) = [one for one in shop.sandbox.books()["kommo"]["leads"] if one["id"] == lead_id]
    return [
        {**one, "versions": len(one["versions"]) if isinstance(one["versions"], list) else one["versions"]}
        for one in lead["files"]
    ]


@pytest.mark.parametrize("do", ["reset", 504])
def test_what_a_lost_answer_left_on_the_deal_does_not_stay(shop: Shop, do: object):
    """The deal showed the payment, and nobody told us so; the payment is taken back before we look again."""
    lead_id, invoice_id = invoiced(shop)
    shop.sandbox.post(f"xero/invoices/{invoice_id}/pay", {"amount": "150.00"})
    shop.changed(invoice_id)
    shop.fault("kommo", "PATCH /api/v4/leads", do)
    shop.work()
    assert shop.lead(lead_id).status == "Partly paid"
    shop.sandbox.post(f"xero/invoices/{invoice_id}/unpay", {})
    shop.pass_time(3600)
    shop.work()
    assert (shop.lead(lead_id).status, shop.lead(lead_id).due) == ("Awaiting payment", Decimal(1150))


def test_what_a_dead_worker_left_on_the_deal_does_not_stay(shop: Shop):
    lead_id, invoice_id = invoiced(shop)
    shop.sandbox.post(f"xero/invoices/{invoice_id}/pay", {"amount": "150.00"})
    (job_id,) = shop.changed(invoice_id)
    claim = claims.claim(shop.workshop.database, job_id, now=shop.now(), lease=timedelta(seconds=10), most=1)
    assert claim is not None
    world = shop.workshop.world("demo", priority=Priority.STATUS, holder=claim.holder, on_call=die_after("PATCH"))
    with pytest.raises(Died):
        HANDLERS[Kind.SYNC_STATUS](claim.jobs, world)
    assert shop.lead(lead_id).status == "Partly paid"
    shop.sandbox.post(f"xero/invoices/{invoice_id}/unpay", {})
    shop.pass_time(3600)
    shop.work()
    assert shop.lead(lead_id).status == "Awaiting payment"


class Died(BaseException):
    """The worker is no more."""


def die_after(method: str) -> Callable[[CallRecord], None]:
    """Ends everything once such a call has been answered."""

    def told(call: CallRecord) -> None:
        if call.method == method:
            raise Died

    return told
