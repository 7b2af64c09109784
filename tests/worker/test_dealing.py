"""What becomes of an invoice that was raised by hand in Xero."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from integrations.kommo.entities import ClientDraft, LeadDraft, Value
from integrations.xero.entities import Invoice, InvoiceStatus, Line
from tests.worker.builders import (
    CONTACT_ID,
    CURRENCY_FIELD,
    DUE_ON,
    ENTERED_ON,
    INVOICE_ID,
    INVOICED,
    SALES,
    contact,
    invoice,
    line,
    paid,
    rules,
)
from worker import statuses
from worker.clients import XERO_CONTACT_ID
from worker.dealing import ClientDrafts, client_drafts, deal_draft, note_lines, wants_deal
from worker.marks import invoice_page

D = Decimal
SINCE = date(2026, 1, 1)
MARK: dict[int | str, Value] = {XERO_CONTACT_ID: CONTACT_ID}


def wanted(*, since: date = SINCE, drafts: bool = False, **changes: Any) -> bool:
    return wants_deal(invoice(**changes), since=since, drafts=drafts)


def deal(raised: Invoice | None = None, **changes: Any) -> LeadDraft:
    usual: dict[str, Any] = {
        "rules": rules(),
        "stage": (SALES, INVOICED),
        "contact_id": 10,
        "company_id": 20,
        "page_url": invoice_page(INVOICE_ID),
        "today": ENTERED_ON,
    }
    return deal_draft(raised or invoice(), **(usual | changes))


# --- which invoices


@pytest.mark.parametrize("status", [InvoiceStatus.AUTHORISED, InvoiceStatus.PAID])
def test_an_approved_sales_invoice_becomes_a_deal(status):
    assert wanted(status=status)


def test_a_bill_does_not():
    assert not wanted(kind="ACCPAY")


@pytest.mark.parametrize("status", [InvoiceStatus.DRAFT, InvoiceStatus.SUBMITTED])
def test_a_draft_does_only_where_drafts_are_wanted(status):
    assert not wanted(status=status)
    assert wanted(status=status, drafts=True)


@pytest.mark.parametrize("status", [InvoiceStatus.VOIDED, InvoiceStatus.DELETED])
def test_a_dead_invoice_never_does(status):
    assert not wanted(status=status, drafts=True)


def test_an_invoice_of_the_first_day_does_and_one_of_the_day_before_does_not():
    assert wanted(since=ENTERED_ON)
    assert not wanted(since=ENTERED_ON + timedelta(days=1))


def test_a_payment_on_an_old_invoice_makes_nothing():
    assert not wants_deal(paid("115", issued_on=date(2025, 12, 31)), since=SINCE, drafts=False)


def test_an_invoice_without_a_date_makes_nothing():
    assert not wanted(issued_on=None)


# --- the deal


def test_the_deal_carries_everything_in_the_request_that_makes_it():
    made = deal()
    assert (made.name, made.price, made.pipeline_id, made.status_id) == (
        "INV-0042 Acme Ltd",
        D("115.00"),
        SALES,
        INVOICED,
    )
    assert (made.contact_id, made.company_id) == (10, 20)
    assert made.fields == {
        "XERO_INVOICE_ID": INVOICE_ID,
        "XERO_INVOICE_NUMBER": "INV-0042",
        "XERO_INVOICE_STATUS": "Awaiting payment",
        "XERO_INVOICE_TOTAL": D("115.00"),
        "XERO_AMOUNT_DUE": D("115.00"),
        "XERO_CURRENCY": "NZD",
        "XERO_DUE_DATE": DUE_ON,
        "XERO_INVOICE_URL": invoice_page(INVOICE_ID),
        "XERO_SYNC_MESSAGE": "Invoice INV-0042 over 115.00 NZD awaits payment by 28 September 2026.",
    }


def test_the_price_may_be_the_net_sum():
    assert deal(rules=rules(deal_amount="net")).price == D("100.00")


def test_the_currency_is_filled_in_where_the_connection_has_a_field_for_it():
    assert deal(invoice(currency="EUR"), rules=rules(currency_field=CURRENCY_FIELD)).fields[CURRENCY_FIELD] == "EUR"


def test_a_deal_of_an_invoice_that_was_paid_before_it_came_says_so():
    assert deal(paid("115")).fields["XERO_INVOICE_STATUS"] == statuses.Label.PAID


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"number": ""}, "Acme Ltd"),
        ({"number": "", "reference": "PO 1"}, "PO 1 Acme Ltd"),
        ({"contact_name": ""}, "INV-0042"),
        ({"number": "", "contact_name": ""}, "Invoice from Xero"),
    ],
)
def test_a_deal_always_has_a_name(changes, name):
    assert deal(invoice(**changes)).name == name


def test_a_long_name_is_cut():
    assert len(deal(invoice(contact_name="x" * 255)).name) == 250


# --- the note


def test_the_note_lists_lines_and_totals():
    raised = invoice(
        lines=(
            line("Design\nwith  drafts", "2.5", "40.00", "90.00", discount_rate=D("10")),
            line("Cable", "100", "0.0125", "1.25"),
            line("Rebate", "1", "20", "15.00", discount_amount=D("5.00")),
            Line("Thank you!"),
            Line("Rounding", line_amount=D("0.01")),
        )
    )
    assert note_lines(raised, kommo_currency="NZD").splitlines() == [
        "Invoice INV-0042 was raised in Xero on 14 September 2026 for Acme Ltd.",
        "- Design with drafts: 2.5 x 40.00 = 90.00 (10 % off)",
        "- Cable: 100 x 0.0125 = 1.25",
        "- Rebate: 1 x 20.00 = 15.00 (5.00 off)",
        "- Thank you!",
        "- Rounding: 0.01",
        "Net 100.00, tax 15.00, total 115.00 NZD.",
    ]


def test_the_note_says_so_if_the_currency_is_another_than_the_accounts():
    last = note_lines(invoice(), kommo_currency="USD").splitlines()[-1]
    assert last == "The invoice is in NZD; prices of deals are shown in USD, not converted."


def test_a_long_invoice_makes_a_note_that_can_still_be_read():
    note = note_lines(invoice(lines=invoice().lines * 80), kommo_currency="NZD").splitlines()
    assert len(note) == 53
    assert note[-2] == "… and 30 more lines."


def test_a_note_is_written_though_date_number_and_client_are_missing():
    bare = invoice(number="", issued_on=None, contact_name="", lines=())
    assert note_lines(bare, kommo_currency="NZD").splitlines()[0] == "The invoice was raised in Xero."


# --- the client


def test_a_contact_without_a_persons_name_is_a_company():
    reachable = ClientDraft("Acme Ltd", email="billing@acme.example", phone="5", fields=MARK)
    assert client_drafts(contact(phone="5")) == ClientDrafts(company=reachable)


def test_a_contact_that_is_called_like_its_person_is_a_person():
    xero = contact(name="jo  marsh", first_name="Jo", last_name="Marsh")
    assert client_drafts(xero) == ClientDrafts(
        person=ClientDraft("Jo Marsh", email="billing@acme.example", fields=MARK)
    )


def test_a_contact_that_is_called_otherwise_than_its_person_is_both():
    drafts = client_drafts(contact(first_name="Jo", last_name="Marsh"))
    assert drafts.person == ClientDraft("Jo Marsh", email="billing@acme.example", fields=MARK)
    assert drafts.company == ClientDraft("Acme Ltd", fields=MARK)


def test_one_of_the_two_names_is_enough_for_a_person():
    assert client_drafts(replace(contact(name="Marsh"), last_name="Marsh")).person is not None
