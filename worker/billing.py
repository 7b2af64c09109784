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
    """The payers that our table knows, by (entity, Kommo id): no call, but for those that were last seen longer than a day ago.

    A contact that was archived or merged meanwhile is no payer: it is to be found anew.
    """
    with world.database.reading() as session:
        pairs = contacts.known(session, world.route.account_id, world.route.tenant_id, clients)
    payers = {key: Payer(pair.xero_id, pair.name, pair.terms, is_remembered=True) for key, pair in pairs.items()}
    old = {key: pair.xero_id for key, pair in pairs.items() if world.now() - pair.known_at > AGE}
    seen = world.xero.contacts(old.values()) if old else {}
    for key, xero_id in old.items():
        contact = seen.get(xero_id)
        if contact and contact.is_active and not contact.merged_to:
            _remember(world, key, contact)
            payers[key] = Payer(contact.id, contact.name, contact.terms)
        else:
            del payers[key]
    return payers


def find_payer(world: World, client: Client, person: Client | None = None) -> Payer:
    """The payer for a client that our table does not know: by our own mark in Xero, then by e-mail and name, else a new one.

    `person` is the deal's main contact beside a company: it lends what the company lacks.
    """
    account_id, tenant_id = world.route.account_id, world.route.tenant_id
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
            _remember(world, (client.entity, client.id), chosen)
            return Payer(chosen.id, chosen.name, chosen.terms)
        case New():
            return Payer(chosen.contact, chosen.contact.name, remark=chosen.remark)
        case Merged():  # merged again and again: whoever did that must say which one is meant
            return Payer(chosen.into, client.name)


def _remember(world: World, client: tuple[str, int], contact: Contact) -> None:
    entity, kommo_id = client
    with world.database.begin() as session:
        contacts.remember(
            session, account_id=world.route.account_id, tenant_id=world.route.tenant_id, entity=entity,
            kommo_id=kommo_id, contact=contact, now=world.now(),
        )  # fmt: skip
