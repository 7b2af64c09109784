"""What a deal's invoice lists: its products where they add up to its price, else the price as one line. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from integrations.kommo.entities import Lead, LeadProduct, Product
from integrations.xero.entities import LineDraft
from worker.questions import Kind, Mend, Question
from worker.rounding import ZERO, four_places, line_amount, sum_of
from worker.wording import cents, cut, money, paragraphs, plain, quoted

Catalogue = Mapping[tuple[int, int], Product]  # by (catalog id, element id)

# Xero's limits (xero.md 4.4).
DESCRIPTION_LENGTH = 4000
LARGEST_AMOUNT = Decimal("9999999999.99")


@dataclass(frozen=True, slots=True)
class Booking:
    """What all lines of an invoice share. `currency` is for sentences only."""

    account_code: str
    tax_type: str | None
    currency: str


@dataclass(frozen=True, slots=True)
class Listed:
    """The lines of an invoice, with what a person should know about them."""

    lines: tuple[LineDraft, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Basket:
    """A deal's products. `exact` is their sum as Kommo has it, `invoiced` as Xero's line amounts add up."""

    lines: tuple[LineDraft, ...]
    exact: Decimal
    invoiced: Decimal
    gone: int
    unpriced: str | None


def list_lines(lead: Lead, catalogue: Catalogue, *, booking: Booking, description: str) -> Listed | Question:
    """The invoice's lines by the amount rule; `description` is what a single line says.

    The deal's price is what was agreed. Products are listed if they add up to it to the cent, or, where Kommo gave a price
    that it may have truncated, if their sum truncates to it (kommo.md 5.5). A deal without a price has that of its products.
    """
    basket = _fill(lead, catalogue, booking)
    price = cents(lead.price)
    if not lead.products:
        listed = Listed((_single(price, booking, description),))
    elif basket.gone == 0 and _agrees(basket, price, is_exact=lead.price_is_exact):
        listed = Listed(basket.lines)
    elif price == ZERO:
        return _check(_unpriced_deal(basket, booking), booking)
    else:
        listed = Listed((_single(price, booking, description),), (_difference(basket, price, booking),))
    return _check(listed, booking)


def _check(listed: Listed | Question, booking: Booking) -> Listed | Question:
    if isinstance(listed, Question):
        return listed
    amounts = [line_amount(line) for line in listed.lines]
    total = sum_of(amounts)
    if total < ZERO:
        sentence = f"The deal comes to {money(total, booking.currency)}: an invoice can't be negative. Raise a credit note in Xero."
        return Question(Kind.NEGATIVE, Mend.LEAD, sentence)
    if total == ZERO:
        return Question(Kind.NO_AMOUNT, Mend.LEAD, "The deal has no price. Fill it in, and the invoice follows.")
    if total > LARGEST_AMOUNT or any(abs(amount) > LARGEST_AMOUNT for amount in amounts):
        return Question(Kind.TOO_LARGE, Mend.LEAD, "The deal's price is larger than Xero can hold. Correct it, please.")
    return listed


def _agrees(basket: _Basket, price: Decimal, *, is_exact: bool) -> bool:
    if basket.invoiced == price:
        return True
    return not is_exact and price in (_truncated(basket.exact), _truncated(basket.invoiced))


def _unpriced_deal(basket: _Basket, booking: Booking) -> Listed | Question:
    if basket.gone:
        sentence = (
            "The deal has no price, and a product of it is no longer in the products list. Fill in the price, please."
        )
        return Question(Kind.NO_AMOUNT, Mend.LEAD, sentence)
    if basket.unpriced is not None:
        sentence = (
            f"The deal has no price, and neither has its product {quoted(basket.unpriced)}. Fill in the price, please."
        )
        return Question(Kind.NO_AMOUNT, Mend.LEAD, sentence)
    remark = f"The deal has no price, so its products were invoiced: {money(basket.invoiced, booking.currency)}."
    return Listed(basket.lines, (remark,))


def _difference(basket: _Basket, price: Decimal, booking: Booking) -> str:
    agreed = money(price, booking.currency)
    if basket.gone:
        return f"A product of the deal is no longer in the products list, so its price of {agreed} was invoiced as one line."
    found = money(basket.invoiced, booking.currency)
    return f"The products add up to {found} and the deal's price is {agreed}: the price was invoiced as one line."


def _fill(lead: Lead, catalogue: Catalogue, booking: Booking) -> _Basket:
    found = [(link, _present(link, catalogue)) for link in lead.products if link.quantity != ZERO]
    present = [(link, product) for link, product in found if product is not None]
    lines = tuple(_line(link, product, booking) for link, product in present)
    exact = sum((link.quantity * (_price(link, product) or ZERO) for link, product in present), ZERO)
    unpriced = next((_name(product) for link, product in present if _price(link, product) is None), None)
    return _Basket(lines, exact, sum_of(line_amount(line) for line in lines), len(found) - len(present), unpriced)


def _present(link: LeadProduct, catalogue: Catalogue) -> Product | None:
    product = catalogue.get((link.catalog_id, link.element_id))
    return None if product is None or product.is_deleted else product


def _price(link: LeadProduct, product: Product) -> Decimal | None:
    # the link may name another of the product's prices, e.g. the special one (kommo.md 8.3)
    return product.price if link.price_field_id is None else product.prices.get(link.price_field_id, product.price)


def _name(product: Product) -> str:
    return plain(product.name) or plain(product.sku) or f"Product {product.id}"


def _line(link: LeadProduct, product: Product, booking: Booking) -> LineDraft:
    more = paragraphs(product.description)
    name = _name(product)
    return LineDraft(
        description=cut(f"{name}\n{more}" if more and more != name else name, DESCRIPTION_LENGTH),
        quantity=four_places(link.quantity),
        unit_amount=four_places(_price(link, product) or ZERO),
        account_code=booking.account_code,
        tax_type=booking.tax_type,
    )


def _single(price: Decimal, booking: Booking, description: str) -> LineDraft:
    return LineDraft(
        description=cut(description, DESCRIPTION_LENGTH),
        quantity=Decimal(1),
        unit_amount=price,
        account_code=booking.account_code,
        tax_type=booking.tax_type,
    )


def _truncated(amount: Decimal) -> Decimal:
    return amount.to_integral_value(rounding=ROUND_DOWN)
