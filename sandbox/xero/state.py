"""All that the simulated Xero holds, apart from HTTP: organisations, apps, tokens, limits, keys, webhooks; one lock guards it."""

import threading
from collections import Counter
from datetime import datetime
from typing import Any

from sandbox.kit import Answer, Kit
from sandbox.xero.act import Act, new_id
from sandbox.xero.events import Event, Webhooks
from sandbox.xero.grants import Grants
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
    "refresh_rotation": "grace",  # grace (the old refresh token is good for another 30 minutes), strict
    "second_consent": "keeps",  # what a consent does to the same person's earlier tokens: keeps, ends
    "reauthorised_event": "first",  # authEventId of an organisation that is authorised again: first (it keeps its own), new
    "scope_error": "page",  # how the consent page says invalid_scope: page, redirect
    "old_app": False,  # the apps were made before 2 March 2026, and may ask for broad scopes
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
        self.tokens = Tokens()
        self.grants = Grants(kit.clock, self.tokens, self.switches)
        self.apps: dict[str, App] = {}
        self.clear()

    def clear(self) -> None:
        """An empty vendor: no organisation, no app. What people granted stays, for the apps that come back."""
        with self.lock:
            self.organisations: dict[str, Organisation] = {}
            self.apps.clear()
            self.tokens.forget_apps_own()
            self.grants.requests.clear()
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

    def allowed_scopes(self, app: App) -> frozenset[str]:
        return app.allowed(is_old=bool(self.switches["old_app"]))

    def revoke(self, app: App, user_id: str | None = None) -> int:
        """Refresh tokens and connections of a person, or of all; access tokens live on, and reach nothing."""
        with self.lock:
            app.disconnect(user_id=user_id)
            return self.grants.revoke(app.client_id, user_id)

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
            if app.reaches(held.profile.id):
                self.hooks_of(app.client_id).add(event)

    def complain(self, about: str) -> None:
        """Counts what a client should not do (xero.md, simulator checklist 25)."""
        with self.lock:
            self.complaints[about] += 1

    def first_organisation(self) -> Organisation:
        return next(iter(self.organisations.values()))

    def new_tenant_id(self) -> str:
        return new_id()
