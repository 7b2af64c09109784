"""Who is who: which Xero contact a Kommo client is, and which Kommo client a Xero contact is. Pure."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import count

from integrations.kommo.entities import Client, Lead
from integrations.xero.entities import Contact, ContactDraft
from worker.marks import contact_number
from worker.wording import plain, quoted

# Xero's limits (xero.md 6.2).
NAME_LENGTH = 255
PHONE_LENGTH = 50
ADDRESS_LINE_LENGTH = 500
POSTAL_LENGTH = 50

# The mark on contacts and companies of Kommo that we made.
XERO_CONTACT_ID = "XERO_CONTACT_ID"

# What Xero takes for an address: plain letters only, "umlauts not supported" (xero.md 6.2).
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)


@dataclass(frozen=True, slots=True)
class New:
    """No contact of Xero is this client: this one is to be made. The remark, if any, belongs on the deal."""

    contact: ContactDraft
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Merged:
    """The contact was merged into another one in Xero: read that one, add it to the candidates and choose again (xero.md 6.4)."""

    into: str


def bill_to(lead: Lead, *, companies: Mapping[int, Client], contacts: Mapping[int, Client]) -> Client | None:
    """Whom the invoice is for: the deal's company, else its main contact; None where neither is there.

    A company without a name gives way to a contact that has one.
    """
    company = _living(companies.get(lead.company_id)) if lead.company_id is not None else None
    person = _main_person(lead, contacts)
    if company is None or (person is not None and not plain(company.name) and plain(person.name)):
        return person
    return company


def person_beside(lead: Lead, client: Client, *, contacts: Mapping[int, Client]) -> Client | None:
    """The deal's main contact beside the company that it is billed to: what the company lacks is taken from there."""
    return _main_person(lead, contacts) if client.entity == "companies" else None


def contact_draft(client: Client, *, account_id: int, person: Client | None = None) -> ContactDraft:
    """The Xero contact to be made for this client: cleaned and within Xero's limits; an impossible e-mail is left out.

    What the client lacks is taken from the person, if there is one.
    """
    client = client if person is None else _completed(client, person)
    address = client.address
    return ContactDraft(
        number=contact_number(account_id, client.entity, client.id),
        name=clean_name(client.name),
        email=usable_email(client.email),
        phone=plain(client.phone)[:PHONE_LENGTH],
        first_name=clean_name(client.first_name),
        last_name=clean_name(client.last_name),
        address_line1=plain(address.line1)[:ADDRESS_LINE_LENGTH],
        address_line2=plain(address.line2)[:ADDRESS_LINE_LENGTH],
        city=plain(address.city)[:NAME_LENGTH],
        region=plain(address.region)[:NAME_LENGTH],
        postal_code=plain(address.postal_code)[:POSTAL_LENGTH],
        country=_country(address.country),
    )


def choose(
    client: Client,
    candidates: Sequence[Contact],
    *,
    account_id: int,
    taken: AbstractSet[str],
    person: Client | None = None,
) -> Contact | Merged | New:
    """The Xero contact that this client is, or a new one. Archived ones are never chosen.

    First our own mark; then e-mail and name together; then the name alone, if the e-mails agree or one is empty and it is no
    other Kommo client's: `taken` holds the ids that our table gives to others, and a contact's own mark may say so too.
    The person's e-mail stands in for a company that has none: it may confirm a contact, but not rule one out.
    Where the name is taken, the new one gets the client's Kommo id behind it, and the remark says so.
    """
    mark = contact_number(account_id, client.entity, client.id)
    for contact in candidates:
        found = _follow(contact, candidates) if _bears(contact, mark) else None
        if isinstance(found, Merged) or (found is not None and found.is_active):
            return found
    named = [contact for contact in candidates if contact.is_active and same_name(contact.name, client.name)]
    for contact in named:
        if _same_email(contact.email, client.email or (person.email if person else "")):
            return contact
    for contact in named:
        if _emails_allow(contact.email, client.email) and not _is_others(contact, taken):
            return contact
    return _new(contact_draft(client, account_id=account_id, person=person), client.id, candidates)


def choose_client(
    contact: Contact,
    candidates: Sequence[Client],
    *,
    account_id: int,
    name: str | None = None,
    taken: AbstractSet[int] = frozenset(),
) -> Client | None:
    """The Kommo contact or company that this Xero contact is, by the same rule; None if it is to be made.

    `candidates` are of one entity; `name` is what the contact is called there, where that is not its name in Xero; `taken`
    holds the ids of candidates that our table gives to other Xero contacts. A candidate's own mark may say so too.
    """
    living = [client for client in candidates if not client.is_deleted]
    for client in living:
        if _is_marked(client, contact, account_id):
            return client
    named = [client for client in living if same_name(client.name, name or contact.name)]
    for client in named:
        if _same_email(client.email, contact.email):
            return client
    for client in named:
        free = client.id not in taken and not client.text(XERO_CONTACT_ID)
        if free and _emails_allow(client.email, contact.email):
            return client
    return None


def clean_name(name: str) -> str:
    """The name as Xero takes it: no angle brackets, no doubled spaces, at most 255 characters (xero.md 6.2)."""
    return plain(re.sub(r"[<>]", " ", name))[:NAME_LENGTH].rstrip()


def usable_email(text: str) -> str:
    """The address in a form that Xero takes, or nothing: an impossible one would cost the whole invoice (xero.md 6.5)."""
    stripped = text.strip()
    return stripped if len(stripped) <= NAME_LENGTH and _EMAIL.fullmatch(stripped) else ""


def same_name(one: str, other: str) -> bool:
    """Whether two names are the same but for capitals and spaces; an empty name is like no other."""
    key = clean_name(one).casefold()
    return bool(key) and key == clean_name(other).casefold()


def _main_person(lead: Lead, contacts: Mapping[int, Client]) -> Client | None:
    wanted = lead.main_contact_id if lead.main_contact_id is not None else next(iter(lead.contact_ids), None)
    return None if wanted is None else _living(contacts.get(wanted))


def _living(client: Client | None) -> Client | None:
    return None if client is None or client.is_deleted else client


def _completed(company: Client, person: Client) -> Client:
    return replace(
        company,
        email=company.email or person.email,
        phone=company.phone or person.phone,
        first_name=company.first_name or person.first_name,
        last_name=company.last_name or person.last_name,
        address=company.address or person.address,
    )


def _bears(contact: Contact, mark: str) -> bool:
    # a second mark of ours has a number behind it: see `_free_mark`
    return contact.number == mark or contact.number.startswith(f"{mark}:")


def _follow(contact: Contact, candidates: Sequence[Contact]) -> Contact | Merged:
    """The contact that this one ended in, as far as the candidates reach; each is followed at most once."""
    known = {candidate.id: candidate for candidate in candidates}
    for _ in candidates:
        if not contact.merged_to:
            break
        if contact.merged_to not in known:
            return Merged(contact.merged_to)
        contact = known[contact.merged_to]
    return contact


def _is_others(contact: Contact, taken: AbstractSet[str]) -> bool:
    # one that bears our own mark has been chosen by now
    return contact.id in taken or contact.number.startswith("kommo:")


def _is_marked(client: Client, contact: Contact, account_id: int) -> bool:
    if client.text(XERO_CONTACT_ID) == contact.id:
        return True
    return _bears(contact, contact_number(account_id, client.entity, client.id))


def _same_email(one: str, other: str) -> bool:
    key = one.strip().casefold()
    return bool(key) and key == other.strip().casefold()


def _emails_allow(one: str, other: str) -> bool:
    return not one.strip() or not other.strip() or _same_email(one, other)


def _new(draft: ContactDraft, client_id: int, candidates: Sequence[Contact]) -> New:
    number = _free_mark(draft.number, candidates)
    names = {folded(contact.name) for contact in candidates if contact.is_active}
    if folded(draft.name) not in names:
        return New(replace(draft, number=number))
    name = _free_name(draft.name, client_id, names)
    remark = (
        f"Xero already has another client called {quoted(draft.name)}, so this one got ({client_id}) behind its name."
    )
    return New(replace(draft, number=number, name=name), remark)


def _free_mark(mark: str, candidates: Sequence[Contact]) -> str:
    """Our mark, or with a number behind it where an archived contact still bears it: it is unique (xero.md 6.2)."""
    used = {contact.number for contact in candidates}
    return next(number for number in _numbered(mark, f"{mark}:") if number not in used)


def _free_name(name: str, client_id: int, names: AbstractSet[str]) -> str:
    endings = _numbered(f" ({client_id})", f" ({client_id}-", end=")")
    full = (name[: NAME_LENGTH - len(ending)].rstrip() + ending for ending in endings)
    return next(candidate for candidate in full if folded(candidate) not in names)


def _numbered(first: str, stem: str, *, end: str = "") -> Iterator[str]:
    yield first
    for number in count(2):
        yield f"{stem}{number}{end}"


def folded(name: str) -> str:
    """The name as Xero compares names: without capitals and accents (xero.md 6.1)."""
    letters = unicodedata.normalize("NFKD", clean_name(name).casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _country(text: str) -> str:
    # letters only (xero.md 6.2); what is no country must not cost the invoice
    country = plain(text)[:POSTAL_LENGTH]
    return country if all(char.isalpha() or char in " -'.,()" for char in country) else ""
