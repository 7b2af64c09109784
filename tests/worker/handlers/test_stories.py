"""A deal's story tells every field that was written on it, in order, and nothing that a person typed."""

import json

from tests.worker.shop import Shop
from worker import traces
from worker.ourfields import FIELDS
from worker.traces import Entry

CODES = {draft.code for draft in FIELDS["leads"]}


def story(shop: Shop, lead_id: int) -> list[Entry]:
    return list(traces.of_lead(shop.workshop.database, lead_id).entries)


def written(entries: list[Entry]) -> dict[str, object]:
    """What stands on the deal when all that was written has been."""
    fields: dict[str, object] = {}
    for entry in entries:
        fields |= entry.fields or {}
    return fields


def test_every_field_of_ours_and_its_value(shop: Shop):
    lead_id = shop.deal("Website for a client", price="1000.00")
    shop.entered(lead_id)
    shop.work()
    entries, deal = story(shop, lead_id), shop.lead(lead_id)
    fields = written(entries)
    assert set(fields) == CODES
    assert fields["XERO_INVOICE_NUMBER"] == deal.number
    assert (fields["XERO_INVOICE_STATUS"], fields["XERO_INVOICE_TOTAL"]) == ("Awaiting payment", "1150")
    steps = [entry.what for entry in entries]
    put = next(place for place, entry in enumerate(entries) if "PUT /api.xro/2.0/Invoices" in entry.text)
    assert steps.index("job") < put < steps.index("wrote"), "the invoice was made before the deal showed it"


def test_a_payment_writes_what_it_changes(shop: Shop):
    lead_id = shop.deal(price="1000.00")
    shop.entered(lead_id)
    shop.work()
    number, before = shop.lead(lead_id).number, len(story(shop, lead_id))
    (invoice,) = shop.books().invoices_for(lead_id)
    shop.sandbox.post(f"xero/invoices/{number}/pay")
    shop.changed(invoice.id)
    shop.work()
    (wrote,) = [entry for entry in story(shop, lead_id)[before:] if entry.what == "wrote"]
    assert wrote.fields == {"XERO_INVOICE_STATUS": "Paid", "XERO_AMOUNT_DUE": "0", "XERO_SYNC_MESSAGE": "…"}


def test_a_deal_that_was_made_has_its_fields_from_the_beginning(shop: Shop):
    invoice_id = shop.invoice(contact="Umbrella Ltd")
    shop.raised(invoice_id)
    shop.work()
    (entry, *_) = [one for one in traces.of_invoice(shop.workshop.database, invoice_id).entries if one.what == "wrote"]
    assert entry.fields
    assert entry.fields["XERO_INVOICE_ID"] == invoice_id
    assert "stage " in entry.text


def test_a_batch_shares_its_calls_and_not_what_was_written(shop: Shop):
    deals = [shop.deal(f"Deal {number}", company={"name": f"Client {number}"}) for number in range(3)]
    shop.entered(*deals)
    shop.work()
    for lead_id in deals:
        others = {f"on deal {other}" for other in deals if other != lead_id}
        texts = [entry.text for entry in story(shop, lead_id)]
        assert not any(other in text for text in texts for other in others)
        assert not any(f"/leads/{other}/" in text for text in texts for other in deals if other != lead_id)
        assert set(written(story(shop, lead_id))) == CODES


def test_no_name_and_no_sentence_is_kept_in_an_attempt(shop: Shop):
    lead_id = shop.deal("Secret project", company={"name": "Hidden Ltd"})
    shop.entered(lead_id)
    shop.work()
    kept = json.dumps([entry.call or entry.fields for entry in story(shop, lead_id)])
    assert "Secret" not in kept
    assert "Hidden" not in kept
