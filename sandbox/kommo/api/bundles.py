"""Leads together with a contact and a company of theirs, in one call (kommo.md 5.8). No duplicate control: `merged` is false."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response

from sandbox.kommo.api import clients, leads
from sandbox.kommo.changes import Change
from sandbox.kommo.nouns import Client, EntityKind, Lead
from sandbox.kommo.problems import FieldRefused, Refused
from sandbox.kommo.state import State
from sandbox.kommo.wire import actor, each, hal, request_id, sent_many

MOST = 50
KINDS: tuple[EntityKind, EntityKind] = ("contacts", "companies")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A lead, which knows the clients that are there already, and those that are made with it."""

    lead: Lead
    made: dict[EntityKind, Client]


def blueprint(state: State) -> Blueprint:
    part = Blueprint("bundles", __name__)

    @part.post("/leads/complex")
    def create() -> Response:
        """A bare array; all are read before any is written."""
        items = sent_many()
        if len(items) > MOST:
            raise Refused(422, f"Limit {MOST} per page")
        with state.change(actor(state)) as change:
            bundles = each(items, lambda item: _read(state, item, change))
            for bundle in bundles:
                _write(bundle, change)
        return hal(
            [
                {
                    "id": bundle.lead.id,
                    "contact_id": bundle.lead.main_contact_id,
                    "company_id": bundle.lead.company_id,
                    "request_id": [request_id(item, index)],
                    "merged": False,
                }
                for index, (item, bundle) in enumerate(zip(items, bundles, strict=True))
            ]
        )

    return part


def _read(state: State, item: dict[str, Any], change: Change) -> Bundle:
    embedded = item.get("_embedded") or {}
    known: dict[str, Any] = {name: value for name, value in embedded.items() if name not in KINDS}
    made: dict[EntityKind, Client] = {}
    for kind in KINDS:
        given = _only(embedded, kind)
        if given is not None and "id" in given:
            known[kind] = [given]
        elif given is not None:
            made[kind] = _client(state, kind, given, change)
    return Bundle(leads.draft(state, item | {"_embedded": known}, change), made)


def _only(embedded: dict[str, Any], kind: EntityKind) -> dict[str, Any] | None:
    given = embedded.get(kind) or []
    if len(given) > 1:  # one of each; the words are a guess
        raise FieldRefused("TooMany", f"_embedded.{kind}", "This collection should contain 1 element or less.")
    return given[0] if given else None


def _client(state: State, kind: EntityKind, given: dict[str, Any], change: Change) -> Client:
    try:
        return clients.draft(state, kind, given, change)
    except FieldRefused as fault:
        raise fault.under(f"_embedded.{kind}.0") from fault


def _write(bundle: Bundle, change: Change) -> None:
    lead = bundle.lead
    for kind, client in bundle.made.items():
        change.add_client(client)
        if kind == "contacts":
            lead.contacts, lead.main_contact_id = [client.id], client.id
        else:
            lead.company_id = client.id
    change.add_lead(lead)
