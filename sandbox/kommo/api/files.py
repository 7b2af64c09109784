"""Files on entities (kommo.md 10.4); the drive itself is another host."""

from itertools import islice

from flask import Blueprint, Response

from sandbox.kommo.nouns import Entity, EntityKind
from sandbox.kommo.problems import Refused, no_choice
from sandbox.kommo.state import State
from sandbox.kommo.wire import actor, each, hal, link, need_scope, nothing, query, sent_many


def blueprint(state: State) -> Blueprint:
    part = Blueprint("files", __name__)

    @part.get("/<any(leads, contacts, companies):kind>/<int:entity_id>/files")
    def files(kind: EntityKind, entity_id: int) -> Response:
        need_scope("files")
        before = query().number("before_id") or 2**62
        with state.lock:
            found = [
                (uuid, number) for uuid, number in _entity(state, kind, entity_id).files.items() if number < before
            ]
        if not found:
            return nothing()
        rows = [{"file_uuid": uuid, "id": number} for uuid, number in islice(reversed(found), query().limit)]
        return hal({"_links": link(f"{kind}/{entity_id}/files"), "_embedded": {"files": rows}})

    @part.put("/<any(leads, contacts, companies):kind>/<int:entity_id>/files")
    def attach(kind: EntityKind, entity_id: int) -> Response:
        need_scope("files")
        items = sent_many()
        with state.change(actor(state)) as change:
            entity = _entity(state, kind, entity_id)
            for file_uuid in each(items, lambda item: _known(state, str(item.get("file_uuid")))):
                change.attach(entity, file_uuid)
        return hal({})

    @part.delete("/<any(leads, contacts, companies):kind>/<int:entity_id>/files")
    def detach(kind: EntityKind, entity_id: int) -> Response:
        need_scope("files")
        items = sent_many()
        with state.change(actor(state)) as change:
            entity = _entity(state, kind, entity_id)
            for item in items:
                change.detach(entity, str(item.get("file_uuid")))
        return hal({}, 202)

    @part.get("/files/<file_uuid>/links")
    def links(file_uuid: str) -> Response:
        with state.lock:
            found = state.file_links.get(file_uuid, {})
            rows = [
                {"id": entity_id, "name": state.entities(kind)[entity_id].name, "entity_type": kind}
                for kind, entity_id in found
            ]
        return hal({"file_uuid": file_uuid, "entities": rows}) if rows else nothing()

    return part


def _entity(state: State, kind: str, entity_id: int) -> Entity:
    found = state.entity(kind, entity_id)
    if found is None:
        raise Refused(404)
    return found


def _known(state: State, file_uuid: str) -> str:
    if file_uuid not in state.files:
        raise no_choice("file_uuid")
    return file_uuid
