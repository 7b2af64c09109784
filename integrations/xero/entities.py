"""Xero's nouns in our words: frozen, free of HTTP, with money as Decimal, calendar dates as date and instants as aware UTC."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

ZERO = Decimal(0)
LineAmounts = Literal["Exclusive", "Inclusive", "NoTax"]


class InvoiceStatus(StrEnum):
    """Xero's own statuses (xero.md 4.7). Partly paid, overdue and credited are not among them: they are derived."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    AUTHORISED = "AUTHORISED"
    PAID = "PAID"
    VOIDED = "VOIDED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Line:
    """An invoice's line as Xero holds it; a line that is only text has no amounts."""

    description: str
    quantity: Decimal | None = None
    unit_amount: Decimal | None = None
    line_amount: Decimal | None = None
    account_code: str = ""
    tax_type: str = ""
    tax_amount: Decimal | None = None
    discount_rate: Decimal | None = None
    discount_amount: Decimal | None = None
    item_code: str = ""


@dataclass(frozen=True, slots=True)
class Invoice:
    """A sales invoice or a bill (`kind` ACCREC or ACCPAY) as Xero holds it."""

    id: str
    kind: str
    status: InvoiceStatus
    number: str = ""
    reference: str = ""
    url: str = ""
    contact_id: str = ""
    contact_name: str = ""
    issued_on: date | None = None
    due_on: date | None = None
    currency: str = ""
    line_amounts: str = "Exclusive"
    lines: tuple[Line, ...] = ()
    subtotal: Decimal = ZERO
    total_tax: Decimal = ZERO
    total: Decimal = ZERO
    amount_due: Decimal = ZERO
    amount_paid: Decimal = ZERO
    amount_credited: Decimal = ZERO
    updated_at: datetime | None = None

    @property
    def is_sale(self) -> bool:
        """Whether it is a sales invoice: webhooks tell of bills too (xero.md 9.2)."""
        return self.kind == "ACCREC"


@dataclass(frozen=True, slots=True)
class LineDraft:
    """A line to be invoiced. Quantity has at most four decimals and so has the unit amount (xero.md 4.4, 4.9)."""

    description: str
    quantity: Decimal
    unit_amount: Decimal
    account_code: str
    tax_type: str | None = None
    item_code: str | None = None
    discount_rate: Decimal | None = None
    discount_amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ContactDraft:
    """A client to be made with the invoice, under our own mark (`number`, Xero's ContactNumber)."""

    number: str
    name: str
    email: str = ""
    phone: str = ""
    first_name: str = ""
    last_name: str = ""
    address_line1: str = ""
    address_line2: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceDraft:
    """An invoice to be made. `contact` is the id of one that exists, which is then all that is sent of it (xero.md 6.5), or a draft."""

    contact: str | ContactDraft
    issued_on: date
    due_on: date | None
    currency: str
    status: Literal["DRAFT", "SUBMITTED", "AUTHORISED"]
    line_amounts: LineAmounts
    lines: tuple[LineDraft, ...]
    reference: str
    url: str
    number: str | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """One element of a batch was made; a warning means made all the same."""

    invoice: Invoice
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """One element of a batch was not made, and why."""

    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """A contact's payment terms for sales, e.g. day 20, OFFOLLOWINGMONTH (xero.md 6.2)."""

    day: int
    kind: str


@dataclass(frozen=True, slots=True)
class Contact:
    """A client in Xero; `number` is the mark of whoever made it over the API."""

    id: str
    name: str
    number: str = ""
    account_number: str = ""
    email: str = ""
    phone: str = ""
    first_name: str = ""
    last_name: str = ""
    is_active: bool = True
    tax_number: str = ""
    terms: Terms | None = None
    merged_to: str = ""


@dataclass(frozen=True, slots=True)
class Organisation:
    """The books. `timezone` is an IANA name, translated from Xero's own."""

    id: str
    name: str
    base_currency: str
    country: str
    timezone: str
    short_code: str = ""
    is_demo: bool = False
    plan: str = ""
    period_lock_date: date | None = None
    year_lock_date: date | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A ledger account that lines can be booked on."""

    code: str
    name: str
    is_active: bool
    kind: str
    tax_type: str


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A tax rate; `rate` in per cent."""

    tax_type: str
    name: str
    rate: Decimal
    is_active: bool
    for_revenue: bool


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation that a grant reaches, and the consent that first connected it (xero.md 1.5)."""

    connection_id: str
    tenant_id: str
    kind: str
    name: str
    event_id: str = ""
