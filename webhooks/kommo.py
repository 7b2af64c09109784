"""Kommo's webhooks: what a decoded body tells (kommo.md 4.3 to 4.9). Pure.

Account webhooks and those of the Digital Pipeline differ in order and length only, so one reading serves both. All that is taken from a body
is which lead, contact or company it is about, and in which stage a lead is said to be: it is a hint, and the worker reads what is so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from webhooks.decode import Form, Tree, branch, branches, leaf
from worker.deliveries import UNJUDGED

ClientKind = Literal["contact", "company"]

# Kommo puts every lead of a bulk change into one body, and 1 MiB holds a few thousand real entries; beyond it is no webhook,
# and each costs the transaction its time.
MOST_EVENTS = 2_000


@dataclass(frozen=True, slots=True)
class LeadEvent:
    """Something happened to a lead. A stage's id is unique only with its pipeline's (kommo.md 6); either may be missing."""

    action: str
    lead_id: int
    pipeline_id: int | None = None
    status_id: int | None = None


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """Something happened to a contact or company; `kind` None where the body does not say which."""

    action: str
    client_id: int
    kind: ClientKind | None


@dataclass(frozen=True, slots=True)
class Notice:
    """What one body tells. `problem` is for people: what in it could not be understood."""

    account_id: int | None = None
    subdomain: str = ""
    leads: tuple[LeadEvent, ...] = ()
    clients: tuple[ClientEvent, ...] = ()
    problem: str | None = None

    @property
    def lead_ids(self) -> set[int]:
        """The leads that it is about."""
        return {event.lead_id for event in self.leads}

    @property
    def restored_ids(self) -> set[int]:
        """The leads that are back from the bin."""
        return {event.lead_id for event in self.leads if event.action == "restore"}

    @property
    def contact_ids(self) -> set[int]:
        """The contacts that it is about, or may be."""
        return {event.client_id for event in self.clients if event.kind != "company"}

    @property
    def company_ids(self) -> set[int]:
        """The companies that it is about, or may be."""
        return {event.client_id for event in self.clients if event.kind != "contact"}


def read(form: Form) -> Notice:
    """What the body tells; a body of any kind gives a notice."""
    leads = list(_leads(form.tree))
    clients = list(_clients(form.tree))
    linked = [LeadEvent("linked", lead_id) for lead_id in _linked(form.tree)]
    return Notice(
        account_id=_account_id(form.tree),
        subdomain=_subdomain(leaf(branch(form.tree, "account"), "subdomain")),
        leads=tuple((leads + linked)[:MOST_EVENTS]),
        clients=tuple(clients[:MOST_EVENTS]),
        problem=form.problem or _problem(form.tree, max(len(leads) + len(linked), len(clients))),
    )


def read_uninstall(account_id: str) -> Notice:
    """What the hook tells that comes when access is revoked (kommo.md 2.6): whose access it was."""
    known = _id(account_id)
    return Notice(known, problem=UNJUDGED if known else "no connection has this account")


def _leads(tree: Tree) -> Iterator[LeadEvent]:
    for action, entry in _entries(branch(tree, "leads")):
        if lead_id := _id(leaf(entry, "id")):
            yield LeadEvent(action, lead_id, _id(leaf(entry, "pipeline_id")), _id(leaf(entry, "status_id")))


def _clients(tree: Tree) -> Iterator[ClientEvent]:
    """Companies come under `contacts` too, told apart by their type (kommo.md 4.4)."""
    for action, entry in _entries(branch(tree, "contacts")):
        if client_id := _id(leaf(entry, "id")):
            yield ClientEvent(action, client_id, _kind(leaf(entry, "type")))


def _linked(tree: Tree) -> Iterator[int]:
    """The leads that a contact or company says it is linked to: one of them may have waited for a client."""
    for _, entry in _entries(branch(tree, "contacts")):
        for lead_id in branch(entry, "linked_leads_id"):
            if number := _id(lead_id):
                yield number


def _entries(section: Tree) -> Iterator[tuple[str, Tree]]:
    """Each entry of each action: one body may carry several of both."""
    for action in section:
        for entry in branches(section[action]):
            yield action, entry


def _account_id(tree: Tree) -> int | None:
    """The account's own block, else what an entry says of it: not every body has the block (kommo.md 4.3)."""
    if own := _id(leaf(branch(tree, "account"), "id")):
        return own
    entries = (entry for section in ("leads", "contacts") for _, entry in _entries(branch(tree, section)))
    return next(filter(None, (_id(leaf(entry, "account_id")) for entry in entries)), None)


def _kind(text: str) -> ClientKind | None:
    return "company" if text == "company" else "contact" if text == "contact" else None


def _id(text: str) -> int | None:
    """A positive number that a database takes; None for anything else."""
    return int(text) or None if re.fullmatch(r"[0-9]{1,18}", text) else None


def _subdomain(text: str) -> str:
    """A subdomain, or nothing: what goes into a question to the database holds no odd characters."""
    return text.lower() if re.fullmatch(r"[A-Za-z0-9-]{1,63}", text) else ""


def _problem(tree: Tree, events: int) -> str | None:
    if events > MOST_EVENTS:
        return f"more than {MOST_EVENTS} entries: the rest was not read"
    if not tree.keys() & {"account", "leads", "contacts"}:
        return "this is no webhook of Kommo's: it names no account, no lead, no contact"
    return None
