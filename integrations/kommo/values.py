"""Custom field values as Kommo reads and writes them (kommo.md 5.6). Pure."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from integrations.exact_json import Json
from integrations.kommo.entities import FieldValue, FileRef, Value


def parse_fields(said: Any) -> tuple[FieldValue, ...]:
    """The fields that are filled in: Kommo gives null, or an empty list, where none is."""
    return tuple(
        FieldValue(
            field_id=int(field["field_id"]),
            code=field.get("field_code"),
            kind=str(field.get("field_type") or ""),
            values=tuple(value for value in field.get("values") or () if isinstance(value, dict)),
        )
        for field in said or ()
    )


def write_fields(fields: Mapping[int | str, Value], zone: ZoneInfo) -> list[Json]:
    """In the order given, so that a refusal's path ("custom_fields_values.0…") finds its field."""
    return [
        {"field_id" if isinstance(ref, int) else "field_code": ref, "values": _values(value, zone)}
        for ref, value in fields.items()
    ]


def _values(value: Value, zone: ZoneInfo) -> Json:
    # None clears the field.
    return None if value is None else [{"value": _value(value, zone)}]


def _value(value: str | Decimal | date | bool | FileRef, zone: ZoneInfo) -> Json:
    match value:
        case Decimal():
            return format(value, "f")  # numbers are strings both ways
        case datetime():
            return int(value.timestamp())
        case date():
            return midnight(value, zone)
        case FileRef():
            return {
                "file_uuid": value.uuid,
                "version_uuid": value.version_uuid,
                "file_name": value.name,
                "file_size": value.size,
            }
    return value


def write_contact_line(code: str, value: str) -> Json:
    """A phone or an e-mail address: of many, one for work."""
    return {"field_code": code, "values": [{"value": value, "enum_code": "WORK"}]}


def midnight(day: date, zone: ZoneInfo) -> int:
    """A date field is midnight in the account's time zone, or the day is off by one."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def day(value: FieldValue | None, zone: ZoneInfo) -> date | None:
    """The day that a date field shows; None where it is empty or no date."""
    text = value.text if value else ""
    try:
        return datetime.fromtimestamp(int(text), UTC).astimezone(zone).date()
    except (ValueError, OverflowError, OSError):
        return None


def number(value: FieldValue | None) -> Decimal | None:
    """The number in a field; None where it is empty or no number. Numeric and monetary fields come as strings."""
    try:
        found = Decimal(value.text) if value else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() else None


def file(value: FieldValue | None) -> FileRef | None:
    """The file that a file field names; None where it names none."""
    said = value.values[0].get("value") if value and value.values else None
    if not isinstance(said, dict) or not said.get("file_uuid") or not said.get("version_uuid"):
        return None
    return FileRef(
        str(said["file_uuid"]),
        str(said["version_uuid"]),
        str(said.get("file_name") or ""),
        int(said.get("file_size") or 0),
    )
