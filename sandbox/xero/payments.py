"""Payments and credit notes: what turns an invoice PAID and back (xero.md 5.6, 5.7)."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.xero.act import Act, lock_errors, new_id
from sandbox.xero.arithmetic import ZERO, round_half_up
from sandbox.xero.records import Account, Allocation, Invoice, Payment
from sandbox.xero.wire import Asked

TOO_MUCH = "Payment amount exceeds the amount outstanding on this document"
NOT_AUTHORISED = "Payments can only be made against Authorised documents"
NOT_MODIFIABLE = "Payment not of valid status for modification"
NO_NOTE = "An existing Credit Note with the specified CreditNoteID could not be found"
NO_INVOICE = "An existing Invoice with the specified InvoiceID could not be found"


@dataclass(frozen=True, slots=True)
class Paid:
    """What became of a payment that was asked for."""

    payment: Payment | None = None
    errors: tuple[str, ...] = ()


def pay(act: Act, asked: Asked) -> Paid:
    """PUT /Payments, one element."""
    part = asked.part("invoice") or Asked({})
    invoice = find_invoice(act, part)
    account_part = asked.part("account") or Asked({})
    account = act.held.account(account_part.uuid("accountid") or account_part.text("code") or "")
    amount, day = asked.number("amount"), asked.day("date") or act.today
    amount = None if amount is None else round_half_up(amount)
    if invoice is None:
        return Paid(errors=(NO_INVOICE,))
    errors = _faults(act, invoice, account, amount, day)
    if errors or account is None or amount is None:
        return Paid(errors=tuple(errors))
    reference = asked.text("reference") or ""
    return Paid(settle(act, invoice, account=account, amount=amount, day=day, reference=reference))


def _faults(act: Act, invoice: Invoice, account: Account | None, amount: Decimal | None, day: date) -> list[str]:
    errors = lock_errors(act, day)
    if account is None or not account.can_be_paid_into or account.status != "ACTIVE":
        errors.append("Account must be valid.")
    if invoice.status != "AUTHORISED":
        errors.append(NOT_AUTHORISED)
    elif amount is None or amount <= 0:
        errors.append("Payment amount must be greater than zero")
    elif amount > invoice.outstanding:
        errors.append(TOO_MUCH)
    return errors


def settle(act: Act, invoice: Invoice, *, account: Account, amount: Decimal, day: date, reference: str = "") -> Payment:
    """Books a payment that was judged good; the invoice is PAID once nothing is due."""
    payment = Payment(
        id=new_id(),
        invoice_id=invoice.id,
        account_id=account.id,
        paid_on=day,
        amount=amount,
        updated_at=act.now,
        reference=reference,
        rate=invoice.rate,
        created_by=act.client,
    )
    act.held.payments.put(payment)
    _change(act, invoice, day, amount_paid=invoice.amount_paid + amount)
    return payment


def unpay(act: Act, payment: Payment) -> Paid:
    """Deletes a payment: the invoice is AUTHORISED again."""
    if payment.status != "AUTHORISED":
        return Paid(payment, (NOT_MODIFIABLE,))
    payment = replace(payment, status="DELETED", updated_at=act.now)
    act.held.payments.put(payment)
    invoice = act.held.invoices.get(payment.invoice_id)
    assert invoice is not None
    _change(act, invoice, act.today, amount_paid=invoice.amount_paid - payment.amount)
    return Paid(payment)


def _change(act: Act, invoice: Invoice, day: date, **amounts: Decimal) -> Invoice:
    """Puts amounts, and with them the status: PAID at nothing due, AUTHORISED else (xero.md 4.7)."""
    changes: dict[str, Any] = dict(amounts)
    changed = replace(invoice, **changes, updated_at=act.now, version=invoice.version + 1)
    is_paid = changed.outstanding == ZERO
    changed = replace(changed, status="PAID" if is_paid else "AUTHORISED", fully_paid_on=day if is_paid else None)
    act.held.invoices.put(changed)
    act.tell("INVOICE", "UPDATE", invoice.id)
    return changed


def find_invoice(act: Act, asked: Asked) -> Invoice | None:
    """By id, else by number."""
    invoice_id = asked.uuid("invoiceid")
    if invoice_id:
        return act.held.invoices.get(invoice_id)
    return next(iter(act.held.invoices.numbered(asked.text("invoicenumber") or "")), None)


# --- credit notes --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Allocated:
    allocation: Allocation | None = None
    errors: tuple[str, ...] = ()


def allocate(act: Act, note: Invoice, asked: Asked) -> Allocated:
    """PUT /CreditNotes/{id}/Allocations, one element: uses a part of the note on an invoice."""
    invoice = find_invoice(act, asked.part("invoice") or Asked({}))
    amount = asked.number("amount")
    if invoice is None:
        return Allocated(errors=(NO_INVOICE,))
    errors = []
    if note.status != "AUTHORISED" or invoice.status != "AUTHORISED":
        errors.append("Credit can only be allocated between Authorised documents")
    if note.contact_id != invoice.contact_id or note.currency != invoice.currency:
        errors.append("Credit can only be allocated to documents of the same contact and currency")
    if amount is None or amount <= 0 or amount > min(note.outstanding, invoice.outstanding):
        errors.append("Allocation amount exceeds the amount outstanding on this document")
    if errors or amount is None:
        return Allocated(errors=tuple(errors))
    return Allocated(use(act, note, invoice, amount=round_half_up(amount), day=asked.day("date") or act.today))


def use(act: Act, note: Invoice, invoice: Invoice, *, amount: Decimal, day: date) -> Allocation:
    """Books an allocation that was judged good: the invoice may be PAID with nothing paid."""
    allocation = Allocation(id=new_id(), credit_note_id=note.id, invoice_id=invoice.id, amount=amount, made_on=day)
    act.held.allocate(allocation)
    _spend(act, note, amount)
    _change(act, invoice, day, amount_credited=invoice.amount_credited + amount)
    return allocation


def take_back(act: Act, allocation: Allocation) -> None:
    """Undoes an allocation."""
    note, invoice = act.held.credit_notes.get(allocation.credit_note_id), act.held.invoices.get(allocation.invoice_id)
    assert note is not None
    assert invoice is not None
    act.held.take_back(allocation.id)
    _spend(act, note, -allocation.amount)
    _change(act, invoice, act.today, amount_credited=invoice.amount_credited - allocation.amount)


def _spend(act: Act, note: Invoice, amount: Decimal) -> None:
    used = note.amount_credited + amount
    is_used_up = used == note.total
    act.held.credit_notes.put(
        replace(
            note,
            amount_credited=used,
            status="PAID" if is_used_up else "AUTHORISED",
            fully_paid_on=act.today if is_used_up else None,
            updated_at=act.now,
            version=note.version + 1,
        )
    )
    act.tell("CREDITNOTE", "UPDATE", note.id)
