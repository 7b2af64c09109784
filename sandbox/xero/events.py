"""Webhooks as Xero sends them: batches, signatures, intent to receive, retries, the store (xero.md 9)."""

import base64
import hashlib
import hmac
import json
import random
import secrets
import string
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.kit import Clock, Delivery, Hooks

RETRY_EVERY, GIVE_UP_AFTER, STORED_FOR = 900.0, 86_400.0, 31 * 86_400.0


@dataclass(frozen=True, slots=True)
class Event:
    tenant_id: str
    category: str
    kind: str
    resource_id: str
    at: datetime
    detail: tuple[str, str] | None = None  # a credit note's type and status

    @property
    def resource_url(self) -> str:
        path = {"INVOICE": "Invoices", "CONTACT": "Contacts", "CREDITNOTE": "CreditNotes"}.get(
            self.category, "Invoices"
        )
        return f"https://api.xero.com/api.xro/2.0/{path}/{self.resource_id}"


def write_body(events: list[Event], *, first: int, last: int, entropy: str, lower_kinds: bool = False) -> bytes:
    """The very bytes, with the spacing that Xero's have."""
    inside = ",".join(_write_event(event, lower_kinds=lower_kinds) for event in events)
    head = f'{{"events":[{inside}],"firstEventSequence": {first},"lastEventSequence": {last}, '
    return f'{head}"entropy": "{entropy}"}}'.encode()


def _write_event(event: Event, *, lower_kinds: bool) -> str:
    pairs = {
        "resourceUrl": event.resource_url,
        "resourceId": event.resource_id,
        "tenantId": event.tenant_id,
        "tenantType": "ORGANISATION",
        "eventCategory": event.category,
        "eventType": event.kind.title() if lower_kinds else event.kind,
        "eventDateUtc": event.at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{event.at.microsecond // 1000:03d}",
    }
    parts = [f'"{name}": "{value}"' for name, value in pairs.items()]
    if event.detail:
        parts.append(f'"data": {{ "Type": "{event.detail[0]}", "Status": "{event.detail[1]}" }}')
    return "{ " + ", ".join(parts) + " }"


def sign(body: bytes, key: str) -> str:
    """x-xero-signature: HMAC-SHA256 with the key as it is shown, in base64."""
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def spoil(signature: str, probe: int) -> str:
    """A signature that is wrong in one character: by its case, then at the end (who compares the head takes it), then elsewhere.

    The end is the last character whose bits all count, so that it is wrong for those too who decode it first (xero.md 9.3, 9.5).
    """
    letters = [at for at, sign in enumerate(signature) if sign.isalpha()]
    last = len(signature.rstrip("=")) - 2
    at = letters[len(letters) // 2] if probe == 0 else last if probe == 1 else (probe - 2) % last
    wrong = signature[at].swapcase() if probe == 0 else "A" if signature[at] != "A" else "B"
    return signature[:at] + wrong + signature[at + 1 :]


def entropy() -> str:
    return "".join(secrets.choice(string.ascii_uppercase) for _ in range(20))


@dataclass(slots=True)
class Target:
    """An app's one webhook. `status`: "OK", "RETRYING", "DISABLED", or "NEW" before its intent to receive was proved."""

    url: str
    key: str
    status: str = "NEW"
    sequence: int = 0
    failing: set[int] = field(default_factory=set)  # deliveries that are being tried again
    stored: list[Event] = field(default_factory=list)
    problem: str = "Intent to receive required"


class Webhooks:
    """Gathers events for a moment, then sends them. One instance an app."""

    def __init__(self, hooks: Hooks, clock: Clock, switches: Mapping[str, Any]) -> None:
        self._clock = clock
        self._switches = switches
        self._lock = threading.RLock()
        self._gathered: list[Event] = []
        self._timer: threading.Timer | None = None
        self._random = random.Random(1)
        self._seen = threading.local()  # the headers of the last answer, by the thread that got it
        self.target: Target | None = None
        self._sender = hooks.sender(
            "xero",
            patience=lambda: float(switches["hook_patience_s"]),
            ladder=self._next_try,
            judge=self._judge,
            after=self._tried,
        )

    # --- events come in ---

    def add(self, event: Event, *, always: bool = False) -> None:
        """An event that happened; it leaves with those that come within the batch's delay."""
        with self._lock:
            if self.target is None or not (always or event.category in self._switches["hook_categories"]):
                return
            self._gathered.append(event)
            if self._random.random() < float(self._switches["hook_strange_share"]):
                self._gathered.append(Event(event.tenant_id, "PREPAYMENT", "CREATE", event.resource_id, event.at))
            if self._timer is None:
                self._timer = threading.Timer(float(self._switches["hook_batch_s"]), self.flush)
                self._timer.daemon = True
                self._timer.start()

    @property
    def pending(self) -> int:
        """Events that are in no webhook yet; those that wait for a disabled hook are not counted."""
        with self._lock:
            is_waiting = self.target is not None and self.target.status == "RETRYING"
            return len(self._gathered) + (len(self.target.stored) if self.target and is_waiting else 0)

    def flush(self) -> None:
        """Sends what was gathered, or stores it while the hook is disabled or being retried."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            gathered, self._gathered = self._gathered, []
            if self.target is None or not gathered:
                return
            self.target.stored += gathered
            passes = ("OK",) if self._switches["hook_keeps_order"] else ("OK", "RETRYING")
            if self.target.status in passes:
                self._send_stored(self.target)

    def _send_stored(self, target: Target) -> None:
        oldest = self._clock.now() - timedelta(seconds=self._clock.lasts(STORED_FOR))
        events = [event for event in target.stored if event.at >= oldest]
        target.stored = []
        most = int(self._switches["hook_batch_most"])
        for at in range(0, len(events), most):
            self._send(target, events[at : at + most])

    def _send(self, target: Target, events: list[Event]) -> None:
        first = target.sequence + 1
        target.sequence += len(events)
        body = write_body(
            events,
            first=first,
            last=target.sequence,
            entropy=entropy(),
            lower_kinds=bool(self._switches["hook_lower_kinds"]),
        )
        self._sender.submit(target.url, body, headers(sign(body, target.key)))

    # --- what became of them ---

    def _next_try(self, delivery: Delivery) -> float | None:
        """At once, then every quarter of an hour, for a day."""
        if len(delivery.attempts) == 1:
            return 0.0
        age = (self._clock.now() - delivery.created).total_seconds()
        return None if age >= self._clock.lasts(GIVE_UP_AFTER) else RETRY_EVERY

    def _judge(self, status: int, seen: dict[str, str], content: bytes) -> bool:
        self._seen.headers = seen
        return not why_not(status, seen, content, signed=True)

    def _tried(self, delivery: Delivery) -> None:
        with self._lock:
            target = self.target
            if target is None or delivery.target != target.url:
                return
            if delivery.state == "delivered":
                target.failing.discard(delivery.id)
                if not target.failing and target.status == "RETRYING":
                    target.status = "OK"
                    self._send_stored(target)
            elif delivery.state == "lost":
                target.failing.discard(delivery.id)
                target.status, target.problem = "DISABLED", "No success for 24 hours"
                target.stored = _events_of(delivery) + target.stored
            elif len(delivery.attempts) > 1:
                target.failing.add(delivery.id)
                if target.status == "OK":
                    target.status = "RETRYING"

    # --- the developer's portal ---

    def set_target(self, url: str, key: str) -> None:
        """A new or changed address or key: nothing is sent before it has proved its intent to receive."""
        with self._lock:
            before = self.target
            self.target = Target(url, key)
            if before is not None:
                self.target.sequence = before.sequence
                self.target.stored = before.stored

    def clear(self) -> None:
        with self._lock:
            self.target = None
            self._gathered = []

    def prove(self) -> dict[str, Any]:
        """Sends intent to receive: one right signature and some wrong ones, and says what came of it (xero.md 9.3)."""
        with self._lock:
            target = self.target
        assert target is not None
        probes, reasons = [], []
        wrong = int(self._switches["hook_wrong_probes"])
        order = [*range(wrong), None]
        self._random.shuffle(order)
        for probe in order:
            body = write_body([], first=0, last=0, entropy=entropy())
            right = sign(body, target.key)
            shown = right if probe is None else spoil(right, probe)
            attempt = self._sender.send_now(target.url, body, headers(shown))
            seen = self._seen.headers if attempt.status is not None else {}
            reason = why_not(attempt.status, seen, attempt.answer.encode(), signed=probe is None)
            probes.append({"signed": probe is None, **attempt.shown()})
            reasons += [reason] if reason else []
        with self._lock:
            target.problem = "; ".join(dict.fromkeys(reasons))
            target.status = target.status if reasons else "OK"
            if not reasons:
                self._send_stored(target)
            return {"ok": not reasons, "reasons": reasons, "status": target.status, "probes": probes}

    def shown(self) -> dict[str, Any]:
        with self._lock:
            if self.target is None:
                return {"status": "NONE"}
            return {
                "url": self.target.url,
                "status": self.target.status,
                "problem": self.target.problem,
                "sequence": self.target.sequence,
                "stored": len(self.target.stored),
            }

    def stop(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None


def headers(signature: str) -> dict[str, str]:
    return {
        "Content-Type": "application/json; charset=utf-8",
        "x-xero-signature": signature,
        "Accept": "*/*",
        "Accept-Encoding": "gzip, deflate",
    }


def why_not(status: int | None, seen: Mapping[str, str], content: bytes, *, signed: bool) -> str:
    """Why an answer is no good, in the portal's words; empty where it is good (xero.md 9.3, 9.4)."""
    if signed and (status is None or not 200 <= status <= 299):
        return "Response not 200"
    if not signed and status != 401:
        return "Response to incorrectly signed payload not 401"
    if content:
        return "Response contains a body"
    if "set-cookie" in seen:
        return "Response sets a cookie"
    return ""


def _events_of(delivery: Delivery) -> list[Event]:
    """The events of a webhook that was never taken, to be stored again."""
    found = []
    for each in json.loads(delivery.body)["events"]:
        detail = each.get("data")
        at = datetime.fromisoformat(each["eventDateUtc"] + "+00:00")
        kept = (detail["Type"], detail["Status"]) if detail else None
        found.append(
            Event(each["tenantId"], each["eventCategory"], each["eventType"].upper(), each["resourceId"], at, kept)
        )
    return found
