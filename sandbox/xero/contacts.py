"""The rules of contacts: unique names and numbers, matching, the edit that hides in an invoice (xero.md 6)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sandbox.xero.act import Act, new_id
from sandbox.xero.folding import fold
from sandbox.xero.organisation import Contacts
from sandbox.xero.records import ADDRESS_TYPES, NO_ID, PHONE_TYPES, Address, Contact, Person, Phone
from sandbox.xero.wire import Asked

ARCHIVED = "The specified contact details matched an archived contact. Archived contacts cannot currently be edited via the API."
NO_MARK = "The Contact must contain at least 1 of the following elements to identify the contact: Name, ContactID, ContactNumber"
UNKNOWN = "An existing Contact with the specified ContactID could not be found"
EMAIL = re.compile(r"[^@\s\x80-\U0010ffff]+@[^@\s]+\.[^@\s]+")
LIMITS = {
    "name": 255, "number": 50, "account_number": 50, "first_name": 255, "last_name": 255, "company_number": 50,
    "email": 255, "tax_number": 50,
}  # fmt: skip
TEXTS = {
    "contactnumber": "number", "accountnumber": "account_number", "name": "name", "firstname": "first_name",
    "lastname": "last_name", "companynumber": "company_number", "emailaddress": "email", "taxnumber": "tax_number",
    "defaultcurrency": "default_currency",
}  # fmt: skip
ADDRESS_LINES = ("AttentionTo", "AddressLine1", "AddressLine2", "AddressLine3", "AddressLine4")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a write would do to a contact, before it is done. `record` None with errors: nothing to show."""

    record: Contact
    errors: tuple[str, ...] = ()
    is_new: bool = False
    is_edit: bool = False
    is_missing: bool = False


Planning = Callable[[Act, Asked], Plan]


def plan_put(act: Act, asked: Asked) -> Plan:
    """PUT /Contacts: creates, and refuses what is there."""
    record = _filled(_blank(act), asked)
    errors = _faults(record, asked) + _clashes(act.held.contacts, record)
    return Plan(record, tuple(errors), is_new=True)


def plan_post(act: Act, asked: Asked, contact_id: str | None = None) -> Plan:
    """POST /Contacts: edits the one that matches by id, number or name, else creates."""
    contact_id = contact_id or asked.uuid("contactid")
    found = match(act, asked, contact_id)
    if found is None:
        if contact_id:
            return Plan(replace(_filled(_blank(act), asked), id=contact_id), (UNKNOWN,), is_missing=True)
        return plan_put(act, asked)
    return _plan_edit(act, found, asked)


def plan_inline(act: Act, asked: Asked) -> Plan:
    """The contact inside an invoice: the id alone uses it, a name finds or makes it, anything more edits it (xero.md 6.5)."""
    contact_id, number, name = asked.uuid("contactid"), asked.text("contactnumber"), asked.text("name")
    if not contact_id and not number and not name:
        return Plan(_filled(_blank(act), asked), (NO_MARK,))
    found = match(act, asked, contact_id)
    if found is None:
        if contact_id:
            return Plan(replace(_filled(_blank(act), asked), id=contact_id), (UNKNOWN,), is_missing=True)
        return plan_put(act, asked)
    if found.status != "ACTIVE":
        return Plan(found, (ARCHIVED,))
    marks = {"contactid"} if contact_id else {"contactnumber"} if number and found.number == number else {"name"}
    if asked.names <= marks:
        return Plan(found)
    return _plan_edit(act, found, asked, drops_persons=True)


def match(act: Act, asked: Asked, contact_id: str | None) -> Contact | None:
    """By id, else by number, else by name among the active."""
    contacts = act.held.contacts
    if contact_id:
        return contacts.get(contact_id)
    number, name = asked.text("contactnumber"), asked.text("name")
    found = contacts.numbered(number) if number else None
    if found is None and name:
        named = contacts.active_named(name)
        clashes = named is not None and number and act.switches["inline_contact_name"] == "refuse"
        return None if clashes else named
    return found


def keep(act: Act, plan: Plan) -> Contact:
    """Does what was planned, and fires its event."""
    if not plan.is_new and not plan.is_edit:
        return plan.record
    record = replace(plan.record, updated_at=act.now, id=new_id() if plan.is_new else plan.record.id)
    act.held.contacts.put(record)
    act.tell("CONTACT", "CREATE" if plan.is_new else "UPDATE", record.id)
    return record


def mark_used(act: Act, contact_id: str, kind: str) -> None:
    """The first sales document makes a customer, the first bill a supplier; neither is news to webhooks."""
    record = act.held.contacts.get(contact_id)
    if record is None:
        return
    field = "is_supplier" if kind == "ACCPAY" else "is_customer"
    if not getattr(record, field):
        changes: dict[str, Any] = {field: True}
        act.held.contacts.put(replace(record, **changes))


def archive(act: Act, record: Contact, *, merged_to: str = "") -> Contact:
    """By a person: works with open invoices too (xero.md 6.4)."""
    record = replace(record, status="ARCHIVED", merged_to=merged_to, updated_at=act.now)
    act.held.contacts.put(record)
    act.tell("CONTACT", "UPDATE", record.id)
    return record


def merge(act: Act, record: Contact, into: Contact) -> None:
    """By a person: the one is archived and points to the other, which takes over its documents."""
    archive(act, record, merged_to=into.id)
    for register in (act.held.invoices, act.held.credit_notes):
        for document in register.many(register.by_contact.ids(record.id)):
            register.put(replace(document, contact_id=into.id, version=document.version + 1))
    into = replace(
        into,
        is_customer=into.is_customer or record.is_customer,
        is_supplier=into.is_supplier or record.is_supplier,
        updated_at=act.now,
    )
    act.held.contacts.put(into)
    act.tell("CONTACT", "UPDATE", into.id)


def _blank(act: Act) -> Contact:
    return Contact(id=NO_ID, name="", updated_at=act.now, created_by=act.client)


def _plan_edit(act: Act, found: Contact, asked: Asked, *, drops_persons: bool = False) -> Plan:
    if found.status != "ACTIVE":
        return Plan(replace(_filled(found, asked), status=asked.text("contactstatus") or found.status), (ARCHIVED,))
    record = _filled(found, asked)
    if drops_persons and not asked.has("contactpersons"):
        record = replace(record, persons=())
    if asked.has("contactstatus"):
        record = replace(record, status=(asked.text("contactstatus") or "").upper())
    errors = _faults(record, asked) + _clashes(act.held.contacts, record)
    if record.status not in ("ACTIVE", "ARCHIVED"):
        errors.append("The ContactStatus is not valid.")
    return Plan(record, tuple(errors), is_edit=record != found)


def _filled(record: Contact, asked: Asked) -> Contact:
    """What was sent laid over what is there; what was not sent is kept."""
    changes: dict[str, Any] = {field: asked.text(name) for name, field in TEXTS.items() if asked.has(name)}
    if asked.has("phones"):
        changes["phones"] = _phones(record, asked.parts("phones") or [])
    if asked.has("addresses"):
        changes["addresses"] = _addresses(record, asked.parts("addresses") or [])
    if asked.has("contactpersons"):
        changes["persons"] = tuple(_person(each) for each in asked.parts("contactpersons") or [])
    terms = (asked.part("paymentterms") or Asked({})).part("sales")
    if terms:
        changes["sales_terms"] = (int(terms.number("day") or 0), terms.text("type") or "")
    return replace(record, **changes)


def _phones(record: Contact, asked: list[Asked]) -> tuple[tuple[str, Phone], ...]:
    phones = dict(record.phones)
    for each in asked:
        kind = (each.text("phonetype") or "DEFAULT").upper()
        phones[kind] = Phone(
            each.text("phonenumber") or "", each.text("phoneareacode") or "", each.text("phonecountrycode") or ""
        )
    return tuple(phones.items())


def _addresses(record: Contact, asked: list[Asked]) -> tuple[tuple[str, Address], ...]:
    addresses = dict(record.addresses)
    for each in asked:
        kind = (each.text("addresstype") or "POBOX").upper()
        addresses["POBOX" if kind == "DELIVERY" else kind] = Address(
            city=each.text("city") or "",
            region=each.text("region") or "",
            postal_code=each.text("postalcode") or "",
            country=each.text("country") or "",
            rest=tuple((name, text) for name in ADDRESS_LINES if (text := each.text(name.lower()))),
        )
    return tuple(addresses.items())


def _person(asked: Asked) -> Person:
    return Person(
        asked.text("firstname") or "",
        asked.text("lastname") or "",
        asked.text("emailaddress") or "",
        include_in_emails=bool(asked.flag("includeinemails")),
    )


def _faults(record: Contact, asked: Asked) -> list[str]:
    """What is wrong with a contact by itself. Only what was sent is judged, so that old contacts stay editable."""
    errors = []
    if not record.name.strip():
        errors.append("Contact Name cannot be empty.")
    if asked.has("name") and _is_odd_name(record.name):
        errors.append("The contact name contains characters that are not allowed.")
    if asked.has("emailaddress") and record.email and not EMAIL.fullmatch(record.email):
        errors.append("Email address must be valid.")
    errors += [
        f"The length of {field.replace('_', ' ')} must be {most} characters or fewer."
        for field, most in LIMITS.items()
        if len(getattr(record, field)) > most
    ]
    if len(record.persons) > 5:
        errors.append("A contact may have no more than 5 contact persons.")
    return errors + _place_faults(record)


def _place_faults(record: Contact) -> list[str]:
    """Addresses and phones: types and lengths (xero.md 6.2)."""
    errors = []
    for kind, address in record.addresses:
        if kind not in ADDRESS_TYPES:
            errors.append("Address type must be valid.")
        lengths = ((address.city, 255), (address.region, 255), (address.postal_code, 50), (address.country, 50))
        errors += [
            f"The address value must be {most} characters or fewer." for text, most in lengths if len(text) > most
        ]
        errors += ["The address line must be 500 characters or fewer." for _, text in address.rest if len(text) > 500]
        if address.country and not all(sign.isalpha() or sign in " .,'-()" for sign in address.country):
            errors.append("The Country may contain letters only.")
    for kind, phone in record.phones:
        if kind not in (*PHONE_TYPES, "OFFICE"):
            errors.append("Phone type must be valid.")
        if len(phone.number) > 50 or len(phone.area) > 10 or len(phone.country) > 20:
            errors.append("The phone number is too long: 50 characters, 10 for the area, 20 for the country.")
    return errors


def _is_odd_name(name: str) -> bool:
    return "<" in name or ">" in name or "  " in name or name != name.strip()


def _clashes(contacts: Contacts, record: Contact) -> list[str]:
    """What another contact has already (xero.md 6.3)."""
    errors = []
    named = contacts.active_named(record.name) if record.name else None
    if record.status == "ACTIVE" and named is not None and named.id != record.id:
        errors.append(
            f"The contact name {record.name} is already assigned to another contact."
            " The contact name must be unique across all active contacts."
        )
    numbered = contacts.numbered(record.number) if record.number else None
    if numbered is not None and numbered.id != record.id:
        errors.append(f"The Contact Number {record.number} already exists. Please enter a different Contact Number.")
    accounts = contacts.by_account.ids(fold(record.account_number)) if record.account_number else []
    if any(other != record.id for other in accounts):
        errors.append("The Account Number already exists. Please enter a different Account Number.")
    return errors
