"""xero-python writes invoices, lists, changes and voids them, and has them paid."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.third_party.conftest import Sdk
from tests.sandbox.xero_office import Office

models = pytest.importorskip("xero_python.accounting", reason="xero-python is not installed: make setup")
exceptions = pytest.importorskip("xero_python.exceptions")

DAY = date(2026, 9, 14)


def draft(**changes: Any) -> Any:
    """An invoice of the SDK's kind."""
    whole = {
        "type": "ACCREC",
        "contact": models.Contact(name="Acme Ltd"),
        "date": DAY,
        "due_date": DAY + timedelta(days=14),
        "line_amount_types": models.LineAmountTypes.EXCLUSIVE,
        "status": "AUTHORISED",
        "line_items": [line()],
        **changes,
    }
    return models.Invoice(**whole)


def line(**changes: Any) -> Any:
    whole = {"description": "Website", "quantity": Decimal(2), "unit_amount": Decimal("10.50"), "account_code": "200"}
    return models.LineItem(**{**whole, **changes})


def made(sdk: Sdk, *drafts: Any, **query: Any) -> list[Any]:
    """What became of them, in order."""
    wanted = models.Invoices(invoices=list(drafts or [draft()]))
    query = {"summarize_errors": False, "unitdp": 4, **query}
    answered: list[Any] = sdk.accounting.create_invoices(sdk.tenant, wanted, **query).invoices
    return answered


def listed(sdk: Sdk, **query: Any) -> Any:
    return sdk.accounting.get_invoices(sdk.tenant, **query)


def changed(sdk: Sdk, invoice: Any, **fields: Any) -> Any:
    wanted = models.Invoices(invoices=[models.Invoice(invoice_id=invoice.invoice_id, **fields)])
    [answered] = sdk.accounting.update_invoice(sdk.tenant, invoice.invoice_id, wanted).invoices
    return answered


def test_an_invoice_is_made(sdk: Sdk, xero: Office):
    [invoice] = made(sdk, draft(reference="Deal 7", url="https://acme.kommo.com/leads/detail/7"))
    assert (invoice.status, invoice.has_errors, invoice.status_attribute_string) == ("AUTHORISED", False, "OK")
    assert (invoice.sub_total, invoice.total_tax, invoice.total) == (Decimal(21), Decimal("3.15"), Decimal("24.15"))
    assert (invoice.amount_due, invoice.currency_code.value) == (Decimal("24.15"), "NZD")
    assert (invoice.date, invoice.due_date) == (DAY, DAY + timedelta(days=14))
    assert datetime.now(UTC) - invoice.updated_date_utc < timedelta(minutes=10)
    [kept] = [each for each in xero.books()["invoices"] if each["id"] == invoice.invoice_id]
    assert (kept["number"], kept["reference"], kept["created_by_app"]) == (invoice.invoice_number, "Deal 7", True)


def test_lines_come_back_with_their_ids_accounts_and_tax(sdk: Sdk):
    [invoice] = made(sdk, draft(line_items=[line(unit_amount=Decimal("10.1234")), line(item_code="SUPPORT")]))
    first, second = invoice.line_items
    assert (first.unit_amount, first.line_amount, first.tax_type) == (Decimal("10.1234"), Decimal("20.25"), "OUTPUT2")
    assert first.line_item_id != second.line_item_id
    assert second.item.code == "SUPPORT"


def test_of_several_each_is_judged_by_itself(sdk: Sdk):
    good, bad, other = made(sdk, draft(), draft(currency_code=models.CurrencyCode.CHF), draft(status="DRAFT"))
    assert (good.status_attribute_string, other.status) == ("OK", "DRAFT")
    assert (bad.status_attribute_string, bad.has_errors) == ("ERROR", True)
    assert bad.invoice_id == "00000000-0000-0000-0000-000000000000"
    assert [error.message for error in bad.validation_errors] == ["Organisation is not subscribed to currency CHF"]


def test_a_refused_invoice_is_an_exception_where_errors_are_summarised(sdk: Sdk):
    wanted = models.Invoices(invoices=[draft(line_items=[line(account_code="999")])])
    with pytest.raises(exceptions.AccountingBadRequestException) as refused:
        sdk.accounting.create_invoices(sdk.tenant, wanted)
    assert refused.value.error_data["Type"] == "ValidationException"
    assert refused.value.reason == "Account code '999' is not a valid code for this document."


def test_a_key_makes_an_invoice_once(sdk: Sdk, xero: Office):
    first, again = (made(sdk, draft(), idempotency_key="one")[0] for _ in range(2))
    assert first.invoice_id == again.invoice_id
    with pytest.raises(exceptions.AccountingBadRequestException) as refused:
        made(sdk, draft(reference="another"), idempotency_key="one")
    assert "is used with a different request" in str(refused.value.error_data)


def test_a_list_by_pages_has_lines(sdk: Sdk):
    numbers = {invoice.invoice_number for invoice in made(sdk, draft(), draft(), draft())}
    pages = [
        listed(sdk, page=page, page_size=2, created_by_my_app=True, order="UpdatedDateUTC ASC") for page in (1, 2, 3)
    ]
    assert [len(page.invoices) for page in pages] == [2, 1, 0]
    assert {each.invoice_number for page in pages for each in page.invoices} == numbers
    counted = pages[0].pagination
    assert (counted.page, counted.page_size, counted.page_count, counted.item_count) == (1, 2, 2, 3)
    assert [len(each.line_items) for each in pages[0].invoices] == [1, 1]


def test_a_list_without_pages_has_no_lines(sdk: Sdk):
    made(sdk)
    whole = listed(sdk)
    assert whole.pagination is None
    assert {len(each.line_items) for each in whole.invoices} == {0}


def test_lists_by_filters(sdk: Sdk):
    mine, other = made(sdk, draft(reference="Deal 7"), draft(contact=models.Contact(name="Umbrella Ltd")))

    def found(**query: Any) -> set[str]:
        return {each.invoice_id for each in listed(sdk, **query).invoices}

    both = {mine.invoice_id, other.invoice_id}
    assert found(i_ds=[mine.invoice_id, other.invoice_id]) == both
    assert found(invoice_numbers=[other.invoice_number]) == {other.invoice_id}
    assert found(contact_i_ds=[mine.contact.contact_id]) == {mine.invoice_id}
    assert found(where='Reference=="deal 7" AND Date>=DateTime(2026,09,01)') == {mine.invoice_id}
    assert found(where=f'Contact.ContactID=guid("{other.contact.contact_id}")') == {other.invoice_id}
    assert found(search_term="DEAL 7") == {mine.invoice_id}
    assert found(statuses=["AUTHORISED", "PAID"], created_by_my_app=True) == both
    assert found(statuses=["DRAFT"], created_by_my_app=True) == set()
    assert found(summary_only=True, created_by_my_app=True) == both


def test_a_list_of_what_changed_since(sdk: Sdk):
    [invoice] = made(sdk)
    recent = listed(sdk, if_modified_since=datetime.now(UTC) - timedelta(minutes=5)).invoices
    assert [each.invoice_id for each in recent] == [invoice.invoice_id]  # the old ones were changed in 2010


def test_a_where_that_cant_be_read_is_a_bad_request(sdk: Sdk):
    with pytest.raises(exceptions.AccountingBadRequestException) as refused:
        listed(sdk, where="Status==")
    assert refused.value.error_data["Type"] == "QueryParseException"


def test_an_invoice_is_changed_and_keeps_its_lines(sdk: Sdk):
    [invoice] = made(sdk)
    after = changed(sdk, invoice, reference="PO 12", due_date=date(2026, 10, 1))
    assert (after.reference, after.due_date, after.total) == ("PO 12", date(2026, 10, 1), invoice.total)
    assert [each.line_item_id for each in after.line_items] == [each.line_item_id for each in invoice.line_items]


def test_an_invoice_is_voided(sdk: Sdk):
    [invoice] = made(sdk)
    assert changed(sdk, invoice, status="VOIDED").status == "VOIDED"
    [now] = sdk.accounting.get_invoice(sdk.tenant, invoice.invoice_id).invoices
    assert (now.status, now.amount_due, now.total) == ("VOIDED", Decimal(0), invoice.total)
    with pytest.raises(exceptions.AccountingBadRequestException, match="not of valid status"):
        changed(sdk, invoice, reference="too late")


def test_an_approved_invoice_cant_be_deleted(sdk: Sdk):
    [invoice] = made(sdk)
    with pytest.raises(exceptions.AccountingBadRequestException, match="Invoice not of valid status for modification"):
        changed(sdk, invoice, status="DELETED")


def test_posting_a_number_that_is_there_edits_that_invoice(sdk: Sdk):
    [invoice] = made(sdk)
    twin = models.Invoices(invoices=[draft(invoice_number=invoice.invoice_number, reference="overwritten")])
    [answered] = sdk.accounting.update_or_create_invoices(sdk.tenant, twin, summarize_errors=False).invoices
    assert (answered.invoice_id, answered.reference) == (invoice.invoice_id, "overwritten")


def test_the_pdf(sdk: Sdk):
    [invoice] = made(sdk)
    path = Path(sdk.accounting.get_invoice_as_pdf(sdk.tenant, invoice.invoice_id))
    content = path.read_bytes()
    path.unlink()
    assert content.startswith(b"%PDF-")


def test_the_online_invoice(sdk: Sdk):
    approved, unapproved = made(sdk, draft(), draft(status="DRAFT"))
    [online] = sdk.accounting.get_online_invoice(sdk.tenant, approved.invoice_id).online_invoices
    assert online.online_invoice_url.startswith("https://in.xero.com/")
    with pytest.raises(exceptions.AccountingBadRequestException):
        sdk.accounting.get_online_invoice(sdk.tenant, unapproved.invoice_id)


def test_notes_and_files(sdk: Sdk):
    [invoice] = made(sdk)
    wanted = models.HistoryRecords(history_records=[models.HistoryRecord(details="Made for deal 7")])
    sdk.accounting.create_invoice_history(sdk.tenant, invoice.invoice_id, wanted)
    history = sdk.accounting.get_invoice_history(sdk.tenant, invoice.invoice_id).history_records
    assert history[0].details == "Made for deal 7"
    [file] = sdk.accounting.create_invoice_attachment_by_file_name(
        sdk.tenant, invoice.invoice_id, "offer.txt", b"two days", include_online=True
    ).attachments
    assert (file.file_name, file.content_length, file.include_online) == ("offer.txt", 8, True)
    assert [each.attachment_id for each in attachments(sdk, invoice)] == [file.attachment_id]


def attachments(sdk: Sdk, invoice: Any) -> list[Any]:
    answered: list[Any] = sdk.accounting.get_invoice_attachments(sdk.tenant, invoice.invoice_id).attachments
    return answered


def paid(sdk: Sdk, invoice: Any, amount: str) -> Any:
    payment = models.Payment(
        invoice=models.Invoice(invoice_id=invoice.invoice_id),
        account=models.Account(code="090"),
        date=date(2026, 9, 20),
        amount=Decimal(amount),
        reference="wire 1",
    )
    [answered] = sdk.accounting.create_payments(sdk.tenant, models.Payments(payments=[payment])).payments
    return answered


def test_an_invoice_is_paid_in_part_then_in_full_then_not_at_all(sdk: Sdk):
    [invoice] = made(sdk)
    part = paid(sdk, invoice, "4.15")
    assert (part.invoice.status, part.invoice.amount_due, part.status) == ("AUTHORISED", Decimal(20), "AUTHORISED")
    rest = paid(sdk, invoice, "20")
    assert (rest.invoice.status, rest.invoice.fully_paid_on_date) == ("PAID", date(2026, 9, 20))
    [one] = listed(sdk, i_ds=[invoice.invoice_id], page=1).invoices
    assert [each.amount for each in one.payments] == [Decimal("4.15"), Decimal(20)]

    [gone] = sdk.accounting.delete_payment(sdk.tenant, rest.payment_id, models.PaymentDelete(status="DELETED")).payments
    assert gone.status == "DELETED"
    [now] = sdk.accounting.get_invoice(sdk.tenant, invoice.invoice_id).invoices
    assert (now.status, now.amount_due, now.fully_paid_on_date) == ("AUTHORISED", Decimal(20), None)


def test_payments_are_read_and_more_than_is_due_is_refused(sdk: Sdk):
    [invoice] = made(sdk)
    payment = paid(sdk, invoice, "4.15")
    [same] = sdk.accounting.get_payment(sdk.tenant, payment.payment_id).payments
    assert (same.amount, same.payment_type, same.reference) == (Decimal("4.15"), "ACCRECPAYMENT", "wire 1")
    payments = sdk.accounting.get_payments(sdk.tenant, where=f'Invoice.InvoiceID==guid("{invoice.invoice_id}")')
    assert [each.payment_id for each in payments.payments] == [payment.payment_id]
    with pytest.raises(exceptions.AccountingBadRequestException, match="exceeds the amount outstanding"):
        paid(sdk, invoice, "100")


def test_an_invoice_that_was_paid_cant_be_voided(sdk: Sdk):
    [invoice] = made(sdk)
    paid(sdk, invoice, "4.15")
    with pytest.raises(exceptions.AccountingBadRequestException, match="payments or credit notes allocated"):
        changed(sdk, invoice, status="VOIDED")
