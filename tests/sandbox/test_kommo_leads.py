"""Leads, clients, links, products, notes and events over the API."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.sandbox.kommo_stand import APPROVED, NEW, OFFER, PROJECTS, SALES, WON, Stand


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


def rows(answer: Any, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer["_embedded"][name]
    return found


def test_the_account_gives_its_drive_only_when_asked(stand: Stand):
    plain = stand.get("/account")
    assert "drive_url" not in plain
    assert (plain["id"], plain["subdomain"], plain["currency"]) == (30896271, "acme", "USD")
    asked = stand.get("/account", **{"with": "drive_url,datetime_settings"})
    assert asked["drive_url"] == stand.drive_url
    assert asked["_embedded"]["datetime_settings"]["timezone"] == "Europe/London"


def test_won_and_lost_are_the_same_in_every_pipeline(stand: Stand):
    found = rows(stand.get("/leads/pipelines"), "pipelines")
    assert [(one["name"], one["is_main"]) for one in found] == [("Sales", True), ("Projects", False)]
    for one in found:
        stages = one["_embedded"]["statuses"]
        assert [stage["id"] for stage in stages[-2:]] == [142, 143]
        assert stages[0]["type"] == 1
    assert [stage["name"] for stage in found[0]["_embedded"]["statuses"][1:5]] == [
        "New",
        "Offer",
        "Payment approved",
        "Invoiced in Xero",
    ]
    assert stand.get(f"/leads/pipelines/{SALES}")["id"] == SALES
    stand.switch(pipeline_by_id="wrapped")
    assert rows(stand.get(f"/leads/pipelines/{SALES}"), "pipelines")[0]["id"] == SALES
    assert stand.get("/leads/pipelines/1") is None


def test_new_leads_get_defaults_and_echo_request_ids(stand: Stand):
    made = stand.write(
        "POST",
        "/leads",
        [{"price": 10.5}, {"name": "B", "request_id": "mine", "status_id": WON, "pipeline_id": PROJECTS}],
    )
    first, second = rows(made, "leads")
    assert (first["request_id"], second["request_id"]) == ("0", "mine")
    lead = stand.get(f"/leads/{first['id']}")
    assert (lead["name"], lead["status_id"], lead["pipeline_id"]) == (f"Lead #{first['id']}", NEW, SALES)
    assert (lead["price"], lead["price_with_minor_units"]) == (10, 10.5)
    assert lead["custom_fields_values"] is None
    assert lead["closed_at"] is None
    assert lead["_links"]["self"]["href"].startswith(stand.api_url)
    assert stand.get(f"/leads/{second['id']}")["closed_at"] is not None


def test_without_minor_units_the_price_is_cut_off(stand: Stand):
    stand.switch(minor_units=False)
    [made] = rows(stand.write("POST", "/leads", [{"price": 10.99}]), "leads")
    lead = stand.get(f"/leads/{made['id']}")
    assert lead["price"] == 10
    assert "price_with_minor_units" not in lead


def test_what_is_not_there_is_204_with_nothing_in_it(stand: Stand):
    for path in ("/leads", "/leads/1", "/contacts", "/contacts/1", "/companies/1", "/events", "/leads/notes"):
        answer = stand.api("GET", path)
        assert (answer.status_code, answer.content) == (204, b""), path


def test_leads_are_found_by_ids_stages_times_and_text(stand: Stand):
    ids = [stand.lead(name=f"Order {number}", stage="Offer" if number % 2 else "New") for number in range(4)]

    def found(**query: Any) -> list[int]:
        answer = stand.get("/leads", **query)
        return [one["id"] for one in rows(answer, "leads")] if answer else []

    assert found(**{"filter[id][]": [ids[0], ids[2], 1]}) == [ids[0], ids[2]]
    assert found(**{"filter[statuses][0][pipeline_id]": SALES, "filter[statuses][0][status_id]": OFFER}) == [
        ids[1],
        ids[3],
    ]
    assert found(**{"filter[pipeline_id][]": PROJECTS}) == []
    assert found(query="order 3") == [ids[3]]
    assert found(**{"order[id]": "desc"}) == ids[::-1]
    created = stand.get(f"/leads/{ids[0]}")["created_at"]
    assert found(**{"filter[created_at][from]": created}) == ids
    assert found(**{"filter[created_at][from]": created + 100}) == []
    raw = requests.get(
        f"{stand.api_url}/leads?filter%5Bid%5D%5B%5D={ids[1]}",
        headers={"Authorization": f"Bearer {stand.token}"},
        timeout=5,
    )
    assert [one["id"] for one in rows(raw.json(), "leads")] == [ids[1]]


def test_pages_are_walked_by_the_next_link(stand: Stand):
    ids = [stand.lead() for _ in range(5)]
    answer, seen = stand.get("/leads", limit=2, **{"order[id]": "asc"}), []
    while answer:
        seen += [one["id"] for one in rows(answer, "leads")]
        following = answer["_links"].get("next")
        answer = stand.get(following["href"]) if following else None
    assert seen == ids
    assert stand.get("/leads", page=9) is None
    assert stand.api("GET", "/leads?limit=251").json()["detail"] == "Limit 250 per page"


def test_bulk_writes_answer_ids_only_and_pass_over_what_is_gone(stand: Stand):
    lead_id = stand.lead()
    answer = stand.write("PATCH", "/leads", [{"id": lead_id, "price": 7}, {"id": 1, "price": 7}])
    [one] = rows(answer, "leads")
    assert sorted(one) == ["_links", "id", "updated_at"]
    stand.switch(unknown_id_in_batch="refuse")
    assert stand.api("PATCH", "/leads", [{"id": lead_id, "price": 8}, {"id": 1}]).status_code == 400
    assert stand.get(f"/leads/{lead_id}")["price"] == 7


def test_a_single_write_answers_the_root_or_wrapped(stand: Stand):
    lead_id = stand.lead()
    assert stand.write("PATCH", f"/leads/{lead_id}", {"name": "X"})["id"] == lead_id
    stand.switch(single_patch_leads="wrapped")
    assert rows(stand.write("PATCH", f"/leads/{lead_id}", {"name": "X"}), "leads")[0]["id"] == lead_id
    stand.write("PATCH", "/leads/1", {"name": "X"}, 404)


def test_one_bad_element_refuses_the_whole_batch(stand: Stand):
    answer = stand.api(
        "POST", "/leads", [{"name": "good"}, {"name": 5, "request_id": "bad"}, {"status_id": 1}, {"price": "10"}]
    )
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    said = answer.json()
    assert [one["request_id"] for one in said["validation-errors"]] == ["bad", "2", "3"]
    assert said["validation-errors"][1]["errors"] == [
        {"code": "NotSupportedChoice", "path": "status_id", "detail": "The value you selected is not a valid choice."}
    ]
    assert (said["title"], said["status"], said["detail"]) == ("Bad Request", 400, "Request validation failed")
    assert stand.get("/leads") is None


def test_a_stage_must_belong_to_its_pipeline(stand: Stand):
    lead_id = stand.lead()
    stand.write("PATCH", f"/leads/{lead_id}", {"pipeline_id": PROJECTS, "status_id": APPROVED}, 400)
    stand.write("PATCH", f"/leads/{lead_id}", {"pipeline_id": PROJECTS})
    assert stand.ask(f"/kommo/leads/{lead_id}")["stage"] == "Planned"
    stand.write("PATCH", f"/leads/{lead_id}", {"status_id": APPROVED}, 400)


def test_a_lead_is_made_with_its_clients_and_they_know_it(stand: Stand):
    contact, other = (stand.tell("/kommo/contacts", {"name": name})["id"] for name in ("Acme Ltd", "Beta Ltd"))
    company = stand.tell("/kommo/companies", {"name": "Acme Holding"})["id"]
    embedded = {"contacts": [{"id": contact}, {"id": other, "is_main": True}], "companies": [{"id": company}]}
    [made] = rows(stand.write("POST", "/leads", [{"name": "X", "_embedded": embedded}]), "leads")
    lead = stand.get(f"/leads/{made['id']}", **{"with": "contacts,catalog_elements"})["_embedded"]
    assert [(one["id"], one["is_main"]) for one in lead["contacts"]] == [(contact, False), (other, True)]
    assert lead["companies"][0]["id"] == company
    assert lead["catalog_elements"] == []
    assert "contacts" not in stand.get(f"/leads/{made['id']}")["_embedded"]
    assert rows(stand.get(f"/contacts/{contact}", **{"with": "leads"}), "leads")[0]["id"] == made["id"]
    stand.write("POST", "/leads", [{"_embedded": {"contacts": [{"id": 1}]}}], 400)


def test_clients_are_made_found_and_changed(stand: Stand):
    values = [
        {"field_code": "EMAIL", "values": [{"value": "Billing@acme.example", "enum_code": "WORK"}]},
        {"field_code": "PHONE", "values": [{"value": "+1 (800) 111-1111", "enum_code": "MOB"}]},
    ]
    [made] = rows(
        stand.write("POST", "/contacts", [{"first_name": "Acme", "last_name": "Ltd", "custom_fields_values": values}]),
        "contacts",
    )
    assert sorted(made) == ["_links", "id", "is_deleted", "is_unsorted", "request_id"]
    contact = stand.get(f"/contacts/{made['id']}")
    assert (contact["name"], contact["first_name"], contact["last_name"]) == ("Acme Ltd", "Acme", "Ltd")
    email = contact["custom_fields_values"][0]
    assert (email["field_code"], email["field_type"], email["values"][0]["enum_code"]) == ("EMAIL", "multitext", "WORK")
    for wanted in ("billing@ACME", "acme l", "+18001111111"):
        assert rows(stand.get("/contacts", query=wanted), "contacts")[0]["id"] == made["id"], wanted
    assert stand.get("/contacts", query="nobody") is None
    [changed] = rows(stand.write("PATCH", f"/contacts/{made['id']}", {"name": "Acme Two"}), "contacts")
    assert changed["name"] == "Acme Two"
    [company] = rows(stand.write("POST", "/companies", [{"name": "Acme Co."}]), "companies")
    assert stand.get(f"/companies/{company['id']}")["name"] == "Acme Co."


def test_what_is_new_may_not_be_found_yet(stand: Stand):
    stand.switch(search_lag_s=60)
    stand.write("POST", "/contacts", [{"name": "Acme Ltd"}])
    assert stand.get("/contacts", query="acme") is None
    stand.tell("/settings", {"clock_shift_s": 61}, "PATCH")
    assert rows(stand.get("/contacts", query="acme"), "contacts")


def test_links_are_written_as_is_main_and_read_as_main_contact(stand: Stand):
    lead_id = stand.lead(products=[{"name": "Chair", "price": "12.5", "quantity": 3}])
    product = stand.ask(f"/kommo/leads/{lead_id}")["products"][0]["id"]
    contact = stand.tell("/kommo/contacts", {"name": "Acme Ltd"})["id"]
    sent = [
        {"to_entity_id": contact, "to_entity_type": "contacts", "metadata": {"is_main": True}},
        {
            "to_entity_id": product,
            "to_entity_type": "catalog_elements",
            "metadata": {"quantity": 2.5, "catalog_id": 4521},
        },
    ]
    answer = stand.write("POST", f"/leads/{lead_id}/link", sent)
    assert {one["to_entity_type"]: one["metadata"] for one in rows(answer, "links")} == {
        "contacts": {"main_contact": True},
        "catalog_elements": {"quantity": 2.5, "catalog_id": 4521},
    }
    assert [one["to_entity_id"] for one in rows(stand.get(f"/leads/{lead_id}/links"), "links")] == [product, contact]
    only = stand.get(f"/leads/{lead_id}/links", **{"filter[to_entity_type]": "contacts"})
    assert [one["to_entity_id"] for one in rows(only, "links")] == [contact]
    stand.write("POST", f"/leads/{lead_id}/unlink", [{"to_entity_id": contact, "to_entity_type": "contacts"}], 204)
    assert stand.ask(f"/kommo/leads/{lead_id}")["contacts"] == []


def test_a_lead_has_one_company(stand: Stand):
    lead_id = stand.lead(company={"name": "First Ltd"})
    second = stand.tell("/kommo/companies", {"name": "Second Ltd"})["id"]
    stand.write("POST", f"/leads/{lead_id}/link", [{"to_entity_id": second, "to_entity_type": "companies"}])
    assert stand.ask(f"/kommo/leads/{lead_id}")["company"] == second


def test_products_have_their_price_on_the_element(stand: Stand):
    lead_id = stand.lead(products=[{"name": "Chair", "price": "12.50", "quantity": 3}])
    lead = stand.get(f"/leads/{lead_id}", **{"with": "catalog_elements"})
    assert (lead["price"], lead["price_with_minor_units"], lead["is_price_computed"]) == (37, 37.5, True)
    [found] = lead["_embedded"]["catalog_elements"]
    assert found["metadata"] == {"quantity": 3, "catalog_id": 4521, "price_id": None}
    [element] = rows(stand.get("/catalogs/4521/elements", **{"filter[id][]": [found["id"]]}), "elements")
    price = next(one for one in element["custom_fields_values"] if one["field_code"] == "PRICE")
    assert price["values"] == [{"value": "12.5"}]
    assert rows(stand.get("/catalogs"), "catalogs")[0]["type"] == "products"
    assert len(rows(stand.get("/catalogs/4521/elements", query="licence"), "elements")) == 1


def test_notes_are_served_under_both_addresses(stand: Stand):
    lead_id = stand.lead()
    item = {"note_type": "service_message", "params": {"service": "Xero", "text": "Invoice INV-1"}}
    [made] = rows(stand.write("POST", f"/leads/{lead_id}/notes", [item]), "notes")
    assert made["entity_id"] == lead_id
    stand.write("POST", "/leads/notes", [item | {"entity_id": lead_id, "request_id": "n1"}])
    notes = rows(stand.get(f"/leads/{lead_id}/notes"), "notes")
    assert [note["params"]["text"] for note in notes] == ["Invoice INV-1"] * 2
    assert stand.get(f"/leads/notes/{made['id']}") == stand.get(f"/leads/{lead_id}/notes/{made['id']}")
    assert rows(stand.get("/leads/notes", **{"filter[note_type][]": "service_message"}), "notes") == notes
    stand.write("POST", "/leads/1/notes", [item], 404)
    stand.write("POST", f"/leads/{lead_id}/notes", [{"note_type": "service_message", "params": {"text": "x"}}], 400)


def test_every_change_is_an_event_newest_first(stand: Stand):
    lead_id, other = stand.lead(stage="Offer", price="5"), stand.lead()
    stand.tell("/kommo/leads/move", {"ids": [lead_id], "stage": "Payment approved"})
    stand.tell(f"/kommo/leads/{lead_id}", {"price": "6"}, "PATCH")

    def kinds(**query: Any) -> list[str]:
        return [one["type"] for one in rows(stand.get("/events", **query), "events")]

    assert kinds(**{"filter[entity]": "lead", "filter[entity_id]": lead_id}) == [
        "sale_field_changed",
        "lead_status_changed",
        "lead_added",
    ]
    assert (
        kinds(**{"filter[type]": "lead_added,lead_status_changed", "filter[entity]": "lead"}).count("lead_added") == 2
    )
    into = {
        "filter[value_after][leads_statuses][0][pipeline_id]": SALES,
        "filter[value_after][leads_statuses][0][status_id]": APPROVED,
    }
    [event] = rows(stand.get("/events", **into), "events")
    assert isinstance(event["id"], str)
    assert event["value_after"] == [{"lead_status": {"id": APPROVED, "pipeline_id": SALES}}]
    assert event["value_before"] == [{"lead_status": {"id": OFFER, "pipeline_id": SALES}}]
    assert stand.get("/events", **{"filter[created_at][from]": event["created_at"] + 100}) is None
    assert stand.api("GET", f"/events?filter[entity_id]={lead_id},{other}").status_code == 400


def test_the_books_speak_as_people_do(stand: Stand):
    lead_id = stand.lead(
        name="Roof", price="1200.50", stage="Offer", contact={"name": "Acme Ltd", "email": "a@acme.example", "phone": "1"},
        fields={"Invoice currency": "EUR"},
    )  # fmt: skip
    books = stand.ask("/books")["kommo"]
    [lead] = books["leads"]
    assert (lead["id"], lead["name"], lead["price"], lead["pipeline"], lead["stage"]) == (
        lead_id,
        "Roof",
        "1200.5",
        "Sales",
        "Offer",
    )
    assert lead["fields"] == {"Invoice currency": "EUR"}
    [contact] = books["contacts"]
    assert lead["contacts"] == [contact["id"]]
    assert contact["fields"] == {"EMAIL": "a@acme.example", "PHONE": "1"}
    assert json.dumps(books)


def test_people_are_told_what_is_not_there(stand: Stand):
    url = f"{stand.sandbox.kit.urls['control']}/_sandbox/kommo/leads"
    for typed in ({"stage": "Nowhere"}, {"pipeline": "None"}, {"fields": {"No such": "x"}}, {"contact": 1}):
        answer = requests.post(url, json=typed, timeout=5)
        assert answer.status_code == 400, typed
        assert answer.json()["error"]
    assert stand.get("/leads") is None
