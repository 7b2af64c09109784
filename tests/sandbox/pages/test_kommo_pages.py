"""The Kommo board and a deal's page, as a person uses them."""

import pytest

from tests.sandbox.kommo_stand import APPROVED, OFFER, PROJECTS, SALES
from tests.sandbox.pages.visitor import Visitor

NOBODY = "http://127.0.0.1:9/kommo"


def deal(visitor: Visitor, **typed: object) -> int:
    return int(visitor.tell("/kommo/leads", {"name": "Website", "price": "480", "pipeline": "Sales", **typed})["id"])


def api_field(visitor: Visitor, lead_id: int, code: str, value: str) -> None:
    """A field of an integration's own, filled in by it."""
    made = [{"name": code.title(), "code": code, "type": "text", "is_api_only": True}]
    visitor.kommo("POST", "/leads/custom_fields", made)
    fields = [{"field_code": code, "values": [{"value": value}]}]
    visitor.kommo("PATCH", f"/leads/{lead_id}", {"custom_fields_values": fields})


def test_a_deal_is_added_with_all_that_belongs_to_it(visitor: Visitor):
    form = visitor.open("/kommo/leads/new")
    product = next(line for line in visitor.books()["kommo"]["products"] if line["name"] == "Licence, month")
    page = visitor.press(
        form, "/leads/new", name="Licences", stage=f"{SALES}.{OFFER}", company_name="Mill Ltd", company_email="a@mill.example",
        contact_name="Jo Miller", product_0=str(product["id"]), quantity_0="12", field_184994="EUR", field_184996="All of it",
    )  # fmt: skip
    assert page.said.strip() == "Licences is made."
    lead = visitor.lead(int(page.url.rpartition("/")[2]))
    assert (lead["stage"], lead["price"]) == ("Offer", "598.8")
    assert lead["fields"] == {"Invoice currency": "EUR", "Services": "All of it"}
    assert "Mill Ltd" in page.seen
    assert "Jo Miller" in page.seen
    assert "a@mill.example" in page.seen


def test_what_was_typed_stays_on_the_form_when_it_is_refused(visitor: Visitor):
    page = visitor.press(visitor.open("/kommo/leads/new"), "/leads/new", name="Half a deal", price="twelve")
    assert page.status == 400
    assert "the price “twelve” is no number" in page.seen
    assert page.form("/leads/new").fields["name"] == "Half a deal"
    assert visitor.books()["kommo"]["leads"] == []
    assert visitor.books()["kommo"]["contacts"] == []


def test_moving_a_card_tells_those_who_listen(visitor: Visitor):
    lead_id = deal(visitor)
    visitor.kommo("POST", "/webhooks", {"destination": NOBODY, "settings": ["status_lead"]})
    page = visitor.press(visitor.open("/kommo/"), f"/leads/{lead_id}/move", stage=f"{SALES}.{APPROVED}")
    assert page.said.strip() == "Website is in Payment approved."
    assert page.url.endswith(f"/kommo/?pipeline={SALES}")
    sent = visitor.session.get(f"{visitor.url}/_sandbox/webhooks", timeout=10).json()
    assert [f"leads%5Bstatus%5D%5B0%5D%5Bid%5D={lead_id}" in one["body"] for one in sent] == [True]


@pytest.mark.parametrize("stage", ["", "abc", "1.x", "²", f"{SALES}.9"])
def test_a_stage_that_is_none_is_refused(visitor: Visitor, stage: str):
    lead_id = deal(visitor)
    page = visitor.press(visitor.open("/kommo/"), f"/leads/{lead_id}/move", stage=stage)
    assert (page.status, page.said.strip()[:3]) == (200, "No ")
    assert visitor.lead(lead_id)["stage"] == "New"


def test_what_was_chosen_from_no_list_is_nothing(visitor: Visitor):
    page = visitor.press(visitor.open("/kommo/leads/new?stage=²"), "/leads/new", name="Odd", contact="²", product_0="²")
    assert page.said.strip() == "Odd is made."


def test_a_name_without_end_is_told_in_short(visitor: Visitor):
    lead_id = deal(visitor, name="é" * 3000)
    page = visitor.press(visitor.open("/kommo/"), f"/leads/{lead_id}/move", stage=f"{SALES}.{APPROVED}")
    assert page.said.strip().startswith("ééé")
    assert page.said.strip().endswith("…")


def test_a_card_may_leave_for_another_pipeline(visitor: Visitor):
    lead_id = deal(visitor)
    visitor.press(visitor.open("/kommo/"), f"/leads/{lead_id}/move", stage=f"{PROJECTS}.58142811")
    assert (visitor.lead(lead_id)["pipeline"], visitor.lead(lead_id)["stage"]) == ("Projects", "Running")
    assert "Website" not in visitor.open("/kommo/").links
    assert "Website" in visitor.open(f"/kommo/?pipeline={PROJECTS}").links


def test_only_what_was_changed_by_hand_is_written(visitor: Visitor):
    """Between the page and Save an integration has changed the price: the page's old one must not come back."""
    lead_id = deal(visitor)
    form = visitor.open(f"/kommo/leads/{lead_id}")
    visitor.tell(f"/kommo/leads/{lead_id}", {"price": "999"}, "PATCH")
    page = visitor.press(form, f"/leads/{lead_id}", field_184994="GBP")
    assert page.said.strip() == "Saved."
    lead = visitor.lead(lead_id)
    assert (lead["price"], lead["fields"]) == ("999", {"Invoice currency": "GBP"})
    assert visitor.press(visitor.open(f"/kommo/leads/{lead_id}"), f"/leads/{lead_id}").said == "Nothing was changed."


def test_fields_of_integrations_are_shown_and_not_offered(visitor: Visitor):
    lead_id = deal(visitor)
    api_field(visitor, lead_id, "XERO_SYNC_MESSAGE", "Choose a client")
    page = visitor.open(f"/kommo/leads/{lead_id}")
    assert "Choose a client" in page.seen
    assert "Choose a client" in visitor.open("/kommo/").seen
    field_id = next(one["id"] for one in visitor.books()["kommo"]["fields"] if one["code"] == "XERO_SYNC_MESSAGE")
    assert not any(f"field_{field_id}" in form.fields for form in page.forms)


def test_a_client_is_linked_mended_and_unlinked(visitor: Visitor):
    lead_id = deal(visitor)
    page = visitor.press(visitor.open(f"/kommo/leads/{lead_id}"), "/link/company", company_name="Mill Ltd")
    company_id = visitor.lead(lead_id)["company"]
    client = visitor.open(page.links["Mill Ltd"])
    visitor.press(client, f"/companies/{company_id}", field_178404="office@mill.example")
    assert "office@mill.example" in visitor.open(f"/kommo/leads/{lead_id}").seen
    visitor.press(visitor.open(f"/kommo/leads/{lead_id}"), f"/unlink/companies/{company_id}")
    assert visitor.lead(lead_id)["company"] is None
    refused = visitor.press(visitor.open(f"/kommo/leads/{lead_id}"), "/link/contact")
    assert refused.said.strip() == "Choose a contact, or name a new one."


def test_products_come_and_go(visitor: Visitor):
    lead_id = deal(visitor)
    page = visitor.press(visitor.open(f"/kommo/leads/{lead_id}"), "/products", quantity="3")
    assert [one["quantity"] for one in visitor.lead(lead_id)["products"]] == ["3"]
    visitor.press(page, "/remove")
    assert visitor.lead(lead_id)["products"] == []


def test_a_deal_is_copied_deleted_and_brought_back(visitor: Visitor):
    lead_id = deal(visitor, fields={"Invoice currency": "EUR"})
    copy = visitor.press(visitor.open(f"/kommo/leads/{lead_id}"), f"/leads/{lead_id}/copy")
    assert visitor.lead(int(copy.url.rpartition("/")[2]))["fields"] == {"Invoice currency": "EUR"}
    gone = visitor.press(visitor.open(f"/kommo/leads/{lead_id}"), f"/leads/{lead_id}/delete")
    assert visitor.lead(lead_id)["is_deleted"]
    assert len([form for form in visitor.open("/kommo/").forms if form.action.endswith("/move")]) == 1
    visitor.press(gone, f"/leads/{lead_id}/restore")
    assert not visitor.lead(lead_id)["is_deleted"]


def test_notes_say_who_wrote_them(visitor: Visitor):
    lead_id = deal(visitor)
    visitor.press(visitor.open(f"/kommo/leads/{lead_id}"), "/notes", text="Called them")
    note = [{"note_type": "service_message", "params": {"service": "Xero", "text": "INV-0001"}}]
    visitor.kommo("POST", f"/leads/{lead_id}/notes", note)
    seen = visitor.open(f"/kommo/leads/{lead_id}").seen
    assert "Sales desk" in seen
    assert "Called them" in seen
    assert "Xero ·" in seen
    assert visitor.press(visitor.open(f"/kommo/leads/{lead_id}"), "/notes").said == "A note needs some text."


def test_a_file_opens(visitor: Visitor):
    lead_id = deal(visitor)
    drive, token = visitor.sandbox.kit.urls["drive"], visitor.sandbox.ready["kommo_token"]
    headers, content = {"Authorization": f"Bearer {token}"}, b"%PDF-1.4 made up"
    asked = {"file_name": "INV-0001.pdf", "file_size": len(content), "content_type": "application/pdf"}
    begun = visitor.session.post(f"{drive}/v1.0/sessions", json=asked, headers=headers, timeout=10).json()
    stored = visitor.session.post(begun["upload_url"], data=content, headers=headers, timeout=10).json()
    visitor.kommo("PUT", f"/leads/{lead_id}/files", [{"file_uuid": stored["uuid"]}])
    page = visitor.open(f"/kommo/leads/{lead_id}")
    answer = visitor.session.get(visitor.url + page.links["INV-0001.pdf"], timeout=10)
    assert answer.content == content
    assert (answer.headers["Content-Type"], answer.headers["Content-Disposition"]) == ("application/pdf", "inline")


def test_a_name_is_words_and_never_markup(visitor: Visitor):
    lead_id = deal(visitor, name="<script>alert(1)</script>")
    for path in ("/kommo/", f"/kommo/leads/{lead_id}"):
        assert "<script>alert" not in visitor.open(path).text


@pytest.mark.parametrize("path", ["/kommo/leads/1", "/kommo/contacts/1", "/kommo/files/1/a.pdf"])
def test_what_is_not_there_says_so(visitor: Visitor, path: str):
    page = visitor.open(path)
    assert page.status == 404
    assert "There is no" in page.seen or "None of the" in page.seen
