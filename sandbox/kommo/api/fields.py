"""Custom fields and their groups (kommo.md 9)."""

from typing import Any

from flask import Blueprint, Response

from sandbox.kommo import reading, show
from sandbox.kommo.nouns import FieldDef, Group, Option
from sandbox.kommo.problems import FieldRefused, Refused, missing, no_choice
from sandbox.kommo.state import State
from sandbox.kommo.values import CHOICES
from sandbox.kommo.wire import each, hal, link, need_admin, nothing, page_of, query, request_id, sent_many, sent_one

ENTITIES = ("leads", "contacts", "companies")
EVERYWHERE = {
    "text",
    "numeric",
    "checkbox",
    "select",
    "multiselect",
    "radiobutton",
    "date",
    "date_time",
    "url",
    "textarea",
    "streetaddress",
    "monetary",
    "file",
    "tracking_data",
}
CARDS_ONLY = {"birthday", "smart_address", "legal_entity"}
LISTS_ONLY = {"price", "category", "items", "linked_entity"}
MOST_AT_ONCE = 50


def blueprint(state: State, entity: str) -> Blueprint:
    """`entity` is a kind of entity; lists have a route of their own below."""
    part = Blueprint(f"{entity}_fields", __name__, url_prefix=f"/{entity}/custom_fields")
    _groups(state, part, entity)

    @part.get("")
    def find() -> Response:
        return _find(state, entity)

    @part.get("/<int:field_id>")
    def get(field_id: int) -> Response:
        found = state.fields.of(entity).get(field_id)
        return hal(show.field(found)) if found else nothing()

    @part.post("")
    def create() -> Response:
        return _create(state, entity)

    @part.patch("")
    def update_many() -> Response:
        return _update(state, entity, sent_many())

    @part.patch("/<int:field_id>")
    def update_one(field_id: int) -> Response:
        item = sent_one() | {"id": field_id}
        _update(state, entity, [item])
        return hal(show.field(state.fields.of(entity)[field_id]))

    @part.delete("/<int:field_id>")
    def delete(field_id: int) -> Response:
        need_admin(state)
        with state.lock:
            found = state.fields.of(entity).get(field_id)
            if found is None:
                raise Refused(404)
            state.fields.remove(found)
        return nothing()

    return part


def catalog_blueprint(state: State) -> Blueprint:
    part = Blueprint("catalog_fields", __name__, url_prefix="/catalogs/<int:catalog_id>/custom_fields")

    @part.get("")
    def find(catalog_id: int) -> Response:
        return _find(state, f"catalogs/{catalog_id}")

    @part.get("/<int:field_id>")
    def get(catalog_id: int, field_id: int) -> Response:
        found = state.fields.of(f"catalogs/{catalog_id}").get(field_id)
        return hal(show.field(found)) if found else nothing()

    @part.post("")
    def create(catalog_id: int) -> Response:
        return _create(state, f"catalogs/{catalog_id}")

    return part


def _find(state: State, entity: str) -> Response:
    types = query().texts("filter", "type")
    with state.lock:
        rows = [one for one in state.fields.of(entity).values() if types is None or one.type in types]
        rows.sort(key=lambda one: (one.sort, one.id))
        return page_of(rows, show.field, "custom_fields", f"{entity}/custom_fields", total=len(rows))


def _create(state: State, entity: str) -> Response:
    """201; codes are unique, and the plan caps how many there may be."""
    need_admin(state)
    items = sent_many()
    if len(items) > MOST_AT_ONCE:
        raise Refused(422, f"Limit {MOST_AT_ONCE} per request")
    with state.lock:
        drafts = each(items, lambda item: _draft(state, entity, item))
        codes = [draft.code for draft in drafts if draft.code]
        if len(codes) != len(set(codes)):
            raise Refused(400, "Request validation failed")
        if state.fields.count() + len(drafts) > state.switches["field_cap"]:
            raise Refused(422, "Custom fields limit exceeded")
        made = [state.fields.add(draft) for draft in drafts]
    rows = [
        show.field(one) | {"request_id": request_id(item, index)}
        for index, (item, one) in enumerate(zip(items, made, strict=True))
    ]
    return hal(
        {"_total_items": len(rows), "_links": link(f"{entity}/custom_fields"), "_embedded": {"custom_fields": rows}},
        201,
    )


def _draft(state: State, entity: str, item: dict[str, Any]) -> FieldDef:
    name, kind, code = reading.text(item, "name"), reading.text(item, "type"), reading.text(item, "code") or None
    if not name:
        raise missing("name")
    allowed = EVERYWHERE | (CARDS_ONLY if entity in ENTITIES else LISTS_ONLY)
    if kind not in allowed:
        raise no_choice("type")
    if code and state.fields.by_code(entity, code):
        raise FieldRefused("NotUnique", "code", "This value is already used.")
    group_id = reading.text(item, "group_id") or None
    if group_id is not None and group_id not in state.fields.tabs(entity):
        raise no_choice("group_id")
    if (kind in CHOICES or kind == "multiselect") and not item.get("enums"):
        raise missing("enums")
    return FieldDef(
        id=state.next_id(),
        entity=entity,
        name=name,
        type=kind,
        code=code,
        sort=reading.number(item, "sort", 500) or 500,
        group_id=group_id,
        is_api_only=bool(item.get("is_api_only")),
        currency=item.get("currency"),
        options=_options(state, item.get("enums") or []),
        required_statuses=item.get("required_statuses") or [],
        remind=item.get("remind"),
    )


def _options(state: State, given: list[dict[str, Any]]) -> list[Option]:
    """Options without an id are made anew (kommo.md 9.2)."""
    return [
        Option(
            one.get("id") or state.fields.option_id(),
            str(one.get("value", "")),
            int(one.get("sort") or number),
            one.get("code"),
        )
        for number, one in enumerate(given, start=1)
    ]


def _update(state: State, entity: str, items: list[dict[str, Any]]) -> Response:
    need_admin(state)
    with state.lock:
        found = each(items, lambda item: _known(state, entity, item))
        for item, definition in zip(items, found, strict=True):
            definition.name = reading.text(item, "name", definition.name)
            definition.sort = reading.number(item, "sort", definition.sort) or definition.sort
            definition.is_api_only = bool(item.get("is_api_only", definition.is_api_only))
            definition.group_id = item.get("group_id", definition.group_id)
            if item.get("enums"):
                definition.options = _options(state, item["enums"])
        rows = [show.field(one) for one in found]
    return hal(
        {"_total_items": len(rows), "_links": link(f"{entity}/custom_fields"), "_embedded": {"custom_fields": rows}}
    )


def _known(state: State, entity: str, item: dict[str, Any]) -> FieldDef:
    found = state.fields.of(entity).get(reading.number(item, "id") or 0)
    if found is None:
        raise no_choice("id")
    return found


def _groups(state: State, part: Blueprint, entity: str) -> None:
    @part.get("/groups")
    def groups() -> Response:
        with state.lock:
            rows = sorted(state.fields.tabs(entity).values(), key=lambda one: one.sort)
            shown = [show.group(state, one) for one in rows]
        return hal(
            {
                "_total_items": len(shown),
                "_links": link(f"{entity}/custom_fields/groups"),
                "_embedded": {"custom_field_groups": shown},
            }
        )

    @part.get("/groups/<group_id>")
    def group(group_id: str) -> Response:
        with state.lock:
            found = state.fields.tabs(entity).get(group_id)
            return hal(show.group(state, found)) if found else nothing()

    @part.post("/groups")
    def create_groups() -> Response:
        need_admin(state)
        items = sent_many()
        with state.lock:
            made = [_add_group(state, entity, item) for item in items]
            shown = [show.group(state, one) for one in made]
        content = {
            "_total_items": len(shown),
            "_links": link(f"{entity}/custom_fields/groups"),
            "_embedded": {"custom_field_groups": shown},
        }
        return hal(content, 201)

    @part.delete("/groups/<group_id>")
    def delete_group(group_id: str) -> Response:
        need_admin(state)
        with state.lock:
            found = state.fields.tabs(entity).get(group_id)
            if found is None:
                raise Refused(404)
            if found.is_predefined:
                raise Refused(400, "Predefined group can not be deleted")
            state.fields.tabs(entity).pop(group_id)
        return nothing()


def _add_group(state: State, entity: str, item: dict[str, Any]) -> Group:
    name = reading.text(item, "name")
    if not name:
        raise Refused(400, "Request validation failed")
    made = Group(f"{entity}_{63_431_752_000_000 + state.next_id()}", entity, name, reading.number(item, "sort", 5) or 5)
    state.fields.tabs(entity)[made.id] = made
    for field_id in item.get("fields") or []:
        if field_id in state.fields.of(entity):
            state.fields.of(entity)[field_id].group_id = made.id
    return made
