"""Payments and credit notes: what turns an invoice PAID, and back (xero.md 4.7, 5.6, 5.7)."""

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.xero_office import Office, line, messages, read

D = Decimal


def pay(xero: Office, invoice_id: str, amount: str, **fields: Any) -> Any:
    asked = {"Invoice": {"InvoiceID": invoice_id}, "Account": {"Code": "090"}, "Date": "2026-09-20", "Amount": amount}
    return xero.put("Payments", {**asked, **fields}, summarizeErrors="false")["Payments"][0]


def standing(xero: Office, invoice_id: str) -> tuple[str, Decimal, Decimal, Decimal]:
    shown = xero.get("Invoices", IDs=invoice_id, page="1")["Invoices"][0]
    return shown["Status"], shown["AmountPaid"], shown["AmountCredited"], shown["AmountDue"]


def test_a_payment_in_part_leaves_the_invoice_authorised_and_the_rest_pays_it(xero: Office):
    made = xero.make()
    part = pay(xero, made["InvoiceID"], "20.00", Reference="wire 1")
    assert list(part)[:4] == ["PaymentID", "Date", "BankAmount", "Amount"]
    assert (part["PaymentType"], part["Status"], part["Account"]["Code"]) == ("ACCRECPAYMENT", "AUTHORISED", "090")
    assert part["Invoice"]["AmountDue"] == D("4.15")
    assert standing(xero, made["InvoiceID"]) == ("AUTHORISED", D("20"), D(0), D("4.15"))
    pay(xero, made["InvoiceID"], "4.15")
    assert standing(xero, made["InvoiceID"]) == ("PAID", D("24.15"), D(0), D(0))
    shown = xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]
    assert list(shown)[-1] == "FullyPaidOnDate"
    assert len(shown["Payments"]) == 2
    assert list(shown["Payments"][0]) == [
        "PaymentID", "Date", "Amount", "Reference", "CurrencyRate", "HasAccount", "HasValidationErrors",
    ]  # fmt: skip


def test_a_payment_taken_back_opens_the_invoice_again(xero: Office):
    made = xero.make()
    paid = pay(xero, made["InvoiceID"], "24.15")
    path = f"Payments/{paid['PaymentID']}"
    assert read(xero.call("POST", path, json={"Status": "DELETED"}))["Payments"][0]["Status"] == "DELETED"
    assert standing(xero, made["InvoiceID"]) == ("AUTHORISED", D(0), D(0), D("24.15"))
    again = xero.call("POST", path, json={"Payments": [{"Status": "DELETED"}]})
    assert (again.status_code, messages(read(again)["Elements"][0])) == (
        400,
        ["Payment not of valid status for modification"],
    )
    assert "FullyPaidOnDate" not in xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]


@pytest.mark.parametrize(
    ("status", "fields", "message"),
    [
        ("AUTHORISED", {"Amount": "24.16"}, "Payment amount exceeds the amount outstanding on this document"),
        ("DRAFT", {}, "Payments can only be made against Authorised documents"),
        ("AUTHORISED", {"Account": {"Code": "200"}}, "Account must be valid."),
    ],
)
def test_a_payment_is_refused(xero: Office, status: str, fields: dict[str, Any], message: str):
    made = xero.make(Status=status)
    assert messages(pay(xero, made["InvoiceID"], "1.00", **fields)) == [message]


def test_paid_by_credit_is_paid_with_nothing_paid(xero: Office):
    made = xero.make()
    asked = {
        "Type": "ACCRECCREDIT",
        "Status": "AUTHORISED",
        "Contact": {"ContactID": made["Contact"]["ContactID"]},
        "LineItems": [line(UnitAmount="100")],
    }
    note = xero.put("CreditNotes", asked)["CreditNotes"][0]
    assert (note["CreditNoteNumber"], note["RemainingCredit"]) == ("CN-0001", D("230"))
    path = f"CreditNotes/{note['CreditNoteID']}/Allocations"
    allocation = {"Invoice": {"InvoiceID": made["InvoiceID"]}, "Amount": "24.15", "Date": "2026-09-20"}
    used = read(xero.call("PUT", path, json={"Allocations": [allocation]}))["Allocations"][0]
    assert standing(xero, made["InvoiceID"]) == ("PAID", D(0), D("24.15"), D(0))
    credits_ = xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]["CreditNotes"]
    assert [(each["AppliedAmount"], each["Total"]) for each in credits_] == [(D("24.15"), D("230"))]
    undone = read(xero.call("DELETE", f"{path}/{used['AllocationID']}"))
    assert undone["IsDeleted"] is True
    assert standing(xero, made["InvoiceID"]) == ("AUTHORISED", D(0), D(0), D("24.15"))


def test_a_paid_invoice_cant_be_voided_and_only_edited_in_its_words(xero: Office):
    made = xero.make()
    pay(xero, made["InvoiceID"], "10.00")
    assert messages(xero.change(made["InvoiceID"], Status="VOIDED")) == [
        "The status VOIDED cannot be applied to the invoice because it has payments or credit notes allocated to it."
    ]
    for change in ({"Date": "2026-09-15"}, {"CurrencyCode": "USD"}, {"LineItems": [line(Quantity="3")]}):
        assert messages(xero.change(made["InvoiceID"], **change)) == [
            "This document cannot be edited as it has a payment or credit note allocated to it."
        ]
    words = {"Reference": "r", "DueDate": "2026-10-10", "Url": "https://acme.example/1"}
    reworded = [{"LineItemID": made["LineItems"][0]["LineItemID"], "Description": "Reworded", "AccountCode": "260"}]
    edited = xero.change(made["InvoiceID"], **words, LineItems=reworded)
    assert messages(edited) == []
    assert (edited["Total"], edited["LineItems"][0]["Description"]) == (D("24.15"), "Reworded")


def test_people_pay_credit_and_take_back(xero: Office):
    raised = xero.human("/invoices", {"contact": {"name": "Hand Ltd", "email": "in@hand.example"}, "currency": "EUR"})
    number = raised["number"]
    assert (raised["created_by_app"], raised["total"], raised["currency"]) == (False, "115.00", "EUR")
    assert xero.human(f"/invoices/{number}/pay", {"amount": "15.00"})["status"] == "AUTHORISED"
    assert xero.human(f"/invoices/{number}/credit")["status"] == "PAID"
    assert xero.human(f"/invoices/{number}/uncredit")["amount_due"] == "100.00"
    assert xero.human(f"/invoices/{number}/unpay")["amount_due"] == "115.00"
    assert (
        xero.human(f"/invoices/{number}/edit", {"reference": "by hand", "due_date": "2027-01-31"})["due_date"]
        == "2027-01-31"
    )
    assert xero.human(f"/invoices/{number}/void")["status"] == "VOIDED"
    drafted = xero.human("/invoices", {"status": "DRAFT", "lines": [{"description": "x", "unit_amount": "9.99"}]})
    assert xero.human(f"/invoices/{drafted['id']}/approve")["status"] == "AUTHORISED"
    refused = xero.ask(f"/xero/invoices/{drafted['id']}/delete", {})
    assert (refused.status_code, refused.json()["errors"]) == (400, ["Invoice not of valid status for modification"])


def test_a_copy_by_hand_carries_the_marks_but_not_the_app(xero: Office):
    made = xero.make(Reference="Deal 7", Url="https://acme.kommo.com/leads/detail/7")
    copied = xero.human(f"/invoices/{made['InvoiceID']}/copy")
    shown = [each for each in xero.books()["invoices"] if each["reference"] == "Deal 7"]
    assert [(each["url"][-2:], each["status"], each["created_by_app"]) for each in shown] == [
        ("/7", "AUTHORISED", True),
        ("/7", "DRAFT", False),
    ]
    assert copied["number"] != made["InvoiceNumber"]


def test_the_seed_has_the_odd_ones(xero: Office):
    found = {each["number"]: each for each in xero.books()["invoices"]}
    by_credit, in_part = found["S-1001"], found["S-1002"]
    assert (by_credit["status"], by_credit["amount_paid"], by_credit["amount_credited"]) == ("PAID", "0.00", "541.25")
    assert (in_part["status"], in_part["total"], in_part["amount_due"]) == ("AUTHORISED", "850.00", "270.63")
    assert (found["S-1003"]["status"], found["S-1004"]["status"]) == ("DRAFT", "VOIDED")
    assert {each["updated_at"][:4] for each in found.values()} == {"2010"}
