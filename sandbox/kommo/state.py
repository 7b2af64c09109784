"""A Kommo account's state, apart from HTTP. One lock guards it; nothing waits or sends while it is held."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.kit import Kit
from sandbox.kommo.changes import Actor, Change
from sandbox.kommo.dispatch import Dispatcher
from sandbox.kommo.fieldbook import FieldBook
from sandbox.kommo.grants import Grants
from sandbox.kommo.nouns import (
    Account,
    Catalog,
    Client,
    Element,
    Entity,
    Event,
    Lead,
    Note,
    Pipeline,
    StoredFile,
    User,
)
from sandbox.kommo.switches import SWITCHES
from sandbox.kommo.tokens import Grant, Tokens


class State:
    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.clock = kit.clock
        self.lock = threading.RLock()
        self.switches = kit.settings.register("kommo", SWITCHES)
        self.dispatcher = Dispatcher(self, kit)
        self.tokens = Tokens(kit.clock)
        self.grants = Grants(kit.clock, self.tokens, self.switches)
        self.client_uuid = "e93a3c5a-0001-4000-8000-000000000001"  # the integration that long-lived tokens belong to
        self.clear()

    def clear(self) -> None:
        """An account with nothing in it; tokens stay, so that clients stay connected over a reset."""
        self.account = Account(id=30896271, subdomain="acme")
        self.former_subdomains: set[str] = set()
        self.grants.requests.clear()
        self.users: dict[int, User] = {}
        self.pipelines: dict[int, Pipeline] = {}
        self.leads: dict[int, Lead] = {}
        self.contacts: dict[int, Client] = {}
        self.companies: dict[int, Client] = {}
        self.catalogs: dict[int, Catalog] = {}
        self.elements: dict[int, dict[int, Element]] = {}
        self.notes: dict[int, Note] = {}
        self.files: dict[str, StoredFile] = {}
        self.file_links: dict[str, dict[tuple[str, int], int]] = {}
        self.events: list[Event] = []
        self.events_of: dict[tuple[str, int], list[Event]] = {}
        self.in_stage: dict[tuple[int, int], dict[int, None]] = {}
        self.fields = FieldBook()
        self._ids = itertools.count(7_593_303)
        self.dispatcher.clear()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.account.timezone)

    def next_id(self) -> int:
        """Ids grow over all kinds of things, so that an id of one is never taken for one of another in tests."""
        return next(self._ids)

    def clients(self, kind: str) -> dict[int, Client]:
        return self.contacts if kind == "contacts" else self.companies

    def entities(self, kind: str) -> dict[int, Any]:
        return self.leads if kind == "leads" else self.clients(kind)

    def entity(self, kind: str, entity_id: int) -> Entity | None:
        found: Entity | None = self.entities(kind).get(entity_id)
        return None if found is None or found.is_deleted else found

    def lead(self, lead_id: int) -> Lead | None:
        lead = self.leads.get(lead_id)
        return None if lead is None or lead.is_deleted else lead

    def element(self, catalog_id: int, element_id: int) -> Element | None:
        return self.elements.get(catalog_id, {}).get(element_id)

    @contextmanager
    def change(self, actor: Actor) -> Iterator[Change]:
        """All that happens within is one action: its webhooks go out together, in order, when it ends well."""
        with self.lock:
            change = Change(self, actor)
            yield change
            self.dispatcher.send(change)

    def index_stage(self, lead: Lead, was: tuple[int, int] | None) -> None:
        if was is not None:
            self.in_stage.get(was, {}).pop(lead.id, None)
        if not lead.is_deleted:
            self.in_stage.setdefault(lead.stage, {})[lead.id] = None

    def products_total(self, lead: Lead) -> Decimal:
        """What the products on a lead cost together."""
        return sum(
            (link.quantity * self.element_price(link.catalog_id, link.element_id) for link in lead.products.values()),
            Decimal(0),
        )

    def element_price(self, catalog_id: int, element_id: int) -> Decimal:
        price_field = self.fields.by_code(f"catalogs/{catalog_id}", "PRICE")
        element = self.element(catalog_id, element_id)
        if price_field is None or element is None or not element.fields.get(price_field.id):
            return Decimal(0)
        return Decimal(element.fields[price_field.id][0]["value"])

    def rename(self, subdomain: str) -> None:
        """An admin gives the account another subdomain; the old host is nobody's then (kommo.md 1.2)."""
        self.former_subdomains = (self.former_subdomains | {self.account.subdomain}) - {subdomain}
        self.account.subdomain = subdomain

    def used(self, grant: Grant) -> None:
        """The new pair has been used: the old refresh token is dead from now on (kommo.md 2.3)."""
        if grant.born_of:
            with self.lock:
                self.grants.used(grant.born_of)

    def actor(self, grant: Grant, as_user: int | None = None) -> Actor:
        """Who writes by this token: its user, or the one that X-Context-User-ID names."""
        user_id = as_user if as_user in self.users else grant.user_id
        assert user_id is not None
        return Actor(user_id=user_id, by_api=True)
