"""Lists and their elements, the products among them (kommo.md 8)."""

from collections.abc import Iterable
from typing import Any

from flask import Blueprint, Response

from sandbox.kommo import reading, show
from sandbox.kommo.api.leads import search
from sandbox.kommo.changes import Change
from sandbox.kommo.nouns import Catalog, Element
from sandbox.kommo.problems import Refused, missing
from sandbox.kommo.query import Query
from sandbox.kommo.state import State
from sandbox.kommo.wire import actor, each, hal, link, nothing, page_of, query, request_id, sent_many, sent_one, written


def blueprint(state: State) -> Blueprint:
    part = Blueprint("catalogs", __name__, url_prefix="/catalogs")

    @part.get("")
    def find() -> Response:
        wanted = query().at("type")
        with state.lock:
            rows = [one for one in state.catalogs.values() if wanted in (None, one.type)]
            return page_of(rows, lambda one: show.catalog(state, one), "catalogs", "catalogs")

    @part.get("/<int:catalog_id>")
    def get(catalog_id: int) -> Response:
        found = state.catalogs.get(catalog_id)
        return hal(show.catalog(state, found)) if found else nothing()

    @part.get("/<int:catalog_id>/elements")
    def elements(catalog_id: int) -> Response:
        asked = query()
        with state.lock:
            _catalog(state, catalog_id)
            rows = _find(state, catalog_id, asked)
            return page_of(rows, lambda one: show.element(state, one), "elements", f"catalogs/{catalog_id}/elements")

    @part.get("/<int:catalog_id>/elements/<int:element_id>")
    def element(catalog_id: int, element_id: int) -> Response:
        with state.lock:
            found = state.element(catalog_id, element_id)
            return hal(show.element(state, found)) if found else nothing()

    @part.post("/<int:catalog_id>/elements")
    def create(catalog_id: int) -> Response:
        items = sent_many()
        path = f"catalogs/{catalog_id}/elements"
        with state.change(actor(state)) as change:
            _catalog(state, catalog_id)
            drafts = each(items, lambda item: draft(state, catalog_id, item, change))
            made = [change.add_element(one) for one in drafts]
        rows = [
            {"id": one.id, "request_id": request_id(item, index), "_links": link(f"{path}/{one.id}")}
            for index, (item, one) in enumerate(zip(items, made, strict=True))
        ]
        return written(rows, "elements", path)

    @part.patch("/<int:catalog_id>/elements/<int:element_id>")
    def update(catalog_id: int, element_id: int) -> Response:
        item = sent_one()
        with state.change(actor(state)) as change:
            found = state.element(catalog_id, element_id)
            if found is None:
                raise Refused(404)
            values = each([item], lambda item: reading.field_values(state, f"catalogs/{catalog_id}", item))[0]
            found.name = reading.text(item, "name", found.name)
            found.fields |= values
            found.updated_at = change.now
            return hal(show.element(state, found))

    return part


def _catalog(state: State, catalog_id: int) -> Catalog:
    found = state.catalogs.get(catalog_id)
    if found is None:
        raise Refused(404)
    return found


def draft(state: State, catalog_id: int, item: dict[str, Any], change: Change) -> Element:
    name = reading.text(item, "name")
    if not name:
        raise missing("name")
    by = change.actor.user_id
    values = reading.field_values(state, f"catalogs/{catalog_id}", item)
    return Element(state.next_id(), catalog_id, name, by, by, change.now, change.now, fields=values)


def _find(state: State, catalog_id: int, asked: Query) -> Iterable[Element]:
    elements = state.elements.get(catalog_id, {})
    ids = asked.ids("filter", "id")
    rows: Iterable[Element] = (
        elements.values() if ids is None else (elements[one] for one in sorted(set(ids)) if one in elements)
    )
    found = search(state, asked.search) if asked.search else None
    return (one for one in rows if not one.is_deleted and (found is None or found(one)))
