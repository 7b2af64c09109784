"""Notes; both forms of address, as the docs and the library have them (kommo.md 11.1)."""

from collections.abc import Iterable
from typing import Any

from flask import Blueprint, Response

from sandbox.kommo import reading, show
from sandbox.kommo.changes import Actor
from sandbox.kommo.nouns import EntityKind, Note
from sandbox.kommo.problems import Refused, missing, no_choice
from sandbox.kommo.query import Query
from sandbox.kommo.state import State
from sandbox.kommo.wire import actor, each, hal, link, nothing, page_of, query, request_id, sent_many, sent_one, written

# what each type must have in its params
NEEDS: dict[str, tuple[str, ...]] = {
    "common": ("text",),
    "service_message": ("service", "text"),
    "extended_service_message": ("service", "text"),
    "attachment": ("file_uuid",),
    "sms_in": ("text", "phone"),
    "sms_out": ("text", "phone"),
    "call_in": ("uniq", "duration", "phone"),
    "call_out": ("uniq", "duration", "phone"),
    "geolocation": ("text", "longitude", "latitude"),
}


def blueprint(state: State, kind: EntityKind) -> Blueprint:
    part = Blueprint(f"{kind}_notes", __name__, url_prefix=f"/{kind}")

    @part.get("/notes")
    def find() -> Response:
        with state.lock:
            rows = _filtered((one for one in state.notes.values() if one.kind == kind), query())
            return page_of(rows, lambda one: show.note(state, one), "notes", f"{kind}/notes")

    @part.get("/<int:entity_id>/notes")
    def find_of(entity_id: int) -> Response:
        with state.lock:
            entity = state.entity(kind, entity_id)
            if entity is None:
                raise Refused(404)
            rows = _filtered(entity.notes, query())
            return page_of(rows, lambda one: show.note(state, one), "notes", f"{kind}/{entity_id}/notes")

    @part.get("/notes/<int:note_id>")
    @part.get("/<int:_entity_id>/notes/<int:note_id>")
    def get(note_id: int, _entity_id: int = 0) -> Response:
        with state.lock:
            found = state.notes.get(note_id)
            return hal(show.note(state, found)) if found and found.kind == kind else nothing()

    @part.post("/notes")
    def create() -> Response:
        return _create(state, kind, sent_many())

    @part.post("/<int:entity_id>/notes")
    def create_of(entity_id: int) -> Response:
        if state.entity(kind, entity_id) is None:
            raise Refused(404)
        return _create(state, kind, [item | {"entity_id": entity_id} for item in sent_many()])

    @part.patch("/notes/<int:note_id>")
    @part.patch("/<int:_entity_id>/notes/<int:note_id>")
    def update(note_id: int, _entity_id: int = 0) -> Response:
        item = sent_one()
        with state.lock:
            found = state.notes.get(note_id)
            if found is None or found.kind != kind:
                raise Refused(404)
            found.params = found.params | (item.get("params") or {})
            found.updated_at, found.updated_by = state.clock.stamp(), actor(state).user_id
        return hal(
            {
                "id": found.id,
                "entity_id": found.entity_id,
                "updated_at": found.updated_at,
                "_links": link(f"{kind}/{found.entity_id}/notes/{found.id}"),
            }
        )

    @part.post("/notes/<int:note_id>/<any(pin, unpin):_how>")
    def pin(note_id: int, _how: str) -> Response:
        if note_id not in state.notes:
            raise Refused(404)
        return nothing()

    return part


def _create(state: State, kind: EntityKind, items: list[dict[str, Any]]) -> Response:
    with state.change(actor(state)) as change:
        drafts = each(items, lambda item: draft(state, kind, item, change.actor))
        made = [change.add_note(one) for one in drafts]
    rows = [
        {
            "id": one.id,
            "entity_id": one.entity_id,
            "request_id": request_id(item, index),
            "_links": link(f"{kind}/{one.entity_id}/notes/{one.id}"),
        }
        for index, (item, one) in enumerate(zip(items, made, strict=True))
    ]
    return written(rows, "notes", f"{kind}/notes")


def draft(state: State, kind: EntityKind, item: dict[str, Any], by: Actor) -> Note:
    entity_id = reading.number(item, "entity_id") or 0
    entity = state.entity(kind, entity_id)
    if entity is None:
        raise no_choice("entity_id")
    note_type = reading.text(item, "note_type")
    if note_type not in NEEDS:
        raise no_choice("note_type")
    params = item.get("params")
    for name in NEEDS[note_type]:
        if not isinstance(params, dict) or params.get(name) in (None, ""):
            raise missing(f"params.{name}")
    assert isinstance(params, dict)
    if note_type == "attachment" and reading.know_file(state, params) is None:
        raise no_choice("params.file_uuid")
    now = state.clock.stamp()
    created_at = reading.number(item, "created_at", now) or now
    return Note(
        state.next_id(),
        kind,
        entity_id,
        note_type,
        params,
        by.user_id,
        by.user_id,
        created_at,
        created_at,
        entity.responsible_user_id,
    )


def _filtered(rows: Iterable[Note], asked: Query) -> Iterable[Note]:
    ids, types, span = asked.ids("filter", "id"), asked.texts("filter", "note_type"), asked.span("filter", "updated_at")
    return (
        one
        for one in rows
        if (ids is None or one.id in ids)
        and (types is None or one.note_type in types)
        and (span is None or span[0] <= one.updated_at <= span[1])
    )
