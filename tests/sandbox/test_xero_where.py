"""The `where` language by itself (xero.md 4.10)."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from sandbox.xero.where import Fields, QueryError, equals, matches, parse, parse_order

ONE = UUID("430fa14a-f945-44d3-9f97-5df5e28441b8")
FIELDS: Fields = {
    "status": lambda record: _of(record)["status"],
    "reference": lambda record: _of(record)["reference"],
    "amountdue": lambda record: _of(record)["due"],
    "date": lambda record: _of(record)["date"],
    "contact.contactid": lambda record: ONE,
    "senttocontact": lambda record: True,
}
RECORD = {"status": "AUTHORISED", "reference": "Deal 7", "due": Decimal("24.15"), "date": date(2026, 9, 14)}


def _of(record: object) -> dict[str, Any]:
    assert isinstance(record, dict)
    return record


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('Status=="AUTHORISED"', True),
        ('Status="authorised"', True),
        ('Status!="PAID"', True),
        ('Status=="PAID" OR AmountDue>0', True),
        ('Status=="PAID" || AmountDue>24.15', False),
        ('Status=="AUTHORISED" AND Date>=DateTime(2026,09,14)', True),
        ('Status=="AUTHORISED" && Date<DateTime(2026, 9, 14)', False),
        ('Contact.ContactID=guid("430FA14A-f945-44d3-9f97-5df5e28441b8")', True),
        ('(Status=="PAID" OR Status=="AUTHORISED") AND AmountDue<=24.15', True),
        ('Status=="PAID" AND AmountDue>0 OR SentToContact==true', True),
        ('Reference.Contains("deal")', True),
        ('Reference.StartsWith("7")', False),
        ('Reference.EndsWith("7")', True),
        ("!(AmountDue<0)", True),
        ("Reference==null", False),
        ('Reference!=null && Reference.Contains("7")', True),
    ],
)
def test_an_expression_finds_what_it_says(text: str, result: bool):
    assert matches(parse(text, FIELDS), RECORD, FIELDS) is result


def test_quotes_in_a_value_are_escaped():
    record = {**RECORD, "reference": 'Say "hi"'}
    assert matches(parse(r'Reference=="Say \"hi\""', FIELDS), record, FIELDS)


@pytest.mark.parametrize(
    "text",
    [
        'Status=="A',
        "Status=",
        "Nothing==1",
        'Status "x"',
        'Status=="A" AND',
        '(Status=="A"',
        'guid("x")==1',
        "==",
        "Date>DateTime(1)",
    ],
)
def test_nonsense_is_refused(text: str):
    with pytest.raises(QueryError):
        parse(text, FIELDS)


def test_unlike_kinds_are_refused():
    with pytest.raises(QueryError, match="incompatible"):
        matches(parse('AmountDue=="24.15"', FIELDS), RECORD, FIELDS)


def test_a_method_on_nothing_fails_unless_the_switch_is_off():
    record = {**RECORD, "reference": None}
    tree = parse('Reference.Contains("x")', FIELDS)
    with pytest.raises(QueryError):
        matches(tree, record, FIELDS)
    assert not matches(tree, record, FIELDS, null_fails=False)
    assert not matches(parse('Reference!=null && Reference.Contains("x")', FIELDS), record, FIELDS)


def test_what_is_pinned_can_be_looked_up():
    tree = parse('Status=="PAID" AND (Reference=="x" AND AmountDue>0)', FIELDS)
    assert dict(equals(tree)) == {"status": "PAID", "reference": "x"}
    assert dict(equals(parse('Status=="PAID" OR Reference=="x"', FIELDS))) == {}


def test_an_order_has_fields_and_directions():
    assert parse_order("Date DESC, Status", FIELDS) == [("date", True), ("status", False)]
    with pytest.raises(QueryError):
        parse_order("Date SIDEWAYS", FIELDS)
