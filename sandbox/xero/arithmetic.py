"""Xero's rounding, line by line (xero.md 4.9): half up, tax per line, unit prices rounded before they are multiplied.

This is the sandbox's own arithmetic. It is written apart from the bridge's, so that the two can be checked against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
HUNDRED = Decimal(100)
QUANTITY = Decimal("0.0001")
MOST = Decimal("9999999999.99")  # the largest line amount (xero.md 4.4)


class Disagreement(ValueError):
    """A line's numbers contradict one another; the message is the one that the API answers."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a line asks for: `tax_rate` in per cent, `tax_amount` set only where the caller overrides the tax."""

    quantity: Decimal | None = None
    unit_amount: Decimal | None = None
    line_amount: Decimal | None = None
    discount_rate: Decimal | None = None
    discount_amount: Decimal | None = None
    tax_rate: Decimal = ZERO
    tax_amount: Decimal | None = None

    @property
    def is_text_only(self) -> bool:
        """A line that carries a description and no numbers (xero.md 4.4)."""
        return self.quantity is None and self.unit_amount is None and self.line_amount is None


@dataclass(frozen=True, slots=True)
class LineSum:
    """A line as it is stored; all None for a line that is text only."""

    quantity: Decimal | None
    unit_amount: Decimal | None
    line_amount: Decimal | None
    tax_amount: Decimal | None
    discount: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Totals:
    """An invoice's sums: `total` = `subtotal` + `tax`."""

    subtotal: Decimal
    tax: Decimal
    total: Decimal
    discount: Decimal


def round_half_up(value: Decimal, unit: Decimal = CENT) -> Decimal:
    """To whole cents (or another unit), ties away from zero: 2.165 is 2.17."""
    return value.quantize(unit, rounding=ROUND_HALF_UP)


def unit_step(decimals: int) -> Decimal:
    """The smallest step of a unit price: two decimals, or four under `unitdp=4`."""
    return QUANTITY if decimals == 4 else CENT


def tax_of(amount: Decimal, rate: Decimal, line_amounts: str) -> Decimal:
    """The tax on or in a line, rounded for itself: 541.25 with 15 % inside holds 70.60."""
    if line_amounts == "NoTax":
        return ZERO
    if line_amounts == "Inclusive":
        return round_half_up(amount * rate / (HUNDRED + rate))
    return round_half_up(amount * rate / HUNDRED)


def sum_line(asked: Amounts, *, line_amounts: str, decimals: int = 2) -> LineSum:
    """What Xero makes of a line's numbers. Raises Disagreement where they contradict one another."""
    if asked.is_text_only:
        return LineSum(None, None, None, None)
    quantity, unit = _fill(asked, unit_step(decimals))
    gross = quantity * unit
    amount = _after_discount(asked, gross)
    if asked.line_amount is not None and round_half_up(asked.line_amount) != amount:
        if asked.quantity is not None and asked.unit_amount is not None:
            raise Disagreement(
                f"The line total {round_half_up(asked.line_amount)} does not match the expected line total {amount}"
            )
        amount = round_half_up(asked.line_amount)
    if abs(amount) > MOST:
        raise Disagreement("Line amount must be less than or equal to 9,999,999,999.99")
    tax = asked.tax_amount
    tax = tax_of(amount, asked.tax_rate, line_amounts) if tax is None or line_amounts == "NoTax" else round_half_up(tax)
    has_discount = asked.discount_rate is not None or asked.discount_amount is not None
    return LineSum(quantity, unit, amount, tax, round_half_up(gross) - amount if has_discount else ZERO)


def _fill(asked: Amounts, step: Decimal) -> tuple[Decimal, Decimal]:
    """Quantity and unit price, each from the line amount where it is missing: "may replace either" (xero.md 4.4)."""
    quantity, unit, amount = asked.quantity, asked.unit_amount, asked.line_amount
    if quantity is not None:
        quantity = round_half_up(quantity, QUANTITY)
    if unit is not None:
        unit = round_half_up(unit, step)
    if quantity is None:
        quantity = Decimal(1) if amount is None or not unit else round_half_up(amount / unit, QUANTITY)
    if unit is None:
        unit = ZERO if amount is None or not quantity else round_half_up(amount / quantity, step)
    return round_half_up(quantity, QUANTITY), unit


def _after_discount(asked: Amounts, gross: Decimal) -> Decimal:
    if asked.discount_rate is not None:
        return round_half_up(gross * (HUNDRED - asked.discount_rate) / HUNDRED)
    if asked.discount_amount is not None:
        return round_half_up(gross - asked.discount_amount)
    return round_half_up(gross)


def total(lines: Sequence[LineSum], *, line_amounts: str) -> Totals:
    """An invoice's sums, from lines that are rounded already: 3.76 + 3.84 + 3.84 = 11.44."""
    amounts = sum((line.line_amount for line in lines if line.line_amount is not None), ZERO)
    tax = sum((line.tax_amount for line in lines if line.tax_amount is not None), ZERO)
    discount = sum((line.discount for line in lines), ZERO)
    if line_amounts == "Inclusive":
        return Totals(subtotal=amounts - tax, tax=tax, total=amounts, discount=discount)
    return Totals(subtotal=amounts, tax=tax, total=amounts + tax, discount=discount)
