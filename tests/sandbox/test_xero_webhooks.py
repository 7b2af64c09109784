"""Webhooks: bytes, signature, intent to receive, batches, retries, noise (xero.md 9)."""

import base64
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sandbox.xero.events import Event, sign, spoil, write_body
from tests.sandbox.xero_office import Office

Until = Callable[..., Any]
KEY = "a-webhook-key/+="


@dataclass
class Receiver:
    """Takes webhooks as a good receiver does, unless it is told to misbehave."""

    got: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    status: int = 200
    body: bytes = b""
    cookie: str = ""
    trusts: bool = False  # answers any signature alike
    reads: Callable[[str], str] = str  # how much of a signature it looks at
    url: str = ""

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for body, _ in self.got for event in json.loads(body)["events"]]

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        shown = headers.get("x-xero-signature", "")
        if self.reads(shown) != self.reads(sign(body, KEY)) and not self.trusts:
            return 401
        self.got.append((body, headers))
        return self.status


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response_only(made.take(body, {name.lower(): value for name, value in self.headers.items()}))
            if made.cookie:
                self.send_header("Set-Cookie", made.cookie)
            self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}/hooks"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join(5)


@pytest.fixture
def hooked(xero: Office, receiver: Receiver) -> Office:
    xero.switch(hook_batch_s=0.05)
    verdict = xero.human("/webhook", {"url": receiver.url, "key": KEY})
    assert verdict["ok"], verdict
    receiver.got.clear()
    return xero


# --- bytes ---


def test_the_empty_body_is_xeros_to_the_byte():
    assert write_body([], first=0, last=0, entropy="LUWDSUDGSWNZVALZXBEV") == (
        b'{"events":[],"firstEventSequence": 0,"lastEventSequence": 0, "entropy": "LUWDSUDGSWNZVALZXBEV"}'
    )


def test_a_body_with_an_event_is_xeros_to_the_byte():
    event = Event(
        "4e3e0000-0000-4000-8000-000000000000",
        "INVOICE",
        "UPDATE",
        "fc5b0d6c-0000-4000-8000-000000000000",
        datetime(2025, 5, 1, 14, 32, 4, 198000, tzinfo=UTC),
    )
    assert write_body([event], first=215, last=215, entropy="IMGUUTDRSVUYMBYKJHVJ") == (
        b'{"events":[{ "resourceUrl": "https://api.xero.com/api.xro/2.0/Invoices/fc5b0d6c-0000-4000-8000-000000000000",'
        b' "resourceId": "fc5b0d6c-0000-4000-8000-000000000000", "tenantId": "4e3e0000-0000-4000-8000-000000000000",'
        b' "tenantType": "ORGANISATION", "eventCategory": "INVOICE", "eventType": "UPDATE",'
        b' "eventDateUtc": "2025-05-01T14:32:04.198" }],"firstEventSequence": 215,"lastEventSequence": 215,'
        b' "entropy": "IMGUUTDRSVUYMBYKJHVJ"}'
    )


def test_the_signature_is_over_the_raw_bytes_with_the_key_as_shown():
    body = b'{"events":[]}'
    expected = base64.b64encode(hmac.new(KEY.encode(), body, hashlib.sha256).digest()).decode()
    assert sign(body, KEY) == expected


def test_a_wrong_signature_is_wrong_in_one_character():
    right = sign(b"x", KEY)
    wrong = [spoil(right, probe) for probe in range(50)]
    for each in wrong:
        assert sum(one != other for one, other in zip(right, each, strict=True)) == 1
        assert base64.b64decode(each) != base64.b64decode(right)
    assert wrong[0].lower() == right.lower()
    assert wrong[1][:40] == right[:40]
    assert wrong[2][1:] == right[1:]


# --- intent to receive ---


def test_intent_to_receive_asks_once_rightly_and_three_times_wrongly(xero: Office, receiver: Receiver):
    verdict = xero.human("/webhook", {"url": receiver.url, "key": KEY})
    assert (verdict["ok"], verdict["status"]) == (True, "OK")
    assert sorted((probe["signed"], probe["status"]) for probe in verdict["probes"]) == [(False, 401)] * 3 + [
        (True, 200)
    ]
    body, headers = receiver.got[0]
    assert re.fullmatch(
        rb'\{"events":\[\],"firstEventSequence": 0,"lastEventSequence": 0, "entropy": "[A-Z]{20}"\}', body
    )
    assert headers["content-type"] == "application/json; charset=utf-8"


def test_who_compares_only_the_head_or_without_case_is_found_out(xero: Office, receiver: Receiver):
    for careless in (str.lower, lambda signature: signature[:40]):
        receiver.reads = careless
        verdict = xero.human("/webhook", {"url": receiver.url, "key": KEY})
        assert (verdict["ok"], verdict["status"]) == (False, "NEW")
        # one or two of the three: a character that was changed may have been changed in its case
        assert set(verdict["reasons"]) == {"Response to incorrectly signed payload not 401"}


def test_nothing_is_sent_before_the_intent_is_proved_and_a_new_key_must_prove_it_again(
    xero: Office, receiver: Receiver
):
    receiver.status = 500
    xero.human("/webhook", {"url": receiver.url, "key": KEY})
    receiver.status = 200
    assert xero.human("/webhook", method="GET")["problem"] == "Response not 200"
    assert xero.human("/webhook/intent")["status"] == "OK"
    verdict = xero.human("/webhook", {"url": receiver.url, "key": "another-key"})
    assert (verdict["ok"], verdict["reasons"]) == (False, ["Response not 200"])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"status": 500}, "Response not 200"),
        ({"body": b"OK"}, "Response contains a body"),
        ({"cookie": "session=1"}, "Response sets a cookie"),
        ({"trusts": True}, "Response to incorrectly signed payload not 401"),
    ],
)
def test_a_bad_receiver_is_told_why(xero: Office, receiver: Receiver, fault: dict[str, Any], reason: str):
    for name, value in fault.items():
        setattr(receiver, name, value)
    verdict = xero.human("/webhook", {"url": receiver.url, "key": KEY})
    assert verdict["ok"] is False
    assert reason in verdict["reasons"]
    receiver.got.clear()
    xero.make()
    xero.tell("/webhooks/flush")
    assert receiver.got == []


# --- events ---


def test_events_that_come_together_leave_in_one_body(hooked: Office, receiver: Receiver, until: Until):
    made = hooked.make(Contact={"Name": "New Ltd"})
    until(lambda: len(receiver.events) == 2)
    assert len(receiver.got) == 1
    contact, invoice = receiver.events
    assert (contact["eventCategory"], contact["eventType"], contact["resourceId"]) == (
        "CONTACT",
        "CREATE",
        made["Contact"]["ContactID"],
    )
    assert (invoice["eventCategory"], invoice["eventType"]) == ("INVOICE", "CREATE")
    assert invoice["resourceUrl"].endswith(f"/Invoices/{made['InvoiceID']}")
    assert invoice["tenantId"] == hooked.ready["xero_tenant_id"]
    whole = json.loads(receiver.got[0][0])
    assert (whole["firstEventSequence"], whole["lastEventSequence"]) == (1, 2)
    assert hooked.ask("/webhooks/pending", method="GET").json()["count"] == 0


def test_what_people_do_fires_events_and_notes_do_not(hooked: Office, receiver: Receiver, until: Until):
    raised = hooked.human("/invoices", {"contact": {"name": "Hand Ltd"}})
    actions: list[tuple[str, dict[str, Any]]] = [
        ("pay", {"amount": "1.00"}), ("unpay", {}), ("credit", {"amount": "1.00"}), ("uncredit", {}),
        ("edit", {"reference": "x"}), ("void", {}),
    ]  # fmt: skip
    for action, wanted in actions:
        hooked.human(f"/invoices/{raised['id']}/{action}", wanted)
    hooked.call("PUT", f"Invoices/{raised['id']}/History", json={"HistoryRecords": [{"Details": "note"}]})
    hooked.human(f"/contacts/{raised['contact']['id']}/archive")
    until(lambda: len(receiver.events) == 9)
    hooked.tell("/webhooks/flush")
    kinds = [(event["eventCategory"], event["eventType"]) for event in receiver.events]
    assert kinds == [("CONTACT", "CREATE"), ("INVOICE", "CREATE"), *[("INVOICE", "UPDATE")] * 6, ("CONTACT", "UPDATE")]


def test_credit_notes_are_told_of_where_they_are_subscribed_to(hooked: Office, receiver: Receiver, until: Until):
    hooked.switch(hook_categories=["CREDITNOTE"])
    raised = hooked.human("/invoices", {"contact": {"name": "Hand Ltd"}})
    hooked.human(f"/invoices/{raised['id']}/credit")
    until(lambda: len(receiver.events) == 2)
    assert receiver.events[0]["data"] == {"Type": "ACCRECCREDIT", "Status": "AUTHORISED"}


def test_strange_events_come_by_order(hooked: Office, receiver: Receiver, until: Until):
    hooked.human("/events", {"category": "OVERPAYMENT", "tenant_id": "11111111-1111-4111-8111-111111111111"})
    until(lambda: receiver.events)
    hooked.switch(hook_strange_share=1.0, hook_lower_kinds=True)
    hooked.make()
    until(lambda: len(receiver.events) == 5)
    assert [event["eventCategory"] for event in receiver.events].count("PREPAYMENT") == 2
    assert receiver.events[-1]["eventType"] == "Create"


def test_a_refused_webhook_is_tried_at_once_and_then_waits_with_all_that_follow(
    hooked: Office, receiver: Receiver, until: Until
):
    receiver.status = 503
    hooked.make()
    until(lambda: hooked.human("/webhook", method="GET")["status"] == "RETRYING")
    assert len(receiver.got) == 2
    assert receiver.got[0][0] == receiver.got[1][0]
    hooked.make()
    until(lambda: hooked.human("/webhook", method="GET")["stored"] == 1)
    assert len(receiver.got) == 2
    receiver.status = 200
    hooked.tell("/webhooks/flush")
    until(lambda: len(receiver.got) == 4)
    sequences = [json.loads(body)["firstEventSequence"] for body, _ in receiver.got]
    assert sequences == [1, 1, 1, 3]
    assert hooked.human("/webhook", method="GET")["status"] == "OK"


def test_after_a_day_the_hook_is_disabled_and_intent_to_receive_brings_what_was_stored(
    hooked: Office, receiver: Receiver, until: Until
):
    receiver.status = 500
    hooked.make()
    until(lambda: hooked.human("/webhook", method="GET")["status"] == "RETRYING")
    hooked.tell("/settings", {"clock_shift_s": 86_500}, "PATCH")
    until(lambda: hooked.human("/webhook", method="GET")["status"] == "DISABLED")
    hooked.headers["Authorization"] = f"Bearer {hooked.token()}"
    hooked.make(Reference="while disabled")
    until(lambda: hooked.human("/webhook", method="GET")["stored"] == 3)
    receiver.status = 200
    receiver.got.clear()
    assert hooked.human("/webhook/intent")["ok"]
    until(lambda: len(receiver.events) == 3)
    assert [event["eventCategory"] for event in receiver.events] == ["CONTACT", "INVOICE", "INVOICE"]


def test_noise_doubles_and_drops(hooked: Office, receiver: Receiver, until: Until):
    hooked.tell("/settings", {"noise": {"duplicate": 1.0}}, "PATCH")
    hooked.make()
    until(lambda: len(receiver.got) == 2)
    assert receiver.got[0][0] == receiver.got[1][0]
    hooked.tell("/settings", {"noise": {"drop": 1.0}}, "PATCH")
    hooked.make()
    dropped = until(lambda: hooked.ask("/webhooks?state=dropped", method="GET").json())
    assert len(dropped) == 1
    assert len(receiver.got) == 2
