"""Links between entities (kommo.md 7.3): `is_main` in, `main_contact` out."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, Response

from sandbox.kommo import reading
from sandbox.kommo.changes import Change
from sandbox.kommo.nouns import Client, Entity, EntityKind, Lead, ProductLink
from sandbox.kommo.problems import FieldRefused, Refused, no_choice, wrong_type
from sandbox.kommo.query import Query
from sandbox.kommo.state import State
from sandbox.kommo.wire import actor, as_number, each, hal, link, nothing, query, sent_many

KINDS: tuple[EntityKind, ...] = ("leads", "contacts", "companies")
Step = Callable[[Change], None]


def blueprint(state: State, kind: EntityKind) -> Blueprint:
    part = Blueprint(f"{kind}_links", __name__, url_prefix=f"/{kind}/<int:entity_id>")

    @part.get("/links")
    def links(entity_id: int) -> Response:
        with state.lock:
            entity = _entity(state, kind, entity_id)
            found = [one for one in _links_of(state, entity) if _asked_for(query(), one)]
        if not found:
            return nothing()
        shown = {"_total_items": len(found), "_links": link(f"{kind}/{entity_id}/links?page=1&limit=50")}
        return hal(shown | {"_embedded": {"links": found}})

    @part.post("/link")
    def add(entity_id: int) -> Response:
        items = sent_many()
        with state.change(actor(state)) as change:
            entity = _entity(state, kind, entity_id)
            for step in each(items, lambda item: plan_link(state, entity, item)):
                step(change)
            _touch(change, entity)
            named = {(item["to_entity_type"], item["to_entity_id"]) for item in items}
            found = [one for one in _links_of(state, entity) if (one["to_entity_type"], one["to_entity_id"]) in named]
        rows = [{"entity_id": entity_id, "entity_type": kind} | one for one in found]
        return hal(
            {"_total_items": len(rows), "_links": link(f"{kind}/{entity_id}/links"), "_embedded": {"links": rows}}
        )

    @part.post("/unlink")
    def remove(entity_id: int) -> Response:
        items = sent_many()
        with state.change(actor(state)) as change:
            entity = _entity(state, kind, entity_id)
            for item in items:
                _unlink(state, change, entity, item)
            _touch(change, entity)
        return nothing()

    return part


def _entity(state: State, kind: str, entity_id: int) -> Entity:
    found = state.entity(kind, entity_id)
    if found is None:
        raise Refused(404)
    return found


def _touch(change: Change, entity: Entity) -> None:
    """A new link is an update of what it hangs on."""
    if isinstance(entity, Lead):
        change.update_lead(entity)
    elif isinstance(entity, Client):
        change.update_client(entity)


def plan_link(state: State, entity: Entity, item: dict[str, Any]) -> Step:
    kind, to_id = str(item.get("to_entity_type")), reading.number(item, "to_entity_id") or 0
    metadata = item.get("metadata") or {}
    if kind == "catalog_elements" and isinstance(entity, Lead):
        product = _product(state, to_id, metadata)
        return lambda change: change.link_product(entity, product)
    other = state.entity(kind, to_id) if kind in KINDS else None
    if other is None:
        raise no_choice("to_entity_id" if kind in KINDS else "to_entity_type")
    return _plan_pair(entity, other, is_main=bool(metadata.get("is_main")))


def _plan_pair(entity: Entity, other: Entity, *, is_main: bool) -> Step:
    match entity, other:
        case Lead(), Client(kind="contacts"):
            return lambda change: change.link_contact(entity, other, main=is_main)
        case Client(kind="contacts"), Lead():
            return lambda change: change.link_contact(other, entity, main=is_main)
        case Lead(), Client():
            return lambda change: change.link_company(entity, other)
        case Client(), Lead():
            return lambda change: change.link_company(other, entity)
        case Client(kind="contacts"), Client(kind="companies"):
            return lambda change: change.employ(entity, other)
        case Client(kind="companies"), Client(kind="contacts"):
            return lambda change: change.employ(other, entity)
    raise no_choice("to_entity_type")


def _product(state: State, element_id: int, metadata: dict[str, Any]) -> ProductLink:
    catalog_id = metadata.get("catalog_id")
    if not isinstance(catalog_id, int):
        raise FieldRefused("FieldMissing", "metadata.catalog_id", "This field is missing.")
    element = state.element(catalog_id, element_id)
    if element is None or element.is_deleted:
        raise no_choice("to_entity_id")
    try:
        quantity = Decimal(str(metadata.get("quantity", 1)))
    except InvalidOperation:
        raise wrong_type("metadata.quantity", "numeric") from None
    return ProductLink(catalog_id, element_id, quantity, metadata.get("price_id"))


def _unlink(state: State, change: Change, entity: Entity, item: dict[str, Any]) -> None:
    kind, to_id = str(item.get("to_entity_type")), reading.number(item, "to_entity_id") or 0
    if isinstance(entity, Lead):
        change.unlink(entity, kind, to_id, (item.get("metadata") or {}).get("catalog_id", 0))
    elif kind == "leads" and (lead := state.lead(to_id)) is not None:
        change.unlink(lead, entity.kind, entity.id)


def _links_of(state: State, entity: Entity) -> list[dict[str, Any]]:
    if isinstance(entity, Lead):
        found = [
            _to("catalog_elements", one.element_id, {"quantity": as_number(one.quantity), "catalog_id": one.catalog_id})
            for one in entity.products.values()
        ]
        found += [_to("contacts", one, {"main_contact": one == entity.main_contact_id}) for one in entity.contacts]
        return found + ([_to("companies", entity.company_id, None)] if entity.company_id else [])
    assert isinstance(entity, Client)
    found = [_to("leads", lead_id, _main_of(state, entity, lead_id)) for lead_id in sorted(entity.leads)]
    found += [_to("contacts", one, None) for one in sorted(entity.contacts)]
    return found + ([_to("companies", entity.company_id, None)] if entity.company_id else [])


def _main_of(state: State, client: Client, lead_id: int) -> dict[str, Any] | None:
    return {"main_contact": state.leads[lead_id].main_contact_id == client.id} if client.kind == "contacts" else None


def _to(kind: str, entity_id: int, metadata: dict[str, Any] | None) -> dict[str, Any]:
    return {"to_entity_id": entity_id, "to_entity_type": kind, "metadata": metadata}


def _asked_for(asked: Query, one: dict[str, Any]) -> bool:
    kind, to_id, catalog_id = (
        asked.at("filter", "to_entity_type"),
        asked.number("filter", "to_entity_id"),
        asked.number("filter", "to_catalog_id"),
    )
    return (
        kind in (None, one["to_entity_type"])
        and to_id in (None, one["to_entity_id"])
        and (catalog_id is None or (one["metadata"] or {}).get("catalog_id") == catalog_id)
    )
