"""When an invoice is due (xero.md 6.2)."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.xero.entities import Terms
from worker.terms import due_on

KINDS = ("DAYSAFTERBILLDATE", "DAYSAFTERBILLMONTH", "OFCURRENTMONTH", "OFFOLLOWINGMONTH")


def due(issued_on: date, day: int, kind: str) -> date:
    return due_on(issued_on, terms=Terms(day, kind), due_days=14)


def test_without_terms_the_connection_says_when():
    assert due_on(date(2026, 12, 25), terms=None, due_days=14) == date(2027, 1, 8)


def test_due_at_once_is_due_the_same_day():
    assert due_on(date(2026, 9, 14), terms=None, due_days=0) == date(2026, 9, 14)


@pytest.mark.parametrize(
    ("kind", "day", "issued_on", "expected"),
    [
        ("DAYSAFTERBILLDATE", 30, date(2026, 9, 14), date(2026, 10, 14)),
        ("DAYSAFTERBILLDATE", 1, date(2028, 2, 28), date(2028, 2, 29)),
        ("DAYSAFTERBILLMONTH", 7, date(2026, 9, 1), date(2026, 10, 7)),
        ("DAYSAFTERBILLMONTH", 0, date(2026, 2, 3), date(2026, 2, 28)),
        ("DAYSAFTERBILLMONTH", 60, date(2026, 12, 31), date(2027, 3, 1)),
        ("OFCURRENTMONTH", 20, date(2026, 9, 14), date(2026, 9, 20)),
        ("OFCURRENTMONTH", 31, date(2026, 9, 14), date(2026, 9, 30)),
        ("OFCURRENTMONTH", 31, date(2028, 2, 1), date(2028, 2, 29)),
        ("OFFOLLOWINGMONTH", 20, date(2026, 9, 14), date(2026, 10, 20)),
        ("OFFOLLOWINGMONTH", 31, date(2026, 1, 31), date(2026, 2, 28)),
        ("OFFOLLOWINGMONTH", 15, date(2026, 12, 31), date(2027, 1, 15)),
        ("OFFOLLOWINGMONTH", 0, date(2026, 9, 14), date(2026, 10, 1)),
    ],
)
def test_each_kind_of_terms(kind, day, issued_on, expected):
    assert due(issued_on, day, kind) == expected


def test_a_day_of_this_month_that_has_passed_is_the_invoices_own():
    assert due(date(2026, 9, 14), 10, "OFCURRENTMONTH") == date(2026, 9, 14)


def test_terms_that_we_do_not_know_are_no_terms():
    assert due(date(2026, 9, 14), 3, "ONFULLMOON") == date(2026, 9, 28)


@given(issued_on=st.dates(date(2000, 1, 1), date(2099, 12, 31)), day=st.integers(0, 99), kind=st.sampled_from(KINDS))
def test_nothing_is_due_before_it_is_made_or_after_half_a_year(issued_on, day, kind):
    assert issued_on <= due(issued_on, day, kind) <= issued_on + timedelta(days=180)
