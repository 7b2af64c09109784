"""Xero's webhooks: who sent a body, and what it tells (xero.md 9). Pure."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# Xero batches; a real event has over 300 bytes, so that 1 MiB holds some 3,000. Each costs the transaction its time.
MOST_EVENTS = 2_000

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Event:
    """Something of an organisation was made or changed; ids in lower case. Category and kind are in capitals, known to us or not."""

    tenant_id: str
    resource_id: str
    category: str
    kind: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """What one body tells: without events it asks whether we check signatures (xero.md 9.3). `problem` is for people."""

    events: tuple[Event, ...] = ()
    problem: str | None = None

    @property
    def invoices(self) -> list[Event]:
        """What happened to invoices."""
        return [event for event in self.events if event.category == "INVOICE"]


def is_authentic(body: bytes, signature: str, keys: Sequence[str]) -> bool:
    """Whether one of our webhook keys signed exactly these bytes. Takes the same time for every wrong signature."""
    given = signature.encode("utf-8", "replace")
    return any(hmac.compare_digest(given, sign(body, key)) for key in keys)


def sign(body: bytes, key: str) -> bytes:
    """The signature as Xero makes it: the key is used as it is shown, not decoded (xero.md 9.1)."""
    return base64.b64encode(hmac.digest(key.encode(), body, hashlib.sha256))


def read(body: bytes) -> Notice:
    """What the body tells; a body of any kind gives a notice."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return Notice(problem="this is no webhook of Xero's: it is not JSON")
    entries = content.get("events") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        return Notice(problem="this is no webhook of Xero's: it has no list of events")
    events = [_event(entry) for entry in entries[:MOST_EVENTS]]
    return Notice(tuple(event for event in events if event), _problem(len(entries), events))


def _problem(told: int, events: list[Event | None]) -> str | None:
    if told > MOST_EVENTS:
        return f"more than {MOST_EVENTS} events: the rest was not read"
    if None in events:
        return f"{events.count(None)} of {told} events name no organisation or no resource"
    return None


def _event(entry: Any) -> Event | None:
    if not isinstance(entry, dict):
        return None
    tenant_id = _uuid(entry.get("tenantId"))
    resource_id = _uuid(entry.get("resourceId")) or _uuid(entry.get("resourceUrl"))
    if not tenant_id or not resource_id:
        return None
    return Event(
        tenant_id,
        resource_id,
        _word(entry.get("eventCategory")),
        _word(entry.get("eventType")),
        _time(entry.get("eventDateUtc")),
    )


def _uuid(value: Any) -> str:
    """The last uuid in the text: of a resource's address it is the resource's own."""
    found = _UUID.findall(value) if isinstance(value, str) else []
    return found[-1].lower() if found else ""


def _word(value: Any) -> str:
    """Older pages show `Update` where today's bodies have `UPDATE` (xero.md 9.2)."""
    return value.upper() if isinstance(value, str) else ""


def _time(value: Any) -> datetime | None:
    """An instant that says no zone is UTC (xero.md 9.2)."""
    try:
        told = datetime.fromisoformat(value)
        return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
