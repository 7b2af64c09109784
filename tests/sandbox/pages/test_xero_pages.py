"""The list of invoices and an invoice's page, as a person uses them."""

from decimal import Decimal

from tests.sandbox.pages.visitor import Page, Visitor


def raised(visitor: Visitor, button: str = "Approve", **more: str) -> Page:
    filled = {
        "contact_name": "Harbour Bakery Ltd",
        "description_0": "Bread ovens",
        "quantity_0": "2",
        "price_0": "450.25",
    }
    return visitor.press(visitor.open("/xero/invoices/new"), "", button, **filled | more)


def number(page: Page) -> str:
    return page.said.split()[0]


def press(visitor: Visitor, name: str, action: str, **filled: str) -> Page:
    return visitor.press(visitor.open(f"/xero/invoices/{name}"), f"/{action}", **filled)


def test_an_invoice_is_raised_by_hand(visitor: Visitor):
    page = raised(visitor, currency="EUR", reference="PO 7")
    invoice = visitor.invoice(number(page))
    assert (invoice["status"], invoice["total"], invoice["currency"]) == ("AUTHORISED", "1035.58", "EUR")
    assert not invoice["created_by_app"]
    assert "a person" in page.seen
    assert number(page) in visitor.open("/xero/").links
    assert len([one for one in visitor.books()["xero"]["contacts"] if one["name"] == "Harbour Bakery Ltd"]) == 1


def test_a_new_name_is_a_new_contact(visitor: Visitor):
    raised(visitor, contact_name="Quay Ltd", contact_email="pay@quay.example")
    found = [one for one in visitor.books()["xero"]["contacts"] if one["name"] == "Quay Ltd"]
    assert [one["email"] for one in found] == ["pay@quay.example"]


def test_what_xero_refuses_is_said_and_what_was_typed_stays(visitor: Visitor):
    page = raised(visitor, number="S-1002")
    assert page.status == 400
    assert "Invoice # must be unique" in page.seen
    assert page.forms[-1].fields["description_0"] == "Bread ovens"
    page = raised(visitor, price_0="much")
    assert "the price “much” is no number" in page.seen


def test_a_day_at_the_end_of_time_is_refused(visitor: Visitor):
    page = raised(visitor, date="9999-12-31", due_date="")
    assert page.status == 400
    assert "9999-12-31" in page.seen


def test_less_than_a_cent_is_no_payment(visitor: Visitor):
    name = number(raised(visitor))
    page = press(visitor, name, "pay", amount="0.001")
    assert page.said.strip() == "Payment amount must be greater than zero."
    assert visitor.invoice(name)["payments"] == []


def test_a_draft_is_edited_submitted_and_approved(visitor: Visitor):
    name = number(raised(visitor, "Save as draft"))
    press(visitor, name, "edit", price_0="100", reference="PO 8", description_1="Delivery", price_1="10")
    invoice = visitor.invoice(name)
    assert (invoice["reference"], invoice["subtotal"], len(invoice["lines"])) == ("PO 8", "210.00", 2)
    press(visitor, name, "submit")
    assert visitor.invoice(name)["status"] == "SUBMITTED"
    press(visitor, name, "approve")
    assert visitor.invoice(name)["status"] == "AUTHORISED"


def test_saving_what_was_not_changed_changes_nothing(visitor: Visitor):
    name = number(raised(visitor))
    before = visitor.invoice(name)["version"]
    assert press(visitor, name, "edit").said == "Nothing was changed."
    assert visitor.invoice(name)["version"] == before


def test_it_is_paid_in_part_in_full_and_back(visitor: Visitor):
    name = number(raised(visitor))
    assert "Partly paid" in press(visitor, name, "pay", amount="500").seen
    assert "Paid" in press(visitor, name, "pay").seen
    assert visitor.invoice(name)["status"] == "PAID"
    press(visitor, name, "unpay")
    assert visitor.invoice(name)["status"] == "AUTHORISED"
    assert Decimal(visitor.invoice(name)["amount_due"]) == 500


def test_too_much_is_not_paid(visitor: Visitor):
    name = number(raised(visitor))
    page = press(visitor, name, "pay", amount="5000")
    assert page.said.strip() == "Payment amount exceeds the amount outstanding on this document."
    assert visitor.invoice(name)["payments"] == []


def test_it_is_credited_and_the_credit_is_taken_back(visitor: Visitor):
    name = number(raised(visitor))
    press(visitor, name, "credit", amount="5000")
    assert [one["number"] for one in visitor.books()["xero"]["credit_notes"]] == ["CN-0025"]
    assert "Credited" in press(visitor, name, "credit").seen
    press(visitor, name, "uncredit")
    assert visitor.invoice(name)["status"] == "AUTHORISED"


def test_it_is_voided_once_nothing_is_paid(visitor: Visitor):
    name = number(raised(visitor))
    press(visitor, name, "pay", amount="1")
    assert "Void" not in [label for form in visitor.open(f"/xero/invoices/{name}").forms for label in form.buttons]
    press(visitor, name, "unpay")
    press(visitor, name, "void")
    assert visitor.invoice(name)["status"] == "VOIDED"


def test_a_draft_is_deleted_and_an_invoice_copied(visitor: Visitor):
    press(visitor, "S-1003", "delete")
    assert visitor.invoice("S-1003")["status"] == "DELETED"
    copy = press(visitor, "S-1002", "copy")
    assert visitor.invoice(number(copy))["status"] == "DRAFT"


def test_its_pdf_opens(visitor: Visitor):
    page = visitor.open("/xero/invoices/S-1002")
    answer = visitor.session.get(visitor.url + page.links["PDF"], timeout=10)
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF")


def test_the_list_is_sifted(visitor: Visitor):
    assert {"S-1003"} == {link for link in visitor.open("/xero/?status=DRAFT").links if link.startswith("S-")}
    assert {"S-1001", "S-1004"} == {link for link in visitor.open("/xero/?q=bakery").links if link.startswith("S-")}
    assert "No invoice like that" in visitor.open("/xero/?q=nobody").seen


def test_one_of_several_organisations_is_looked_at(visitor: Visitor):
    tenant = visitor.tell("/xero/organisations", {"name": "Acme (UK)", "base_currency": "GBP"})["tenant_id"]
    page = visitor.open(f"/xero/?tenant={tenant}")
    assert "S-1002" not in page.links
    made = visitor.press(
        visitor.open(page.links["New invoice"]), "", "Approve", contact_name="Dock Ltd", description_0="A", price_0="10"
    )
    invoice = visitor.invoice(number(made))
    assert (invoice["tenant_id"], invoice["currency"]) == (tenant, "GBP")
    press(visitor, invoice["id"], "pay")
    assert visitor.invoice(number(made))["status"] == "PAID"
