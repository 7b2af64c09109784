"""GET of many invoices: filters, order, pages, If-Modified-Since; and quick with ten thousand (xero.md 4.10)."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.kit import Kit
from sandbox.xero.act import new_id
from sandbox.xero.invoices import create
from sandbox.xero.seed import TENANT, plant
from sandbox.xero.state import State
from sandbox.xero.wire import Asked
from tests.sandbox.xero_office import Office, draft, line, read

NOBODY = "11111111-1111-4111-8111-111111111111"


def numbers(answer: Any) -> list[str]:
    return [each["InvoiceNumber"] for each in answer["Invoices"]]


@pytest.fixture
def three(xero: Office) -> list[Any]:
    wanted = [
        draft(Reference="Deal 1", Date="2026-01-03", LineItems=[line(UnitAmount="1")]),
        draft(Reference="Deal 2", Date="2026-01-02", Contact={"Name": "Beta Ltd"}, Status="DRAFT"),
        draft(
            Reference="Deal 3",
            Date="2026-01-01",
            Type="ACCPAY",
            LineItems=[line(AccountCode="400")],
            InvoiceNumber="B-1",
        ),
    ]
    made: list[Any] = xero.put("Invoices", *wanted)["Invoices"]
    return made


def test_lists_of_ids_numbers_contacts_and_statuses(xero: Office, three: list[Any]):
    first, second, bill = three
    both = f"{first['InvoiceID']},{NOBODY},{bill['InvoiceID'].upper()}"
    assert sorted(numbers(xero.get("Invoices", IDs=both))) == ["B-1", "INV-0001"]
    assert numbers(xero.get("Invoices", InvoiceNumbers="inv-0002,none")) == ["INV-0002"]
    assert numbers(xero.get("Invoices", ContactIDs=second["Contact"]["ContactID"])) == ["INV-0002"]
    drafts = xero.get("Invoices", Statuses="DRAFT,SUBMITTED")
    assert numbers(drafts) == ["S-1003", "INV-0002"]
    assert drafts["pagination"]["itemCount"] == 2
    assert numbers(xero.get("Invoices", IDs=NOBODY)) == []


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ('Reference=="deal 1"', ["INV-0001"]),
        ('InvoiceNumber=="INV-0002"', ["INV-0002"]),
        ('Contact.Name=="beta ltd"', ["INV-0002"]),
        ('Type=="ACCPAY"', ["B-1"]),
        ('Status=="DRAFT" AND Date>=DateTime(2026,01,01)', ["INV-0002"]),
        ("Date>=DateTime(2026,01,02) AND Date<=DateTime(2026,01,02)", ["INV-0002"]),
        ("AmountDue>500", []),
        ('Status=="PAID"', ["S-1001"]),
        ("AmountDue>200 AND AmountPaid>0", ["S-1002"]),
        (f'InvoiceId==guid("{NOBODY}")', []),
        ('Reference!=null && Reference.Contains("deal")', ["B-1", "INV-0001", "INV-0002"]),
    ],
)
def test_where_finds(xero: Office, three: list[Any], where: str, found: list[str]):
    assert sorted(numbers(xero.get("Invoices", where=where))) == found


@pytest.mark.parametrize(
    "query", [{"where": "Nothing==1"}, {"where": 'Reference.Contains("x")'}, {"order": "Nope DESC"}, {"page": "x"}]
)
def test_a_query_that_cant_be_read_is_a_400(xero: Office, query: dict[str, str]):
    answer = xero.call("GET", "Invoices", params=query)
    assert (answer.status_code, read(answer)["ErrorNumber"]) == (400, 16)


def test_order_and_pages(xero: Office, three: list[Any]):
    ordered = xero.get("Invoices", order="Date DESC", page="1", pageSize="2")
    assert numbers(ordered) == ["INV-0001", "INV-0002"]
    assert ordered["pagination"] == {"page": 1, "pageSize": 2, "pageCount": 4, "itemCount": 7}
    assert numbers(xero.get("Invoices", order="Date DESC", page="9", pageSize="2")) == []
    assert xero.get("Invoices", page="1", pageSize="5000")["pagination"]["pageSize"] == 1000
    by_change = xero.get("Invoices", page="1")
    assert numbers(by_change)[-3:] == [
        each["InvoiceNumber"] for each in sorted(three, key=lambda each: each["InvoiceID"])
    ]


def test_a_search_and_a_summary(xero: Office, three: list[Any]):
    found = xero.get("Invoices", searchTerm="deal 2", summaryOnly="true")
    only = found["Invoices"][0]
    assert found["pagination"]["itemCount"] == 1
    assert {"Payments", "LineItems", "HasAttachments"} & only.keys() == set()
    assert only["Total"] == three[1]["Total"]


def test_what_our_app_made_is_told_from_what_people_made(xero: Office, three: list[Any]):
    xero.human("/invoices", {"contact": {"name": "Hand Ltd"}, "reference": "Deal 1"})
    ours = xero.get("Invoices", createdByMyApp="true", page="1")
    assert set(numbers(ours)) == {"INV-0001", "INV-0002", "B-1"}
    assert numbers(xero.get("Invoices", createdByMyApp="true", where='Reference=="Deal 1"')) == ["INV-0001"]
    other = xero.human("/organisations", {"name": "Other app"})
    assert other["client_id"] != xero.ready["xero_client_id"]


def test_if_modified_since_sees_what_changed_the_dead_too(xero: Office, three: list[Any]):
    first = three[0]
    xero.tell("/settings", {"clock_shift_s": 100}, "PATCH")
    xero.change(first["InvoiceID"], Status="VOIDED")
    since = (datetime.now(UTC) + timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%S")
    changed = xero.get("Invoices", headers={"If-Modified-Since": since}, page="1")
    assert [(each["InvoiceNumber"], each["Status"]) for each in changed["Invoices"]] == [("INV-0001", "VOIDED")]
    early = datetime.fromisoformat(first["UpdatedDateUTCString"]).strftime("%Y-%m-%dT%H:%M:%S")
    assert len(numbers(xero.get("Invoices", headers={"If-Modified-Since": early}))) == 3
    assert len(numbers(xero.get("Invoices", headers={"If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"}))) == 3
    assert xero.call("GET", "Invoices", headers={"If-Modified-Since": "soon"}).status_code == 400


def test_a_changed_contact_is_seen_in_the_list_at_once(xero: Office, three: list[Any]):
    owner = three[1]["Contact"]["ContactID"]
    path = {"IDs": three[1]["InvoiceID"], "page": "1"}
    assert xero.get("Invoices", **path)["Invoices"][0]["Contact"]["Name"] == "Beta Ltd"
    xero.human(f"/contacts/{owner}", {"name": "Beta Holdings"}, "PATCH")
    assert xero.get("Invoices", **path)["Invoices"][0]["Contact"]["Name"] == "Beta Holdings"


def test_payments_are_listed_the_deleted_too(xero: Office, three: list[Any]):
    number = three[0]["InvoiceNumber"]
    xero.human(f"/invoices/{number}/pay")
    xero.human(f"/invoices/{number}/unpay")
    where = f'Invoice.InvoiceId==guid("{three[0]["InvoiceID"]}")'
    assert [each["Status"] for each in xero.get("Payments", where=where)["Payments"]] == ["DELETED"]


def test_ten_thousand_invoices_slow_no_single_question():
    """What an index answers takes as long among ten thousand as among a hundred, give or take the machine's moods."""
    few, many = (min(_asking(_filled(count)) for _ in range(2)) for count in (100, 10_000))
    assert many < few * 5 + 0.02


def _asking(state: State) -> float:
    """Seconds for a hundred of each question by an indexed key."""
    held = state.organisations[TENANT]
    some = list(held.invoices)[50]
    started = time.perf_counter()
    for _ in range(100):
        assert held.invoices.get(some.id) is some
        assert held.invoices.numbered(some.number) == [some]
        assert held.invoices.changed_since(state.kit.clock.now()) == []
        assert held.contacts.active_named("Acme Ltd") is not None
    return time.perf_counter() - started


def _filled(count: int) -> State:
    state = State(Kit())
    plant(state, "empty")
    held = state.organisations[TENANT]
    act = state.act(held, "app")
    lower = {
        "type": "ACCREC",
        "status": "DRAFT",
        "contact": {"name": "Acme Ltd"},
        "lineitems": [{"description": "x", "unitamount": "1", "accountcode": "200"}],
    }
    first = create(act, Asked(lower)).record
    for number in range(count - 1):
        held.invoices.put(replace(first, id=new_id(), number=f"N-{number}"))
    return state
