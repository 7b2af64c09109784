"""The attack in short, and its judge: it must be silent about books that are as they must be, and see each thing that is not."""

import base64
import copy
import tempfile
import zlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.system.chaos import catalogue, report, script
from tests.system.chaos.__main__ import Wrong, read, wanted
from tests.system.chaos.attack import Wanted, attack, waits_for_long
from tests.system.chaos.oracle import ZONE, Books, Finding, Judge
from tests.system.chaos.people import DealStory, InvoiceStory
from tests.system.chaos.script import Client, Deal, HandInvoice

SHORT = "invoice,invoice-batch,note,fields,kill-worker,flush,redis-empty,duplicated,reordered"


@pytest.mark.system
def test_nothing_is_lost_and_nothing_doubled_under_a_short_attack(ground_folder, capsys):
    """A minute; `make chaos` is the long one."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=ground_folder))
    folder.chmod(0o711)
    run = Wanted(deals=36, seed=7, faults=tuple(catalogue.choose(SHORT)), database="postgres", folder=folder)
    try:
        outcome = attack(run, say=print, told=lambda *_: None)
    except servers.Absent as absent:
        pytest.skip(str(absent).splitlines()[0])
    print(report.markdown(outcome))
    assert [one.finding for one in outcome.blamed] == []
    # so short a run leaves to chance how often each of them met a call, and who took how many invoices together; the long one does not
    met = {row.fault.name for row in outcome.rows if row.injected}
    assert {"invoice", "invoice-batch"} & met
    assert set(SHORT.split(",")) - met <= {"invoice", "invoice-batch"}
    assert sum(row.between for row in outcome.rows) >= 5


TODAY = datetime.now(UTC).astimezone(ZONE).date()
LEAD, INVOICE, HAND_LEAD, HAND_INVOICE = (
    101,
    "5f0c8f3e-0000-4000-8000-000000000001",
    102,
    "5f0c8f3e-0000-4000-8000-000000000002",
)
STORIES = [
    DealStory(Deal(1, Client("Acme Ltd"), Decimal("100.00"), (), "USD", "", "", False, ()), LEAD),
]
RAISED = [
    InvoiceStory(HandInvoice(1, Client("Globex Ltd"), Decimal("100.00"), "USD", False, ()), HAND_INVOICE, "INV-2")
]


def pdf(number: str, total: str) -> bytes:
    drawn = base64.a85encode(zlib.compress(f"(Invoice number {number}) Tj ({total}) Tj".encode())) + b"~>"
    return b"%PDF-1.4\nstream\n" + drawn + b"endstream\n"


def invoice(invoice_id: str, number: str, url: str | None) -> dict[str, Any]:
    return {
        "id": invoice_id, "number": number, "url": url, "created_by_app": url is not None, "status": "AUTHORISED", "currency": "USD",
        "subtotal": "100.00", "total": "115.00", "amount_due": "115.00", "amount_paid": "0.00", "date": TODAY.isoformat(),
        "due_date": (TODAY + timedelta(days=14)).isoformat(), "contact": {"name": "Acme Ltd (17)"},
    }  # fmt: skip


def lead(lead_id: int, invoice_id: str, number: str, stage: str) -> dict[str, Any]:
    fields = {
        "XERO_INVOICE_ID": invoice_id, "XERO_INVOICE_NUMBER": number, "XERO_INVOICE_STATUS": "Awaiting payment",
        "XERO_INVOICE_TOTAL": "115", "XERO_AMOUNT_DUE": "115", "XERO_CURRENCY": "USD",
        "XERO_DUE_DATE": (TODAY + timedelta(days=14)).isoformat(), "XERO_SYNC_MESSAGE": f"Invoice {number} awaits payment.",
        "XERO_INVOICE_URL": f"https://go.xero.com/AccountsReceivable/View.aspx?InvoiceID={invoice_id}", "XERO_INVOICE_PDF": f"{number}.pdf",
    }  # fmt: skip
    return {
        "id": lead_id, "name": f"Deal {lead_id}", "is_deleted": False, "price": "115.00", "stage": stage, "fields": fields,
        "contacts": [1], "company": 8, "files": [{"uuid": number, "name": f"{number}.pdf", "is_trashed": False}],
        "notes": [{"type": "service_message", "text": f"Invoice {number} over 115.00 USD was made in Xero for Acme Ltd."}],
    }  # fmt: skip


def whole() -> dict[str, Any]:
    """Books in which all is as it must be."""
    return {
        "kommo": {
            "leads": [lead(LEAD, INVOICE, "INV-1", "Payment approved"), lead(HAND_LEAD, HAND_INVOICE, "INV-2", "Invoiced in Xero")],
            "contacts": [],
            "companies": [{"id": 7, "name": "Acme Ltd", "is_deleted": False}, {"id": 8, "name": "Globex Ltd", "is_deleted": False}],
        },
        "xero": {
            "invoices": [
                invoice(INVOICE, "INV-1", f"https://acme.kommo.com/leads/detail/{LEAD}"), invoice(HAND_INVOICE, "INV-2", None)
            ],
            "contacts": [{"name": "Acme Ltd", "status": "ACTIVE"}, {"name": "Globex Ltd", "status": "ACTIVE"}],
            "complaints": {},
        },
    }  # fmt: skip


def judged(books: dict[str, Any]) -> list[Finding]:
    return Judge(Books.of(books), lambda number: pdf(number, "115.00")).judge(STORIES, RAISED)


def test_the_judge_is_silent_when_all_is_as_it_must_be():
    assert judged(whole()) == []


def another_invoice(books: dict[str, Any]) -> None:
    books["xero"]["invoices"].append(copy.deepcopy(books["xero"]["invoices"][0]) | {"id": "another", "number": "INV-3"})


def another_deal(books: dict[str, Any]) -> None:
    books["kommo"]["leads"].append(copy.deepcopy(books["kommo"]["leads"][1]) | {"id": 103})


def another_note(books: dict[str, Any]) -> None:
    books["kommo"]["leads"][0]["notes"] *= 2


def note_of_another(books: dict[str, Any]) -> None:
    """Of an invoice that was voided as a double, perhaps: one note tells of the invoice all the same."""
    text = "Invoice INV-8 over 115.00 USD was made in Xero for Acme Ltd."
    books["kommo"]["leads"][0]["notes"].append({"type": "service_message", "text": text})


def another_file(books: dict[str, Any]) -> None:
    books["kommo"]["leads"][1]["files"] *= 2


def another_company(books: dict[str, Any]) -> None:
    books["kommo"]["companies"] *= 2


def another_contact(books: dict[str, Any]) -> None:
    books["xero"]["contacts"].append({"name": "Acme Ltd (17)", "status": "ACTIVE"})


def nobodys_deal(books: dict[str, Any]) -> None:
    books["kommo"]["leads"].append(lead(104, "nobody's", "INV-9", "Invoiced in Xero"))


def no_invoice(books: dict[str, Any]) -> None:
    del books["xero"]["invoices"][0]


def voided_by_nobody(books: dict[str, Any]) -> None:
    books["xero"]["invoices"][0]["status"] = "VOIDED"


def no_deal(books: dict[str, Any]) -> None:
    del books["kommo"]["leads"][1]


def no_note(books: dict[str, Any]) -> None:
    books["kommo"]["leads"][0]["notes"] = []


def no_file(books: dict[str, Any]) -> None:
    books["kommo"]["leads"][0]["files"] = []


def no_client(books: dict[str, Any]) -> None:
    books["kommo"]["leads"][1] |= {"contacts": [], "company": None}


def old_status(books: dict[str, Any]) -> None:
    books["xero"]["invoices"][0] |= {"status": "PAID", "amount_due": "0.00", "amount_paid": "115.00"}


def old_pdf(books: dict[str, Any]) -> None:
    books["xero"]["invoices"][1] |= {"total": "230.00"}
    books["kommo"]["leads"][1]["fields"]["XERO_INVOICE_TOTAL"] = "230"
    books["kommo"]["leads"][1]["fields"]["XERO_INVOICE_STATUS"] = "Partly paid"
    books["kommo"]["leads"][1]["price"] = "230"


def another_amount(books: dict[str, Any]) -> None:
    books["xero"]["invoices"][0]["subtotal"] = "100.01"


def another_payer(books: dict[str, Any]) -> None:
    books["xero"]["invoices"][0]["contact"] = {"name": "Globex Ltd"}


def another_client(books: dict[str, Any]) -> None:
    books["kommo"]["leads"][1]["company"] = 7


def redated(books: dict[str, Any]) -> None:
    books["xero"]["invoices"][0]["date"] = (TODAY - timedelta(days=3)).isoformat()


def old_due_date(books: dict[str, Any]) -> None:
    """The deal shows it as it is, so that nothing else tells."""
    books["xero"]["invoices"][0]["due_date"] = books["kommo"]["leads"][0]["fields"]["XERO_DUE_DATE"] = "2999-01-01"


def old_message(books: dict[str, Any]) -> None:
    books["kommo"]["leads"][0]["fields"]["XERO_SYNC_MESSAGE"] = "No invoice was made: the deal went back to Offer."


def lost_file(books: dict[str, Any]) -> None:
    books["kommo"]["leads"][0]["fields"]["XERO_INVOICE_PDF"] = "INV-9.pdf"


def complaint(books: dict[str, Any]) -> None:
    books["xero"]["complaints"]["POST /Invoices to create"] = 1


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (another_invoice, "doubled"), (another_deal, "doubled"), (another_note, "doubled"), (another_file, "doubled"),
        (another_company, "doubled"), (another_contact, "doubled"), (nobodys_deal, "doubled"), (no_invoice, "lost"),
        (voided_by_nobody, "lost"), (no_deal, "lost"), (no_note, "lost"), (no_file, "lost"), (no_client, "lost"),
        (old_status, "wrong"), (old_pdf, "wrong"), (another_amount, "wrong"), (complaint, "wrong"),
        (note_of_another, "doubled"), (another_payer, "wrong"), (another_client, "wrong"), (redated, "wrong"),
        (old_due_date, "wrong"), (old_message, "wrong"), (lost_file, "wrong"),
    ],
)  # fmt: skip
def test_the_judge_sees(spoil, kind):
    books = whole()
    spoil(books)
    assert kind in {finding.kind for finding in judged(books)}


def test_a_seed_makes_the_same_script_again():
    first, again = (script.write(3, deals=200, invoices=30, seconds=60) for _ in range(2))
    assert first == again != script.write(4, deals=200, invoices=30, seconds=60)
    assert (len(first.deals), len(first.invoices)) == (200, 30)
    assert {deal.twist for deal in first.deals} == {"", *script.TWISTS}


def test_a_wrong_argument_says_what_there_is():
    with pytest.raises(Wrong, match="there are N, SEED"):
        read(["DEALS=5"])
    with pytest.raises(Wrong, match="there is no fault earthquake; there are invoice, "):
        wanted(read(["FAULTS=earthquake"]))
    assert read(["N="])["N"] == "200"


def test_a_large_run_is_asked_for_all_that_the_table_promises():
    assert (catalogue.demand(2000, 30).least, catalogue.demand(2000, 30).between) == (20, 5)
    assert min(catalogue.demand(2000, 30).incidents, catalogue.demand(2000, 30).answers) > 20
    assert catalogue.demand(60, 30).least < 20


@pytest.mark.parametrize(
    ("sentence", "minutes", "long"),
    [
        (None, 5, True),
        ("Xero did not answer.", 5, True),
        ("waits for a turn at Xero", 5, False),
        ("Xero did not answer.", 0, False),
        (None, None, False),
    ],
)
def test_a_job_that_waits_for_long_is_brought_forward_but_for_a_turn(sentence, minutes, long):
    now = datetime(2026, 3, 1, tzinfo=UTC)
    due = None if minutes is None else (now + timedelta(minutes=minutes)).isoformat()
    assert waits_for_long({"sentence": sentence, "next_at": due}, now) is long
