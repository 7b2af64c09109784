"""Changing things, by API and by hand alike: each change marks its entity, writes its event and notes its webhook."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.kommo import hookbody
from sandbox.kommo.nouns import (
    LOST,
    SINGULAR,
    WON,
    Client,
    Element,
    Entity,
    EntityKind,
    Event,
    Lead,
    Note,
    ProductLink,
    Values,
)

if TYPE_CHECKING:
    from sandbox.kommo.state import State

_event_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something: a person, or a program by a person's token."""

    user_id: int
    by_api: bool


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One entry of a webhook: `code` is what subscriptions call it, `action` what bodies do."""

    code: str  # "status_lead"
    group: str  # "leads"; companies are among "contacts"
    action: str  # "status"
    entry: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A lead came into a stage; `was` is None where it was made there."""

    lead: Lead
    was: tuple[int, int] | None


@dataclass(slots=True)
class Before:
    """What of an entity an update hook tells the old value of."""

    stage: tuple[int, int] | None = None
    responsible_user_id: int | None = None


class Change:
    """One action. The caller holds the state's lock."""

    def __init__(self, state: "State", actor: Actor) -> None:
        self._state = state
        self.actor = actor
        self.now = state.clock.stamp()
        self.occurrences: list[Occurrence] = []
        self.arrivals: list[Arrival] = []

    # leads

    def add_lead(self, lead: Lead) -> Lead:
        state = self._state
        lead.name = lead.name or f"Lead #{lead.id}"
        lead.closed_at = self.now if lead.status_id in (WON, LOST) else None
        state.leads[lead.id] = lead
        state.index_stage(lead, None)
        for contact_id in lead.contacts:
            state.contacts[contact_id].leads.add(lead.id)
        if lead.company_id:
            state.companies[lead.company_id].leads.add(lead.id)
        self._event("lead_added", lead, after=[{"note": {"id": state.next_id()}}])
        self._occur(lead, "add", lambda: self._lead_entry(lead))
        self.arrivals.append(Arrival(lead, None))
        return lead

    def update_lead(
        self,
        lead: Lead,
        *,
        plain: dict[str, Any] | None = None,
        stage: tuple[int, int] | None = None,
        price: Decimal | None = None,
        fields: dict[int, Values] | None = None,
        updated_by: int | None = None,
    ) -> None:
        """`plain`: attributes that are simply set. Hooks: `status` for a stage move, and `update`, as the switches say."""
        before = Before(responsible_user_id=lead.responsible_user_id)
        if price is not None and price != lead.price:
            self._event(
                "sale_field_changed",
                lead,
                [{"sale_field_value": {"sale": int(price)}}],
                [{"sale_field_value": {"sale": int(lead.price)}}],
            )
            lead.price = price
            lead.is_price_computed = False
        for name, value in (plain or {}).items():
            setattr(lead, name, value)
        self._set_fields(lead, fields or {})
        self._touch(lead, updated_by)
        if stage is not None and stage != lead.stage:
            before.stage = lead.stage
            self._move(lead, stage)
        self._lead_hooks(lead, before)

    def _move(self, lead: Lead, stage: tuple[int, int]) -> None:
        was = lead.stage
        lead.pipeline_id, lead.status_id = stage
        lead.closed_at = self.now if lead.status_id in (WON, LOST) else None
        self._state.index_stage(lead, was)
        self._event("lead_status_changed", lead, [_stage_value(stage)], [_stage_value(was)])
        self.arrivals.append(Arrival(lead, was))

    def _lead_hooks(self, lead: Lead, before: Before) -> None:
        old_status = before.stage[1] if before.stage else None
        if before.stage is not None:
            self._occur(lead, "status", lambda: self._lead_entry(lead, old_status_id=old_status))
        if before.responsible_user_id != lead.responsible_user_id:
            self._event("entity_responsible_changed", lead)
            old = before.responsible_user_id
            self._occur(lead, "responsible", lambda: self._lead_entry(lead, old_responsible_user_id=old))
        if before.stage is None or self._state.switches["status_also_updates"]:
            self._occur(lead, "update", lambda: self._lead_entry(lead, old_status_id=old_status))

    def delete_lead(self, lead: Lead) -> None:
        lead.is_deleted = True
        self._state.in_stage.get(lead.stage, {}).pop(lead.id, None)
        self._touch(lead)
        self._event("lead_deleted", lead)
        self._occur(lead, "delete", lambda: hookbody.deleted_lead_entry(lead))

    def restore_lead(self, lead: Lead) -> None:
        lead.is_deleted = False
        self._state.index_stage(lead, None)
        self._touch(lead)
        self._event("lead_restored", lead)
        self._occur(lead, "restore", lambda: self._lead_entry(lead))

    # contacts and companies

    def add_client(self, client: Client) -> Client:
        self._state.clients(client.kind)[client.id] = client
        if client.company_id:
            self._state.companies[client.company_id].contacts.add(client.id)
        self._event(f"{SINGULAR[client.kind]}_added", client)
        self._occur(client, "add", lambda: self._client_entry(client))
        return client

    def update_client(
        self,
        client: Client,
        *,
        plain: dict[str, Any] | None = None,
        fields: dict[int, Values] | None = None,
        updated_by: int | None = None,
    ) -> None:
        """A change of the responsible user comes as an update with the old one (kommo.md 4.4)."""
        old = client.responsible_user_id
        for name, value in (plain or {}).items():
            setattr(client, name, value)
        self._set_fields(client, fields or {})
        self._touch(client, updated_by)
        told = old if old != client.responsible_user_id else None
        self._occur(client, "update", lambda: self._client_entry(client, old_responsible_user_id=told))

    def delete_client(self, client: Client) -> None:
        client.is_deleted = True
        self._touch(client)
        self._event(f"{SINGULAR[client.kind]}_deleted", client)
        self._occur(client, "delete", lambda: hookbody.deleted_client_entry(client))

    # links

    def link_contact(self, lead: Lead, contact: Client, *, main: bool) -> None:
        if contact.id not in lead.contacts:
            lead.contacts.append(contact.id)
            contact.leads.add(lead.id)
            self._linked("entity_linked", lead, contact)
        if main or lead.main_contact_id is None:
            lead.main_contact_id = contact.id

    def link_company(self, lead: Lead, company: Client) -> None:
        """A lead has at most one company: the new one takes the old one's place."""
        if lead.company_id == company.id:
            return
        if lead.company_id is not None:
            self.unlink(lead, "companies", lead.company_id)
        lead.company_id = company.id
        company.leads.add(lead.id)
        self._linked("entity_linked", lead, company)

    def employ(self, contact: Client, company: Client) -> None:
        """Links a contact with the company that it belongs to."""
        if contact.company_id is not None:
            self._state.companies[contact.company_id].contacts.discard(contact.id)
        contact.company_id = company.id
        company.contacts.add(contact.id)

    def link_product(self, lead: Lead, link: ProductLink) -> None:
        """Linking again overwrites the quantity (kommo.md 7.3)."""
        lead.products[link.catalog_id, link.element_id] = link

    def unlink(self, lead: Lead, kind: str, entity_id: int, catalog_id: int = 0) -> None:
        if kind == "catalog_elements":
            lead.products.pop((catalog_id, entity_id), None)
            return
        client = self._state.clients(kind).get(entity_id)
        if client is None:
            return
        client.leads.discard(lead.id)
        if kind == "companies" and lead.company_id == entity_id:
            lead.company_id = None
        if kind == "contacts" and entity_id in lead.contacts:
            lead.contacts.remove(entity_id)
            if lead.main_contact_id == entity_id:
                lead.main_contact_id = lead.contacts[0] if lead.contacts else None
        self._linked("entity_unlinked", lead, client)

    def _linked(self, event: str, lead: Lead, client: Client) -> None:
        self._event(event, lead, [{"link": {"entity": {"type": SINGULAR[client.kind], "id": client.id}}}])

    # the rest

    def add_note(self, note: Note) -> Note:
        state = self._state
        entity = state.entities(note.kind)[note.entity_id]
        state.notes[note.id] = note
        entity.notes.append(note)
        kind = "attachment_note_added" if note.note_type == "attachment" else f"{note.note_type}_note_added"
        self._event(kind, entity, [{"note": {"id": note.id}}])
        author = state.users.get(note.created_by) or next(iter(state.users.values()))
        self._occur(entity, "note", lambda: hookbody.note_entry(note, state.account, author))
        return note

    def add_element(self, element: Element) -> Element:
        self._state.elements.setdefault(element.catalog_id, {})[element.id] = element
        return element

    def attach(self, entity: Entity, file_uuid: str) -> None:
        """Attaching what is attached changes nothing."""
        if file_uuid not in entity.files:
            entity.files[file_uuid] = self._state.next_id()
            self._state.file_links.setdefault(file_uuid, {})[entity.kind, entity.id] = entity.files[file_uuid]

    def detach(self, entity: Entity, file_uuid: str) -> None:
        entity.files.pop(file_uuid, None)
        self._state.file_links.get(file_uuid, {}).pop((entity.kind, entity.id), None)

    def merge(self, gone: Lead, into: Lead) -> None:
        """As people merge two leads: one stays with what both had, the other goes. The hooks of a merge are not documented."""
        for field_id, values in gone.fields.items():
            into.fields.setdefault(field_id, values)
        for contact_id in gone.contacts:
            self.link_contact(into, self._state.contacts[contact_id], main=False)
        for file_uuid in gone.files:
            self.attach(into, file_uuid)
        gone.merged_into = into.id
        self._event("entity_merged", into, [{"entity": {"id": gone.id, "type": "lead"}}])
        self.delete_lead(gone)
        self.update_lead(into)

    def _set_fields(self, entity: Entity, fields: dict[int, Values]) -> None:
        for field_id, values in fields.items():
            before = entity.fields.get(field_id, [])
            if values == before:
                continue
            if values:
                entity.fields[field_id] = values
            else:
                entity.fields.pop(field_id, None)
            self._event(
                f"custom_field_{field_id}_value_changed",
                entity,
                _event_values(field_id, values),
                _event_values(field_id, before),
            )

    def _touch(self, entity: Entity, updated_by: int | None = None) -> None:
        entity.updated_at = self.now
        entity.updated_by = self.actor.user_id if updated_by is None else updated_by

    def _event(
        self,
        kind: str,
        entity: Entity,
        after: list[dict[str, Any]] | None = None,
        before: list[dict[str, Any]] | None = None,
    ) -> None:
        event = Event(_event_id(), kind, entity.kind, entity.id, entity.updated_by, self.now, after or [], before or [])
        self._state.events.append(event)
        self._state.events_of.setdefault((entity.kind, entity.id), []).append(event)

    def _occur(self, entity: Entity, action: str, entry: Callable[[], dict[str, Any]]) -> None:
        """The entry is made only if somebody subscribed: it is most of the work of a change."""
        code = f"{action}_{SINGULAR[entity.kind]}"
        if self._state.dispatcher.wanted(code):
            group = "leads" if entity.kind == "leads" else "contacts"
            self.occurrences.append(Occurrence(code, group, action, entry()))

    def _lead_entry(self, lead: Lead, **old: int | None) -> dict[str, Any]:
        state, switches = self._state, self._state.switches
        entry = hookbody.lead_entry(
            lead,
            state.fields.of("leads"),
            state.account,
            modified_by=self._modified_by(lead),
            minor_units=switches["minor_units_in_hooks"],
            **old,
        )
        return entry | {"name": ""} if switches["empty_names"] else entry

    def _client_entry(self, client: Client, **old: int | None) -> dict[str, Any]:
        fields = self._state.fields.of(client.kind)
        return hookbody.client_entry(client, fields, self._state.account, modified_by=self._modified_by(client), **old)

    def _modified_by(self, entity: Entity) -> int:
        by_robot = self.actor.by_api and self._state.switches["api_user_in_hooks"] == "robot"
        return 0 if by_robot else entity.updated_by


def _stage_value(stage: tuple[int, int]) -> dict[str, Any]:
    return {"lead_status": {"id": stage[1], "pipeline_id": stage[0]}}


def _event_values(field_id: int, values: Values) -> list[dict[str, Any]]:
    return [
        {"custom_field_value": {"field_id": field_id, "text": str(value["value"]), "enum_id": value.get("enum_id")}}
        for value in values
    ]


def _event_id() -> str:
    """26 letters and digits that sort by time, as Kommo's do."""
    return f"01{int(time.time() * 1000):012x}{next(_event_numbers):012x}"


def new_entity_facts(state: "State", kind: EntityKind, change: Change) -> dict[str, Any]:
    """What every new entity starts with."""
    actor = change.actor.user_id
    return {
        "id": state.next_id(),
        "kind": kind,
        "responsible_user_id": actor,
        "created_by": actor,
        "updated_by": actor,
        "created_at": change.now,
        "updated_at": change.now,
    }
