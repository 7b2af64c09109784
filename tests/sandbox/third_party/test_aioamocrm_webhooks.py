"""aioamocrm reads the webhooks that the simulated Kommo sends."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.kommo_stand import APPROVED, NEW, OFFER, SALES, Stand
from tests.sandbox.receiver import Receiver

amocrm = pytest.importorskip("aioamocrm", reason="aioamocrm is not installed: make setup")


@pytest.fixture(scope="module")
def running() -> Iterator[Stand]:
    made = Stand()
    yield made
    made.stop()


@pytest.fixture
def stand(running: Stand) -> Stand:
    running.tell("/reset", {"seed": "demo"})
    running.tell("/settings", {"limits": False}, "PATCH")
    return running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


def read(receiver: Receiver, count: int = 1) -> Any:
    """The last of so many webhooks."""
    return amocrm.parse_webhook(receiver.wait(count)[-1])


def test_leads_that_entered_a_stage(stand: Stand, receiver: Receiver):
    ids = [stand.lead(stage="Offer", name="Café & Söhne", price="1204.50") for _ in range(2)]
    stand.subscribe(receiver.url, "status_lead")
    stand.tell("/kommo/leads/move", {"ids": ids, "stage": "Payment approved"})
    hook = read(receiver)
    assert (hook.account_id, hook.subdomain) == (30_896_271, "acme")
    assert [(event.entity, event.action, event.id) for event in hook.events] == [
        ("leads", "status", id_) for id_ in ids
    ]
    moved = hook.events[0].payload
    assert (moved["status_id"], moved["old_status_id"], moved["pipeline_id"]) == (str(APPROVED), str(OFFER), str(SALES))


def test_a_new_lead_with_its_fields(stand: Stand, receiver: Receiver):
    stand.subscribe(receiver.url, "add_lead")
    lead = stand.lead(name="Café & Söhne", price="1204.50", fields={"Invoice currency": "EUR"})
    [event] = read(receiver).events
    assert (event.action, event.id, event.payload["name"]) == ("add", lead, "Café & Söhne")
    assert (event.payload["status_id"], event.payload["price"]) == (str(NEW), "1204")
    assert event.field_value(184_994) == "EUR"


def test_contacts_and_companies_with_phone_and_email(stand: Stand, receiver: Receiver):
    stand.subscribe(receiver.url, "add_contact", "add_company")
    client = {"name": "Jo Field", "email": "jo@acme.example", "phone": "+44 20 7946 0000"}
    contact = int(stand.tell("/kommo/contacts", client)["id"])
    [event] = read(receiver).events
    assert (event.entity, event.action, event.id) == ("contacts", "add", contact)
    assert (event.field_value("EMAIL"), event.field_value("PHONE")) == ("jo@acme.example", "+44 20 7946 0000")
    company = int(stand.tell("/kommo/companies", {"name": "Acme Ltd", "email": "pay@acme.example"})["id"])
    [event] = read(receiver, 2).events
    assert (event.entity, event.id, event.payload["type"]) == ("contacts", company, "company")
    assert event.field_value("EMAIL") == "pay@acme.example"


def test_a_lead_that_was_deleted(stand: Stand, receiver: Receiver):
    lead = stand.lead()
    stand.subscribe(receiver.url, "delete_lead")
    stand.tell(f"/kommo/leads/{lead}", None, "DELETE")
    [event] = read(receiver).events
    assert (event.action, event.id) == ("delete", lead)


def test_a_note(stand: Stand, receiver: Receiver):
    lead = stand.lead()
    stand.subscribe(receiver.url, "note_lead")
    stand.write("POST", "/leads/notes", [{"entity_id": lead, "note_type": "common", "params": {"text": "Call back"}}])
    [event] = read(receiver).events
    assert (event.entity, event.action) == ("leads", "note")
    assert event.payload["note"]["element_id"] == str(lead)
    assert "Call back" in event.payload["note"]["text"]


@pytest.mark.parametrize(
    "switches", [{"account_block": "last"}, {"account_domain": "amocrm.com"}, {"bodies": "all"}, {"empty_names": True}]
)
def test_whatever_nobody_knows_of_the_body_it_reads_the_same(
    stand: Stand, receiver: Receiver, switches: dict[str, Any]
):
    lead = stand.lead(stage="Offer")
    stand.switch(**switches)
    stand.subscribe(receiver.url, "status_lead", "update_lead")
    stand.tell("/kommo/leads/move", {"ids": [lead], "stage": "Payment approved"})
    hooks = [amocrm.parse_webhook(body) for body in receiver.wait(1 if switches.get("bodies") == "all" else 2)]
    assert {hook.account_id for hook in hooks} == {30_896_271}
    assert {(event.action, event.id) for hook in hooks for event in hook.events} == {("status", lead), ("update", lead)}
