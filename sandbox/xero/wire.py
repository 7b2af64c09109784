"""Bytes to what was asked, and what is answered to bytes: Xero's JSON as it is on the wire (xero.md 4.2, 4.9)."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring
from typing import Any
from uuid import UUID
from xml.sax.saxutils import escape

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WIRE_DATE = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/")
NEWLINE = "\r\n"


class BadPost(ValueError):
    """A body that can't be read: 400 PostDataInvalidException, number 14 (xero.md 8.4)."""


# --- answers -------------------------------------------------------------------------------------------------------------


def instant(at: datetime) -> str:
    """An instant with its offset, e.g. UpdatedDateUTC."""
    return f"/Date({_ms(at)}+0000)/"


def bare_instant(at: datetime) -> str:
    """An instant without an offset, as in DateTimeUTC."""
    return f"/Date({_ms(at)})/"


def calendar(day: date) -> str:
    """A calendar date as midnight UTC."""
    return f"/Date({(day - EPOCH.date()) // timedelta(milliseconds=1)}+0000)/"


def calendar_string(day: date) -> str:
    return f"{day.isoformat()}T00:00:00"


def instant_string(at: datetime) -> str:
    """UpdatedDateUTCString: whole seconds with a Z."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _ms(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)


def dump(value: object) -> str:
    """Pretty JSON: two spaces, CRLF, Decimals with their own digits, `\\/Date(...)\\/`; keys without a value are left out."""
    parts: list[str] = []
    _write(value, NEWLINE, parts)
    return "".join(parts)


def _write(value: object, newline: str, parts: list[str]) -> None:
    if isinstance(value, str):
        text = encode_basestring(value)
        parts.append(text.replace("/", "\\/") if text.startswith('"/Date(') else text)
    elif isinstance(value, Ready):
        parts.append(value.text.replace(NEWLINE, newline) if newline != NEWLINE else value.text)
    elif isinstance(value, Mapping):
        _write_object(value, newline, parts)
    elif isinstance(value, list | tuple):
        _write_array(value, newline, parts)
    elif value is True or value is False:
        parts.append("true" if value else "false")
    elif isinstance(value, Decimal):
        parts.append(format(value, "f"))
    else:
        parts.append("null" if value is None else str(value))


class Ready:
    """A value that was dumped before, at no indentation; kept so that long lists need not be written anew."""

    def __init__(self, value: object) -> None:
        self.text = dump(value)


def _write_object(value: Mapping[str, object], newline: str, parts: list[str]) -> None:
    inner = newline + "  "
    opening = "{"
    for key, item in value.items():
        if item is None:
            continue
        parts.append(f'{opening}{inner}"{key}": ')
        _write(item, inner, parts)
        opening = ","
    parts.append(newline + "}" if opening == "," else "{}")


def _write_array(value: Iterable[object], newline: str, parts: list[str]) -> None:
    inner = newline + "  "
    opening = "["
    for item in value:
        parts.append(opening + inner)
        _write(item, inner, parts)
        opening = ","
    parts.append(newline + "]" if opening == "," else "[]")


def dump_xml(value: Mapping[str, object]) -> str:
    """The same answer as XML, for callers that did not ask for JSON (xero.md 4.1)."""
    return f'<?xml version="1.0" encoding="utf-8"?>{NEWLINE}<Response>{_xml_inside(value)}</Response>'


def _xml_inside(value: object) -> str:
    if isinstance(value, Ready):
        return _xml_inside(json.loads(value.text, parse_float=Decimal))
    if isinstance(value, Mapping):
        return "".join(_xml_element(key, item) for key, item in value.items() if item is not None)
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(format(value, "f") if isinstance(value, Decimal) else str(value))


def _xml_element(name: str, value: object) -> str:
    if isinstance(value, list | tuple):
        single = f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s")
        value = Markup("".join(_xml_element(single, item) for item in value))
    inside = value.text if isinstance(value, Markup) else _xml_inside(value)
    return f"<{name}>{inside}</{name}>"


class Markup:
    """XML that is written already."""

    def __init__(self, text: str) -> None:
        self.text = text


# --- requests ------------------------------------------------------------------------------------------------------------


def _lower(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key.lower(): value for key, value in pairs}


def elements(body: bytes, plural: str) -> list["Asked"]:
    """The elements of a write: `{"Invoices":[...]}` or a single bare object. Property names match in any case."""
    try:
        parsed = json.loads(body, parse_float=Decimal, object_pairs_hook=_lower)
    except (ValueError, RecursionError) as error:
        raise BadPost(f"JSON for post data was invalid,{error}") from None
    inside = parsed.get(plural.lower(), parsed) if isinstance(parsed, dict) else parsed
    found = [Asked(_expect_object(item)) for item in (inside if isinstance(inside, list) else [inside])]
    for each in found:
        each.check()
    return found


def _expect_object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadPost(f"JSON for post data was invalid,Cannot deserialize {value!r} as an object")
    return value


NUMBERS = frozenset(
    [
        "quantity",
        "unitamount",
        "lineamount",
        "taxamount",
        "discountrate",
        "discountamount",
        "currencyrate",
        "amount",
        "day",
    ]
)
DAYS = frozenset(("date", "duedate", "expectedpaymentdate"))
IDS = frozenset(
    [
        "invoiceid",
        "contactid",
        "lineitemid",
        "brandingthemeid",
        "accountid",
        "paymentid",
        "creditnoteid",
        "trackingcategoryid",
        "trackingoptionid",
    ]
)
FLAGS = frozenset(("senttocontact", "includeinemails", "iscustomer", "issupplier"))


class Asked:
    """What a caller sent, read with care: numbers and booleans may come as strings, null counts as not sent."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def __bool__(self) -> bool:
        return any(value is not None for value in self._fields.values())

    @property
    def names(self) -> set[str]:
        """The fields that were sent, in lower case."""
        return {name for name, value in self._fields.items() if value is not None}

    def check(self) -> None:
        """Reads every field whose kind is known, so that a body is refused before any of it takes effect."""
        for name, value in self._fields.items():
            if name in NUMBERS:
                self.number(name)
            elif name in DAYS:
                self.day(name)
            elif name in IDS:
                self.uuid(name)
            elif name in FLAGS:
                self.flag(name)
            elif isinstance(value, list):
                for each in self.parts(name) or []:
                    each.check()
            elif isinstance(value, dict):
                Asked(value).check()

    def has(self, name: str) -> bool:
        return self._fields.get(name) is not None

    def text(self, name: str) -> str | None:
        value = self._fields.get(name)
        if value is None:
            return None
        if isinstance(value, dict | list):
            raise BadPost(f"JSON for post data was invalid,Cannot deserialize {name} as text")
        return value if isinstance(value, str) else str(value)

    def number(self, name: str) -> Decimal | None:
        value = self._fields.get(name)
        if value is None or value == "":
            return None
        try:
            number = Decimal("NaN") if isinstance(value, bool) else Decimal(value)
        except (InvalidOperation, TypeError, ValueError):
            number = Decimal("NaN")
        if not number.is_finite():
            raise BadPost(f"JSON for post data was invalid,Could not convert {value!r} to a number: {name}")
        return number

    def flag(self, name: str) -> bool | None:
        value = self._fields.get(name)
        if value is None or isinstance(value, bool):
            return value
        if str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
        raise BadPost(f"JSON for post data was invalid,Could not convert {value!r} to a boolean: {name}")

    def day(self, name: str) -> date | None:
        value = self.text(name)
        if not value:
            return None
        try:
            wire = WIRE_DATE.fullmatch(value)
            if wire:
                return (EPOCH + timedelta(milliseconds=int(wire[1]))).date()
            return datetime.fromisoformat(value).date()
        except (ValueError, OverflowError):
            raise BadPost(f"JSON for post data was invalid,Could not convert {value!r} to a date: {name}") from None

    def uuid(self, name: str) -> str | None:
        value = self.text(name)
        if not value:
            return None
        try:
            return str(UUID(value))
        except ValueError:
            raise BadPost(f"JSON for post data was invalid,Could not convert {value!r} to a Guid: {name}") from None

    def part(self, name: str) -> "Asked | None":
        value = self._fields.get(name)
        return None if value is None else Asked(_expect_object(value))

    def parts(self, name: str) -> list["Asked"] | None:
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise BadPost(f"JSON for post data was invalid,Cannot deserialize {name} as an array")
        return [Asked(_expect_object(item)) for item in value]
