"""Whether a connection's rules fit the books in Xero."""

from dataclasses import replace
from datetime import date

import pytest

from integrations.kommo.entities import Account
from tests.worker.builders import books
from worker import bookkeeping
from worker.connections import Connection, InvoiceRules, Trigger
from worker.findings import Grade

ACCOUNT = Account(1, "Acme Ltd", "acme", "USD", "Europe/London", "")


def grades(invoice: InvoiceRules | None = None, account: Account | None = ACCOUNT) -> dict[str, tuple[Grade, str]]:
    """How everything stands, by what it is about."""
    rules = invoice or InvoiceRules("200")
    connection = Connection("acme", "acme", (Trigger("Sales", "New"),), rules)
    return {one.about: (one.grade, one.sentence) for one in bookkeeping.findings(connection, books(), account)}


def test_all_fits():
    assert {grade for grade, _ in grades().values()} == {Grade.OK}


@pytest.mark.parametrize(
    ("code", "said"),
    [("20", 'no account "20": choose of 200 Sales, 260'), ("299", "is archived"), ("090", "of the kind BANK")],
)
def test_an_account_that_can_not_be_used(code, said):
    grade, sentence = grades(InvoiceRules(code))["account_code"]
    assert grade is Grade.FAILED
    assert said in sentence


@pytest.mark.parametrize("tax_type", ["INPUT2", "OLD", "OUTPUT3"])
def test_a_tax_that_sales_can_not_use(tax_type):
    grade, sentence = grades(InvoiceRules("200", tax_type=tax_type))["tax_type"]
    assert grade is Grade.FAILED
    assert "OUTPUT2" in sentence


def test_without_tax_no_rate_is_looked_for():
    assert grades(InvoiceRules("200", tax_type="OLD", line_amounts="NoTax"))["tax_type"][0] is Grade.OK


def test_a_currency_that_xero_lacks_stops_only_where_no_field_tells_another():
    account = replace(ACCOUNT, currency="BRL")
    assert grades(account=account)["currencies"][0] is Grade.FAILED
    assert grades(InvoiceRules("200", currency_field="Currency"), account)["currencies"][0] is Grade.NOTE


def test_without_the_kommo_account_the_rest_is_judged():
    assert "currencies" not in grades(account=None)


def test_a_reference_that_can_not_be_filled_in():
    assert grades(InvoiceRules("200", reference="{leed_id}"))["reference"][0] is Grade.FAILED


@pytest.mark.parametrize(
    ("lock", "grade"), [(None, Grade.OK), (date(2026, 8, 31), Grade.OK), (date(2026, 9, 14), Grade.FAILED)]
)
def test_a_lock_date_stops_only_while_it_is_not_over(lock, grade):
    assert bookkeeping.lock(books(lock_date=lock), today=date(2026, 9, 14)).grade is grade
