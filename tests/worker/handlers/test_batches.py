"""Many deals at once: in as few calls as there can be, and nobody pays for a neighbour's fault."""

from collections import Counter

from tests.worker.shop import Shop
from worker.handlers import MOST
from worker.jobs import Kind


def approved(shop: Shop, count: int) -> list[int]:
    """So many deals of a client that Xero has, in the trigger stage."""
    first = shop.deal("First")
    shop.entered(first)
    shop.work()
    company = next(deal["company"] for deal in shop.sandbox.books()["kommo"]["leads"] if deal["id"] == first)
    return [shop.deal(f"Deal {number}", company=company) for number in range(count)]


def counted(shop: Shop, since: int) -> Counter[str]:
    """Calls by vendor, method and path, ids left out."""
    return Counter(
        "/".join(part for part in call.split("/") if not part.isdigit() and len(part) < 32)
        for call in shop.calls(since)
    )


def test_the_files_of_many_deals_are_named_on_them_in_one_call(shop: Shop):
    deals = approved(shop, MOST[Kind.ATTACH_INVOICE])
    since = shop.sandbox.mark()
    shop.entered(*deals)
    shop.work()
    calls = counted(shop, since)
    assert calls["kommo PATCH /api/v4/leads"] == 2  # the invoices, then their files
    assert calls["xero PUT /api.xro/2.0/Invoices"] == 1
    assert calls["kommo POST /api/v4/leads/notes"] == 1
    for lead_id in deals:
        deal = shop.lead(lead_id)
        assert len(deal.files) == len(deal.notes) == 1
        assert deal.fields["XERO_INVOICE_PDF"]
    assert shop.unfinished() == []


def test_a_file_that_can_not_be_had_holds_up_no_other(shop: Shop):
    deals = approved(shop, 4)
    shop.entered(*deals)
    shop.fault("xero", "GET /api.xro/2.0/Invoices/*", 500, when="before")
    shop.work()
    with_file = [lead_id for lead_id in deals if shop.lead(lead_id).files]
    assert len(with_file) == 3
    ((kind, sentence),) = shop.unfinished()
    assert kind == Kind.ATTACH_INVOICE
    assert "500" in (sentence or "")
    shop.pass_time(10)
    shop.work()
    assert all(len(shop.lead(lead_id).files) == 1 for lead_id in deals)
    assert shop.unfinished() == []


def test_a_deal_that_refuses_its_file_field_fails_no_neighbour(shop: Shop):
    deals = approved(shop, 3)
    shop.entered(*deals)
    # the second write is the files': a batch that Kommo refuses is written one by one
    shop.fault("kommo", "PATCH /api/v4/leads", 400, when="before", skip=1)
    shop.work()
    assert all(shop.lead(lead_id).fields["XERO_INVOICE_PDF"] for lead_id in deals)
    assert shop.unfinished() == []
