"""All that the simulated Xero holds, apart from HTTP: organisations, apps, tokens, limits, keys, webhooks; one lock guards it."""

import threading
from collections import Counter
from datetime import datetime
from typing import Any

from sandbox.kit import Answer, Kit
from sandbox.xero.act import Act, new_id
from sandbox.xero.events import Event, Webhooks
from sandbox.xero.idempotency import Keys
from sandbox.xero.limits import Limiter
from sandbox.xero.organisation import Organisation
from sandbox.xero.pdf import Press
from sandbox.xero.records import Contact, Invoice
from sandbox.xero.shapes import View
from sandbox.xero.tokens import App, Tokens
from sandbox.xero.wire import Ready

# Each is read at each use. The first block are the vendor's numbers, the second what its documentation leaves open
# (xero.md, "Known unknowns"), the third its webhooks.
SWITCHES: dict[str, Any] = {
    "concurrent_limit": 5,
    "minute_limit": 60,
    "day_limit": 5000,  # 1,000 on the Starter tier
    "app_minute_limit": 10_000,
    "provider_name": "Kommo bridge",
    "in_flight_duplicate": "wait",  # a repeated key while the first call runs: wait (and replay), conflict, process (twice)
    "appminute_retry_after": False,
    "dead_numbers": "refused",  # the number of a voided or deleted invoice: refused, reusable
    "missing_tenant": 403,
    "no_accept": "xml",  # a call without `Accept: application/json`: xml, refuse (406)
    "where_null_fails": True,  # Reference.Contains("x") on an invoice without one
    "draft_pdf": "given",  # given, refused
    "unknown_contact": "refused",  # an unknown ContactID in a write: refused (400), missing (404)
    "inline_contact_name": "edit",  # a new ContactNumber with a name that is taken: edit (the match by name), refuse
    "unknown_tracking": "dropped",  # dropped, refuse
    "zero_total_is_paid": False,
    "approval_limit_reached": False,
    "hook_batch_s": 0.2,  # events that come closer together leave in one body
    "hook_batch_most": 100,
    "hook_patience_s": 5.0,
    "hook_wrong_probes": 3,  # of an intent to receive
    "hook_categories": ["INVOICE", "CONTACT"],
    "hook_keeps_order": True,  # while a webhook is being retried, later events wait
    "hook_strange_share": 0.0,  # of events that come with one of an unknown category
    "hook_lower_kinds": False,  # "Update" instead of "UPDATE"
}


class State:
    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.switches = kit.settings.register("xero", SWITCHES)
        self.lock = threading.RLock()
        self.press = Press()
        self._hooks: dict[str, Webhooks] = {}  # by app; kept over resets, since each has a thread
        self.clear()

    def clear(self) -> None:
        """An empty vendor: no organisation, no app."""
        with self.lock:
            self.organisations: dict[str, Organisation] = {}
            self.apps: dict[str, App] = {}
            self.tokens = Tokens()
            self.limiter = Limiter(self.switches, self.kit.clock.lasts)
            self.keys: Keys[Answer] = Keys(self.kit.clock.lasts)
            self.complaints: Counter[str] = Counter()
            # listed invoices as they were last written out, by id, view and decimals, with what they were made from
            self.rendered: dict[tuple[str, View, int], tuple[Invoice, Contact | None, Ready]] = {}
            for hooks in self._hooks.values():
                hooks.clear()

    def add_app(self, client_id: str, secret: str, name: str) -> App:
        with self.lock:
            app = self.apps[client_id] = App(client_id, secret, name)
            return app

    def hooks_of(self, client_id: str) -> Webhooks:
        """The app's webhooks (xero.md 9.4: one address and one key an app)."""
        with self.lock:
            if client_id not in self._hooks:
                self._hooks[client_id] = Webhooks(self.kit.hooks, self.kit.clock, self.switches)
            return self._hooks[client_id]

    def all_hooks(self) -> list[Webhooks]:
        with self.lock:
            return list(self._hooks.values())

    def act(self, held: Organisation, client: str | None = None, *, decimals: int = 2) -> Act:
        return Act(held, self._now(), self.switches, self._emit, client, decimals)

    def _now(self) -> datetime:
        """To the millisecond, which is as fine as Xero's instants are."""
        now = self.kit.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def _emit(self, held: Organisation, category: str, kind: str, resource_id: str, now: datetime) -> None:
        detail = None
        if category == "CREDITNOTE":
            note = held.credit_notes.get(resource_id)
            detail = (note.kind, note.status) if note else None
        event = Event(held.profile.id, category, kind, resource_id, now, detail)
        for app in self.apps.values():
            if held.profile.id in app.connections:
                self.hooks_of(app.client_id).add(event)

    def complain(self, about: str) -> None:
        """Counts what a client should not do (xero.md, simulator checklist 25)."""
        with self.lock:
            self.complaints[about] += 1

    def first_organisation(self) -> Organisation:
        return next(iter(self.organisations.values()))

    def new_tenant_id(self) -> str:
        return new_id()
