"""GET of many: filters, `where`, order, pages, If-Modified-Since; an index answers wherever one can (xero.md 4.10, 6.1)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sandbox.xero import where
from sandbox.xero.answers import Call, page_of
from sandbox.xero.arithmetic import ZERO
from sandbox.xero.folding import fold
from sandbox.xero.organisation import Contacts, Invoices, Kept, Organisation, Register
from sandbox.xero.records import Contact, Invoice, Payment
from sandbox.xero.shapes import Shape

Record = TypeVar("Record", bound=Kept)
LARGEST_PAGE, USUAL_PAGE = 1000, 100


@dataclass(frozen=True, slots=True)
class Found:
    """What a listing shows, and its pagination where it is paged."""

    records: list[Any]
    pagination: Shape | None

    @property
    def is_paged(self) -> bool:
        return self.pagination is not None


def invoices(call: Call, register: Invoices) -> Found:
    """GET /Invoices, and GET /CreditNotes in its manner."""
    tree = _tree(call, invoice_fields(call.held))
    records: Iterable[Invoice] = _begin_invoices(call, register, tree)
    statuses = call.listed("statuses")
    wanted = {
        "statuses": set(statuses or ()),
        "ids": {part.lower() for part in call.listed("ids") or ()},
        "numbers": {fold(part) for part in call.listed("invoicenumbers") or ()},
        "contacts": {part.lower() for part in call.listed("contactids") or ()},
    }
    term, by_app = fold(call.query.get("searchterm", "")), call.flag("createdbymyapp")

    def fits(record: Invoice) -> bool:
        return (
            (not wanted["statuses"] or record.status in wanted["statuses"])
            and (not wanted["ids"] or record.id in wanted["ids"])
            and (not wanted["numbers"] or fold(record.number) in wanted["numbers"])
            and (not wanted["contacts"] or record.contact_id in wanted["contacts"])
            and (not by_app or record.created_by == call.client)
            and (not term or term in fold(record.number) or term in fold(record.reference))
        )

    forces_paging = bool(statuses) or call.flag("summaryonly")
    return _finish(call, filter(fits, records), tree, invoice_fields(call.held), forces_paging=forces_paging)


def _begin_invoices(call: Call, register: Invoices, tree: where.Node | None) -> Iterable[Invoice]:
    """The smallest set that an index gives; the filters do the rest."""
    if (ids := call.listed("ids")) is not None:
        return register.many(dict.fromkeys(part.lower() for part in ids))
    if (numbers := call.listed("invoicenumbers")) is not None:
        return register.many(found for part in numbers for found in register.by_number.ids(fold(part)))
    pinned = dict(where.equals(tree)) if tree else {}
    for field, index in (("invoicenumber", register.by_number), ("reference", register.by_reference)):
        if isinstance(text := pinned.get(field), str):
            return register.many(index.ids(fold(text)))
    if isinstance(one := pinned.get("invoiceid"), UUID):
        return register.many([str(one)])
    if isinstance(one := pinned.get("contact.contactid"), UUID):
        return register.many(register.by_contact.ids(str(one)))
    for field, index in (
        ("contact.name", call.held.contacts.by_name),
        ("contact.contactnumber", call.held.contacts.by_number),
    ):
        if isinstance(text := pinned.get(field), str):
            owners = index.ids(fold(text))
            return register.many(found for owner in owners for found in register.by_contact.ids(owner))
    if (contacts := call.listed("contactids")) is not None:
        return register.many(found for part in contacts for found in register.by_contact.ids(part.lower()))
    if call.since is not None:
        return register.changed_since(call.since)
    return register.many(register.by_app.ids(call.client)) if call.flag("createdbymyapp") else list(register)


def contacts(call: Call, register: Contacts) -> Found:
    """GET /Contacts; the archived only where they are asked for."""
    fields = contact_fields()
    tree = _tree(call, fields)
    ids = {part.lower() for part in call.listed("ids") or ()}
    term, with_archived = fold(call.query.get("searchterm", "")), call.flag("includearchived")

    def fits(record: Contact) -> bool:
        texts = (record.name, record.first_name, record.last_name, record.number, record.company_number, record.email)
        return (
            (with_archived or record.status == "ACTIVE")
            and (not ids or record.id in ids)
            and (not term or any(term in fold(text) for text in texts))
        )

    records = _begin_contacts(call, register, tree, ids)
    return _finish(call, filter(fits, records), tree, fields, forces_paging=call.flag("summaryonly"))


def _begin_contacts(call: Call, register: Contacts, tree: where.Node | None, ids: set[str]) -> Iterable[Contact]:
    if ids:
        return register.many(sorted(ids))
    pinned = dict(where.equals(tree)) if tree else {}
    indexes = {
        "name": register.by_name,
        "emailaddress": register.by_email,
        "accountnumber": register.by_account,
        "contactnumber": register.by_number,
    }
    for field, index in indexes.items():
        if isinstance(text := pinned.get(field), str):
            return register.many(index.ids(fold(text)))
    if isinstance(one := pinned.get("contactid"), UUID):
        return register.many([str(one)])
    return register.changed_since(call.since) if call.since is not None else list(register)


def payments(call: Call, register: Register[Payment]) -> Found:
    fields = payment_fields(call.held)
    records = register.changed_since(call.since) if call.since is not None else list(register)
    return _finish(call, records, _tree(call, fields), fields)


def _tree(call: Call, fields: where.Fields) -> where.Node | None:
    text = call.query.get("where", "").strip()
    return where.parse(text, fields) if text else None


def _finish(
    call: Call,
    records: Iterable[Record],
    tree: where.Node | None,
    fields: where.Fields,
    *,
    forces_paging: bool = False,
) -> Found:
    """What is left of the filters, the order, and the page."""
    since, null_fails = call.since, bool(call.state.switches["where_null_fails"])
    kept = [
        record
        for record in records
        if (since is None or record.updated_at >= since)
        and (tree is None or where.matches(tree, record, fields, null_fails=null_fails))
    ]
    kept.sort(key=lambda record: (record.updated_at, record.id))
    for field, is_descending in reversed(where.parse_order(call.query.get("order", ""), fields)):
        kept.sort(key=_reader(fields[field]), reverse=is_descending)
    page, size = call.number("page"), call.number("pagesize")
    if page is None and size is None and not forces_paging:
        return Found(kept, None)
    page = max(page or 1, 1)
    size = min(max(size or USUAL_PAGE, 1), LARGEST_PAGE)
    return Found(kept[(page - 1) * size : page * size], page_of(len(kept), page, size))


def _reader(read: Callable[[Any], where.Value]) -> Callable[[Any], Any]:
    return lambda record: where.sort_key(read(record))


def invoice_fields(held: Organisation) -> where.Fields:
    def contact(record: Any) -> Contact | None:
        return held.contacts.get(record.contact_id)

    fields: dict[str, Callable[[Any], where.Value]] = {
        "invoiceid": lambda each: UUID(each.id),
        "invoicenumber": lambda each: each.number or None,
        "creditnoteid": lambda each: UUID(each.id),
        "creditnotenumber": lambda each: each.number or None,
        "type": lambda each: each.kind,
        "status": lambda each: each.status,
        "reference": lambda each: each.reference or None,
        "url": lambda each: each.url or None,
        "currencycode": lambda each: each.currency,
        "date": lambda each: each.issued_on,
        "duedate": lambda each: each.due_on,
        "fullypaidondate": lambda each: each.fully_paid_on,
        "updateddateutc": lambda each: each.updated_at,
        "total": lambda each: each.total,
        "subtotal": lambda each: each.subtotal,
        "totaltax": lambda each: each.total_tax,
        "amountdue": lambda each: ZERO if each.is_dead else each.outstanding,
        "amountpaid": lambda each: each.amount_paid,
        "amountcredited": lambda each: each.amount_credited,
        "senttocontact": lambda each: each.sent_to_contact,
        "contact.contactid": lambda each: UUID(each.contact_id),
        "contact.name": lambda each: found.name if (found := contact(each)) else None,
        "contact.contactnumber": lambda each: found.number or None if (found := contact(each)) else None,
    }
    return fields


def contact_fields() -> where.Fields:
    fields: dict[str, Callable[[Any], where.Value]] = {
        "contactid": lambda each: UUID(each.id),
        "contactnumber": lambda each: each.number or None,
        "accountnumber": lambda each: each.account_number or None,
        "contactstatus": lambda each: each.status,
        "name": lambda each: each.name,
        "firstname": lambda each: each.first_name or None,
        "lastname": lambda each: each.last_name or None,
        "emailaddress": lambda each: each.email or None,
        "taxnumber": lambda each: each.tax_number or None,
        "companynumber": lambda each: each.company_number or None,
        "iscustomer": lambda each: each.is_customer,
        "issupplier": lambda each: each.is_supplier,
        "updateddateutc": lambda each: each.updated_at,
    }
    return fields


def payment_fields(held: Organisation) -> where.Fields:
    fields: dict[str, Callable[[Any], where.Value]] = {
        "paymentid": lambda each: UUID(each.id),
        "status": lambda each: each.status,
        "date": lambda each: each.paid_on,
        "amount": lambda each: each.amount,
        "reference": lambda each: each.reference or None,
        "updateddateutc": lambda each: each.updated_at,
        "invoice.invoiceid": lambda each: UUID(each.invoice_id),
        "paymenttype": lambda each: (
            "ACCRECPAYMENT"
            if (owner := held.invoices.get(each.invoice_id)) and owner.kind == "ACCREC"
            else "ACCPAYPAYMENT"
        ),
    }
    return fields
