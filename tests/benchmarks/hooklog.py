"""Reading the sandbox's log of webhooks: when they were sent, and when a deal first showed something. Pure.

A change of a lead makes a webhook with all of its fields in the same instant, so this log tells to the millisecond what a
person would have seen on the card, without anybody looking.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

ENTRY = re.compile(r"leads\[(\w+)\]\[(\d+)\]\[(.+)")
FIELD = re.compile(r"custom_fields\]\[(\d+)\]\[(name\]|values\]\[0\]\[value\])$")

Hook = Mapping[str, Any]
Shown = tuple[int, dict[str, str]]


def sent(hooks: Iterable[Hook], action: str) -> list[float]:
    """When those with this action of leads were first sent, in order, in seconds since 1970."""
    marker = f"leads%5B{action}%5D"
    return sorted(_when(hook["attempts"][0]["at"]) for hook in hooks if marker in hook["body"] and hook["attempts"])


def made(hooks: Iterable[Hook], action: str) -> list[float]:
    """When what those tell of happened, in order."""
    marker = f"leads%5B{action}%5D"
    return sorted(_when(hook["created"]) for hook in hooks if marker in hook["body"])


def first_shown(hooks: Iterable[Hook], field: str, value: str | None = None) -> dict[int, float]:
    """When each lead first showed that field, or that value of it; by lead, in seconds since 1970."""
    found: dict[int, float] = {}
    for hook in hooks:
        at = _when(hook["created"])
        for lead_id, fields in entries(hook["body"]):
            shown = fields.get(field)
            if shown and value in (None, shown):
                found[lead_id] = min(at, found.get(lead_id, at))
    return found


def entries(body: str) -> Iterator[Shown]:
    """The leads of one body, with their own fields by name."""
    ids: dict[tuple[str, str], int] = {}
    names: dict[tuple[str, str], dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for key, value in parse_qsl(body):
        entry = ENTRY.match(key)
        if entry is None:
            continue
        where, rest = (entry[1], entry[2]), entry[3]
        if rest == "id]":
            ids[where] = int(value)
        elif field := FIELD.match(rest):
            names[where][field[1]]["name" if field[2] == "name]" else "value"] = value
    for where, lead_id in ids.items():
        pairs = [(one.get("name", ""), one.get("value", "")) for one in names[where].values()]
        yield lead_id, dict(pairs)


def _when(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def sent_by(hooks: Iterable[Hook], vendor: str) -> list[float]:
    """When a vendor's were first sent."""
    return [_when(hook["attempts"][0]["at"]) for hook in hooks if hook["vendor"] == vendor and hook["attempts"]]
