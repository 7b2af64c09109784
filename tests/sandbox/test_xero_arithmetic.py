"""Xero's rounding, by its worked examples (xero.md 4.9)."""

from decimal import Decimal

import pytest

from sandbox.xero.arithmetic import Amounts, Disagreement, LineSum, round_half_up, sum_line, tax_of, total

D = Decimal


def sums(*lines: Amounts, line_amounts: str = "Exclusive", decimals: int = 2) -> tuple[Decimal, Decimal, Decimal]:
    made = [sum_line(line, line_amounts=line_amounts, decimals=decimals) for line in lines]
    totals = total(made, line_amounts=line_amounts)
    return totals.subtotal, totals.tax, totals.total


def test_half_a_cent_goes_up():
    assert round_half_up(D("2.165")) == D("2.17")
    assert round_half_up(D("-2.165")) == D("-2.17")


def test_tax_is_rounded_by_line_and_then_summed():
    lines = [Amounts(D(1), D(price), tax_rate=D(15)) for price in ("25.06", "25.61", "25.63")]
    assert sums(*lines) == (D("76.30"), D("11.44"), D("87.74"))


def test_tax_inside_the_price():
    assert tax_of(D("541.25"), D(15), "Inclusive") == D("70.60")
    line = Amounts(D(1), D("541.25"), tax_rate=D(15))
    assert sums(line, line_amounts="Inclusive") == (D("470.65"), D("70.60"), D("541.25"))


def test_no_tax_means_none_whatever_was_sent():
    line = Amounts(D(1), D(100), tax_rate=D(15), tax_amount=D(7))
    assert sums(line, line_amounts="NoTax") == (D("100.00"), D("0.00"), D("100.00"))


@pytest.mark.parametrize(("decimals", "amount"), [(2, "3.33"), (4, "3.34")])
def test_a_unit_price_is_rounded_before_it_is_multiplied(decimals: int, amount: str):
    made = sum_line(Amounts(D(3), D("1.1145")), line_amounts="Exclusive", decimals=decimals)
    assert made.line_amount == D(amount)


def test_discounts_come_off_before_the_tax():
    by_rate = sum_line(Amounts(D(3), D("9.99"), discount_rate=D("12.5"), tax_rate=D(15)), line_amounts="Exclusive")
    assert (by_rate.line_amount, by_rate.tax_amount, by_rate.discount) == (D("26.22"), D("3.93"), D("3.75"))
    by_amount = sum_line(Amounts(D(3), D("9.99"), discount_amount=D("0.97")), line_amounts="Exclusive")
    assert by_amount.line_amount == D("29.00")


def test_the_tax_can_be_set_by_hand():
    made = sum_line(Amounts(D(1), D(10), tax_rate=D(15), tax_amount=D("99.999")), line_amounts="Exclusive")
    assert made.tax_amount == D("100.00")


def test_a_line_amount_may_stand_for_quantity_or_price():
    alone = sum_line(Amounts(line_amount=D("12.345")), line_amounts="Exclusive")
    assert (alone.quantity, alone.unit_amount, alone.line_amount) == (D(1), D("12.35"), D("12.35"))
    shared = sum_line(Amounts(D(3), line_amount=D(100)), line_amounts="Exclusive")
    assert (shared.unit_amount, shared.line_amount) == (D("33.33"), D("100.00"))


def test_a_line_amount_that_contradicts_is_refused():
    with pytest.raises(Disagreement, match=r"20\.00 does not match the expected line total 21\.00"):
        sum_line(Amounts(D(2), D("10.50"), D(20)), line_amounts="Exclusive")


def test_text_alone_has_no_amounts():
    assert sum_line(Amounts(), line_amounts="Exclusive") == LineSum(None, None, None, None)


def test_a_quantity_has_four_decimals():
    assert sum_line(Amounts(D("1.23456"), D(1)), line_amounts="Exclusive").quantity == D("1.2346")
