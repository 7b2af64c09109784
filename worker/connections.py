"""The connections file: which Kommo account is paired with which Xero organisation, and by which rules.

It is checked whole before anything starts. A fault names its line, its connection and its mend, and all are told at once.
Pipelines, stages and fields are given by name or by id; whether they exist is for `check`, which can ask the two systems.
"""

import json
import re
import string
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError

from integrations.xero.entities import LineAmounts
from worker.marks import check_reference
from worker.settings import SettingsError
from worker.toml_lines import Lines, Place

# Money hangs on this file, so nothing is guessed: no unknown keys, and below no text where a number belongs.
CLOSED = ConfigDict(extra="forbid")

# Twenty times the largest plan's day. Every call of a window is remembered in Redis: a limit that no plan has would only cost time.
MOST_CALLS = 100_000

InvoiceLabel = Literal[
    "draft",
    "submitted",
    "awaiting_payment",
    "partly_paid",
    "paid",
    "credited",
    "overdue",
    "voided",
    "deleted",
    "problem",
]


class ConnectionsError(SettingsError):
    """A connections file that a person must mend."""

    def __str__(self) -> str:
        return "\n".join(("Mend the connections file:", *(f"  {fault}" for fault in self.faults)))


def _name_or_id(value: object) -> str | int:
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError('write its name in quotes, as "Sales", or its id as a number')


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, dict) else tuple(value) if isinstance(value, list) else value


def _template(value: str) -> str:
    try:
        list(string.Formatter().parse(value))
    except ValueError:
        raise ValueError('a brace is not closed; write it like "Deal {lead_id}"') from None
    check_reference(value)
    return value


def _code(value: object) -> object:
    if isinstance(value, str):
        return value
    raise ValueError(f'put it in quotes: "{value}"')


Ref = Annotated[str | int, PlainValidator(_name_or_id)]
Switch = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
TenantId = Annotated[str, AfterValidator(str.lower), Field(pattern=r"(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


@dataclass(frozen=True, slots=True)
class Trigger:
    """A stage whose deals get an invoice."""

    __pydantic_config__ = CLOSED
    pipeline: Ref
    stage: Ref


@dataclass(frozen=True, slots=True)
class InvoiceRules:
    """How a deal becomes an invoice. The `_field`s are lead fields, by name or id."""

    __pydantic_config__ = CLOSED
    account_code: Annotated[Text, BeforeValidator(_code)]
    status: Literal["DRAFT", "SUBMITTED", "AUTHORISED"] = "AUTHORISED"
    tax_type: Text | None = None
    tax_field: Ref | None = None
    line_amounts: LineAmounts = "Exclusive"
    due_days: Annotated[int, Field(strict=True, ge=0, le=3650)] = 14
    currency_field: Ref | None = None
    description_field: Ref | None = None
    reference: Annotated[str, AfterValidator(_template)] = "Deal {lead_id}"
    online_link: Switch = False


@dataclass(frozen=True, slots=True)
class DealRules:
    """How an invoice raised by hand becomes a deal. `since` None: from the day of the first setup."""

    __pydantic_config__ = CLOSED
    pipeline: Ref
    stage: Ref
    since: Annotated[date, Field(strict=True)] | None = None
    drafts: Switch = False
    amount: Literal["total", "net"] = "total"


@dataclass(frozen=True, slots=True)
class Limits:
    """The vendors' limits where a plan differs; `xero_day` None: learned from Xero's own answers (xero.md 2.2).

    Not `kommo_shared`: the account's calls are counted apart from those of the other connections (kommo.md 3).
    """

    __pydantic_config__ = CLOSED
    xero_day: Annotated[int, Field(strict=True, ge=1, le=MOST_CALLS)] | None = None
    xero_minute: Annotated[int, Field(strict=True, ge=1, le=MOST_CALLS)] = 60
    kommo_second: Annotated[int, Field(strict=True, ge=1, le=MOST_CALLS)] = 7
    kommo_shared: Switch = True


@dataclass(frozen=True, slots=True)
class Connection:
    """One Kommo account paired with one Xero organisation. `stages`: where a deal moves when its invoice gets that label."""

    __pydantic_config__ = CLOSED
    name: Name
    kommo_subdomain: Name
    triggers: Annotated[tuple[Trigger, ...], BeforeValidator(_one_or_many), Field(min_length=1, alias="trigger")]
    invoice: InvoiceRules
    xero_tenant_id: TenantId | None = None
    deal: DealRules | None = None
    limits: Limits = Limits()
    stages: Mapping[InvoiceLabel, Ref] = field(default_factory=lambda: MappingProxyType({}))


_CONNECTION = TypeAdapter(Connection)
_TABLES: dict[str, type] = {"trigger": Trigger, "invoice": InvoiceRules, "deal": DealRules, "limits": Limits}

# What to write, where pydantic's own words would not tell a person.
_ABSENT = {
    "trigger": 'add [connection.trigger] with pipeline = "..." and stage = "...": a deal that enters that stage gets an invoice',
    "invoice": 'add [connection.invoice] with account_code = "200" (the code of your sales account in Xero)',
    "account_code": 'add account_code = "200" (the code of your sales account in Xero)',
    "name": 'add name = "..." (small letters, digits and hyphens)',
    "pipeline": 'add pipeline = "..." (its name, or its id as a number)',
    "stage": 'add stage = "..." (its name, or its id as a number)',
    "kommo_subdomain": 'add kommo_subdomain = "acme" when the account is at https://acme.kommo.com',
}
_WRONG = {
    "name": "write small letters, digits and hyphens only",
    "kommo_subdomain": 'write only the first part of the account\'s address: "acme" for https://acme.kommo.com',
    "xero_tenant_id": "it is an id like fe79f7dd-1d6c-4a58-b8f1-0c5a3a0d4f2e; leave the line out when the grant covers one organisation",
    "trigger": _ABSENT["trigger"],
    "invoice": _ABSENT["invoice"],
    "due_days": "write a whole number of days, as 14",
    **dict.fromkeys(("xero_day", "xero_minute", "kommo_second"), "write a whole number of calls, from 1 to 100000"),
    "since": "write a date without quotes, as 2026-01-01",
}


def load(path: str | Path) -> tuple[Connection, ...]:
    """The connections of the file, in its order. Raises ConnectionsError with every fault in it."""
    path = Path(path)
    text = _read(path)
    document = _parse(text, path)
    lines = Lines(text)
    faults = list(_checked_top(document))
    valid: dict[int, Connection] = {}
    for number, table in enumerate(_tables(document)):
        try:
            valid[number] = _CONNECTION.validate_python(table)
        except ValidationError as error:
            faults += _told(error, table, number)
    faults += _clashes(valid)
    if faults:
        told = sorted((lines.of(("connection", *place) if place else ()), text) for place, text in faults)
        raise ConnectionsError([f"{path}, line {line}: {text}" for line, text in told])
    return tuple(valid.values())


Fault = tuple[Place, str]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        mend = "copy connections.example.toml to it and fill it in, or set CONNECTIONS_FILE"
        raise ConnectionsError([f"{path} is not there: {mend}"]) from None
    except (OSError, UnicodeDecodeError) as fault:
        raise ConnectionsError([f"{path} can't be read as text in UTF-8: {fault}"]) from None


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        mend = "; a table that repeats has two brackets: [[connection.trigger]]" if "twice" in str(fault) else ""
        raise ConnectionsError([f"{path} is not valid TOML: {fault}{mend}"]) from None


def _checked_top(document: dict[str, Any]) -> Iterator[Fault]:
    for key in document:
        if key != "connection":
            yield (), f'unknown key "{key}"; everything belongs into a [[connection]]'
    if not document.get("connection"):
        yield (), "there is no [[connection]] in it; connections.example.toml shows one"
    elif not _tables(document):
        yield (), "write [[connection]] with two brackets, for there may be several"


def _tables(document: dict[str, Any]) -> list[Any]:
    tables = document.get("connection")
    return tables if isinstance(tables, list) else []


def _told(error: ValidationError, table: Any, number: int) -> Iterator[Fault]:
    title = _title(table, number)
    is_single = isinstance(table, dict) and isinstance(table.get("trigger"), dict)
    for detail in error.errors(include_url=False):
        place = tuple(step for step in detail["loc"] if step != "[key]" and not (is_single and isinstance(step, int)))
        yield (number, *place), f"connection {title}: {_sentence(place, detail)}"


def _title(table: Any, number: int) -> str:
    """The connection's name; its number in the file where it has none."""
    name = table.get("name") if isinstance(table, dict) else None
    return f'"{name}"' if isinstance(name, str) and name else str(number + 1)


def _sentence(place: Place, detail: Any) -> str:
    """What is wrong, and what to write instead."""
    key = next((step for step in reversed(place) if isinstance(step, str)), "connection")
    table = next((step for step in reversed(place[:-1]) if isinstance(step, str)), "")
    value = json.dumps(detail["input"], default=str, ensure_ascii=False)
    said = detail["msg"].removeprefix("Value error, ")
    match detail["type"]:
        case "missing":
            return f"{key} is missing: {_ABSENT.get(key, f'add {key}')}"
        case "unexpected_keyword_argument":
            return f'unknown key "{key}"{_nearest(key, _keys(table))}'
        case "literal_error" if table == "stages" and detail["input"] == key:
            return f'unknown label "{key}"{_nearest(key, list(get_args(InvoiceLabel)))}'
        case "literal_error":
            choices = re.findall("'([^']*)'", said)
            return f"{key} = {value}: it must be one of {', '.join(choices)}"
    return f"{key} = {value}: {_WRONG.get(key, said)}"


def _keys(table: str) -> list[str]:
    kind = _TABLES.get(table, Connection)
    return ["trigger" if one.name == "triggers" else one.name for one in fields(kind)]


def _nearest(word: str, known: list[str]) -> str:
    """The known word that was probably meant; all of them where none is near."""
    folded = {one.casefold(): one for one in known}
    if near := get_close_matches(word.casefold(), folded, n=1):
        return f'; did you mean "{folded[near[0]]}"?'
    return f"; known are {', '.join(known)}"


def _clashes(connections: Mapping[int, Connection]) -> Iterator[Fault]:
    """What two may not share. A stage written once by name and once by id is for `check`, which can ask what the ids are."""
    owners: dict[tuple[str, ...], str] = {}
    for number, connection in connections.items():
        for place, claim, sentence in _claims(connection):
            if claim in owners:
                yield (number, *place), f'connection "{connection.name}": {sentence} "{owners[claim]}"'
            owners.setdefault(claim, connection.name)


def _claims(connection: Connection) -> Iterator[tuple[Place, tuple[str, ...], str]]:
    yield ("name",), ("name", connection.name), "its name is taken; choose another than that of"
    for number, trigger in enumerate(connection.triggers):
        stage = (connection.kommo_subdomain, _folded(trigger.pipeline), _folded(trigger.stage))
        yield (
            ("trigger", number),
            ("trigger", *stage),
            "a deal would be invoiced twice; the same stage already triggers",
        )
    if connection.deal and connection.xero_tenant_id:
        yield (
            ("deal",),
            ("deal", connection.xero_tenant_id),
            "an invoice would become two deals; keep [connection.deal] of only one, it is in",
        )


def _folded(ref: str | int) -> str:
    return str(ref).casefold()
