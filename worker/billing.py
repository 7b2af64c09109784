"""Billing: which Xero contact an invoice goes to, found or drafted, in as few calls as there can be."""

from dataclasses import dataclass
from datetime import timedelta

from integrations.kommo.entities import Client
from integrations.xero.entities import Contact, ContactDraft, Terms
from worker import contacts, marks
from worker.clients import Merged, New, choose, clean_name
from worker.world import World

# Accountants change a contact's payment terms, and archive and merge contacts: once a day a known client is looked at again.
AGE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Payer:
    """Who gets the invoice: a Xero contact's id, or the one to be made with it. The remark belongs on the deal."""

    contact: str | ContactDraft
    name: str
    terms: Terms | None = None
    remark: str = ""
    is_remembered: bool = False  # from our table, without a look at Xero


def known_payers(world: World, clients: set[tuple[str, int]]) -> dict[tuple[str, int], Payer]:
    """The payers that our table knows, by (entity, Kommo id): no call."""
    oldest = world.now() - AGE
    with world.database.reading() as session:
        pairs = contacts.known(session, world.route.account_id, world.route.tenant_id, clients, since=oldest)
        return {key: Payer(pair.xero_id, pair.name, pair.terms, is_remembered=True) for key, pair in pairs.items()}


def find_payer(world: World, client: Client, person: Client | None = None) -> Payer:
    """The payer for a client that our table does not know: by our own mark in Xero, then by e-mail and name, else a new one.

    `person` is the deal's main contact beside a company: it lends what the company lacks.
    """
    account_id, tenant_id = world.route.account_id, world.route.tenant_id
    if contact := _known_before(world, client):
        remember(world, client, contact)
        return Payer(contact.id, contact.name, contact.terms)
    by_mark = world.xero.contact(marks.contact_number(account_id, client.entity, client.id))
    candidates = [by_mark] if by_mark else []
    candidates += world.xero.contacts_named(clean_name(client.name))
    with world.database.reading() as session:
        others = contacts.taken(session, account_id, tenant_id, [contact.id for contact in candidates])
    chosen = choose(client, candidates, account_id=account_id, taken=others, person=person)
    if isinstance(chosen, Merged):
        into = world.xero.contact(chosen.into)
        chosen = choose(
            client, [*candidates, *([into] if into else [])], account_id=account_id, taken=others, person=person
        )
    match chosen:
        case Contact():
            remember(world, client, chosen)
            return Payer(chosen.id, chosen.name, chosen.terms)
        case New():
            return Payer(chosen.contact, chosen.contact.name, remark=chosen.remark)
        case Merged():  # merged again and again: whoever did that must say which one is meant
            return Payer(chosen.into, client.name)


def _known_before(world: World, client: Client) -> Contact | None:
    """The contact that our table has had for longer than a day, as it is now; None if it can't be used any more."""
    with world.database.reading() as session:
        pairs = contacts.known(session, world.route.account_id, world.route.tenant_id, [(client.entity, client.id)])
    pair = next(iter(pairs.values()), None)
    contact = world.xero.contact(pair.xero_id) if pair else None
    return contact if contact and contact.is_active and not contact.merged_to else None


def remember(world: World, client: Client, contact: Contact) -> None:
    """Write down which Xero contact the client is."""
    with world.database.begin() as session:
        contacts.remember(
            session,
            account_id=world.route.account_id,
            tenant_id=world.route.tenant_id,
            entity=client.entity,
            kommo_id=client.id,
            contact=contact,
            now=world.now(),
        )
