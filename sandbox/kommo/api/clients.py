"""Contacts and companies (kommo.md 7.1, 7.2)."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Response

from sandbox.kommo import reading, show
from sandbox.kommo.api.leads import in_order, search
from sandbox.kommo.changes import Change, new_entity_facts
from sandbox.kommo.nouns import Client, EntityKind
from sandbox.kommo.problems import FieldRefused, Refused
from sandbox.kommo.query import Query
from sandbox.kommo.state import State
from sandbox.kommo.wire import actor, each, hal, link, nothing, page_of, query, request_id, sent_many, sent_one, written


def blueprint(state: State, kind: EntityKind) -> Blueprint:
    part = Blueprint(kind, __name__, url_prefix=f"/{kind}")

    @part.get("")
    def find() -> Response:
        asked = query()
        with state.lock:
            rows = in_order(_find(state, kind, asked), asked)
            return page_of(rows, lambda one: show.client(state, one, asked.extras), kind, kind)

    @part.get("/<int:client_id>")
    def get(client_id: int) -> Response:
        with state.lock:
            found = state.clients(kind).get(client_id)
            if found is None or found.is_deleted:
                return nothing()
            shown = show.client(state, found, query().extras)
        if kind == "contacts":
            shown["_embedded"]["customers"] = []
        return hal(shown)

    @part.post("")
    def create() -> Response:
        items = sent_many()
        with state.change(actor(state)) as change:
            drafts = each(items, lambda item: draft(state, kind, item, change))
            made = [change.add_client(one) for one in drafts]
        rows = [_made(one, request_id(item, index)) for index, (item, one) in enumerate(zip(items, made, strict=True))]
        return written(rows, kind, kind)

    @part.patch("")
    def update_many() -> Response:
        items = sent_many()
        with state.change(actor(state)) as change:
            planned = [one for one in each(items, lambda item: plan(state, kind, item)) if one is not None]
            for client, write in planned:
                write(change, client)
        return written([_updated(client) for client, _ in planned], kind, kind)

    @part.patch("/<int:client_id>")
    def update_one(client_id: int) -> Response:
        item = sent_one() | {"id": client_id}
        with state.change(actor(state)) as change:
            if state.entity(kind, client_id) is None:
                raise Refused(404)
            client, write = next(one for one in each([item], lambda item: plan(state, kind, item)) if one is not None)
            write(change, client)
        return written([_updated(client)], kind, kind)

    return part


def _made(one: Client, request_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": one.id, "is_deleted": False}
    if one.kind == "contacts":
        shown["is_unsorted"] = False
    return shown | {"request_id": request_id, "_links": link(f"{one.kind}/{one.id}")}


def _updated(one: Client) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": one.id, "name": one.name, "updated_at": one.updated_at, "is_deleted": False}
    if one.kind == "contacts":
        shown["is_unsorted"] = False
    return shown | {"_links": link(f"{one.kind}/{one.id}")}


def _names(kind: EntityKind, item: dict[str, Any], present: Client | None = None) -> dict[str, str]:
    """A contact's first and last name make its name, and the other way round."""
    if kind == "companies":
        return {"name": reading.text(item, "name")} if "name" in item else {}
    if "first_name" in item or "last_name" in item:
        first = reading.text(item, "first_name", present.first_name if present else "")
        last = reading.text(item, "last_name", present.last_name if present else "")
        return {"name": f"{first} {last}".strip(), "first_name": first, "last_name": last}
    if "name" not in item:
        return {}
    name = reading.text(item, "name")
    return {"name": name, "first_name": name, "last_name": ""}


def draft(state: State, kind: EntityKind, item: dict[str, Any], change: Change) -> Client:
    facts = new_entity_facts(state, kind, change)
    for name in ("responsible_user_id", "created_by", "updated_by"):
        found = reading.user(state, item, name)
        facts[name] = facts[name] if found is None else found
    for name in ("created_at", "updated_at"):
        facts[name] = reading.number(item, name, facts[name])
    companies = reading.linked_ids(state, item, "companies") if kind == "contacts" else []
    values = reading.field_values(state, kind, item)
    return Client(
        **(facts | {"name": ""} | _names(kind, item)),
        fields={field_id: found for field_id, found in values.items() if found},
        tags=reading.tags(state, item, []) or [],
        company_id=companies[0][0] if companies else None,
    )


def plan(
    state: State, kind: EntityKind, item: dict[str, Any]
) -> tuple[Client, Callable[[Change, Client], None]] | None:
    client = state.clients(kind).get(reading.number(item, "id") or 0)
    if client is None or client.is_deleted:
        if state.switches["unknown_id_in_batch"] == "omit":
            return None
        raise FieldRefused("NotSupportedChoice", "id", "The value you selected is not a valid choice.")
    plain: dict[str, Any] = dict(_names(kind, item, client))
    found = reading.user(state, item, "responsible_user_id", robot=False)
    if found is not None:
        plain["responsible_user_id"] = found
    found_tags = reading.tags(state, item, client.tags)
    if found_tags is not None:
        plain["tags"] = found_tags
    values = reading.field_values(state, kind, item)
    by = reading.user(state, item, "updated_by")
    return client, lambda change, one: change.update_client(one, plain=plain, fields=values, updated_by=by)


def _find(state: State, kind: EntityKind, asked: Query) -> Iterable[Client]:
    clients = state.clients(kind)
    ids = asked.ids("filter", "id")
    rows: Iterable[Client] = (
        clients.values() if ids is None else (clients[one] for one in sorted(set(ids)) if one in clients)
    )
    names = asked.names("filter", "name")
    span = asked.span("filter", "updated_at")
    found = search(state, asked.search) if asked.search else None
    return (
        one
        for one in rows
        if not one.is_deleted
        and (names is None or one.name in names)
        and (span is None or span[0] <= one.updated_at <= span[1])
        and (found is None or found(one))
    )
