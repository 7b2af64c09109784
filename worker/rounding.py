"""Xero's arithmetic: what an invoice will add up to, to the cent (xero.md 4.9). Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from integrations.xero.entities import InvoiceDraft, LineAmounts, LineDraft
from worker.wording import WIDE, cents

ZERO = Decimal(0)
HUNDRED = Decimal(100)
# With `unitdp=4`, which all of our calls say (xero.md 4.9); quantities have four decimals anyhow (xero.md 4.4).
FOUR_PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Totals:
    """An invoice's sums, each with two decimals; `total` is what the client pays."""

    subtotal: Decimal
    tax: Decimal
    total: Decimal


def four_places(value: Decimal) -> Decimal:
    """The value rounded half-up to four decimals, the most that Xero keeps of a quantity or a unit amount."""
    return value.quantize(FOUR_PLACES, rounding=ROUND_HALF_UP, context=WIDE)


def line_amount(line: LineDraft) -> Decimal:
    """The line's amount after its discount, two decimals (xero.md 4.4)."""
    gross = four_places(line.quantity) * four_places(line.unit_amount)
    if line.discount_rate is not None:
        return cents(gross * (HUNDRED - line.discount_rate) / HUNDRED)
    return cents(gross - (line.discount_amount or ZERO))


def line_tax(amount: Decimal, rate: Decimal, line_amounts: LineAmounts) -> Decimal:
    """The tax on a line, or in it; `rate` in per cent. Rounded line by line, and only then summed (xero.md 4.9)."""
    if line_amounts == "NoTax":
        return cents(ZERO)
    return cents(amount * rate / (HUNDRED if line_amounts == "Exclusive" else HUNDRED + rate))


def totals(draft: InvoiceDraft, rates: Mapping[str, Decimal]) -> Totals | None:
    """What Xero will make of the draft; None where a line's tax rate is not in `rates` (tax type to per cent)."""
    taxes: list[Decimal] = []
    for line in draft.lines:
        rate = ZERO if draft.line_amounts == "NoTax" else rates.get(line.tax_type or "")
        if rate is None:
            return None
        taxes.append(line_tax(line_amount(line), rate, draft.line_amounts))
    amounts = sum_of(line_amount(line) for line in draft.lines)
    tax = sum_of(taxes)
    if draft.line_amounts == "Inclusive":
        return Totals(subtotal=amounts - tax, tax=tax, total=amounts)
    return Totals(subtotal=amounts, tax=tax, total=amounts + tax)


def sum_of(amounts: Iterable[Decimal]) -> Decimal:
    """The sum with two decimals, also of nothing."""
    return sum(amounts, cents(ZERO))
