"""The cast of the worker's tests: plain functions that build a deal, a client, books and an invoice, each with its usual values.

Acme Ltd is the client, in a New Zealand organisation that charges 15 % on account 200; deals are made in the pipeline "Sales".
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from integrations.kommo.entities import LOST, WON, Client, FieldValue, Lead, LeadProduct, Pipeline, Product, Stage
from integrations.xero.entities import (
    Account,
    Contact,
    Invoice,
    InvoiceDraft,
    InvoiceStatus,
    Line,
    LineDraft,
    TaxRate,
)
from worker.invoicing import Books, Rules

ACCOUNT_ID = 30896271
SALES, PROJECTS = 500, 600
NEW, OFFER, APPROVED, INVOICED = 501, 502, 503, 504
KICK_OFF = 601
TRIGGER = (SALES, APPROVED)
CATALOG = 4521
CURRENCY_FIELD, SERVICES_FIELD, TAX_FIELD = 701, 702, 703

ENTERED_ON = date(2026, 9, 14)
DUE_ON = date(2026, 9, 28)
THEN = datetime(2026, 9, 14, 3, tzinfo=UTC)

DEAL_URL = "https://acme.kommo.com/leads/detail/7"
INVOICE_ID = "60aa5d55-a47e-4665-a974-874bb50263b9"
CONTACT_ID = "2f79af6c-5f57-49e8-9e44-301499538add"


def pipelines() -> list[Pipeline]:
    """Sales: New, Offer, Payment approved, Invoiced in Xero; Projects: Kick-off; each with won and lost."""
    return [
        _pipeline(
            SALES, "Sales", {NEW: "New", OFFER: "Offer", APPROVED: "Payment approved", INVOICED: "Invoiced in Xero"}
        ),
        _pipeline(PROJECTS, "Projects", {KICK_OFF: "Kick-off"}),
    ]


def _pipeline(pipeline_id: int, name: str, stages: Mapping[int, str]) -> Pipeline:
    sorts = {stage_id: 10 * place for place, stage_id in enumerate(stages, start=1)} | {WON: 10000, LOST: 11000}
    names = {**stages, WON: "Closed - won", LOST: "Closed - lost"}
    made = tuple(Stage(pipeline_id, stage_id, names[stage_id], sort) for stage_id, sort in sorts.items())
    return Pipeline(pipeline_id, name, pipeline_id == SALES, is_archive=False, stages=made)


def lead(**changes: Any) -> Lead:
    """Deal 7, "Website", 1,000.00 exactly, in the trigger stage, of company 20 with contact 10, and no products."""
    usual = Lead(
        id=7,
        name="Website",
        price=Decimal("1000.00"),
        price_is_exact=True,
        pipeline_id=SALES,
        status_id=APPROVED,
        created_at=THEN,
        updated_at=THEN,
        main_contact_id=10,
        contact_ids=(10,),
        company_id=20,
    )
    return replace(usual, **changes)


def filled(field_id: int, value: str, *, code: str | None = None) -> FieldValue:
    """A text field with this value."""
    return FieldValue(field_id, code, "text", ({"value": value},))


def company(**changes: Any) -> Client:
    """Acme Ltd, company 20."""
    return replace(Client("companies", 20, "Acme Ltd", email="billing@acme.example", phone="+64 9 555 0100"), **changes)


def person(**changes: Any) -> Client:
    """Jo Marsh, contact 10."""
    usual = Client("contacts", 10, "Jo Marsh", email="jo@acme.example", first_name="Jo", last_name="Marsh")
    return replace(usual, **changes)


def product(element_id: int, name: str, price: str | None, **changes: Any) -> Product:
    """An element of the products list."""
    return replace(Product(element_id, CATALOG, name, None if price is None else Decimal(price)), **changes)


def catalogue(*products: Product) -> dict[tuple[int, int], Product]:
    """The products as `draft` takes them."""
    return {(item.catalog_id, item.id): item for item in products}


def linked(element_id: int, quantity: str = "1", *, price_field_id: int | None = None) -> LeadProduct:
    """A product on a deal."""
    return LeadProduct(CATALOG, element_id, Decimal(quantity), price_field_id)


def rules(**changes: Any) -> Rules:
    """Approved invoices on account 200, net, due in 14 days."""
    return replace(Rules(account_code="200", triggers=frozenset({TRIGGER})), **changes)


def books(**changes: Any) -> Books:
    """Acme Trading (NZ): NZD, USD and EUR; 200 Sales with OUTPUT2 at 15 %; 299 archived; 090 the bank."""
    accounts = (
        Account("200", "Sales", is_active=True, kind="REVENUE", tax_type="OUTPUT2"),
        Account("260", "Other revenue", is_active=True, kind="REVENUE", tax_type="NONE"),
        Account("299", "Old sales", is_active=False, kind="REVENUE", tax_type="OUTPUT2"),
        Account("090", "Bank", is_active=True, kind="BANK", tax_type=""),
    )
    rates = (
        TaxRate("OUTPUT2", "15% GST on Income", Decimal(15), is_active=True, for_revenue=True),
        TaxRate("NONE", "No GST", Decimal(0), is_active=True, for_revenue=True),
        TaxRate("ZERORATED", "Zero rated", Decimal(0), is_active=True, for_revenue=True),
        TaxRate("INPUT2", "15% GST on Expenses", Decimal(15), is_active=True, for_revenue=False),
        TaxRate("OLD", "Old rate", Decimal(12), is_active=False, for_revenue=True),
    )
    usual = Books(
        base_currency="NZD",
        currencies=frozenset({"NZD", "USD", "EUR"}),
        accounts={account.code: account for account in accounts},
        tax_rates={rate.tax_type: rate for rate in rates},
        timezone="Pacific/Auckland",
    )
    return replace(usual, **changes)


def line_draft(quantity: str, unit_amount: str, **changes: Any) -> LineDraft:
    """A line on account 200 at 15 %."""
    return replace(LineDraft("Website", Decimal(quantity), Decimal(unit_amount), "200", "OUTPUT2"), **changes)


def invoice_draft(*lines: LineDraft, **changes: Any) -> InvoiceDraft:
    """An approved invoice of these lines for Acme Ltd."""
    usual = InvoiceDraft(
        contact=CONTACT_ID,
        issued_on=ENTERED_ON,
        due_on=DUE_ON,
        currency="NZD",
        status="AUTHORISED",
        line_amounts="Exclusive",
        lines=lines,
        reference="Deal 7",
        url=DEAL_URL,
    )
    return replace(usual, **changes)


def invoice(**changes: Any) -> Invoice:
    """INV-0042 over 115.00 NZD for Acme Ltd, raised by hand, approved, not paid."""
    usual = Invoice(
        id=INVOICE_ID,
        kind="ACCREC",
        status=InvoiceStatus.AUTHORISED,
        number="INV-0042",
        contact_id=CONTACT_ID,
        contact_name="Acme Ltd",
        issued_on=ENTERED_ON,
        due_on=DUE_ON,
        currency="NZD",
        lines=(line("Website", "2", "50.00", "100.00"),),
        subtotal=Decimal("100.00"),
        total_tax=Decimal("15.00"),
        total=Decimal("115.00"),
        amount_due=Decimal("115.00"),
    )
    return replace(usual, **changes)


def line(description: str, quantity: str, unit_amount: str, line_amount: str, **changes: Any) -> Line:
    """A line of an invoice as Xero holds it."""
    usual = Line(description, Decimal(quantity), Decimal(unit_amount), Decimal(line_amount), "200", "OUTPUT2")
    return replace(usual, **changes)


def paid(amount: str, *, credited: str = "0", **changes: Any) -> Invoice:
    """The invoice after payments and credits of these sums."""
    due = invoice().total - Decimal(amount) - Decimal(credited)
    status = InvoiceStatus.AUTHORISED if due else InvoiceStatus.PAID
    sums = {"amount_paid": Decimal(amount), "amount_credited": Decimal(credited), "amount_due": due, "status": status}
    return invoice(**(sums | changes))


def contact(**changes: Any) -> Contact:
    """Acme Ltd in Xero."""
    return replace(Contact(CONTACT_ID, "Acme Ltd", email="billing@acme.example"), **changes)
