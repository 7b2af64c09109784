"""What an invoice adds up to, to the cent (xero.md 4.9)."""

from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from integrations.xero.entities import InvoiceDraft, LineDraft
from sandbox.xero import arithmetic
from tests.worker.builders import invoice_draft, line_draft
from worker.rounding import Totals, line_amount, totals

D = Decimal
RATES = {"OUTPUT2": D(15), "NONE": D(0), "OUTPUT": D(10), "TAX001": D("7.7"), "TAX002": D("8.875")}
FORMS: list[Literal["Exclusive", "Inclusive", "NoTax"]] = ["Exclusive", "Inclusive", "NoTax"]


def sums(*lines: LineDraft, **changes) -> Totals:
    found = totals(invoice_draft(*lines, **changes), RATES)
    assert found is not None
    return found


def test_tax_is_rounded_line_by_line_and_then_summed():
    """Xero's own example: 25.06, 25.61 and 25.63 at 15 % make 11.44, not 11.45."""
    found = sums(line_draft("1", "25.06"), line_draft("1", "25.61"), line_draft("1", "25.63"))
    assert found == Totals(subtotal=D("76.30"), tax=D("11.44"), total=D("87.74"))


def test_halves_of_a_cent_go_up():
    assert line_amount(line_draft("1", "2.165")) == D("2.17")


def test_halves_of_a_cent_in_tax_go_up():
    """0.10 at 15 % is 0.015."""
    assert sums(line_draft("1", "0.10")).tax == D("0.02")


def test_the_tax_inside_of_an_inclusive_line():
    """Recorded: 541.25 at 15 % holds 70.60 and leaves 470.65."""
    found = sums(line_draft("1", "541.25"), line_amounts="Inclusive")
    assert found == Totals(subtotal=D("470.65"), tax=D("70.60"), total=D("541.25"))


def test_an_invoice_as_it_was_recorded():
    """Recorded: 2 at 10.50 make 21.00, 3.15 and 24.15."""
    assert sums(line_draft("2", "10.50")) == Totals(subtotal=D("21.00"), tax=D("3.15"), total=D("24.15"))


def test_four_decimals_of_a_price_count():
    """Rounded to cents before they are multiplied, 1,000 at 0.0125 would make 10.00."""
    assert line_amount(line_draft("1000", "0.0125")) == D("12.50")


def test_a_fifth_decimal_is_gone_before_the_multiplication():
    assert line_amount(line_draft("10000", "0.00005")) == D("1.00")
    assert line_amount(line_draft("0.33333", "10000")) == D("3333.00")


def test_a_discount_in_per_cent_comes_before_the_tax():
    found = sums(line_draft("3", "9.99", discount_rate=D("12.5")))
    assert found == Totals(subtotal=D("26.22"), tax=D("3.93"), total=D("30.15"))


def test_a_discount_in_money_comes_before_the_tax():
    found = sums(line_draft("1", "100", discount_amount=D("0.05")))
    assert found == Totals(subtotal=D("99.95"), tax=D("14.99"), total=D("114.94"))


def test_without_tax_the_total_is_the_sum_of_the_lines():
    found = sums(line_draft("2", "10.50"), line_amounts="NoTax")
    assert found == Totals(subtotal=D("21.00"), tax=D("0.00"), total=D("21.00"))


def test_a_rebate_is_a_negative_line():
    found = sums(line_draft("1", "100"), line_draft("1", "-10.01"))
    assert found == Totals(subtotal=D("89.99"), tax=D("13.50"), total=D("103.49"))


def test_an_unknown_tax_rate_leaves_the_total_open():
    assert totals(invoice_draft(line_draft("1", "1", tax_type=None)), RATES) is None


def test_an_unknown_tax_rate_does_not_matter_without_tax():
    assert totals(invoice_draft(line_draft("1", "1", tax_type=None), line_amounts="NoTax"), RATES) is not None


def money(places: int, lowest: int, highest: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(lowest, highest, allow_nan=False, allow_infinity=False, places=places)


@st.composite
def lines(draw: st.DrawFn) -> LineDraft:
    discount = draw(st.sampled_from(["none", "rate", "amount"]))
    return LineDraft(
        description="Website",
        quantity=draw(st.integers(2, 4).flatmap(lambda places: money(places, 0, 5000))),
        unit_amount=draw(st.sampled_from([2, 4]).flatmap(lambda places: money(places, -2000, 90000))),
        account_code="200",
        tax_type=draw(st.sampled_from(sorted(RATES))),
        discount_rate=draw(money(2, 0, 100)) if discount == "rate" else None,
        discount_amount=draw(money(2, 0, 500)) if discount == "amount" else None,
    )


drafts = st.builds(
    lambda drawn, form: invoice_draft(*drawn, line_amounts=form), st.lists(lines(), max_size=12), st.sampled_from(FORMS)
)


def independent(draft: InvoiceDraft) -> arithmetic.Totals:
    """The draft's sums by the sandbox's arithmetic, which was written apart from ours."""
    summed = [
        arithmetic.sum_line(
            arithmetic.Amounts(
                quantity=line.quantity,
                unit_amount=line.unit_amount,
                discount_rate=line.discount_rate,
                discount_amount=line.discount_amount,
                tax_rate=RATES[line.tax_type or ""],
            ),
            line_amounts=draft.line_amounts,
            decimals=4,
        )
        for line in draft.lines
    ]
    return arithmetic.total(summed, line_amounts=draft.line_amounts)


@given(drafts)
@example(invoice_draft(line_draft("1", "25.06"), line_draft("1", "25.61"), line_draft("1", "25.63")))
@example(invoice_draft(line_draft("1", "541.25"), line_amounts="Inclusive"))
@example(invoice_draft(line_draft("1", "-0.10")))
def test_our_totals_are_those_of_the_sandbox(draft: InvoiceDraft):
    ours, theirs = totals(draft, RATES), independent(draft)
    assert ours == Totals(subtotal=theirs.subtotal, tax=theirs.tax, total=theirs.total)


@given(drafts)
def test_the_total_is_net_and_tax_in_whole_cents(draft: InvoiceDraft):
    found = totals(draft, RATES)
    assert found is not None
    assert found.total == found.subtotal + found.tax
    assert all(amount == amount.quantize(D("0.01")) for amount in (found.subtotal, found.tax, found.total))


@given(drafts)
def test_the_sum_of_the_lines_is_the_total_where_tax_is_inside_and_the_net_where_it_is_not(draft: InvoiceDraft):
    found = totals(draft, RATES)
    assert found is not None
    listed = sum(line_amount(line) for line in draft.lines)
    assert listed == (found.total if draft.line_amounts == "Inclusive" else found.subtotal)


@given(st.permutations([line_draft("1", "25.06"), line_draft("3", "0.0333"), line_draft("0.5", "7.77")]))
def test_the_order_of_lines_does_not_matter(shuffled: list[LineDraft]):
    assert sums(*shuffled) == sums(*sorted(shuffled, key=lambda line: line.quantity))


@pytest.mark.parametrize("form", FORMS)
def test_an_invoice_without_lines_is_nothing(form):
    assert sums(line_amounts=form) == Totals(D("0.00"), D("0.00"), D("0.00"))
