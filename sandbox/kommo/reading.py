"""Reading what clients send about entities: types, choices, defaults. Raises FieldRefused; changes nothing."""

from decimal import Decimal
from typing import Any

from sandbox.kommo.nouns import FieldDef, Pipeline, Values
from sandbox.kommo.problems import FieldRefused, no_choice, wrong_type
from sandbox.kommo.state import State
from sandbox.kommo.values import read_values


def text(item: dict[str, Any], name: str, default: str = "") -> str:
    found = item.get(name)
    if found is None:
        return default
    if not isinstance(found, str):
        raise wrong_type(name, "string")
    return found


def number(item: dict[str, Any], name: str, default: int | None = None) -> int | None:
    found = item.get(name)
    if found is None:
        return default
    if isinstance(found, bool) or not isinstance(found, int):
        raise wrong_type(name, "int")
    return found


def price(state: State, item: dict[str, Any]) -> Decimal | None:
    """A number, never a text. Fractions count only where the account has minor units (kommo.md 5.5)."""
    found = item.get("price")
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | Decimal):
        raise wrong_type("price", "int")
    exact = Decimal(found)
    return exact.quantize(Decimal("0.01")) if state.switches["minor_units"] else Decimal(int(exact))


def user(state: State, item: dict[str, Any], name: str, *, robot: bool = True) -> int | None:
    """An active user of the account, or 0 for a robot."""
    found = number(item, name)
    if found is None or (found == 0 and robot):
        return found
    known = state.users.get(found)
    if known is None or not known.is_active:
        raise no_choice(name)
    return found


def stage(state: State, item: dict[str, Any], now: tuple[int, int] | None) -> tuple[int, int] | None:
    """The (pipeline, stage) that is asked for; None for no wish. `now` is where the lead stands, None for a new lead."""
    pipeline_id, status_id = number(item, "pipeline_id"), number(item, "status_id")
    if pipeline_id is None and status_id is None:
        return None
    pipeline = _pipeline(state, pipeline_id, status_id, now)
    if status_id is None:
        return now if now is not None and now[0] == pipeline.id else (pipeline.id, pipeline.first_stage.id)
    if status_id not in pipeline.stages:
        raise no_choice("status_id")
    return pipeline.id, status_id


def _pipeline(state: State, pipeline_id: int | None, status_id: int | None, now: tuple[int, int] | None) -> Pipeline:
    if pipeline_id is not None:
        found = state.pipelines.get(pipeline_id)
        if found is None or found.is_archive:
            raise no_choice("pipeline_id")
        return found
    if now is not None:
        return state.pipelines[now[0]]
    main = main_pipeline(state)
    if status_id in main.stages:
        return main
    return next((one for one in state.pipelines.values() if status_id in one.stages), main)


def main_pipeline(state: State) -> Pipeline:
    return next(one for one in state.pipelines.values() if one.is_main)


def field_values(state: State, entity: str, item: dict[str, Any]) -> dict[int, Values]:
    """`custom_fields_values`: fields by id or code; a field that is not there is refused (kommo.md 12)."""
    given = item.get("custom_fields_values")
    if given is None:
        return {}
    if not isinstance(given, list):
        raise wrong_type("custom_fields_values", "array")
    found: dict[int, Values] = {}
    for index, one in enumerate(given):
        try:
            definition = _definition(state, entity, one)
            found[definition.id] = read_values(
                definition, one.get("values"), state.zone, lambda value: know_file(state, value)
            )
        except FieldRefused as fault:
            raise fault.under(f"custom_fields_values.{index}") from fault
    return found


def _definition(state: State, entity: str, item: Any) -> FieldDef:
    if not isinstance(item, dict):
        raise wrong_type("", "array")
    if item.get("field_id") is not None:
        found = state.fields.of(entity).get(item["field_id"])
        name = "field_id"
    else:
        found = state.fields.by_code(entity, str(item.get("field_code")))
        name = "field_code" if "field_code" in item else "field_id"
    if found is None or found.is_computed:
        raise no_choice(name)
    return found


def know_file(state: State, value: dict[str, Any]) -> dict[str, Any] | None:
    """A file field's value, filled in from the drive; None for a file that is not there."""
    stored = state.files.get(str(value.get("file_uuid")))
    if stored is None:
        return None
    return {
        "file_uuid": stored.uuid,
        "version_uuid": value.get("version_uuid") or stored.version_uuid,
        "file_name": value.get("file_name") or stored.name,
        "file_size": value.get("file_size") or stored.size,
    }


def tags(state: State, item: dict[str, Any], present: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """`_embedded.tags` replaces all; `tags_to_add` and `tags_to_delete` change some; None leaves them alone."""
    embedded = item.get("_embedded")
    if isinstance(embedded, dict) and "tags" in embedded:
        return [_tag(state, tag) for tag in embedded["tags"] or []]
    if "tags_to_add" not in item and "tags_to_delete" not in item:
        return None
    gone = {tag.get("name") or tag.get("id") for tag in item.get("tags_to_delete") or []}
    kept = [tag for tag in present if tag["name"] not in gone and tag["id"] not in gone]
    known = {tag["name"] for tag in kept}
    return kept + [_tag(state, tag) for tag in item.get("tags_to_add") or [] if tag.get("name") not in known]


def _tag(state: State, tag: dict[str, Any]) -> dict[str, Any]:
    return {"id": tag.get("id") or state.next_id(), "name": tag.get("name", ""), "color": None}


def linked_ids(state: State, item: dict[str, Any], kind: str) -> list[tuple[int, bool]]:
    """`_embedded.contacts` or `.companies` of a new lead: (id, is it the main one)."""
    embedded = item.get("_embedded")
    given = embedded.get(kind) if isinstance(embedded, dict) else None
    found: list[tuple[int, bool]] = []
    for index, one in enumerate(given or []):
        if not isinstance(one, dict) or state.entity(kind, one.get("id", 0)) is None:
            raise no_choice(f"_embedded.{kind}.{index}.id")
        found.append((one["id"], bool(one.get("is_main"))))
    return found
