"""People delete fields, merge deals and delete them; the database comes back from a backup."""

from datetime import timedelta

import sqlalchemy as sa

from tests.worker.shop import Shop
from worker.cursors import Cursor, Side
from worker.links import Link
from worker.reconciling import reconcile
from worker.setup import set_up


def invoiced(shop: Shop, **more: object) -> int:
    lead_id = shop.deal(**more)  # type: ignore[arg-type]
    shop.entered(lead_id)
    shop.work()
    return lead_id


def test_a_field_that_somebody_deleted_costs_only_itself(shop: Shop):
    delete_field(shop, "XERO_DUE_DATE")
    lead_id = invoiced(shop)
    deal = shop.lead(lead_id)
    assert (deal.status, len(deal.notes), len(deal.files)) == ("Awaiting payment", 1, 1)
    assert "XERO_DUE_DATE" not in deal.fields
    assert shop.unfinished() == []


def test_a_batch_that_meets_a_deleted_field_is_written_without_it(shop: Shop):
    delete_field(shop, "XERO_DUE_DATE")
    deals = [shop.deal(f"Deal {n}", company={"name": f"Client {n}"}) for n in range(3)]
    mark = shop.sandbox.mark()
    shop.entered(*deals)
    shop.work()
    assert {shop.lead(lead_id).status for lead_id in deals} == {"Awaiting payment"}
    assert shop.unfinished() == []
    calls = shop.calls(mark)
    assert calls.count("kommo PATCH /api/v4/leads") == 3  # refused, taken, and the files' names
    assert calls.count("xero PUT /api.xro/2.0/Invoices") == 1
    assert calls.count("xero GET /api.xro/2.0/Invoices") == 0


def test_a_deal_that_is_gone_costs_its_batch_no_further_call_to_xero(shop: Shop):
    shop.sandbox.patch("settings", {"kommo": {"unknown_id_in_batch": "refuse"}})
    deals = [invoiced(shop, name=f"Deal {n}", company={"name": f"Client {n}"}) for n in range(4)]
    pay_all(shop, deals)
    shop.sandbox.delete(f"kommo/leads/{deals[1]}")
    mark = shop.sandbox.mark()
    shop.work()
    assert {shop.lead(lead_id).status for lead_id in deals if lead_id != deals[1]} == {"Paid"}
    assert shop.unfinished() == []
    reads = [call for call in shop.calls(mark) if call == "xero GET /api.xro/2.0/Invoices"]
    assert len(reads) == 1


def test_a_batch_that_meets_a_gateway_is_tried_whole_once_more(shop: Shop):
    deals = [invoiced(shop, name=f"Deal {n}", company={"name": f"Client {n}"}) for n in range(4)]
    pay_all(shop, deals)
    shop.fault("kommo", "PATCH /api/v4/leads", 502, when="before")
    mark = shop.sandbox.mark()
    shop.work()
    shop.pass_time(6)
    shop.work()
    assert {shop.lead(lead_id).status for lead_id in deals} == {"Paid"}
    reads = [call for call in shop.calls(mark) if call == "xero GET /api.xro/2.0/Invoices"]
    assert len(reads) == 2


def pay_all(shop: Shop, deals: list[int]) -> None:
    """Every invoice of these deals is paid, and Xero says so."""
    ids = {one.number: one.id for one in shop.books().invoices}
    numbers = [shop.lead(lead_id).number for lead_id in deals]
    for number in numbers:
        shop.sandbox.post(f"xero/invoices/{number}/pay", {})
    shop.changed(*(ids[number] for number in numbers if number))


def test_without_the_field_for_the_invoices_id_nothing_is_pretended(shop: Shop):
    delete_field(shop, "XERO_INVOICE_ID")
    lead_id = invoiced(shop)
    assert len(shop.books().invoices_for(lead_id)) == 1
    ((kind, sentence),) = [one for one in shop.unfinished() if one[0] == "create_invoice"]
    assert kind == "create_invoice"
    assert "does not accept" in (sentence or "")


def test_a_deal_that_was_merged_is_followed(shop: Shop):
    lead_id = invoiced(shop)
    number = shop.lead(lead_id).number
    heir = shop.deal("Heir", stage="Offer", company={"name": "Globex GmbH"})
    shop.sandbox.post(f"kommo/leads/{lead_id}/merge", {"into": heir})
    shop.sandbox.post(f"xero/invoices/{number}/pay", {})
    shop.changed(next(one.id for one in shop.books().invoices if one.number == number))
    shop.work()
    assert (shop.lead(heir).number, shop.lead(heir).status) == (number, "Paid")
    assert shop.unfinished() == []


def test_the_heir_of_a_deal_gets_no_second_invoice(shop: Shop):
    lead_id = invoiced(shop)
    number = shop.lead(lead_id).number
    heir = shop.deal("Heir", company={"name": "Globex GmbH"})
    shop.sandbox.post(f"kommo/leads/{lead_id}/merge", {"into": heir})
    shop.entered(heir)
    shop.work()
    assert shop.books().invoices_for(heir) == []
    assert shop.lead(heir).number == number


def test_a_copy_inherits_nothing_from_an_original_that_was_deleted(shop: Shop):
    lead_id = invoiced(shop)
    number = shop.lead(lead_id).number
    copy = int(shop.sandbox.post(f"kommo/leads/{lead_id}/copy")["id"])
    shop.sandbox.delete(f"kommo/leads/{lead_id}")
    shop.entered(copy)
    shop.work()
    assert len(shop.books().invoices_for(copy)) == 1
    assert shop.lead(copy).number != number


def test_a_deal_that_lay_in_the_stage_before_the_connection_is_not_invoiced_because_somebody_touched_it(shop: Shop):
    lead_id = shop.deal(stage="Offer")
    other = shop.deal("Moved", stage="Offer", company={"name": "Globex GmbH"})
    with shop.workshop.database.begin() as session:
        session.execute(
            sa.update(Cursor).where(Cursor.side == Side.BEGAN).values(read_until=shop.now() + timedelta(hours=1))
        )
    shop.sandbox.post("kommo/leads/move", {"ids": [lead_id], "pipeline": "Sales", "stage": "Payment approved"})
    shop.entered(lead_id)
    shop.work()
    assert shop.books().invoices_for(lead_id) == []
    with shop.workshop.database.begin() as session:
        session.execute(sa.update(Cursor).where(Cursor.side == Side.BEGAN).values(read_until=shop.now()))
    shop.sandbox.post("kommo/leads/move", {"ids": [other], "pipeline": "Sales", "stage": "Payment approved"})
    shop.entered(other)
    shop.work()
    assert len(shop.books().invoices_for(other)) == 1


def test_a_field_that_was_deleted_and_made_again_is_filled_with_the_next_change(shop: Shop):
    delete_field(shop, "XERO_DUE_DATE")
    lead_id = invoiced(shop)
    set_up(shop.workshop, "demo")
    invoice = shop.books().invoices_for(lead_id)[0]
    shop.sandbox.post(f"xero/invoices/{invoice.id}/pay", {"amount": "1.00"})
    shop.changed(invoice.id)
    shop.work()
    assert shop.lead(lead_id).fields["XERO_DUE_DATE"]


def test_a_deal_that_was_deleted_ends_its_jobs_quietly(shop: Shop):
    lead_id = invoiced(shop)
    invoice = shop.books().invoices_for(lead_id)[0]
    shop.sandbox.delete(f"kommo/leads/{lead_id}")
    shop.sandbox.post(f"xero/invoices/{invoice.id}/pay", {})
    shop.changed(invoice.id)
    shop.work()
    assert shop.unfinished() == []


def test_an_invoice_that_the_ledger_forgot_is_known_by_its_deal(shop: Shop):
    lead_id = invoiced(shop)
    forget_everything(shop)
    shop.entered(lead_id)
    shop.work()
    assert len(shop.books().invoices_for(lead_id)) == 1
    assert shop.lead(lead_id).status == "Awaiting payment"


def test_an_invoice_that_the_ledger_forgot_is_known_by_its_mark(shop: Shop):
    lead_id = invoiced(shop)
    invoice = shop.books().invoices_for(lead_id)[0]
    deals = len(shop.books().deals)
    forget_everything(shop)
    shop.raised(invoice.id)
    shop.work()
    assert (len(shop.books().deals), len(shop.books().invoices_for(lead_id))) == (deals, 1)
    shop.sandbox.post(f"xero/invoices/{invoice.id}/pay", {})
    shop.changed(invoice.id)
    shop.work()
    assert shop.lead(lead_id).status == "Paid"


def test_a_deal_made_from_an_invoice_that_the_ledger_forgot_is_not_invoiced(shop: Shop):
    shop.raised(shop.invoice())
    shop.work()
    (deal,) = [one for one in shop.books().deals.values() if one.stage == "Invoiced in Xero"]
    count = len(shop.books().invoices)
    forget_everything(shop)
    shop.sandbox.post("kommo/leads/move", {"ids": [deal.id], "pipeline": "Sales", "stage": "Payment approved"})
    shop.entered(deal.id)
    shop.work()
    assert len(shop.books().invoices) == count


def test_after_a_restore_each_create_looks_first_until_a_reconciliation_found_nothing(shop: Shop):
    lead_id = invoiced(shop)
    (number,) = [one.number for one in shop.books().invoices_for(lead_id)]
    shop.sandbox.patch(f"kommo/leads/{lead_id}", {"fields": {"XERO_INVOICE_ID": None}})
    forget_everything(shop)
    shop.entered(lead_id)
    shop.work()
    assert [one.number for one in shop.books().invoices_for(lead_id)] == [number]
    assert shop.lead(lead_id).number == number
    new, since = shop.deal("New", company={"name": "Globex GmbH"}), shop.sandbox.mark()
    shop.entered(new)
    shop.work()
    assert shop.calls(since).count("xero GET /api.xro/2.0/Invoices") == 1
    assert looks_once_all_is_known(shop) == 0


def delete_field(shop: Shop, code: str) -> None:
    shop.sandbox.delete(f"kommo/fields/leads/{code}")


def looks_once_all_is_known(shop: Shop) -> int:
    """How often the next create looks first, when reconciliations have found all again that the ledger had forgotten."""
    for _ in range(2):
        reconcile(shop.workshop, "demo")
        shop.work()
    last, since = shop.deal("Last", company={"name": "Initech Ltd"}), shop.sandbox.mark()
    shop.entered(last)
    shop.work()
    return shop.calls(since).count("xero GET /api.xro/2.0/Invoices")


def forget_everything(shop: Shop) -> None:
    """The database comes back as it was before the deal."""
    with shop.workshop.database.begin() as session:
        for table in ("send_members", "sends", "links", "contacts", "jobs"):
            session.execute(sa.text(f"DELETE FROM {table}"))
        assert session.scalar(sa.select(sa.func.count()).select_from(Link)) == 0
