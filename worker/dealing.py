"""What becomes of an invoice that was raised by hand in Xero: a deal, with its client and a note. Pure."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from integrations.kommo.entities import ClientDraft, LeadDraft, Value
from integrations.xero.entities import Contact, Invoice, InvoiceStatus, Line
from worker import statuses
from worker.clients import XERO_CONTACT_ID, same_name
from worker.invoicing import Rules
from worker.standing import StageRef
from worker.wording import cents, cut, day, money, number, plain

_APPROVED = frozenset({InvoiceStatus.AUTHORISED, InvoiceStatus.PAID})
_UNAPPROVED = frozenset({InvoiceStatus.DRAFT, InvoiceStatus.SUBMITTED})

DEAL_NAME_LENGTH = 250
# A note is read, not audited: the PDF beside it has every line.
LINES_IN_NOTE = 50
LINE_IN_NOTE = 120


@dataclass(frozen=True, slots=True)
class ClientDrafts:
    """The Kommo clients that a Xero contact makes: a person, a company or both, never neither."""

    person: ClientDraft | None = None
    company: ClientDraft | None = None


def wants_deal(invoice: Invoice, *, since: date, drafts: bool) -> bool:
    """Whether an invoice that is not ours becomes a deal: a sale, dated on or after `since`, approved unless `drafts`."""
    if not invoice.is_sale or invoice.issued_on is None or invoice.issued_on < since:
        return False
    return invoice.status in _APPROVED or (drafts and invoice.status in _UNAPPROVED)


def deal_draft(
    invoice: Invoice,
    *,
    rules: Rules,
    stage: StageRef,
    contact_id: int | None,
    company_id: int | None,
    page_url: str,
    today: date,
) -> LeadDraft:
    """The deal, with every field in the request that makes it: its XERO_INVOICE_ID is how it is found again."""
    shown = statuses.label(invoice, today)
    fields = statuses.fields(invoice, today=today, page_url=page_url)
    fields["XERO_SYNC_MESSAGE"] = statuses.message(invoice, shown)
    if rules.currency_field is not None and invoice.currency:
        fields[rules.currency_field] = invoice.currency
    pipeline_id, status_id = stage
    return LeadDraft(
        name=deal_name(invoice),
        price=deal_price(invoice, rules),
        pipeline_id=pipeline_id,
        status_id=status_id,
        contact_id=contact_id,
        company_id=company_id,
        fields=fields,
    )


def deal_name(invoice: Invoice) -> str:
    """The invoice's number and client: "INV-0042 Acme Ltd"."""
    named = plain(f"{invoice.number or invoice.reference} {invoice.contact_name}")
    return cut(named or "Invoice from Xero", DEAL_NAME_LENGTH)


def deal_price(invoice: Invoice, rules: Rules) -> Decimal:
    """The invoice's total, or its subtotal where the connection wants deals net."""
    return cents(invoice.subtotal if rules.deal_amount == "net" else invoice.total)


def note_lines(invoice: Invoice, *, kommo_currency: str) -> str:
    """The note on the deal: the invoice's lines and totals, and its currency where the Kommo account has another."""
    head = f"{statuses.title(invoice)} was raised in Xero"
    head += f" on {day(invoice.issued_on)}" if invoice.issued_on else ""
    head += f" for {plain(invoice.contact_name)}" if plain(invoice.contact_name) else ""
    written = [f"{head}.", *(_listed(line) for line in invoice.lines[:LINES_IN_NOTE])]
    if len(invoice.lines) > LINES_IN_NOTE:
        written.append(f"… and {len(invoice.lines) - LINES_IN_NOTE} more lines.")
    written.append(
        f"Net {money(invoice.subtotal, '')}, tax {money(invoice.total_tax, '')}, total {money(invoice.total, invoice.currency)}."
    )
    if invoice.currency != kommo_currency:
        written.append(
            f"The invoice is in {invoice.currency}; prices of deals are shown in {kommo_currency}, not converted."
        )
    return "\n".join(written)


def client_drafts(contact: Contact) -> ClientDrafts:
    """The clients to be made for a Xero contact, each with the contact's id as a mark.

    Without a first or last name it is a company. With one it is a person, and a company too where the contact is called
    otherwise than the person. E-mail and phone go to the person, if there is one: they are the primary person's in Xero.
    """
    person_name = plain(f"{contact.first_name} {contact.last_name}")
    mark: dict[int | str, Value] = {XERO_CONTACT_ID: contact.id}
    name = plain(contact.name)
    reachable = ClientDraft(name=person_name or name, email=contact.email, phone=contact.phone, fields=mark)
    if not person_name:
        return ClientDrafts(company=reachable)
    if not name or same_name(name, person_name):
        return ClientDrafts(person=reachable)
    return ClientDrafts(person=reachable, company=ClientDraft(name=name, fields=mark))


def _listed(line: Line) -> str:
    text = cut(plain(line.description), LINE_IN_NOTE)
    if line.line_amount is None:
        return f"- {text}"
    amount = money(line.line_amount, "")
    if line.quantity is None or line.unit_amount is None:
        return f"- {text}: {amount}"
    return f"- {text}: {number(line.quantity)} x {_unit(line.unit_amount)} = {amount}{_discount(line)}"


def _unit(amount: Decimal) -> str:
    return number(amount) if amount != cents(amount) else money(amount, "")


def _discount(line: Line) -> str:
    if line.discount_rate:
        return f" ({number(line.discount_rate)} % off)"
    return f" ({money(line.discount_amount, '')} off)" if line.discount_amount else ""
