"""What a deal shows of its invoice."""

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.kommo.entities import FileRef
from integrations.xero.entities import Invoice, InvoiceStatus
from tests.worker.builders import DUE_ON, ENTERED_ON, INVOICE_ID, invoice, line, paid
from worker.marks import invoice_page
from worker.statuses import Label, amount_due, changed, fields, label, message, pdf_fingerprint, to_snapshot

D = Decimal
TODAY = ENTERED_ON
LATER = DUE_ON + timedelta(days=1)
PAGE = invoice_page(INVOICE_ID)


def voided(**changes: Any) -> Invoice:
    return invoice(status=InvoiceStatus.VOIDED, **changes)


def test_labels_are_the_options_of_the_deals_field():
    assert [str(option) for option in Label] == [
        "Draft",
        "Submitted",
        "Awaiting payment",
        "Partly paid",
        "Paid",
        "Credited",
        "Overdue",
        "Voided",
        "Deleted",
        "Problem",
    ]


# --- the label


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (InvoiceStatus.DRAFT, Label.DRAFT),
        (InvoiceStatus.SUBMITTED, Label.SUBMITTED),
        (InvoiceStatus.AUTHORISED, Label.AWAITING_PAYMENT),
        (InvoiceStatus.VOIDED, Label.VOIDED),
        (InvoiceStatus.DELETED, Label.DELETED),
    ],
)
def test_xeros_status_has_a_label(status, expected):
    assert label(invoice(status=status), TODAY) is expected


def test_partly_paid_is_still_approved_in_xero():
    assert label(paid("50.00"), TODAY) is Label.PARTLY_PAID


def test_partly_credited_is_partly_paid():
    assert label(paid("0", credited="15.00"), TODAY) is Label.PARTLY_PAID


def test_paid_with_money_is_paid():
    assert label(paid("115.00"), TODAY) is Label.PAID


def test_paid_with_money_and_a_credit_note_is_paid():
    """Recorded: 269.95, of which 250.00 was paid and 19.95 credited."""
    assert label(paid("95.05", credited="19.95"), TODAY) is Label.PAID


def test_paid_with_nothing_paid_is_credited():
    """Recorded: PAID with 0.00 paid and 541.25 credited."""
    assert label(paid("0", credited="115.00"), TODAY) is Label.CREDITED


def test_an_invoice_over_nothing_is_paid_not_credited():
    assert label(invoice(status=InvoiceStatus.PAID, total=D(0), amount_due=D(0)), TODAY) is Label.PAID


def test_an_invoice_is_overdue_the_day_after_its_due_date():
    assert label(invoice(), DUE_ON) is Label.AWAITING_PAYMENT
    assert label(invoice(), LATER) is Label.OVERDUE


def test_overdue_wins_over_partly_paid():
    assert label(paid("50.00"), LATER) is Label.OVERDUE


@pytest.mark.parametrize(
    "settled",
    [
        paid("115.00"),
        voided(),
        invoice(status=InvoiceStatus.DELETED),
        invoice(status=InvoiceStatus.DRAFT),
        invoice(due_on=None),
    ],
    ids=["paid", "voided", "deleted", "draft", "no due date"],
)
def test_what_is_not_owed_is_never_overdue(settled):
    assert label(settled, LATER) is not Label.OVERDUE


def test_a_status_may_go_backwards():
    """A payment was removed: Xero says AUTHORISED again."""
    assert [label(state, TODAY) for state in (paid("115.00"), invoice())] == [Label.PAID, Label.AWAITING_PAYMENT]


# --- the fields


def test_the_fields_of_an_invoice():
    assert fields(invoice(), today=TODAY, page_url=PAGE) == {
        "XERO_INVOICE_ID": INVOICE_ID,
        "XERO_INVOICE_NUMBER": "INV-0042",
        "XERO_INVOICE_STATUS": "Awaiting payment",
        "XERO_INVOICE_TOTAL": D("115.00"),
        "XERO_AMOUNT_DUE": D("115.00"),
        "XERO_CURRENCY": "NZD",
        "XERO_DUE_DATE": DUE_ON,
        "XERO_INVOICE_URL": PAGE,
    }


@pytest.mark.parametrize("status", [InvoiceStatus.VOIDED, InvoiceStatus.DELETED])
def test_nothing_is_due_on_a_dead_invoice_whatever_the_answer_says(status):
    """Recorded: the answer to a void says an amount due of the whole total."""
    assert fields(invoice(status=status), today=TODAY, page_url=PAGE)["XERO_AMOUNT_DUE"] == 0
    assert amount_due(invoice(status=status)) == 0


def test_what_an_invoice_does_not_have_is_cleared():
    found = fields(invoice(number="", due_on=None, currency=""), today=TODAY, page_url="")
    empty = {code for code, value in found.items() if value is None}
    assert empty == {"XERO_INVOICE_NUMBER", "XERO_DUE_DATE", "XERO_CURRENCY", "XERO_INVOICE_URL"}


# --- the message


@pytest.mark.parametrize(
    ("state", "today", "expected"),
    [
        (invoice(status=InvoiceStatus.DRAFT), TODAY, "Invoice INV-0042 over 115.00 NZD is a draft in Xero."),
        (
            invoice(status=InvoiceStatus.SUBMITTED),
            TODAY,
            "Invoice INV-0042 over 115.00 NZD waits for approval in Xero.",
        ),
        (invoice(), TODAY, "Invoice INV-0042 over 115.00 NZD awaits payment by 28 September 2026."),
        (invoice(due_on=None), TODAY, "Invoice INV-0042 over 115.00 NZD awaits payment."),
        (
            paid("50"),
            TODAY,
            "Invoice INV-0042: 50.00 NZD of 115.00 NZD is paid, 65.00 NZD is due by 28 September 2026.",
        ),
        (
            paid("0", credited="15"),
            TODAY,
            "Invoice INV-0042: of 115.00 NZD, 15.00 NZD was credited, 100.00 NZD is due by 28 September 2026.",
        ),
        (
            paid("50", credited="15"),
            TODAY,
            "Invoice INV-0042: of 115.00 NZD, 50.00 NZD was paid and 15.00 NZD was credited, 50.00 NZD is due by 28 September 2026.",
        ),
        (invoice(), LATER, "Invoice INV-0042 is overdue since 28 September 2026: 115.00 NZD has not been paid."),
        (
            paid("50"),
            LATER,
            "Invoice INV-0042 is overdue since 28 September 2026: 50.00 NZD of 115.00 NZD is paid, 65.00 NZD has not been paid.",
        ),
        (paid("115"), TODAY, "Invoice INV-0042 over 115.00 NZD is paid in full."),
        (
            paid("95.05", credited="19.95"),
            TODAY,
            "Invoice INV-0042 over 115.00 NZD is settled: 95.05 NZD was paid and 19.95 NZD was credited.",
        ),
        (
            paid("0", credited="115"),
            TODAY,
            "Invoice INV-0042 over 115.00 NZD is settled by credit, without a payment of its own.",
        ),
        (voided(), TODAY, "Invoice INV-0042 over 115.00 NZD was voided in Xero; nothing is due."),
        (
            invoice(status=InvoiceStatus.DELETED, number=""),
            TODAY,
            "The invoice over 115.00 NZD was deleted in Xero; nothing is due.",
        ),
    ],
    ids=lambda value: "",
)
def test_the_message_is_one_plain_line(state, today, expected):
    assert message(state, label(state, today)) == expected


def test_large_sums_are_grouped_for_reading():
    assert "over 1,234,567.50 NZD" in message(invoice(total=D("1234567.5")), Label.AWAITING_PAYMENT)


def test_a_problem_is_said_to_need_a_look():
    assert message(invoice(), Label.PROBLEM) == "Invoice INV-0042 over 115.00 NZD needs a look in Xero."


@pytest.mark.parametrize("shown", list(Label))
def test_every_message_is_short(shown):
    large = invoice(
        number="N" * 255, total=D("9999999999.99"), amount_due=D("9999999999.98"), amount_credited=D("0.01")
    )
    assert len(message(large, shown)) <= 250


# --- what has changed


def test_the_first_time_everything_has_changed():
    after = fields(invoice(), today=TODAY, page_url=PAGE)
    assert changed(None, after) == after


def test_an_echo_finds_nothing_to_do():
    after = fields(invoice(), today=TODAY, page_url=PAGE)
    assert changed(json.loads(json.dumps(to_snapshot(after))), after) == {}


def test_a_payment_changes_status_and_amount_due_only():
    before = to_snapshot(fields(invoice(), today=TODAY, page_url=PAGE))
    after = fields(paid("50"), today=TODAY, page_url=PAGE)
    assert changed(before, after) == {"XERO_INVOICE_STATUS": "Partly paid", "XERO_AMOUNT_DUE": D("65.00")}


def test_a_due_date_that_was_taken_away_is_cleared():
    before = to_snapshot(fields(invoice(), today=TODAY, page_url=PAGE))
    assert changed(before, fields(invoice(due_on=None), today=TODAY, page_url=PAGE)) == {"XERO_DUE_DATE": None}


def test_decimals_that_mean_the_same_are_the_same():
    assert changed(to_snapshot({"XERO_INVOICE_TOTAL": D("115.00")}), {"XERO_INVOICE_TOTAL": D("115.0000")}) == {}
    assert changed(to_snapshot({"XERO_AMOUNT_DUE": D("-0.00")}), {"XERO_AMOUNT_DUE": D(0)}) == {}


def test_a_snapshot_is_safe_for_json():
    file = FileRef("u", "v", "INV-0042.pdf", 90_000)
    taken = to_snapshot({"A": D("100"), "B": DUE_ON, "C": None, "D": "x", "E": True, 701: file})
    assert taken == {"A": "100", "B": "2026-09-28", "C": None, "D": "x", "E": True, "701": "u:v"}
    assert json.loads(json.dumps(taken)) == taken


values = st.none() | st.text() | st.booleans() | st.dates() | st.decimals(-(10**10), 10**10, places=2)


@given(st.dictionaries(st.sampled_from("ABC"), values), st.dictionaries(st.sampled_from("ABC"), values))
def test_writing_what_has_changed_leaves_nothing_to_write(before, after):
    kept = to_snapshot(before)
    assert changed(kept | to_snapshot(changed(kept, after)), after) == {}


# --- the PDF


def test_a_payment_does_not_change_the_print():
    assert pdf_fingerprint(paid("50")) == pdf_fingerprint(invoice()) == pdf_fingerprint(paid("115"))


@pytest.mark.parametrize(
    "changes",
    [
        {"number": "INV-0043"},
        {"reference": "PO 4711"},
        {"contact_id": "another"},
        {"contact_name": "Acme Holding"},
        {"issued_on": date(2026, 9, 15)},
        {"due_on": None},
        {"currency": "EUR"},
        {"total": D("115.01")},
        {"total_tax": D("15.01")},
        {"line_amounts": "Inclusive"},
        {"lines": ()},
        {"lines": (line("Web site", "2", "50.00", "100.00"),)},
        {"lines": (line("Website", "1", "100.00", "100.00"),)},
        {"lines": (line("Website", "2", "50.00", "100.00", discount_rate=D(5)),)},
        {"status": InvoiceStatus.DRAFT},
    ],
    ids="-".join,
)
def test_what_is_printed_changes_the_print(changes):
    assert pdf_fingerprint(invoice(**changes)) != pdf_fingerprint(invoice())


def test_decimals_that_print_the_same_do_not_change_the_print():
    same = replace(invoice(), total=D("115.0000"), lines=(line("Website", "2.0", "50.0000", "100.0"),))
    assert pdf_fingerprint(same) == pdf_fingerprint(invoice())


def test_the_account_it_is_booked_on_is_not_printed():
    assert pdf_fingerprint(invoice(lines=(line("Website", "2", "50.00", "100.00", account_code="260"),))) == (
        pdf_fingerprint(invoice())
    )
