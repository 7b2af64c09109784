"""What Xero's answers mean, and invoices in its shapes (xero.md 4, 8). Pure."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from integrations import exact_json
from integrations.answer import Answer
from integrations.errors import Broken, CallError, Missing, RateLimited, Refusal, Rejected, Unauthorised
from integrations.exact_json import Json
from integrations.xero import limits
from integrations.xero.entities import (
    ContactDraft,
    Created,
    Invoice,
    InvoiceDraft,
    InvoiceStatus,
    Line,
    LineDraft,
    Refused,
)
from integrations.xero.notation import amount, calendar_day, instant, number

# Refused for what it is, and not for when it came: sending it again would change nothing (xero.md 8.1).
REFUSED = frozenset({405, 406, 409, 410, 411, 412, 413, 414, 415, 422, 501})
NOBODY = "00000000-0000-0000-0000-000000000000"

# Nothing is due on these, but Xero's answer to the voiding itself still shows the total (xero.md 4.7).
DEAD = frozenset({InvoiceStatus.VOIDED, InvoiceStatus.DELETED})


def meaning(answer: Answer) -> CallError | None:
    """Why this answer is an error, or None (xero.md 8.1). No body can be assumed to be JSON, or to be there."""
    vendor, call, status = answer.vendor, answer.call, answer.status
    if status < 300:
        return None
    detail = _detail(answer)
    if refusal := _refusal(answer, detail):
        return Unauthorised(vendor, call, detail, reason=refusal, status=status)
    if status == 404:
        return Missing(vendor, call, detail, status=status)
    if status == 429:
        problem = limits.kind(answer) or "unnamed limit"
        return RateLimited(vendor, call, problem, retry_after=limits.retry_after(answer), status=status)
    if status in REFUSED or (status == 400 and answer.is_json):
        return rejection(answer)
    return Broken(vendor, call, detail, status=status)


def _refusal(answer: Answer, detail: str) -> Refusal | None:
    """A missing scope is a 401 like a token that has run out, and a lost organisation a 403 (xero.md 8.2, 8.3)."""
    if answer.status == 403 and answer.is_json:
        return Refusal.DISCONNECTED
    if answer.status != 401:
        return None
    challenge = answer.headers.get("WWW-Authenticate", "").lower()
    unscoped = detail.startswith("AuthorizationUnsuccessful") or "insufficent_scope" in challenge
    # The usual spelling too, should Xero ever mend its own.
    return Refusal.SCOPE if unscoped or "insufficient_scope" in challenge else Refusal.EXPIRED


def rejection(answer: Answer) -> Rejected:
    """What Xero said of each element that it refused; of the whole request where it names none."""
    said = answer.said()
    elements = _get(said, "Elements") or []
    found = [(index, message) for index, element in enumerate(elements) for message in faults(element)]
    return Rejected(
        answer.vendor,
        answer.call,
        messages=tuple(message for _, message in found) or (_detail(answer),),
        elements=tuple(index for index, _ in found) or (None,),
        status=answer.status,
    )


def faults(said: Any) -> list[str]:
    """Every validation error anywhere in an element: of the invoice, its lines, its contact (xero.md 8.4), each once."""
    return list(dict.fromkeys(_said_under("validationerrors", said)))


def warnings(said: Any) -> list[str]:
    """Every warning anywhere in an element, each once."""
    return list(dict.fromkeys(_said_under("warnings", said)))


def _said_under(key: str, said: Any) -> Iterator[str]:
    if isinstance(said, Mapping):
        for name, member in said.items():
            if name.lower() == key:
                yield from _messages(member)
            else:
                yield from _said_under(key, member)
    elif isinstance(said, list):
        for member in said:
            yield from _said_under(key, member)


def _messages(said: Any) -> Iterator[str]:
    """`Message`, and in one of the documented samples `Description` (xero.md 4.6)."""
    for entry in said if isinstance(said, list) else [said]:
        if text := str(_get(entry, "Message") or _get(entry, "Description") or "").strip():
            yield text


def _detail(answer: Answer) -> str:
    said = answer.said()
    if isinstance(said, Mapping):
        return str(_get(said, "Detail") or _get(said, "Message") or _get(said, "Title") or "")
    if answer.media_type == "text/plain":
        return answer.content[:200].decode(errors="replace").strip()
    return answer.media_type or "no body"


def _get(said: Any, name: str) -> Any:
    """A member whatever its case: Xero's errors have been seen both ways (xero.md 8.2)."""
    if not isinstance(said, Mapping):
        return None
    return next((value for key, value in said.items() if key.lower() == name.lower()), None)


def parse_invoice(said: Any) -> Invoice:
    """An invoice; lists without `page` leave its lines out (xero.md 4.5)."""
    status = InvoiceStatus(said["Status"])
    contact = said.get("Contact") or {}
    return Invoice(
        id=str(said["InvoiceID"]).lower(),
        kind=str(said["Type"]),
        status=status,
        number=str(said.get("InvoiceNumber") or ""),
        reference=str(said.get("Reference") or ""),
        url=str(said.get("Url") or ""),
        contact_id=str(contact.get("ContactID") or "").lower(),
        contact_name=str(contact.get("Name") or ""),
        issued_on=calendar_day(said.get("Date") or said.get("DateString")),
        due_on=calendar_day(said.get("DueDate") or said.get("DueDateString")),
        currency=str(said.get("CurrencyCode") or ""),
        line_amounts=str(said.get("LineAmountTypes") or "Exclusive"),
        lines=tuple(_line(line) for line in said.get("LineItems") or ()),
        subtotal=amount(said.get("SubTotal")),
        total_tax=amount(said.get("TotalTax")),
        total=amount(said.get("Total")),
        amount_due=Decimal(0) if status in DEAD else amount(said.get("AmountDue")),
        amount_paid=amount(said.get("AmountPaid")),
        amount_credited=amount(said.get("AmountCredited")),
        updated_at=instant(said.get("UpdatedDateUTC")),
    )


def _line(said: Any) -> Line:
    return Line(
        description=str(said.get("Description") or ""),
        quantity=number(said.get("Quantity")),
        unit_amount=number(said.get("UnitAmount")),
        line_amount=number(said.get("LineAmount")),
        account_code=str(said.get("AccountCode") or ""),
        tax_type=str(said.get("TaxType") or ""),
        tax_amount=number(said.get("TaxAmount")),
        discount_rate=number(said.get("DiscountRate")),
        discount_amount=number(said.get("DiscountAmount")),
        item_code=str(said.get("ItemCode") or ""),
    )


def parse_results(said: Any, *, sent: int) -> list[Created | Refused]:
    """What became of each element of a batch, in its order; ValueError where they are not as many as were sent."""
    elements = said["Invoices"]
    if len(elements) != sent:
        raise ValueError(f"{len(elements)} answers to {sent} invoices")
    return [parse_result(element) for element in elements]


def parse_result(element: Any) -> Created | Refused:
    """Made, or refused: by its own word and by its id, which is all zeros where nothing was made (xero.md 4.6).

    A refused element echoes what was asked, status and all, so nothing else in it is believed. A warning means made.
    """
    identity = str(element.get("InvoiceID") or NOBODY)
    said = str(element.get("StatusAttributeString") or "").upper()
    if said == "ERROR" or element.get("HasErrors") is True or identity == NOBODY:
        return Refused(tuple(faults(element)) or ("Xero refused the invoice and did not say why",))
    return Created(parse_invoice(element), tuple(warnings(element)))


def invoice_body(drafts: Sequence[InvoiceDraft]) -> bytes:
    """The exact bytes of a create: a repeat sends these and no others."""
    return exact_json.write({"Invoices": [_draft(draft) for draft in drafts]})


def count_invoices(body: bytes) -> int:
    """How many invoices such bytes ask for."""
    return len(exact_json.read(body)["Invoices"])


def new_contacts(body: bytes) -> list[tuple[str, str]]:
    """Name and number of each contact that such bytes have made."""
    contacts = [invoice["Contact"] for invoice in exact_json.read(body)["Invoices"]]
    return [(str(one["Name"]), str(one.get("ContactNumber", ""))) for one in contacts if "Name" in one]


def _draft(draft: InvoiceDraft) -> Json:
    return _filled(
        {
            "Type": "ACCREC",
            "Contact": _contact(draft.contact),
            "Date": draft.issued_on.isoformat(),
            "DueDate": draft.due_on.isoformat() if draft.due_on else None,
            "LineAmountTypes": draft.line_amounts,
            "InvoiceNumber": draft.number,
            "Reference": draft.reference,
            "Url": draft.url,
            "CurrencyCode": draft.currency,
            "Status": draft.status,
            "LineItems": [_line_draft(line) for line in draft.lines],
        }
    )


def _line_draft(line: LineDraft) -> Json:
    return _filled(
        {
            "Description": line.description,
            "Quantity": line.quantity,
            "UnitAmount": line.unit_amount,
            "AccountCode": line.account_code,
            "TaxType": line.tax_type,
            "ItemCode": line.item_code,
            "DiscountRate": line.discount_rate,
            "DiscountAmount": line.discount_amount,
        }
    )


def _contact(contact: str | ContactDraft) -> Json:
    """Of a contact that exists only its id: anything more would edit it (xero.md 6.5)."""
    if isinstance(contact, str):
        return {"ContactID": contact}
    address = _filled(
        {
            "AddressLine1": contact.address_line1[:500],
            "AddressLine2": contact.address_line2[:500],
            "City": contact.city[:255],
            "Region": contact.region[:255],
            "PostalCode": contact.postal_code[:50],
            "Country": _letters(contact.country)[:50],
        }
    )
    return _filled(
        {
            "ContactNumber": contact.number,
            "Name": contact.name,
            "FirstName": contact.first_name[:255],
            "LastName": contact.last_name[:255],
            "EmailAddress": contact.email,
            "Phones": [{"PhoneType": "DEFAULT", "PhoneNumber": contact.phone[:50]}] if contact.phone else None,
            "Addresses": [{"AddressType": kind, **address} for kind in ("STREET", "POBOX")] if address else None,
        }
    )


def _letters(country: str) -> str:
    """Xero takes letters only for a country (xero.md 6.2)."""
    return country if all(letter.isalpha() or letter == " " for letter in country) else ""


def _filled(members: Mapping[str, Json]) -> dict[str, Json]:
    """Without what is empty: what is left out takes Xero's default."""
    return {name: value for name, value in members.items() if value is not None and value != ""}
