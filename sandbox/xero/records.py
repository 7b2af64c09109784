"""What an organisation holds. Records are frozen: a change makes a new one and puts it in the old one's place, so that whoever
reads one reads it whole. Money is Decimal, calendar dates are dates of the organisation, instants are aware UTC."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from sandbox.xero.arithmetic import ZERO

NO_ID = "00000000-0000-0000-0000-000000000000"
ADDRESS_TYPES = ("STREET", "POBOX")
PHONE_TYPES = ("DEFAULT", "DDI", "FAX", "MOBILE")


@dataclass(frozen=True, slots=True)
class Person:
    """One of a contact's additional people, at most five (xero.md 6.2)."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    include_in_emails: bool = False


@dataclass(frozen=True, slots=True)
class Phone:
    number: str = ""
    area: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """`rest` holds the lines and the attention, by wire name, where they were given."""

    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""
    rest: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Contact:
    id: str
    name: str
    updated_at: datetime
    number: str = ""
    account_number: str = ""
    status: str = "ACTIVE"
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    company_number: str = ""
    tax_number: str = ""
    default_currency: str = ""
    phones: tuple[tuple[str, Phone], ...] = ()
    addresses: tuple[tuple[str, Address], ...] = ()
    persons: tuple[Person, ...] = ()
    sales_terms: tuple[int, str] | None = None  # e.g. (20, "OFFOLLOWINGMONTH")
    is_customer: bool = False
    is_supplier: bool = False
    merged_to: str = ""
    created_by: str | None = None  # the client id of the app; None for a person in the browser


@dataclass(frozen=True, slots=True)
class Line:
    """`tax_given`: the tax was set by hand and stays when sums are made again."""

    id: str
    description: str = ""
    quantity: Decimal | None = None
    unit_amount: Decimal | None = None
    line_amount: Decimal | None = None
    tax_amount: Decimal | None = None
    tax_given: bool = False
    tax_type: str = ""
    account_code: str = ""
    item_code: str = ""
    discount_rate: Decimal | None = None
    discount_amount: Decimal | None = None
    discount: Decimal = ZERO  # how much the discount took off
    tracking: tuple[tuple[str, str], ...] = ()  # ids of category and option


@dataclass(frozen=True, slots=True)
class Attachment:
    id: str
    name: str
    mime: str
    content: bytes
    include_online: bool


@dataclass(frozen=True, slots=True)
class Note:
    """A line of a document's history."""

    at: datetime
    details: str
    changes: str = "Note"
    user: str = "System Generated"


@dataclass(frozen=True, slots=True)
class Invoice:
    """A sales invoice (ACCREC), a bill (ACCPAY), or a sales credit note (ACCRECCREDIT): they share lines and sums."""

    id: str
    kind: str
    number: str
    contact_id: str
    updated_at: datetime
    issued_on: date
    due_on: date | None = None
    status: str = "DRAFT"
    line_amounts: str = "Exclusive"
    lines: tuple[Line, ...] = ()
    reference: str = ""
    url: str = ""
    currency: str = ""
    rate: Decimal = Decimal(1)
    branding_theme_id: str = ""
    expected_payment_date: date | None = None
    sent_to_contact: bool = False
    subtotal: Decimal = ZERO
    total_tax: Decimal = ZERO
    total: Decimal = ZERO
    total_discount: Decimal = ZERO
    amount_paid: Decimal = ZERO
    amount_credited: Decimal = ZERO  # for a credit note: how much of it is used up
    fully_paid_on: date | None = None
    attachments: tuple[Attachment, ...] = ()
    history: tuple[Note, ...] = ()
    created_by: str | None = None  # the client id of the app; None for a person in the browser
    version: int = 1

    @property
    def is_dead(self) -> bool:
        return self.status in ("VOIDED", "DELETED")

    @property
    def outstanding(self) -> Decimal:
        """What is still to pay, whatever the status."""
        return self.total - self.amount_paid - self.amount_credited

    @property
    def has_allocations(self) -> bool:
        return bool(self.amount_paid or self.amount_credited)


@dataclass(frozen=True, slots=True)
class Payment:
    id: str
    invoice_id: str
    account_id: str
    paid_on: date
    amount: Decimal
    updated_at: datetime
    reference: str = ""
    rate: Decimal = Decimal(1)
    status: str = "AUTHORISED"
    is_reconciled: bool = False
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """A part of a credit note that is used on an invoice."""

    id: str
    credit_note_id: str
    invoice_id: str
    amount: Decimal
    made_on: date


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    code: str
    name: str
    type: str
    account_class: str
    tax_type: str = "NONE"
    status: str = "ACTIVE"
    system: str = ""
    takes_payments: bool = False
    currency: str = ""

    @property
    def can_be_invoiced(self) -> bool:
        return self.type != "BANK" and self.system not in ("DEBTORS", "CREDITORS")

    @property
    def can_be_paid_into(self) -> bool:
        return self.type == "BANK" or self.takes_payments


@dataclass(frozen=True, slots=True)
class TaxRate:
    tax_type: str
    name: str
    rate: Decimal
    report_type: str
    status: str = "ACTIVE"
    for_revenue: bool = True
    for_expenses: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    id: str
    code: str
    name: str
    description: str
    unit_price: Decimal
    account_code: str
    tax_type: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Tracking:
    id: str
    name: str
    options: tuple[tuple[str, str], ...]  # id and name


@dataclass(frozen=True, slots=True)
class Theme:
    id: str
    name: str
    sort_order: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Profile:
    """An organisation's own particulars (xero.md 7.1)."""

    id: str
    name: str
    base_currency: str
    country: str
    timezone: str  # Xero's own name
    zone: str  # the IANA name of the same
    short_code: str
    created_at: datetime
    plan: str = "STANDARD"
    is_demo: bool = False
    period_lock_date: date | None = None
    year_lock_date: date | None = None
    sales_terms: tuple[int, str] | None = None
    rates: tuple[tuple[str, Decimal], ...] = field(default=())  # foreign units for one of the base currency
