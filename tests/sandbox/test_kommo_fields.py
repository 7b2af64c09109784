"""Custom fields: definitions, what may be written, and what is read back."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.kommo_stand import Stand


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


def make(stand: Stand, kind: str, code: str = "MINE", **more: Any) -> dict[str, Any]:
    made = stand.write(
        "POST", "/leads/custom_fields", [{"name": code.title(), "type": kind, "code": code, **more}], 201
    )
    found: dict[str, Any] = made["_embedded"]["custom_fields"][0]
    return found


def put(stand: Stand, lead_id: int, values: Any, code: str = "MINE") -> Any:
    answer = stand.api(
        "PATCH", "/leads", [{"id": lead_id, "custom_fields_values": [{"field_code": code, "values": values}]}]
    )
    if answer.status_code != 200:
        return [error for one in answer.json()["validation-errors"] for error in one["errors"]]
    filled = stand.get(f"/leads/{lead_id}")["custom_fields_values"]
    return next((one["values"] for one in filled or [] if one["field_code"] == code), None)


@pytest.mark.parametrize(
    ("kind", "sent", "read", "shown"),
    [
        ("text", "INV-0042", "INV-0042", "INV-0042"),
        ("text", 42, "42", "42"),
        ("textarea", "two\nlines", "two\nlines", "two\nlines"),
        ("url", "https://in.xero.com/abc", "https://in.xero.com/abc", "https://in.xero.com/abc"),
        ("numeric", 12, "12", "12"),
        ("numeric", 1.5, "1.5", "1.5"),
        ("numeric", "119.00", "119", "119"),
        ("monetary", "0.10", "0.1", "0.1"),
        ("checkbox", True, True, True),
        ("date", 1782342000, 1782342000, "2026-06-25"),
        ("date", "2026-06-25T00:00:00+01:00", 1782342000, "2026-06-25"),
        ("date", 1782345678, 1782342000, "2026-06-25"),
        ("date_time", 1782345678, 1782345678, "2026-06-25T01:01:18+01:00"),
    ],
)
def test_a_value_is_read_back_in_kommos_shape(stand: Stand, kind: str, sent: Any, read: Any, shown: Any):
    make(stand, kind)
    lead_id = stand.lead()
    assert put(stand, lead_id, [{"value": sent}]) == [{"value": read}]
    assert stand.ask(f"/kommo/leads/{lead_id}")["fields"] == {"MINE": shown}


def test_a_choice_is_taken_by_id_code_or_exact_text(stand: Stand):
    made = make(stand, "select", enums=[{"value": "Draft", "sort": 1, "code": "DRAFT"}, {"value": "Paid", "sort": 2}])
    draft, paid = made["enums"]
    lead_id = stand.lead()
    for sent in ({"enum_id": draft["id"]}, {"enum_code": "DRAFT"}, {"value": "Draft"}):
        assert put(stand, lead_id, [sent]) == [{"value": "Draft", "enum_id": draft["id"], "enum_code": "DRAFT"}]
    assert put(stand, lead_id, [{"value": "Paid"}]) == [{"value": "Paid", "enum_id": paid["id"], "enum_code": None}]
    assert stand.ask(f"/kommo/leads/{lead_id}")["fields"] == {"MINE": "Paid"}
    [error] = put(stand, lead_id, [{"value": "paid"}])
    assert (error["code"], error["path"]) == ("NotSupportedChoice", "custom_fields_values.0.values.0.value")


def test_several_choices(stand: Stand):
    made = make(stand, "multiselect", enums=[{"value": "a"}, {"value": "b"}])
    ids = [one["id"] for one in made["enums"]]
    found = put(stand, stand.lead(), [{"enum_id": one} for one in ids])
    assert [one["value"] for one in found] == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "values", "code"),
    [
        ("numeric", [{"value": "twelve"}], "InvalidType"),
        ("date", [{"value": "yesterday"}], "InvalidType"),
        ("checkbox", [{"value": "perhaps"}], "InvalidType"),
        ("text", [{"value": {"a": 1}}], "InvalidType"),
        ("text", [{}], "FieldMissing"),
        ("text", "no list", "InvalidType"),
        ("file", [{"value": {"file_uuid": "none"}}], "NotSupportedChoice"),
    ],
)
def test_a_wrong_value_is_refused(stand: Stand, kind: str, values: Any, code: str):
    make(stand, kind)
    assert [error["code"] for error in put(stand, stand.lead(), values)] == [code]


def test_a_field_that_is_gone_is_refused_by_its_place(stand: Stand):
    made = make(stand, "text")
    lead_id = stand.lead()
    put(stand, lead_id, [{"value": "x"}])
    stand.tell("/kommo/fields/leads/MINE", method="DELETE")
    values = [{"field_id": 184994, "values": [{"value": "EUR"}]}, {"field_id": made["id"], "values": [{"value": "y"}]}]
    answer = stand.api("PATCH", "/leads", [{"id": lead_id, "custom_fields_values": values}])
    [error] = answer.json()["validation-errors"][0]["errors"]
    assert (error["code"], error["path"]) == ("NotSupportedChoice", "custom_fields_values.1.field_id")
    assert stand.get(f"/leads/{lead_id}")["custom_fields_values"] is None


def test_what_is_left_out_stays_and_null_clears(stand: Stand):
    make(stand, "text")
    lead_id = stand.lead(fields={"Invoice currency": "EUR"})
    assert put(stand, lead_id, [{"value": "x"}]) == [{"value": "x"}]
    assert put(stand, lead_id, None) is None
    assert put(stand, lead_id, [{"value": "x"}])
    assert put(stand, lead_id, []) is None
    assert stand.ask(f"/kommo/leads/{lead_id}")["fields"] == {"Invoice currency": "EUR"}


def test_definitions_are_made_grouped_and_found_by_code(stand: Stand):
    group = stand.write("POST", "/leads/custom_fields/groups", [{"name": "Xero", "sort": 5}], 201)["_embedded"][
        "custom_field_groups"
    ][0]
    made = make(stand, "numeric", group_id=group["id"], is_api_only=True, sort=510)
    assert (made["code"], made["is_api_only"], made["group_id"], made["entity_type"]) == (
        "MINE",
        True,
        group["id"],
        "leads",
    )
    listed = stand.get("/leads/custom_fields", limit=250)
    assert {one["code"] for one in listed["_embedded"]["custom_fields"]} == {None, "MINE"}
    assert listed["_total_items"] == 3
    groups = stand.get("/leads/custom_fields/groups")["_embedded"]["custom_field_groups"]
    assert [(one["id"], made["id"] in one["fields"]) for one in groups] == [("default", False), (group["id"], True)]
    assert stand.get(f"/leads/custom_fields/{made['id']}")["name"] == "Mine"
    stand.write("PATCH", f"/leads/custom_fields/{made['id']}", {"name": "Yours"})
    assert stand.get(f"/leads/custom_fields/{made['id']}")["name"] == "Yours"
    again = stand.api("POST", "/leads/custom_fields", [{"name": "x", "type": "text", "code": "MINE"}])
    assert again.status_code == 400


def test_a_plan_caps_the_number_of_fields(stand: Stand):
    stand.switch(field_cap=2)
    assert stand.api("POST", "/leads/custom_fields", [{"name": "x", "type": "text"}]).status_code == 422


def test_contacts_have_phones_and_emails_from_the_start(stand: Stand):
    found = stand.get("/contacts/custom_fields")["_embedded"]["custom_fields"]
    assert [(one["code"], one["type"], one["is_predefined"]) for one in found] == [
        ("PHONE", "multitext", True),
        ("EMAIL", "multitext", True),
        ("POSITION", "text", True),
    ]
    assert [one["code"] for one in found[0]["enums"]] == ["WORK", "WORKDD", "MOB", "FAX", "HOME", "OTHER"]
