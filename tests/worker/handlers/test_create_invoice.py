"""A deal becomes an invoice."""

from decimal import Decimal

from tests.worker.shop import Shop
from worker import jobs, overdue


def test_a_deal_gets_its_invoice_its_fields_a_note_and_the_pdf(shop: Shop):
    lead_id = shop.deal(price="1000.00")
    shop.entered(lead_id)
    shop.work()
    deal = shop.lead(lead_id)
    (invoice,) = shop.books().invoices_for(lead_id)
    assert (deal.number, deal.status) == (invoice.number, "Awaiting payment")
    assert (invoice.net, invoice.total, deal.total, deal.due) == tuple(map(Decimal, ("1000", "1150", "1150", "1150")))
    assert len(deal.notes) == len(deal.files) == 1
    assert invoice.number in deal.notes[0]
    assert invoice.contact == "Acme Ltd"
    assert shop.unfinished() == []


def test_a_burst_is_one_call_to_create_and_one_to_write(shop: Shop):
    clients = [shop.deal(f"First of {n}", company={"name": f"Client {n}"}) for n in range(6)]
    shop.entered(*clients)
    shop.work()
    since = shop.sandbox.mark()
    deals = [shop.deal(f"Second of {n}", company=company(shop, f"Client {n}")) for n in range(6)]
    shop.entered(*deals)
    shop.work()
    calls = shop.calls(since)
    assert calls.count("xero PUT /api.xro/2.0/Invoices") == 1
    assert sum(call.startswith("xero GET /api.xro/2.0/Contacts") for call in calls) == 0
    assert sum(call == "kommo GET /api/v4/leads" for call in calls) == 1
    assert all(len(shop.books().invoices_for(lead_id)) == 1 for lead_id in deals)
    assert len([one for one in shop.sandbox.books()["xero"]["contacts"] if one["name"].startswith("Client ")]) == 6


def test_two_deals_of_one_new_client_make_one_contact(shop: Shop):
    first = shop.deal("First", company={"name": "Twice Ltd"})
    second = shop.deal("Second", company=company(shop, "Twice Ltd"))
    shop.entered(first, second)
    shop.work()
    books = shop.books()
    assert [len(books.invoices_for(lead_id)) for lead_id in (first, second)] == [1, 1]
    assert len([one for one in shop.sandbox.books()["xero"]["contacts"] if one["name"] == "Twice Ltd"]) == 1


def test_an_echo_of_our_own_writes_costs_no_call(shop: Shop):
    lead_id = shop.deal()
    shop.entered(lead_id)
    shop.work()
    since = shop.sandbox.mark()
    shop.entered(lead_id)
    shop.work()
    assert shop.calls(since) == []


def test_a_deal_without_a_client_says_so_and_goes_on_when_it_has_one(shop: Shop):
    lead_id = shop.deal(company=None)
    shop.entered(lead_id)
    shop.work()
    deal = shop.lead(lead_id)
    assert deal.message == "The deal has no client. Link a company or a contact to it, and the invoice follows."
    assert deal.status == "Problem"
    assert deal.notes == (deal.message,)
    assert shop.unfinished() == []
    shop.sandbox.post(f"kommo/leads/{lead_id}/link", {"company": {"name": "Found Ltd"}})
    shop.entered(lead_id)
    shop.work()
    assert shop.lead(lead_id).status == "Awaiting payment"
    assert len(shop.books().invoices_for(lead_id)) == 1


def test_a_question_is_put_once(shop: Shop):
    lead_id = shop.deal(company=None)
    for _ in range(3):
        shop.entered(lead_id)
        shop.work()
    assert len(shop.lead(lead_id).notes) == 1


def test_a_currency_that_xero_does_not_have_is_asked_for_and_found_once_it_is_enabled(shop: Shop):
    lead_id = shop.deal(fields={"Invoice currency": "CHF"})
    shop.entered(lead_id)
    shop.work()
    assert "CHF" in shop.lead(lead_id).message
    assert shop.books().invoices_for(lead_id) == []
    shop.sandbox.post("xero/currencies", {"code": "CHF"})
    with shop.workshop.database.begin() as session:
        jobs.record(session, overdue.waiting_for_books(session, now=shop.now()), now=shop.now())
    shop.work()
    assert len(shop.books().invoices_for(lead_id)) == 1


def test_a_deal_that_went_back_is_told_why_it_gets_none(shop: Shop):
    lead_id = shop.deal(stage="Offer")
    shop.entered(lead_id)
    shop.work()
    assert "No invoice was made" in shop.lead(lead_id).message
    assert shop.books().invoices_for(lead_id) == []


def test_a_deal_that_went_on_is_invoiced_all_the_same(shop: Shop):
    lead_id = shop.deal()
    shop.sandbox.post("kommo/leads/move", {"ids": [lead_id], "pipeline": "Sales", "stage": 142})
    shop.entered(lead_id)
    shop.work()
    assert len(shop.books().invoices_for(lead_id)) == 1


def test_a_copied_deal_is_a_new_one(shop: Shop):
    lead_id = shop.deal()
    shop.entered(lead_id)
    shop.work()
    copy = int(shop.sandbox.post(f"kommo/leads/{lead_id}/copy")["id"])
    shop.entered(copy)
    shop.work()
    books = shop.books()
    assert [len(books.invoices_for(one)) for one in (lead_id, copy)] == [1, 1]
    assert books.deals[copy].number != books.deals[lead_id].number


def company(shop: Shop, name: str) -> int:
    """The id of a company that is there already."""
    return next(int(one["id"]) for one in shop.sandbox.books()["kommo"]["companies"] if one["name"] == name)
