"""What a deal shows of its invoice: label, fields, one plain line; and what of it has changed. Pure."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum

from integrations.kommo.entities import FileRef, Value
from integrations.xero.entities import ZERO, Invoice, InvoiceStatus, Line
from worker.wording import NAME_IN_SENTENCE, cents, cut, day, money, number

Shown = str | bool | None
Snapshot = Mapping[str, Shown]  # safe for JSON: what was last written, as text


class Label(StrEnum):
    """The options of the deal's status field, which `setup` makes."""

    DRAFT = "Draft"
    SUBMITTED = "Submitted"
    AWAITING_PAYMENT = "Awaiting payment"
    PARTLY_PAID = "Partly paid"
    PAID = "Paid"
    CREDITED = "Credited"
    OVERDUE = "Overdue"
    VOIDED = "Voided"
    DELETED = "Deleted"
    PROBLEM = "Problem"


_FIXED = {
    InvoiceStatus.DRAFT: Label.DRAFT,
    InvoiceStatus.SUBMITTED: Label.SUBMITTED,
    InvoiceStatus.VOIDED: Label.VOIDED,
    InvoiceStatus.DELETED: Label.DELETED,
}
_DEAD = frozenset({InvoiceStatus.VOIDED, InvoiceStatus.DELETED})


def amount_due(invoice: Invoice) -> Decimal:
    """What the client still owes: nothing on a voided or deleted invoice, whatever the answer says (xero.md 4.7)."""
    return ZERO if invoice.status in _DEAD else invoice.amount_due


def label(invoice: Invoice, today: date) -> Label:
    """The label for the deal; `today` is the organisation's day, since a due date passes there (xero.md 4.7)."""
    if invoice.status in _FIXED:
        return _FIXED[invoice.status]
    if invoice.status is InvoiceStatus.PAID:
        return Label.CREDITED if invoice.amount_paid == ZERO and invoice.total > ZERO else Label.PAID
    if is_overdue(invoice, today):
        return Label.OVERDUE
    return Label.PARTLY_PAID if invoice.amount_due < invoice.total else Label.AWAITING_PAYMENT


def is_overdue(invoice: Invoice, today: date) -> bool:
    """Whether it is approved, still owed and its due date has passed. On the due date itself it is not."""
    is_open = invoice.status is InvoiceStatus.AUTHORISED and invoice.amount_due > ZERO
    return is_open and invoice.due_on is not None and invoice.due_on < today


def fields(invoice: Invoice, *, today: date, page_url: str) -> dict[int | str, Value]:
    """The deal's fields by code, all but the PDF and the message; None clears a field."""
    return {
        "XERO_INVOICE_ID": invoice.id,
        "XERO_INVOICE_NUMBER": invoice.number or None,
        "XERO_INVOICE_STATUS": label(invoice, today).value,
        "XERO_INVOICE_TOTAL": cents(invoice.total),
        "XERO_AMOUNT_DUE": cents(amount_due(invoice)),
        "XERO_CURRENCY": invoice.currency or None,
        "XERO_DUE_DATE": invoice.due_on,
        "XERO_INVOICE_URL": page_url or None,
    }


# What is said of a label where nothing is in part.
_SAID = {
    Label.DRAFT: "{name} over {total} is a draft in Xero.",
    Label.SUBMITTED: "{name} over {total} waits for approval in Xero.",
    Label.AWAITING_PAYMENT: "{name} over {total} awaits payment{by}.",
    Label.PAID: "{name} over {total} is paid in full.",
    Label.CREDITED: "{name} over {total} is settled by credit, without a payment of its own.",
    Label.VOIDED: "{name} over {total} was voided in Xero; nothing is due.",
    Label.DELETED: "{name} over {total} was deleted in Xero; nothing is due.",
    Label.PROBLEM: "{name} over {total} needs a look in Xero.",
}


def message(invoice: Invoice, shown: Label) -> str:
    """One plain line on where the invoice stands: what is paid, what is due, and when. It changes with the invoice, not from day to day."""
    name = title(invoice)
    if shown is Label.OVERDUE:
        return f"{name} is overdue{_since(invoice)}: {_owed(invoice)}."
    if shown is Label.PARTLY_PAID:
        return f"{name}: {_settled(invoice)}, {money(invoice.amount_due, invoice.currency)} is due{_by(invoice)}."
    total = money(invoice.total, invoice.currency)
    if shown is Label.PAID and invoice.amount_credited > ZERO:
        return f"{name} over {total} is settled: {_parts(invoice)}."
    return _SAID[shown].format(name=name, total=total, by=_by(invoice))


def title(invoice: Invoice) -> str:
    """What people call it: "Invoice INV-0042"; a draft may have no number yet."""
    return f"Invoice {cut(invoice.number, NAME_IN_SENTENCE)}" if invoice.number else "The invoice"


def to_snapshot(values: Mapping[int | str, Value]) -> dict[str, Shown]:
    """The fields as text, safe for JSON: kept as the last state that the deal was given."""
    return {str(code): _shown(value) for code, value in values.items()}


def changed(before: Snapshot | None, after: Mapping[int | str, Value]) -> dict[int | str, Value]:
    """Of `after`, what differs from the snapshot; all of it where there is none."""
    if before is None:
        return dict(after)
    return {code: value for code, value in after.items() if before.get(str(code)) != _shown(value)}


def pdf_fingerprint(invoice: Invoice) -> str:
    """Changes when the printed invoice does: number, reference, client, lines, totals, dates, and draft or approved. Not for payments.

    The invoice must have been read with its lines (xero.md 4.5).
    """
    printed = [
        invoice.number,
        invoice.reference,
        invoice.contact_id,
        invoice.contact_name,
        str(invoice.issued_on),
        str(invoice.due_on),
        invoice.currency,
        invoice.line_amounts,
        invoice.status in (InvoiceStatus.DRAFT, InvoiceStatus.SUBMITTED),
        [_printed(line) for line in invoice.lines],
        [number(amount) for amount in (invoice.subtotal, invoice.total_tax, invoice.total)],
    ]
    return hashlib.sha256(json.dumps(printed).encode()).hexdigest()


def _printed(line: Line) -> list[str | None]:
    amounts = (
        line.quantity,
        line.unit_amount,
        line.line_amount,
        line.tax_amount,
        line.discount_rate,
        line.discount_amount,
    )
    return [
        line.description,
        line.item_code,
        line.tax_type,
        *(None if value is None else number(value) for value in amounts),
    ]


def _shown(value: Value) -> Shown:
    match value:
        case Decimal():
            return number(value)
        case FileRef():
            return f"{value.uuid}:{value.version_uuid}"
        case date():
            return value.isoformat()
        case _:
            return value


def _settled(invoice: Invoice) -> str:
    total = money(invoice.total, invoice.currency)
    if invoice.amount_credited > ZERO:
        return f"of {total}, {_parts(invoice)}"
    return f"{money(invoice.amount_paid, invoice.currency)} of {total} is paid"


def _parts(invoice: Invoice) -> str:
    paid = f"{money(invoice.amount_paid, invoice.currency)} was paid and " if invoice.amount_paid > ZERO else ""
    return f"{paid}{money(invoice.amount_credited, invoice.currency)} was credited"


def _owed(invoice: Invoice) -> str:
    due = money(invoice.amount_due, invoice.currency)
    if invoice.amount_due == invoice.total:
        return f"{due} has not been paid"
    return f"{_settled(invoice)}, {due} has not been paid"


def _by(invoice: Invoice) -> str:
    return f" by {day(invoice.due_on)}" if invoice.due_on else ""


def _since(invoice: Invoice) -> str:
    return f" since {day(invoice.due_on)}" if invoice.due_on else ""
