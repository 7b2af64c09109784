"""Kommo's shapes as values: fields, days, prices, addresses."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations import exact_json
from integrations.kommo.clients import parse_address
from integrations.kommo.dialect import members
from integrations.kommo.entities import FieldValue, FileRef
from integrations.kommo.leads import parse_lead
from integrations.kommo.settings import parse_account
from integrations.kommo.values import day, midnight, number, parse_fields, write_fields
from tests.integrations.vendor import sample

MOSCOW = ZoneInfo("Europe/Moscow")
ZONES = sorted(available_timezones())


def field(value, kind: str = "text", code: str = "CODE") -> FieldValue:
    return FieldValue(1, code, kind, ({"value": value},))


def test_a_lead_without_more_is_read_as_it_is():
    lead = parse_lead(exact_json.read(sample("kommo/lead.json")))
    assert (lead.price, lead.price_is_exact) == (Decimal(20000), False)
    assert (lead.main_contact_id, lead.contact_ids, lead.company_id, lead.products) == (None, (), None, ())
    assert lead.text(184994) == "True"
    assert lead.field("XERO_INVOICE_ID") is None


def test_a_lead_may_lack_name_price_fields_and_main_contact():
    said = {
        "id": 1,
        "name": None,
        "price": None,
        "price_with_minor_units": None,
        "pipeline_id": 2,
        "status_id": 3,
        "created_at": 1,
        "updated_at": 1,
        "custom_fields_values": None,
        "_embedded": {"contacts": [{"id": 4}], "catalog_elements": [{"id": 5, "metadata": {"catalog_id": 6}}]},
    }
    lead = parse_lead(said)
    assert (lead.name, lead.price, lead.price_is_exact, lead.fields) == ("", Decimal(0), False, ())
    assert lead.main_contact_id == 4
    assert lead.products[0].quantity == 1


def test_an_account_that_tells_no_zone_is_read_in_utc():
    account = parse_account({"id": 1, "subdomain": "acme"})
    assert (account.timezone, account.drive_url) == ("UTC", "")


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (None, []),
        ({}, []),
        ({"_total_items": 0}, []),
        ({"_embedded": None}, []),
        ({"_embedded": {"leads": [{"id": 1}]}}, [{"id": 1}]),
        ({"_embedded": {"leads": {"0": {"id": 1}}}}, [{"id": 1}]),
        ({"id": 1, "_embedded": {"tags": []}}, [{"id": 1, "_embedded": {"tags": []}}]),
    ],
)
def test_members_are_found_in_every_envelope(said, found):
    assert members(said, "leads") == found


def test_the_documents_example_of_a_date_is_midnight_in_the_accounts_zone():
    assert midnight(date(2024, 10, 24), MOSCOW) == 1729717200
    assert day(field(1729717200), MOSCOW) == date(2024, 10, 24)


@given(when=st.dates(date(1990, 1, 1), date(2080, 1, 1)), zone=st.sampled_from(ZONES))
def test_a_day_is_the_same_day_after_the_way_there_and_back(when: date, zone: str):
    # Even where that midnight does not exist: the clock was set forward at it.
    assert day(field(midnight(when, ZoneInfo(zone))), ZoneInfo(zone)) == when


@pytest.mark.parametrize("value", ["", None, "soon", "9" * 30, True])
def test_what_is_no_date_is_none(value):
    assert day(field(value), MOSCOW) is None


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("12", Decimal(12)),
        (Decimal("1.50"), Decimal("1.50")),
        ("", None),
        ("NaN", None),
        ("twelve", None),
        (None, None),
    ],
)
def test_numbers_come_as_strings_or_as_numbers(value, found):
    assert number(field(value)) == found
    assert number(None) is None


def test_fields_that_are_not_filled_in_come_as_null_or_as_an_empty_list():
    assert parse_fields(None) == parse_fields([]) == ()
    assert parse_fields([{"field_id": 1, "values": None}])[0].text == ""


FILE = FileRef("u-1", "v-1", "a.pdf", 9)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_moment_is_written_in_unix_seconds():
    assert write_fields({1: NOON}, MOSCOW) == [{"field_id": 1, "values": [{"value": int(NOON.timestamp())}]}]


def test_a_client_without_address_has_none():
    assert not parse_address([field("x", code="OTHER"), field(" , ", code="ADDRESS")])
