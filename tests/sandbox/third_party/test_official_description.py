"""Xero's official description at the simulated Xero: each reason in the list of differences is a real one, and the list is the page.

What all other tests send and are answered is held to the same description by tests/described/plugin.py.
"""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from sandbox.xero.events import Event, write_body
from tests.conftest import wait_until
from tests.described import description
from tests.described.differences import DIFFERENCES, PAGE, call_of, render, unlisted
from tests.described.exchanges import Exchange
from tests.described.plugin import Court
from tests.sandbox.xero_office import API, Office, draft, line, read

NOBODY = "00000000-0000-4000-8000-000000000000"

described = pytest.mark.skipif(not description.is_there(), reason=f"{description.ABSENT}: nothing was held to it")


def seen(answer: requests.Response) -> Exchange:
    asked = answer.request
    url = urlsplit(str(asked.url))
    body = asked.body.encode() if isinstance(asked.body, str) else asked.body or b""
    assert isinstance(body, bytes)
    return Exchange(
        method=str(asked.method),
        path=url.path,
        headers=dict(asked.headers),
        body=body,
        status=answer.status_code,
        answer_headers=dict(answer.headers),
        answer=answer.content,
    )


class Witness:
    """Asks Xero, and notes what the description says against the answers."""

    def __init__(self, xero: Office) -> None:
        self.xero = xero
        self.said: set[tuple[str, str]] = set()

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        answer = self.xero.call(method, path, **more)
        self.hear(answer)
        return answer

    def hear(self, answer: requests.Response) -> None:
        exchange = seen(answer)
        call = call_of(exchange.method, exchange.path, exchange.status)
        self.said |= {(call, words) for words in description.against_answer(exchange)}

    def read(self, name: str, webhook: bytes) -> None:
        self.said |= {("webhook", words) for words in description.against_webhook(name, webhook)}

    def fault(self, do: int) -> None:
        self.xero.tell("/faults", {"vendor": "xero", "call": "GET /api.xro/2.0/Accounts", "do": do})
        self.ask("GET", "Accounts")


def documents(witness: Witness) -> None:
    asked = {"Invoices": [draft(Contact={"Name": "Acme Ltd"})]}
    made = read(witness.ask("PUT", "Invoices", json=asked, params={"summarizeErrors": "false"}))["Invoices"][0]
    one = f"Invoices/{made['InvoiceID']}"
    for path in (one, "Invoices", "Contacts", "Payments", "TaxRates", "TrackingCategories", "Currencies", "Items"):
        witness.ask("GET", path)
    witness.ask("GET", "Invoices", params={"page": 1})
    witness.ask("PUT", f"{one}/History", json={"HistoryRecords": [{"Details": "made"}]})
    witness.ask("GET", f"{one}/History")
    witness.ask("PUT", f"{one}/Attachments/a.txt", data=b"text", headers={"Content-Type": "text/plain"})
    witness.ask("GET", f"{one}/Attachments/a.txt")
    witness.ask("GET", one, headers={"Accept": "application/pdf"})
    witness.ask("GET", f"{one}/OnlineInvoice")
    credit(witness)
    witness.ask("POST", one, json={"Invoices": [{"Status": "VOIDED"}]})


def credit(witness: Witness) -> None:
    [note] = read(witness.ask("GET", "CreditNotes", params={"page": 1}))["CreditNotes"]
    [given] = note["Allocations"]
    witness.ask("GET", f"Invoices/{given['Invoice']['InvoiceID']}")
    witness.ask("DELETE", f"CreditNotes/{note['CreditNoteID']}/Allocations/{given['AllocationID']}")


def refusals(witness: Witness) -> None:
    refused = {"Invoices": [draft(LineItems=[line(AccountCode="999")])]}
    witness.ask("PUT", "Invoices", json=refused)
    witness.ask("PUT", "Invoices", json={"Invoices": [draft(Type="NOTHING")]}, params={"summarizeErrors": "false"})
    witness.ask("GET", "Invoices", params={"where": "Status=="})
    witness.ask("GET", f"Invoices/{NOBODY}")
    witness.ask("GET", "Accounts", headers={"xero-tenant-id": NOBODY})
    witness.ask("GET", "Accounts", headers={"Authorization": "Bearer nonsense"})
    for do in (500, 502, 503, 504):
        witness.fault(do)
    witness.xero.switch(minute_limit=0)
    witness.ask("GET", "Accounts")
    witness.xero.switch(minute_limit=60)


def keys(witness: Witness) -> None:
    for reference in ("one", "another"):
        asked = {"Invoices": [draft(Reference=reference)]}
        witness.ask("PUT", "Invoices", json=asked, headers={"Idempotency-Key": "key"})
    in_flight(witness)


def in_flight(witness: Witness) -> None:
    """A key that comes again while its first call runs."""
    witness.xero.switch(in_flight_duplicate="conflict")
    asked: dict[str, Any] = {"json": {"Invoices": [draft()]}, "headers": {"Idempotency-Key": "in flight"}}
    witness.xero.tell("/faults", {"vendor": "xero", "call": "PUT /api.xro/2.0/Invoices", "do": "hold", "when": "after"})
    first = threading.Thread(target=lambda: witness.xero.call("PUT", "Invoices", **asked))
    first.start()
    [held] = wait_until(lambda: witness.xero.ask("/held", method="GET").json())
    witness.ask("PUT", "Invoices", **asked)
    witness.xero.tell(f"/held/{held['id']}/release", {})
    first.join(5)


def forms(witness: Witness) -> None:
    witness.ask("GET", "Organisation", headers={"Accept": "text/xml"})
    witness.ask("GET", "Invoices", params={"where": "Status=="}, headers={"Accept": "text/xml"})
    witness.ask("PUT", "Invoices", json={"Invoices": []}, headers={"Accept": "text/xml"})
    witness.xero.switch(no_accept="refuse")
    witness.ask("GET", "Organisation", headers={"Accept": "text/xml"})
    url = f"{witness.xero.url}/connections"
    witness.hear(witness.xero.session.get(url, headers=witness.xero.headers, timeout=5))


def webhooks(witness: Witness) -> None:
    """The bytes that it sends: an intent to receive, and events of each kind."""
    now = datetime(2026, 9, 14, 9, 30, tzinfo=UTC)
    for name, category, detail in (
        ("invoices", "INVOICE", None),
        ("contacts", "CONTACT", None),
        ("creditNotes", "CREDITNOTE", ("ACCRECCREDIT", "PAID")),
        ("invoices", "PREPAYMENT", None),
    ):
        event = Event(witness.xero.ready["xero_tenant_id"], category, "UPDATE", NOBODY, now, detail)
        witness.read(name, write_body([event], first=1, last=1, entropy="LUWDSUDGSWNZVALZXBEV"))
    witness.read("invoices", write_body([], first=0, last=0, entropy="LUWDSUDGSWNZVALZXBEV"))


@described
def test_each_difference_in_the_list_is_there_and_no_other(xero: Office):
    witness = Witness(xero)
    for tell in (documents, refusals, keys, forms, webhooks):
        tell(witness)
    assert [f"{call}: {words}" for call, words in sorted(witness.said) if unlisted(call, [words])] == []
    met = {each for each in DIFFERENCES for call, words in witness.said if each.covers(call, words)}
    assert [each for each in DIFFERENCES if each not in met] == []


def test_the_page_is_the_list():
    assert PAGE.read_text(encoding="utf-8") == render(), "python -m tests.described.differences"


@described
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (Exchange("GET", f"{API}Nonsense"), "no such call"),
        (Exchange("GET", f"{API}Invoices", query=(("nonsense", "1"),)), "no parameter nonsense"),
        (Exchange("GET", f"{API}Invoices", query=(("page", "one"),)), "invalid literal for int"),
        (Exchange("GET", f"{API}Invoices/INV-1"), "uuid"),
        (Exchange("PUT", f"{API}Invoices", body=b'{"Invoices":[{"Typ":"ACCREC"}]}'), "Invoices[].Typ is not described"),
        (Exchange("PUT", f"{API}Invoices", body=b'{"Invoices":[{"Type":"ACCREC","Total":"ten"}]}'), "Invoices[].Total"),
        (Exchange("GET", "/connections", query=(("tenant", "1"),)), "no parameter tenant"),
    ],
)
def test_the_description_says_no_to_a_request(call: Exchange, said: str):
    tenant = {"xero-tenant-id": NOBODY, "Content-Type": "application/json"}
    exchange = Exchange(call.method, call.path, call.query, tenant, call.body)
    assert said in "\n".join(description.against_request(exchange))


@described
def test_a_request_as_described_is_not_refused():
    headers = {"xero-tenant-id": NOBODY, "If-Modified-Since": "2026-09-14T09:00:00"}
    query = (("where", 'Type=="ACCREC"'), ("page", "1"), ("unitdp", "4"), ("createdByMyApp", "true"))
    assert description.against_request(Exchange("GET", f"{API}Invoices", query, headers)) == []


def kept(folder: Path, client: str, *, answered: dict[str, Any] | None = None) -> None:
    """A line as the sandbox keeps it: somebody asks for a parameter that there is not."""
    headers = [("User-Agent", client), ("Xero-Tenant-Id", NOBODY), ("Accept", "application/json")]
    asked = {"method": "GET", "path": f"{API}Invoices", "query": "nonsense=1", "headers": headers, "body": ""}
    with (folder / "xero-1.jsonl").open("a") as file:
        file.write(json.dumps({"asked": asked, "answered": answered}) + "\n")


@described
def test_a_request_of_ours_that_is_not_described_fails_the_run(tmp_path: Path):
    court = Court(tmp_path)
    kept(tmp_path, "kommo-xero-bridge")
    assert court.sit() == ["1 x our request GET /Invoices None: no parameter nonsense"]
    assert court.sit() == []


@described
def test_an_answer_that_is_not_described_fails_the_run_whoever_asked(tmp_path: Path):
    court = Court(tmp_path)
    body = '{"Invoices":[{"Type":"ACCREC","Colour":"blue"}]}'
    answer = {"status": 200, "headers": [["Content-Type", "application/json"]], "body": body}
    kept(tmp_path, "somebody else", answered=answer)
    assert court.sit() == ["1 x the sandbox's answer to GET /Invoices 200: Invoices[].Colour is not described"]
    assert (court.requests, court.answers) == (0, 1)
