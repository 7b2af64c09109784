"""A create whose answer was lost is never repeated blindly: each fault, the quiet period, a look, and then one of each."""

import pytest
import sqlalchemy as sa

from integrations.turns import Priority
from integrations.xero.entities import Created
from tests.worker.shop import Shop
from worker.sends import Send

PUT_INVOICES = "PUT /api.xro/2.0/Invoices"
QUIET = 61


@pytest.mark.parametrize("do", ["reset", "timeout", "html", 500, 503])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_invoice_whose_answer_was_lost_is_made_once(shop: Shop, do: object, when: str):
    lead_id = shop.deal()
    shop.fault("xero", PUT_INVOICES, do, when=when)
    shop.entered(lead_id)
    shop.work()
    assert len(shop.books().invoices_for(lead_id)) == (1 if when == "after" else 0)
    assert shop.lead(lead_id).number == ""
    shop.pass_time(QUIET)
    shop.work()
    (invoice,) = shop.books().invoices_for(lead_id)
    deal = shop.lead(lead_id)
    assert (deal.number, deal.status, len(deal.notes), len(deal.files)) == (invoice.number, "Awaiting payment", 1, 1)
    assert shop.unfinished() == []


def test_nothing_is_sent_to_xero_in_the_quiet_period(shop: Shop):
    lead_id = shop.deal()
    shop.fault("xero", PUT_INVOICES, "reset")
    shop.entered(lead_id)
    shop.work()
    since = shop.sandbox.mark()
    for _ in range(3):
        shop.pass_time(15)
        shop.entered(lead_id)
        shop.work()
    assert [call for call in shop.calls(since) if call.startswith("xero PUT")] == []


@pytest.mark.parametrize(
    "edited",
    [
        {},
        {"url": "https://elsewhere.example/x"},
        {"url": "https://elsewhere.example/x", "reference": "PO 77"},
    ],
)
def test_a_batch_is_resolved_element_by_element_even_if_a_person_edits_the_marks(shop: Shop, edited: dict[str, str]):
    deals = [shop.deal(f"Deal {n}", price=f"{100 + n}.00", company={"name": f"Client {n}"}) for n in range(4)]
    before = len(shop.books().invoices)
    shop.fault("xero", PUT_INVOICES, "reset")
    shop.entered(*deals)
    shop.work()
    (first,) = shop.books().invoices_for(deals[0])
    if edited:
        shop.sandbox.post(f"xero/invoices/{first.id}/edit", edited)
    shop.pass_time(QUIET)
    shop.work()
    books = shop.books()
    assert len(books.invoices) == before + 4
    assert len({books.deals[lead_id].number for lead_id in deals} - {""}) == 4
    assert books.deals[deals[0]].number == first.number


def test_two_invoices_with_one_mark_are_for_a_person_to_sort_out(shop: Shop):
    lead_id = shop.deal()
    (job_id,) = shop.entered(lead_id)
    shop.fault("xero", PUT_INVOICES, "reset")
    shop.work()
    (invoice,) = shop.books().invoices_for(lead_id)
    twin = send_again(shop)
    shop.pass_time(QUIET)
    shop.work()
    assert shop.job(job_id).state == "failed"
    assert "more than one invoice" in (shop.job(job_id).sentence or "")
    shop.sandbox.post(f"xero/invoices/{twin}/void", {})
    shop.entered(lead_id)
    shop.work()
    assert shop.lead(lead_id).number == invoice.number
    assert shop.unfinished() == []


def test_an_invoice_that_was_deleted_meanwhile_is_not_made_again(shop: Shop):
    lead_id = shop.deal()
    shop.fault("xero", PUT_INVOICES, "reset")
    shop.entered(lead_id)
    shop.work()
    (invoice,) = shop.books().invoices_for(lead_id)
    shop.sandbox.post(f"xero/invoices/{invoice.id}/void")
    shop.pass_time(QUIET)
    shop.work()
    assert len([one for one in shop.books().invoices if one.is_for(lead_id)]) == 1
    assert shop.lead(lead_id).status == "Voided"


def test_a_payment_that_came_before_our_own_commit_is_not_swallowed(shop: Shop):
    lead_id = shop.deal()
    shop.fault("xero", PUT_INVOICES, "reset")
    shop.entered(lead_id)
    shop.work()
    (invoice,) = shop.books().invoices_for(lead_id)
    shop.sandbox.post(f"xero/invoices/{invoice.id}/pay", {})
    shop.raised(invoice.id)
    shop.work()
    assert shop.lead(lead_id).status == "Paid"
    shop.pass_time(QUIET)
    shop.work()
    assert (len(shop.books().invoices_for(lead_id)), len(shop.lead(lead_id).notes)) == (1, 1)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_note_whose_answer_was_lost_is_written_once(shop: Shop, when: str):
    lead_id = shop.deal()
    shop.fault("kommo", "POST /api/v4/leads/notes", "reset", when=when)
    shop.fault("kommo", f"POST /api/v4/leads/{lead_id}/notes", "reset", when=when)
    shop.entered(lead_id)
    shop.work()
    shop.pass_time(QUIET)
    shop.work()
    assert len(shop.lead(lead_id).notes) == 1
    assert shop.unfinished() == []


def test_a_note_is_recognised_although_its_invoice_was_edited_since(shop: Shop):
    lead_id = shop.deal()
    shop.fault("kommo", "POST /api/v4/leads/notes", "reset")
    shop.entered(lead_id)
    shop.work()
    line = {"description": "More", "quantity": "2", "unit_amount": "100.00", "account_code": "200"}
    (invoice,) = shop.books().invoices_for(lead_id)
    shop.sandbox.post(f"xero/invoices/{invoice.id}/edit", {"lines": [line]})
    shop.pass_time(QUIET)
    shop.work()
    assert len(shop.lead(lead_id).notes) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "call", ["POST /v1.0/sessions$", "POST /v1.0/sessions/upload", "PUT /api/v4/leads/*/files", "PATCH /api/v4/leads"]
)
def test_a_file_whose_answer_was_lost_is_on_the_deal_once(shop: Shop, call: str, when: str):
    lead_id = shop.deal()
    shop.fault("*", call, "reset", when=when)
    shop.entered(lead_id)
    shop.work()
    shop.pass_time(QUIET)
    shop.work()
    assert len(shop.lead(lead_id).files) == 1
    assert shop.unfinished() == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["POST /api/v4/leads", "POST /api/v4/contacts", "POST /api/v4/companies"])
def test_a_deal_or_client_whose_answer_was_lost_is_made_once(shop: Shop, call: str, when: str):
    invoice_id = shop.invoice(contact="Umbrella Ltd")
    since = shop.sandbox.mark()
    shop.fault("kommo", f"{call}$", "reset", when=when)
    shop.raised(invoice_id)
    shop.work()
    for _ in range(2):
        shop.pass_time(QUIET)
        shop.work()
    made = [deal for deal in shop.books().deals.values() if deal.fields.get("XERO_INVOICE_ID") == invoice_id]
    assert [(len(deal.notes), len(deal.files)) for deal in made] == [(1, 1)]
    companies = [one for one in shop.sandbox.books()["kommo"]["companies"] if one["name"] == "Umbrella Ltd"]
    assert len(companies) == 1
    assert shop.unfinished() == []
    assert since


def test_an_answer_that_comes_after_another_invoice_was_made_leaves_one_invoice(shop: Shop):
    lead_id = shop.deal()
    shop.entered(lead_id)
    shop.work()
    linked = shop.lead(lead_id).number
    double = send_again(shop)
    shop.raised(double)
    shop.work()
    assert [one.number for one in shop.books().invoices_for(lead_id)] == [linked]
    assert shop.lead(lead_id).number == linked


def test_a_double_with_money_on_it_is_never_voided(shop: Shop):
    lead_id = shop.deal()
    shop.entered(lead_id)
    shop.work()
    double = send_again(shop)
    shop.sandbox.post(f"xero/invoices/{double}/pay", {})
    (job_id,) = shop.raised(double)
    shop.work()
    assert shop.job(job_id).state == "failed"
    assert "two invoices" in (shop.job(job_id).sentence or "")


def send_again(shop: Shop) -> str:
    """What a worker does whose first call arrived although everybody had given it up: the same bytes, under another key."""
    with shop.workshop.database.reading() as session:
        body = session.scalars(sa.select(Send.body).order_by(Send.id)).first()
    assert body is not None
    world = shop.workshop.world("demo", priority=Priority.NEW)
    (made,) = world.xero.create_invoices(body, idempotency_key="late")
    assert isinstance(made, Created)
    return made.invoice.id
