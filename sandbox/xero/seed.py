"""The organisation that is there at the start: "demo" with a few old documents, "empty" without any."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID, uuid5

from sandbox.xero.arithmetic import LineSum, total
from sandbox.xero.organisation import Organisation
from sandbox.xero.records import (
    Account,
    Allocation,
    Contact,
    Invoice,
    Item,
    Line,
    Payment,
    Profile,
    TaxRate,
    Theme,
    Tracking,
)
from sandbox.xero.state import State
from sandbox.xero.tokens import App

TENANT = "5b96e86b-418e-48d8-8949-308c14aec278"
CLIENT_ID = "7A1C6F0E52D94B6B9E03C4F1D8A2B365"
CLIENT_SECRET = "sandbox-xero-secret-0123456789abcdef"
# the app that people connect by consent, as registered at the start
APP_CLIENT_ID = "B7E2D9405C6A4F1D8E3B90A7C5D1F246"
APP_CLIENT_SECRET = "sandbox-xero-app-secret-0123456789abcdef"
REDIRECT_URI = "http://localhost:8001/oauth/xero/callback"
WEBHOOK_KEY = "c2FuZGJveC13ZWJob29rLWtleQ+/=="
# demo organisations' documents say that they were changed in 2010, whatever their own dates (xero.md 4.10)
CHANGED = datetime(2010, 11, 19, 12, 1, 1, tzinfo=UTC)
RATES = (("USD", Decimal("0.6")), ("EUR", Decimal("0.52")), ("GBP", Decimal("0.45")), ("AUD", Decimal("0.92")))


def plant(state: State, seed: str) -> None:
    """Empties everything, then plants a seed. Raises ValueError for a seed that there is not."""
    if seed not in ("demo", "empty"):
        raise ValueError(f"no seed {seed!r}; there are demo and empty")
    with state.lock:
        kept = state.apps.get(APP_CLIENT_ID) or make_app(state)
        state.clear()
        held = open_organisation(state, name="Acme Trading (NZ)", tenant_id=TENANT)
        if seed == "demo":
            _plant_documents(held)
        app = state.add_app(CLIENT_ID, CLIENT_SECRET, str(state.switches["provider_name"]))
        app.connect(TENANT, state.kit.clock.now())
        for tenant_id in {tenant for _, tenant in kept.connections} - {TENANT}:
            kept.disconnect(tenant_id=tenant_id)
        state.apps[APP_CLIENT_ID] = kept


def make_app(state: State) -> App:
    """The app that people connect, as registered at the start."""
    name = str(state.switches["provider_name"])
    return App(APP_CLIENT_ID, APP_CLIENT_SECRET, name, is_custom=False, redirect_uris=[REDIRECT_URI])


def open_organisation(state: State, *, name: str, tenant_id: str, base_currency: str = "NZD") -> Organisation:
    """An organisation with its settings and no documents."""
    profile = Profile(
        id=tenant_id,
        name=name,
        base_currency=base_currency,
        country="NZ",
        timezone="NEWZEALANDSTANDARDTIME",
        zone="Pacific/Auckland",
        short_code="!" + tenant_id[:5],
        created_at=CHANGED,
        rates=RATES,
    )
    held = Organisation(profile)
    _plant_settings(held)
    state.organisations[tenant_id] = held
    return held


def fixed_id(held: Organisation, name: str) -> str:
    """The same id for the same name in every run."""
    return str(uuid5(UUID(held.profile.id), name))


def _plant_settings(held: Organisation) -> None:
    held.currencies |= {
        "NZD": "New Zealand Dollar",
        "USD": "United States Dollar",
        "EUR": "Euro",
        "GBP": "British Pound",
    }
    rates = (
        TaxRate("OUTPUT2", "15% GST on Income", Decimal(15), "OUTPUT"),
        TaxRate("INPUT2", "15% GST on Expenses", Decimal(15), "INPUT", for_revenue=False, for_expenses=True),
        TaxRate("OUTPUT", "Old 10% on Income", Decimal(10), "OUTPUT"),
        TaxRate("ZERORATED", "Zero Rated", Decimal(0), "OUTPUT"),
        TaxRate("NONE", "No GST", Decimal(0), "NONE", for_expenses=True),
    )
    held.tax_rates |= {rate.tax_type: rate for rate in rates}
    for code, name, kind, family, tax in (
        ("090", "Business Bank Account", "BANK", "ASSET", "NONE"),
        ("200", "Sales", "REVENUE", "REVENUE", "OUTPUT2"),
        ("260", "Other Revenue", "REVENUE", "REVENUE", "OUTPUT2"),
        ("299", "Old Sales", "REVENUE", "REVENUE", "OUTPUT2"),
        ("400", "Advertising", "EXPENSE", "EXPENSE", "INPUT2"),
        ("610", "Accounts Receivable", "CURRENT", "ASSET", "NONE"),
        ("860", "Rounding", "EXPENSE", "EXPENSE", "NONE"),
    ):
        account = Account(fixed_id(held, f"account {code}"), code, name, kind, family, tax)
        system = {"610": "DEBTORS", "860": "ROUNDING"}.get(code, "")
        held.add_account(replace(account, system=system, status="ARCHIVED" if code == "299" else "ACTIVE"))
    item = Item(
        fixed_id(held, "item"), "SUPPORT", "Support", "Support by the hour", Decimal(120), "200", "OUTPUT2", CHANGED
    )
    held.items[item.code] = item
    options = tuple((fixed_id(held, f"option {name}"), name) for name in ("North", "South"))
    held.tracking.append(Tracking(fixed_id(held, "tracking"), "Region", options))
    held.themes.append(Theme(fixed_id(held, "theme"), "Standard", 1, CHANGED))


def _plant_documents(held: Organisation) -> None:
    """The odd ones: paid by credit only, paid in part, a draft, a void; a year old or older."""
    names = ("Harbour Bakery Ltd", "Old Mill Timber Ltd")
    bakery, mill = (
        Contact(fixed_id(held, name), name, CHANGED, email=email, is_customer=True)
        for name, email in zip(names, ("accounts@harbourbakery.example", "office@oldmill.example"), strict=True)
    )
    for contact in (bakery, mill):
        held.contacts.put(contact)
    credited = _document(held, "S-1001", bakery, Decimal("470.65"), "AUTHORISED")
    part_paid = _document(held, "S-1002", mill, Decimal("739.13"), "AUTHORISED")
    held.invoices.put(_document(held, "S-1003", mill, Decimal("100.00"), "DRAFT"))
    held.invoices.put(_document(held, "S-1004", bakery, Decimal("10.00"), "VOIDED"))

    note = replace(_document(held, "CN-0025", bakery, Decimal("470.65"), "PAID"), kind="ACCRECCREDIT", due_on=None)
    held.credit_notes.put(replace(note, amount_credited=note.total, fully_paid_on=note.issued_on))
    held.allocate(Allocation(fixed_id(held, "allocation"), note.id, credited.id, credited.total, note.issued_on))
    held.invoices.put(
        replace(credited, status="PAID", amount_credited=credited.total, fully_paid_on=credited.issued_on)
    )
    paid = Decimal("579.37")
    bank = held.account_codes["090"]
    payment = Payment(fixed_id(held, "payment"), part_paid.id, bank.id, part_paid.issued_on, paid, CHANGED, "wire")
    held.payments.put(payment)
    held.invoices.put(replace(part_paid, amount_paid=paid))


def _document(held: Organisation, number: str, contact: Contact, amount: Decimal, status: str) -> Invoice:
    tax = (amount * 15 / 100).quantize(Decimal("0.01"))
    line = Line(
        fixed_id(held, f"line {number}"),
        "Goods",
        Decimal(1),
        amount,
        amount,
        tax,
        tax_type="OUTPUT2",
        account_code="200",
    )
    totals = total([LineSum(line.quantity, amount, amount, tax)], line_amounts="Exclusive")
    return Invoice(
        id=fixed_id(held, number),
        kind="ACCREC",
        number=number,
        contact_id=contact.id,
        updated_at=CHANGED,
        issued_on=date(2025, 2, 1),
        due_on=date(2025, 2, 20),
        status=status,
        lines=(line,),
        currency=held.profile.base_currency,
        branding_theme_id=held.default_theme(),
        subtotal=totals.subtotal,
        total_tax=totals.tax,
        total=totals.total,
    )
