"""What the organisations hold, for tests to read: names in lower case, amounts as text with their digits, dates in ISO form."""

from decimal import Decimal
from typing import Any

from sandbox.xero.arithmetic import ZERO
from sandbox.xero.organisation import Organisation
from sandbox.xero.records import Contact, Invoice, Line, Payment
from sandbox.xero.state import State
from sandbox.xero.tokens import App, Connection


def read_books(state: State) -> dict[str, Any]:
    """Of all organisations together; each record names its `tenant_id`. `complaints` counts what a client should not do."""
    with state.lock:
        found = list(state.organisations.values())
        return {
            "organisations": [{"tenant_id": held.profile.id, "name": held.profile.name} for held in found],
            "invoices": [invoice(held, each) for held in found for each in held.invoices],
            "credit_notes": [invoice(held, each) for held in found for each in held.credit_notes],
            "contacts": [contact(held, each) for held in found for each in held.contacts],
            "payments": [payment(each) for held in found for each in held.payments],
            "complaints": dict(state.complaints),
            "limits": state.limiter.shown(),
            "refused_by_limits": dict(state.limiter.refused),
            "tokens_issued": state.tokens.issued,
            "token_requests": [each.shown() for each in state.grants.requests],
            "refresh_tokens": state.grants.shown(),
            "connections": [connection(app, each) for app in state.apps.values() for each in app.connections.values()],
        }


def connection(app: App, record: Connection) -> dict[str, Any]:
    return {
        "id": record.id,
        "client_id": app.client_id,
        "tenant_id": record.tenant_id,
        "user_id": record.user_id,
        "auth_event_id": record.event_id,
        "scopes": sorted(record.scopes),
    }


def invoice(held: Organisation, record: Invoice) -> dict[str, Any]:
    owner = held.contacts.get(record.contact_id)
    return {
        "tenant_id": held.profile.id,
        "id": record.id,
        "type": record.kind,
        "number": record.number,
        "status": record.status,
        "reference": record.reference,
        "url": record.url,
        "contact": {"id": record.contact_id, "name": owner.name if owner else ""},
        "date": record.issued_on.isoformat(),
        "due_date": record.due_on.isoformat() if record.due_on else None,
        "currency": record.currency,
        "line_amounts": record.line_amounts,
        "lines": [line(each) for each in record.lines],
        "subtotal": money(record.subtotal),
        "total_tax": money(record.total_tax),
        "total": money(record.total),
        "amount_due": money(ZERO if record.is_dead else record.outstanding),
        "amount_paid": money(record.amount_paid),
        "amount_credited": money(record.amount_credited),
        "fully_paid_on": record.fully_paid_on.isoformat() if record.fully_paid_on else None,
        "payments": [payment(each) for each in held.payments.standing(record.id)],
        "created_by_app": record.created_by is not None,
        "client": record.created_by,
        "version": record.version,
        "history": [each.details for each in record.history],
        "attachments": [each.name for each in record.attachments],
        "updated_at": record.updated_at.isoformat(),
    }


def line(record: Line) -> dict[str, Any]:
    return {
        "description": record.description,
        "quantity": money(record.quantity),
        "unit_amount": money(record.unit_amount),
        "line_amount": money(record.line_amount),
        "tax_amount": money(record.tax_amount),
        "tax_type": record.tax_type,
        "account_code": record.account_code,
        "item_code": record.item_code,
        "discount_rate": money(record.discount_rate),
        "discount_amount": money(record.discount_amount),
    }


def contact(held: Organisation, record: Contact) -> dict[str, Any]:
    return {
        "tenant_id": held.profile.id,
        "id": record.id,
        "name": record.name,
        "number": record.number,
        "account_number": record.account_number,
        "status": record.status,
        "email": record.email,
        "first_name": record.first_name,
        "last_name": record.last_name,
        "tax_number": record.tax_number,
        "phones": {kind: f"{each.country} {each.area} {each.number}".strip() for kind, each in record.phones},
        "addresses": {
            kind: {
                **dict(each.rest),
                "city": each.city,
                "region": each.region,
                "postal_code": each.postal_code,
                "country": each.country,
            }
            for kind, each in record.addresses
        },
        "is_customer": record.is_customer,
        "merged_to": record.merged_to,
        "created_by_app": record.created_by is not None,
        "updated_at": record.updated_at.isoformat(),
    }


def payment(record: Payment) -> dict[str, Any]:
    return {
        "id": record.id,
        "invoice_id": record.invoice_id,
        "amount": money(record.amount),
        "date": record.paid_on.isoformat(),
        "reference": record.reference,
        "status": record.status,
    }


def money(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")
