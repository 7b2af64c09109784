"""Xero's ways of writing: days, instants, zones, numbers; and errors wherever they sit."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tzlocal.windows_tz import win_tz

from integrations import exact_json
from integrations.xero.dialect import faults, invoice_body, parse_result, warnings
from integrations.xero.entities import ContactDraft, InvoiceDraft, LineDraft, Refused
from integrations.xero.notation import amount, calendar_day, instant, modified_since, number, quoted, zone_name


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("/Date(1789378199100+0000)/", datetime(2026, 9, 14, 9, 29, 59, 100_000, tzinfo=UTC)),
        ("/Date(1789378199160)/", datetime(2026, 9, 14, 9, 29, 59, 160_000, tzinfo=UTC)),
        ("/Date(-1)/", datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        ("2026-09-14", None),
        (None, None),
    ],
)
def test_instants(said, found):
    assert instant(said) == found


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("/Date(1789344000000+0000)/", date(2026, 9, 14)),
        ("2026-09-14T00:00:00", date(2026, 9, 14)),
        ("2026-09-14", date(2026, 9, 14)),
        (None, None),
        ("", None),
    ],
)
def test_calendar_days_are_never_moved_into_a_zone(said, found):
    assert calendar_day(said) == found


@given(st.integers(0, 4 * 10**12).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)))
def test_a_cursor_is_never_later_than_its_time(at: datetime):
    written = datetime.fromisoformat(modified_since(at) + "+00:00")
    assert timedelta(0) <= at - written < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("NEWZEALANDSTANDARDTIME", "Pacific/Auckland"),
        ("New Zealand Standard Time", "Pacific/Auckland"),
        ("GMTSTANDARDTIME", "Europe/London"),
        ("WEUROPESTANDARDTIME", "Europe/Berlin"),
        ("W.EUROPESTANDARDTIME", "Europe/Berlin"),
        ("EASTERNSTANDARDTIME", "America/New_York"),
        ("Pacific/Auckland", "Pacific/Auckland"),
        ("", "UTC"),
        ("../etc/passwd", "UTC"),
        ("MOONTIME", "UTC"),
    ],
)
def test_zones(said: str, found: str):
    assert zone_name(said) == found


def test_every_windows_zone_is_found_without_its_spaces():
    for windows, iana in win_tz.items():
        assert zone_name(windows.replace(" ", "").upper()) == iana
        assert ZoneInfo(iana)


def test_numbers_may_be_strings():
    assert (number("1.50"), number(2), number(Decimal("0.1")), number(None), number("")) == (
        Decimal("1.50"),
        Decimal(2),
        Decimal("0.1"),
        None,
        None,
    )
    assert amount(None) == 0


def test_quotes_in_a_where():
    assert quoted('a"b\\c') == r'"a\"b\\c"'


def test_errors_are_found_wherever_they_sit_and_each_once():
    said = {
        "validationErrors": [{"message": "a"}, {"Description": "b"}, {}],
        "Contact": {"ValidationErrors": [{"Message": "c"}], "Phones": [{"ValidationErrors": [{"Message": "a"}]}]},
        "LineItems": [[{"ValidationErrors": {"Message": "d"}}]],
        "Warnings": [{"Message": "w"}],
        "Total": 1,
    }
    assert faults(said) == ["a", "b", "c", "d"]
    assert warnings(said) == ["w"]
    assert faults(None) == []


@pytest.mark.parametrize(
    "element",
    [
        {},
        {"InvoiceID": None},
        {"InvoiceID": "00000000-0000-0000-0000-000000000000", "StatusAttributeString": "OK", "Status": "AUTHORISED"},
        {"InvoiceID": "60aa", "HasErrors": True, "Status": "AUTHORISED"},
        {"InvoiceID": "60aa", "StatusAttributeString": "Error", "Status": "AUTHORISED"},
    ],
)
def test_what_is_not_surely_made_is_refused(element):
    assert parse_result(element) == Refused(("Xero refused the invoice and did not say why",))


NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9)


@given(text=st.text(min_size=1), quantity=NUMBERS, price=NUMBERS)
def test_drafts_are_written_exactly(text: str, quantity: Decimal, price: Decimal):
    line = LineDraft(text, quantity, price, "200")
    draft = InvoiceDraft(
        "id", date(2026, 1, 1), None, "NZD", "DRAFT", "NoTax", (line,), reference=text, url="https://x.example"
    )
    body = invoice_body([draft, draft])
    _, written = exact_json.read(body)["Invoices"]
    assert written["LineItems"] == [
        {"Description": text, "Quantity": quantity, "UnitAmount": price, "AccountCode": "200"}
    ]
    assert written["Reference"] == text


def test_a_country_with_anything_but_letters_is_left_out():
    def written(country: str):
        contact = ContactDraft("n", "Ada", city="X", country=country)
        draft = InvoiceDraft(contact, date(2026, 1, 1), None, "NZD", "DRAFT", "NoTax", (), "r", "u")
        return exact_json.read(invoice_body([draft]))["Invoices"][0]["Contact"]["Addresses"][0].get("Country")

    assert written("Côte d Ivoire") == "Côte d Ivoire"
    assert written("U.S.A.") is None
