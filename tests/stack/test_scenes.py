"""What the demo looks for in the books, and what it says of what isn't there."""

from typing import Any

import pytest

from stack import books, scenes
from stack.children import NotReady
from stack.demo import play_one
from stack.scenes import Play, invoiced, paid

ID = "11111111-0000-4000-8000-000000000000"


def lead(**changed: Any) -> dict[str, Any]:
    fields = {
        "XERO_INVOICE_NUMBER": "INV-1",
        "XERO_INVOICE_STATUS": "Awaiting payment",
        "XERO_INVOICE_TOTAL": "115.00",
        "XERO_AMOUNT_DUE": "115.00",
        "XERO_INVOICE_URL": f"https://go.xero.com/AccountsReceivable/View.aspx?InvoiceID={ID}",
    }
    shown: dict[str, Any] = {
        "id": 7,
        "name": "Deal",
        "price": "100",
        "stage": "Payment approved",
        "is_deleted": False,
        "company": 3,
    }
    shown |= {"contacts": [], "notes": [{"text": "Invoice INV-1"}], "files": [{"name": "INV-1.pdf"}]}
    return shown | {"fields": fields | changed.pop("fields", {})} | changed


def invoice(**changed: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": ID,
        "number": "INV-1",
        "contact": {"name": "Acme Ltd"},
        "status": "AUTHORISED",
        "currency": "USD",
    }
    shown |= {"url": "https://acme.kommo.com/leads/detail/7", "created_by_app": True}
    return shown | {"subtotal": "100.00", "total": "115.00", "amount_due": "115.00"} | changed


def missing(look: Any, leads: list[dict[str, Any]], invoices: list[dict[str, Any]]) -> list[str]:
    found = books.read({"kommo": {"leads": leads}, "xero": {"invoices": invoices, "complaints": {}}})
    play = Play(sandbox=None, jobs_left=int, deals={"Deal": 7})  # type: ignore[arg-type]  # nothing is asked of it
    return [sentence.removeprefix("Deal: ") for sentence, is_so in look(play, found).items() if not is_so]


def as_it_should_be(play, found):
    return invoiced(play, found, "Deal", net="100.00", currency="USD")


def test_nothing_is_missing_where_all_is_there():
    assert missing(as_it_should_be, [lead()], [invoice()]) == []


@pytest.mark.parametrize(
    ("leads", "invoices", "sentence"),
    [
        ([lead()], [], "there is an invoice"),
        ([lead()], [invoice(status="VOIDED")], "there is an invoice"),
        ([lead()], [invoice(), invoice(id="2", number="INV-2")], "there is only one invoice"),
        ([lead()], [invoice(currency="EUR")], "it is over 100.00 USD before tax"),
        ([lead(files=[])], [invoice()], "the PDF is attached once"),
        ([lead(notes=[])], [invoice()], "the deal has one note about it"),
        ([lead(notes=[{"text": "INV-1"}] * 2)], [invoice()], "the deal has one note about it"),
        ([lead(fields={"XERO_INVOICE_NUMBER": ""})], [invoice()], "the deal shows number INV-1"),
        ([lead(fields={"XERO_INVOICE_TOTAL": "115.01"})], [invoice()], "the deal shows the total 115.00"),
        ([lead(fields={"XERO_INVOICE_STATUS": "Draft"})], [invoice()], "the deal says Awaiting payment"),
    ],
)
def test_what_is_missing_is_named(leads, invoices, sentence):
    assert missing(as_it_should_be, leads, invoices) == [sentence]


def test_a_payment_shows_in_label_and_amount():
    def look(play, found):
        return paid(play, found, "Deal", "Partly paid", left=True)

    shown = {"XERO_INVOICE_STATUS": "Partly paid", "XERO_AMOUNT_DUE": "15.00"}
    assert missing(look, [lead(fields=shown)], [invoice(amount_due="15.00")]) == []
    assert missing(look, [lead()], [invoice(amount_due="15.00")]) == [
        "the deal says Partly paid",
        "the deal shows what is due",
    ]


class Reads:
    """A sandbox whose books are empty."""

    def books(self):
        return {"kommo": {"leads": []}, "xero": {"invoices": [], "complaints": {}}}


def test_a_scene_ends_where_something_is_missing():
    def scene(_play):
        yield lambda _books: {"the sun shines": True, "it rains": False}
        raise AssertionError("it went on")

    assert list(play_one(scene, Play(Reads(), int), patience=0.1)) == ["it rains"]  # type: ignore[arg-type]


def test_a_scene_that_can_not_begin_says_why():
    def without_its_deal(play):
        play.move(scenes.APPROVED, "Annual report")
        yield lambda _books: {}

    def never_idle(play):
        yield lambda _books: {}
        raise NotReady("waited 30 s in vain for the vendors to be left alone")

    assert list(play_one(without_its_deal, Play(Reads(), int))) == ["an earlier scene left no 'Annual report'"]  # type: ignore[arg-type]
    assert list(play_one(never_idle, Play(Reads(), int))) == ["waited 30 s in vain for the vendors to be left alone"]  # type: ignore[arg-type]
