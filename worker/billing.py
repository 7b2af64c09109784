"""Billing: which Xero contact an invoice goes to, found or drafted, in as few calls as there can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from integrations.errors import RateLimited
from integrations.kommo.entities import Client
from integrations.turns import Priority
from integrations.xero.client import Xero
from integrations.xero.entities import Contact, ContactDraft, Terms
from worker import contacts, marks
from worker.clients import Merged, New, choose, clean_name
from worker.verdicts import Wait
from worker.world import World

Key = tuple[str, int]
"""A client: entity and Kommo id."""

# Accountants change a contact's payment terms, and archive and merge contacts: once a day a known client is looked at again.
AGE = timedelta(days=1)
# From so many clients on, one search for all marks is cheaper than asking for each.
MANY = 3


@dataclass(frozen=True, slots=True)
class Payer:
    """Who gets the invoice: a Xero contact's id, or the one to be made with it. The remark belongs on the deal."""

    contact: str | ContactDraft
    name: str
    terms: Terms | None = None
    remark: str = ""
    is_remembered: bool = False  # from our table, without a look at Xero
    looked_at: datetime | None = None  # when it was not in Xero yet


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


@dataclass(frozen=True, slots=True)
class Found:
    """Payers by (entity, Kommo id); and until when the clients wait that we had no turn to look for, if there are any."""

    payers: dict[Key, Payer]
    wait: Wait | None = None


def find_payers(world: World, clients: Sequence[tuple[Client, Client | None]]) -> Found:
    """The payers for clients that our table does not know: by our own mark in Xero, then by e-mail and name, else new ones.

    Beside each client stands the deal's main contact, where the client is a company: it lends what the company lacks. A name is a call of its
    own, so that whoever looks for many may run out of turns: these calls leave some to the creating ones, and what was found goes on.
    """
    payers: dict[Key, Payer] = {}
    try:
        look = _Look.for_many(world, [client for client, _ in clients])
        for client, person in clients:
            payers[client.entity, client.id] = look.payer(client, person)
    except RateLimited as error:
        # with one turn there would be one invoice a call: in half a minute there are turns for many
        seconds = max(error.retry_after, world.vendors_minute.total_seconds() / 2)
        return Found(payers, Wait(seconds, "waits for a turn to look for its client", counts=False, hard=not error.own))
    return Found(payers)


@dataclass(frozen=True, slots=True)
class _Look:
    """Looking for clients in Xero. `marked`: who bears our mark, by number; where not `all_marked`, others may bear it too."""

    world: World
    xero: Xero
    marked: Mapping[str, Contact]
    all_marked: bool

    @classmethod
    def for_many(cls, world: World, clients: Sequence[Client]) -> "_Look":
        xero = world.xero.at(Priority.STATUS)
        if len(clients) < MANY:
            return cls(world, xero, {}, all_marked=False)
        # each page tells of a thousand clients; without it, each of these would be a call of its own
        mark, pages = marks.account_mark(world.route.account_id), len(clients) // 2
        found, is_all = xero.contacts_marked(mark, pages=pages)
        return cls(world, xero, {contact.number: contact for contact in found}, is_all)

    def payer(self, client: Client, person: Client | None) -> Payer:
        world, account_id, tenant_id = self.world, self.world.route.account_id, self.world.route.tenant_id
        looked_at = world.now()
        by_mark = self._by_mark(marks.contact_number(account_id, client.entity, client.id))
        candidates = [by_mark] if by_mark else []
        candidates += self.xero.contacts_named(clean_name(client.name))
        with world.database.reading() as session:
            others = contacts.taken(session, account_id, tenant_id, [contact.id for contact in candidates])
        chosen = choose(client, candidates, account_id=account_id, taken=others, person=person)
        if isinstance(chosen, Merged):
            into = self.xero.contact(chosen.into)
            chosen = choose(
                client, [*candidates, *([into] if into else [])], account_id=account_id, taken=others, person=person
            )
        match chosen:
            case Contact():
                _remember(world, (client.entity, client.id), chosen)
                return Payer(chosen.id, chosen.name, chosen.terms)
            case New():
                return Payer(chosen.contact, chosen.contact.name, remark=chosen.remark, looked_at=looked_at)
            case Merged():  # merged again and again: whoever did that must say which one is meant
                return Payer(chosen.into, client.name)

    def _by_mark(self, mark: str) -> Contact | None:
        if mark in self.marked or self.all_marked:
            return self.marked.get(mark)
        return self.xero.contact(mark)


def _remember(world: World, client: tuple[str, int], contact: Contact) -> None:
    entity, kommo_id = client
    with world.database.begin() as session:
        contacts.remember(
            session, account_id=world.route.account_id, tenant_id=world.route.tenant_id, entity=entity,
            kommo_id=kommo_id, contact=contact, now=world.now(),
        )  # fmt: skip
