"""Custom fields' values: what may be written, how it is stored, and how the API, the hooks and people see it (kommo.md 5.6, 4.3)."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.kommo.nouns import FieldDef, Option, Values
from sandbox.kommo.problems import FieldRefused, missing, no_choice, wrong_type

TEXTS = {"text", "textarea", "url", "streetaddress", "tracking_data"}
NUMBERS = {"numeric", "monetary", "price"}
DATES = {"date", "date_time", "birthday"}
CHOICES = {"select", "radiobutton", "category"}
OBJECTS = {"legal_entity", "linked_entity", "items", "file"}

# the fixed options of fields whose options nobody can edit (kommo.md 5.6)
ADDRESS_PARTS = ["address_line_1", "address_line_2", "city", "state", "zip", "country"]
MULTITEXT = {"PHONE": ["WORK", "WORKDD", "MOB", "FAX", "HOME", "OTHER"], "EMAIL": ["WORK", "PRIV", "OTHER"]}

FileKnown = Callable[[dict[str, Any]], dict[str, Any] | None]


def read_values(definition: FieldDef, given: Any, zone: ZoneInfo, know_file: FileKnown) -> Values:
    """What is stored for what was sent; [] clears. Raises FieldRefused with a path below the field."""
    if given is None:
        return []
    if not isinstance(given, list):
        raise wrong_type("values", "array")
    stored: Values = []
    for index, item in enumerate(given):
        if not isinstance(item, dict):
            raise wrong_type(f"values.{index}", "array")
        try:
            stored.append(_read_one(definition, item, zone, know_file))
        except FieldRefused as fault:
            raise fault.under(f"values.{index}") from fault
    several = definition.type in ("multiselect", "multitext", "smart_address", "items", "linked_entity")
    return stored if several else stored[:1]


def _read_one(definition: FieldDef, item: dict[str, Any], zone: ZoneInfo, know_file: FileKnown) -> dict[str, Any]:
    kind = definition.type
    if kind in CHOICES or kind == "multiselect":
        return _shown_option(_choose(definition, item))
    value = item.get("value")
    if value is None:
        raise missing("value")
    if kind in TEXTS:
        return {"value": _text(value)}
    if kind in NUMBERS:
        return {"value": _number(value)}
    if kind in DATES:
        return {"value": _moment(value, zone, whole_day=kind == "date")}
    if kind == "checkbox":
        return {"value": _flag(value)}
    if kind in ("multitext", "smart_address"):
        return {"value": _text(value)} | _shown_option_only(_part(definition, item))
    if not isinstance(value, dict):
        raise wrong_type("value", "array")
    if kind == "file":
        known = know_file(value)
        if known is None:
            raise no_choice("value.file_uuid")
        return {"value": known}
    return {"value": value}


def _choose(definition: FieldDef, item: dict[str, Any]) -> Option:
    """By id, code or exact text; unknown texts are refused, never made (kommo.md 5.6)."""
    for name, attribute in (("enum_id", "id"), ("enum_code", "code"), ("value", "value")):
        if item.get(name) is not None:
            found = next((one for one in definition.options if getattr(one, attribute) == item[name]), None)
            if found is None:
                raise no_choice(name)
            return found
    raise missing("value")


def _part(definition: FieldDef, item: dict[str, Any]) -> Option:
    named = {name: item[name] for name in ("enum_id", "enum_code") if item.get(name) is not None}
    return _choose(definition, named) if named else definition.options[0]


def _shown_option(option: Option) -> dict[str, Any]:
    return {"value": option.value, "enum_id": option.id, "enum_code": option.code}


def _shown_option_only(option: Option) -> dict[str, Any]:
    return {"enum_id": option.id, "enum_code": option.code}


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise wrong_type("value", "string")
    return str(value)


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise wrong_type("value", "numeric")
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise wrong_type("value", "numeric") from None
    if not number.is_finite():
        raise wrong_type("value", "numeric")
    return plain(number)


def plain(number: Decimal) -> str:
    """Without exponent and without zeros at the end: "12", "1.5"."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _moment(value: Any, zone: ZoneInfo, *, whole_day: bool) -> int:
    """Unix seconds; a `date` is midnight in the account's zone."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise wrong_type("value", "int")
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise wrong_type("value", "int") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    else:
        moment = datetime.fromtimestamp(value, zone)
    if not whole_day:
        return int(moment.timestamp())
    return midnight(moment.astimezone(zone).date(), zone)


def midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in (0, 1, "0", "1"):
        return bool(int(value))
    raise wrong_type("value", "bool")


def v4(definition: FieldDef, values: Values) -> dict[str, Any]:
    """As the API reads it."""
    return {
        "field_id": definition.id,
        "field_name": definition.name,
        "field_code": definition.code,
        "field_type": definition.type,
        "values": values,
        "is_computed": definition.is_computed,
    }


def v2(definition: FieldDef, values: Values, zone: ZoneInfo) -> dict[str, Any]:
    """As hooks carry it (kommo.md 4.3): dates without `value`, a radiobutton as an object, a code only where predefined."""
    entry: dict[str, Any] = {"id": definition.id, "name": definition.name}
    if definition.type == "radiobutton":
        entry["values"] = _v2_value(definition, values[0], zone)
    else:
        entry["values"] = [_v2_value(definition, value, zone) for value in values]
    if definition.is_predefined:
        entry["code"] = definition.code
    return entry


def _v2_value(definition: FieldDef, value: dict[str, Any], zone: ZoneInfo) -> Any:
    if definition.type in ("date", "date_time"):
        return value["value"]
    if definition.type == "birthday":
        return {"value": f"{datetime.fromtimestamp(value['value'], zone):%d.%m.%Y}"}
    shown = {"value": value["value"]}
    if value.get("enum_id") is not None:
        shown["enum"] = value["enum_id"]
    return shown


def for_people(definition: FieldDef, values: Values, zone: ZoneInfo) -> Any:
    """As the books show it: text, ISO days, numbers as strings, a list where there are several."""
    shown = [_for_people_one(definition, value["value"], zone) for value in values]
    return shown[0] if len(shown) == 1 else shown


def _for_people_one(definition: FieldDef, value: Any, zone: ZoneInfo) -> Any:
    if definition.type in ("date", "birthday"):
        return datetime.fromtimestamp(value, zone).date().isoformat()
    if definition.type == "date_time":
        return datetime.fromtimestamp(value, zone).isoformat()
    if definition.type == "file":
        return value["file_name"]
    return value


def from_people(definition: FieldDef, value: Any, zone: ZoneInfo) -> Any:
    """What a person typed, as the API would take it: text, ISO days, lists where several are meant, None to clear."""
    if value is None or value == "":
        return None
    several = value if isinstance(value, list) else [value]
    if definition.type in ("date", "birthday"):
        several = [midnight(date.fromisoformat(one), zone) for one in several]
    return [{"value": one} for one in several]
