"""The account, its pipelines, fields, hooks, notes and files, in Kommo's shapes (kommo.md 4, 6, 9-11, 13). Pure."""

from collections.abc import Sequence
from typing import Any

from integrations.exact_json import Json
from integrations.kommo.dialect import instant
from integrations.kommo.entities import Account, Field, FieldDraft, FileRef, Hook, Note, Pipeline, Stage


def parse_account(said: Any) -> Account:
    """The account; its zone and its drive are there only where they were asked for."""
    times = (said.get("_embedded") or {}).get("datetime_settings") or {}
    return Account(
        id=int(said["id"]),
        name=str(said.get("name") or ""),
        subdomain=str(said["subdomain"]),
        currency=str(said.get("currency") or ""),
        timezone=str(times.get("timezone") or "UTC"),
        drive_url=str(said.get("drive_url") or "").rstrip("/"),
    )


def parse_pipeline(said: Any) -> Pipeline:
    """A pipeline; people see stages in the order of `sort`."""
    stages = [_stage(stage, int(said["id"])) for stage in (said.get("_embedded") or {}).get("statuses") or ()]
    return Pipeline(
        id=int(said["id"]),
        name=str(said["name"]),
        is_main=bool(said.get("is_main")),
        is_archive=bool(said.get("is_archive")),
        stages=tuple(sorted(stages, key=lambda stage: (stage.sort, stage.id))),
    )


def _stage(said: Any, pipeline_id: int) -> Stage:
    return Stage(pipeline_id, int(said["id"]), str(said["name"]), int(said.get("sort") or 0))


def parse_field(said: Any) -> Field:
    """A field's definition; `enums` may be null, a list, or an object keyed by index (kommo.md 9.2)."""
    enums = said.get("enums") or ()
    options = enums.values() if isinstance(enums, dict) else enums
    return Field(
        id=int(said["id"]),
        name=str(said["name"]),
        code=said.get("code"),
        kind=str(said["type"]),
        is_api_only=bool(said.get("is_api_only")),
        group_id=said.get("group_id"),
        options={str(option["value"]): int(option["id"]) for option in options},
    )


def write_field(draft: FieldDraft) -> Json:
    """A field to be made; the options of a select are in their order."""
    body: dict[str, Json] = {
        "name": draft.name,
        "type": draft.kind,
        "code": draft.code,
        "sort": draft.sort,
        "is_api_only": draft.is_api_only,
    }
    if draft.group_id is not None:
        body["group_id"] = draft.group_id
    if draft.options:
        body["enums"] = [{"value": option, "sort": sort} for sort, option in enumerate(draft.options, start=1)]
    return body


def write_options(field: Field, more: Sequence[str]) -> Json:
    """All of a select's options, the new ones last: those that come without their id are made anew (kommo.md 9.2)."""
    known: list[Json] = [
        {"id": option_id, "value": option, "sort": sort}
        for sort, (option, option_id) in enumerate(field.options.items(), start=1)
    ]
    new: list[Json] = [
        {"value": option, "sort": sort} for sort, option in enumerate(more, start=len(field.options) + 1)
    ]
    return {"enums": known + new}


def parse_hook(said: Any) -> Hook:
    """A registered webhook."""
    return Hook(str(said["destination"]), frozenset(said.get("settings") or ()), bool(said.get("disabled")))


def parse_note(said: Any) -> Note:
    """A note; those without text (calls, files) have an empty one."""
    params = said.get("params") or {}
    return Note(
        id=int(said["id"]),
        lead_id=int(said["entity_id"]),
        kind=str(said["note_type"]),
        text=str(params.get("text") or "") if isinstance(params, dict) else "",
        created_at=instant(said["created_at"]),
    )


def write_note(lead_id: int, text: str) -> Json:
    """A message of ours in the lead's feed (kommo.md 11.1). It must not set off robots."""
    return {
        "entity_id": lead_id,
        "note_type": "service_message",
        "params": {"service": "Xero", "text": text},
        "is_need_to_trigger_digital_pipeline": False,
    }


def parse_stored_file(said: Any, *, name: str, size: int) -> FileRef:
    """What the last part of an upload gave back. The drive drops the name's extension (kommo.md 10.3), so ours is kept."""
    return FileRef(uuid=str(said["uuid"]), version_uuid=str(said["version_uuid"]), name=name, size=size)


def write_session(*, name: str, size: int, mime: str, file_uuid: str | None) -> Json:
    """An upload to be begun; with `file_uuid` it becomes the new version of that file (kommo.md 10.2)."""
    body: dict[str, Json] = {"file_name": name, "file_size": size, "content_type": mime, "with_preview": False}
    return body | ({"file_uuid": file_uuid} if file_uuid else {})


def parse_session(said: Any) -> tuple[int, str]:
    """How large a part may be, and where the first one goes."""
    size = int(said["max_part_size"])
    if size < 1:
        raise ValueError(f"parts of {size} bytes")
    return size, str(said["upload_url"])


def parse_file_ids(said: Any) -> Sequence[tuple[str, int]]:
    """A page of a lead's files: each uuid, and its place in the list."""
    files = (said or {}).get("_embedded", {}).get("files") or ()
    return [(str(file["file_uuid"]), int(file.get("id") or 0)) for file in files]
