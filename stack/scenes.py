"""What the demo plays, scene by scene: what people do in both systems, and what must then be in the books."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from stack.books import Books, Deal, Invoice
from stack.children import until
from stack.sandbox import Sandbox

Wants = dict[str, bool]
"""Sentences about the books, and whether each is true."""

Look = Callable[[Books], Wants]

START = {"pipeline": "Sales", "stage": "Offer"}
APPROVED = {"pipeline": "Sales", "stage": "Payment approved"}

BY_HAND = "raised by hand"

QUIET = 2.5
"""Seconds without a call after which all is idle: more than the two between two sweeps, which would ring what still waits."""

MOST_XERO_CALLS, MOST_KOMMO_CALLS = 3, 8
"""What one plain deal with a known client may cost from its move until all is idle, its echoes included."""


@dataclass(slots=True)
class Play:
    """What scenes share: the sandbox, how many jobs the product still has, and the deals and invoices that earlier ones made, by the names they have here."""

    sandbox: Sandbox
    jobs_left: Callable[[], int]
    deals: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    costs: dict[str, int] = field(default_factory=dict)

    def deal(self, name: str, **what: object) -> int:
        """A person types in a deal."""
        self.deals[name] = int(self.sandbox.post("kommo/leads", {"name": name, **START, **what})["id"])
        return self.deals[name]

    def settle(self) -> int:
        """Until all is idle on both sides; the number of the last call."""
        until(lambda: not self.jobs_left(), 60, what="the last job", pause=QUIET)
        return self.sandbox.wait_idle(quiet=QUIET, timeout=60)

    def move(self, place: Mapping[str, str], *names: str) -> None:
        """A person moves deals, all at once: one webhook."""
        ids = [self.deals[name] for name in names]
        self.sandbox.post("kommo/leads/move", {"ids": ids, **place})


Scene = Callable[[Play], Iterator[Look]]
"""Does something, and says what must follow; goes on when it has."""


def two_deals(play: Play) -> Iterator[Look]:
    """Two deals are approved in one webhook, in dollars and in euros"""
    products = [
        {"name": "Consulting day", "price": "400.00", "quantity": "2"},
        {"name": "Travel", "price": "150.50", "quantity": "1"},
    ]
    acme = {"name": "Acme Ltd", "email": "accounts@acme.example", "phone": "+64 9 555 0101"}
    play.deal("Website relaunch", price="950.50", company=acme, products=products)
    globex = {"name": "Globex GmbH", "email": "buchhaltung@globex.example"}
    euros = {"Invoice currency": "EUR", "Services": "Translation of the annual report"}
    play.deal("Annual report", price="1250.00", company=globex, fields=euros)
    play.move(APPROVED, "Website relaunch", "Annual report")

    def look(books: Books) -> Wants:
        return invoiced(play, books, "Website relaunch", net="950.50", currency="USD") | invoiced(
            play, books, "Annual report", net="1250.00", currency="EUR"
        )

    yield look


def two_payments(play: Play) -> Iterator[Look]:
    """One is paid in part, then in full"""
    number = play.numbers["Website relaunch"]
    play.sandbox.post(f"xero/invoices/{number}/pay", {"amount": "100.00"})
    yield lambda books: paid(play, books, "Website relaunch", "Partly paid", left=True)
    play.sandbox.post(f"xero/invoices/{number}/pay")
    yield lambda books: paid(play, books, "Website relaunch", "Paid", left=False)


def no_client(play: Play) -> Iterator[Look]:
    """A deal without a client says so, and goes on when it has one"""
    lead_id = play.deal("Shop front", price="480.00")
    play.move(APPROVED, "Shop front")

    def told(books: Books) -> Wants:
        deal = books.deals[lead_id]
        return {
            "the deal says what is missing": bool(deal.message),
            "there is no invoice for it yet": not books.invoices_for(lead_id),
        }

    yield told
    client = {"name": "Initech Pty", "email": "ap@initech.example"}
    play.sandbox.post(f"kommo/leads/{lead_id}/link", {"company": client})
    yield lambda books: invoiced(play, books, "Shop front", net="480.00", currency="USD")


def by_hand(play: Play) -> Iterator[Look]:
    """An invoice raised by hand in Xero becomes a deal"""
    today = datetime.now(UTC).date()
    line = {"description": "Workshop", "quantity": "1", "unit_amount": "2000.00", "account_code": "200"}
    made = play.sandbox.post(
        "xero/invoices",
        {
            "contact": {"name": "Umbrella Ltd", "email": "finance@umbrella.example"},
            "date": today.isoformat(),
            "due_date": (today + timedelta(days=20)).isoformat(),
            "currency": "NZD",
            "status": "AUTHORISED",
            "lines": [line],
        },
    )
    number = play.numbers[BY_HAND] = str(made["number"])

    def look(books: Books) -> Wants:
        deal = books.deal_with(number)
        invoice = next((one for one in books.invoices if one.number == number), None)
        if deal is None or invoice is None:
            return {f"a deal shows {number}": False}
        play.deals[BY_HAND] = deal.id
        return shown(deal, invoice) | {
            "its price is the invoice's total": deal.price == invoice.total,
            "it is in Invoiced in Xero": deal.stage == "Invoiced in Xero",
            "it has a client": deal.clients > 0,
            "a note lists the lines": any("Workshop" in note for note in deal.notes),
        }

    yield look


def back_and_forth(play: Play) -> Iterator[Look]:
    """A deal is moved away and back, and still has one invoice"""
    play.move(START, "Annual report")
    play.move(APPROVED, "Annual report")
    play.settle()
    yield lambda books: {"it has one invoice": len(books.invoices_for(play.deals["Annual report"])) == 1}


def plain_deal(play: Play) -> Iterator[Look]:
    """One plain deal of a known client costs few calls"""
    company = company_of(play.sandbox, "Globex GmbH")
    play.deal("Second report", price="300.00", company=company)
    before = play.sandbox.wait_idle(quiet=QUIET, timeout=60)
    play.move(APPROVED, "Second report")
    yield lambda books: invoiced(play, books, "Second report", net="300.00", currency="USD")
    play.settle()
    costs = play.costs = count(play.sandbox, before)
    yield lambda _books: {
        f"it cost {costs['xero']} calls to Xero, at most {MOST_XERO_CALLS}": costs["xero"] <= MOST_XERO_CALLS,
        f"it cost {costs['kommo']} calls to Kommo, at most {MOST_KOMMO_CALLS}": costs["kommo"] <= MOST_KOMMO_CALLS,
    }


def all_in_all(play: Play) -> Iterator[Look]:
    """After all that, nothing is there twice, and Xero has nothing to complain of"""

    def look(books: Books) -> Wants:
        approved = [lead_id for name, lead_id in play.deals.items() if name in play.numbers and name != BY_HAND]
        ours = [one for one in books.invoices if one.is_by_app]
        wants = {f"{len(approved)} deals have {len(ours)} invoices": len(approved) == len(ours)}
        return wants | {f"{about} ({times} times)": False for about, times in books.complaints.items()}

    yield look


SCENES: tuple[Scene, ...] = (
    two_deals, two_payments, no_client, by_hand, back_and_forth, plain_deal, all_in_all,
)  # fmt: skip


def invoiced(play: Play, books: Books, name: str, *, net: str, currency: str) -> Wants:
    """What must be there for an approved deal; notes its invoice's number."""
    deal, invoices = books.deals[play.deals[name]], books.invoices_for(play.deals[name])
    if not invoices:
        return {f"{name}: there is an invoice": False}
    invoice = invoices[0]
    play.numbers[name] = invoice.number
    wants = shown(deal, invoice) | {
        "there is only one invoice": len(invoices) == 1,
        f"it is over {net} {currency} before tax": (invoice.net, invoice.currency) == (Decimal(net), currency),
        "it is approved": invoice.status == "AUTHORISED",
        "the deal says Awaiting payment": deal.status == "Awaiting payment",
        "the deal has one note about it": sum(invoice.number in note for note in deal.notes) == 1,
    }
    return {f"{name}: {sentence}": is_so for sentence, is_so in wants.items()}


def shown(deal: Deal, invoice: Invoice) -> Wants:
    """What any deal with an invoice shows of it."""
    return {
        f"the deal shows number {invoice.number}": deal.number == invoice.number,
        f"the deal shows the total {invoice.total}": deal.total == invoice.total,
        "the deal links to the invoice": invoice.id in deal.fields.get("XERO_INVOICE_URL", ""),
        "the PDF is attached once": len(deal.files) == 1,
    }


def paid(play: Play, books: Books, name: str, status: str, *, left: bool) -> Wants:
    """The deal says how its invoice stands, and what is still due."""
    deal, invoice = books.deals[play.deals[name]], books.invoices_for(play.deals[name])[0]
    return {
        f"{name}: the deal says {status}": deal.status == status,
        f"{name}: the deal shows what is due": deal.due == invoice.due and (invoice.due > 0) == left,
    }


def company_of(sandbox: Sandbox, name: str) -> int:
    """The id of a company in Kommo's books."""
    companies: list[dict[str, Any]] = sandbox.books()["kommo"]["companies"]
    return next(int(company["id"]) for company in companies if company["name"] == name)


def count(sandbox: Sandbox, after: int) -> dict[str, int]:
    """Calls to each vendor since then; requests for tokens are not counted, and the drive by itself."""
    calls = [call for call in sandbox.calls_after(after) if not call["path"].endswith("/connect/token")]
    return {vendor: sum(call["vendor"] == vendor for call in calls) for vendor in ("xero", "kommo", "drive")}
