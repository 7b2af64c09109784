"""The judge: compares the vendors' books with what people did. It asks nothing of the product, and shares no code with it."""

import base64
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tests.system.chaos.people import DealStory, InvoiceStory

Json = Mapping[str, Any]
Kind = Literal["lost", "doubled", "wrong"]
DEAD = ("VOIDED", "DELETED")
MARK = re.compile(r"https://acme\.kommo\.com/leads/detail/(\d+)")
# The organisation's day: a due date passes there.
ZONE = ZoneInfo("Pacific/Auckland")
# The notes that tell of a deal's invoice, whatever its number.
TELLS = re.compile(r"Invoice \S+ (over .+ was made|was raised) in Xero")
# What is put behind a name that another client has.
SUFFIX = re.compile(r" \(\d+(-\d+)?\)$")
# The connection's own, since no client has other terms (connections.py).
DUE_DAYS = 14


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be: in which deal or invoice, and in a sentence."""

    kind: Kind
    sentence: str
    lead_id: int | None = None
    invoice_id: str | None = None
    number: str = ""


@dataclass(slots=True)
class Books:
    """Both vendors' books, indexed as the judge needs them."""

    leads: dict[int, Json]
    clients: dict[str, list[Json]]
    contacts: list[Json]
    invoices: dict[str, Json]
    complaints: Mapping[str, int]
    marked: dict[int, list[Json]] = field(default_factory=lambda: defaultdict(list))
    shown: dict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, books: Json) -> "Books":
        kommo, xero = books["kommo"], books["xero"]
        read = cls(
            leads={int(one["id"]): one for one in kommo["leads"] if not one["is_deleted"]},
            clients={kind: [one for one in kommo[kind] if not one["is_deleted"]] for kind in ("contacts", "companies")},
            contacts=[one for one in xero["contacts"] if one["status"] == "ACTIVE"],
            invoices={str(one["id"]): one for one in xero["invoices"]},
            complaints=xero["complaints"],
        )
        for invoice in read.invoices.values():
            if invoice["created_by_app"] and (found := MARK.fullmatch(str(invoice["url"] or ""))):
                read.marked[int(found[1])].append(invoice)
        for lead in read.leads.values():
            if shown := lead["fields"].get("XERO_INVOICE_ID"):
                read.shown[str(shown)].append(lead)
        return read


@dataclass(frozen=True, slots=True)
class Judge:
    """`pdf` gives the bytes of a file of the drive."""

    books: Books
    pdf: Callable[[str], bytes]

    def judge(self, deals: Sequence[DealStory], invoices: Sequence[InvoiceStory]) -> list[Finding]:
        """All that is not as it must be."""
        found = [finding for story in deals for finding in self._deal(story)]
        found += [finding for story in invoices for finding in self._raised(story)]
        found += self._strays({story.lead_id for story in deals}, {story.invoice_id for story in invoices})
        found += self._clients()
        found += [Finding("wrong", f"Xero: {about} ({times} times)") for about, times in self.books.complaints.items()]
        return found

    def voided_doubles(self) -> list[int]:
        """The deals of invoices that were made twice, and the second voided by the product itself: none is doubled, but an accountant sees it."""
        return [lead_id for lead_id, made in self.books.marked.items() for _ in made[1:]]

    # deals that must have an invoice

    def _deal(self, story: DealStory) -> Iterator[Finding]:
        lead = self.books.leads.get(story.lead_id)
        if lead is None:
            yield Finding("lost", "the deal is gone from Kommo", story.lead_id)
            return
        made = self.books.marked.get(story.lead_id, [])
        if not made:
            said = lead["fields"].get("XERO_SYNC_MESSAGE")
            yield Finding("lost", f"no invoice was made for {lead['name']}; it says {said!r}", story.lead_id)
            return
        living = [one for one in made if one["status"] not in DEAD]
        if len(living) > 1 or ("void" in story.done and living):
            numbers = ", ".join(f"{one['number']} {one['status']}" for one in made)
            yield Finding("doubled", f"more invoices than one: {numbers}", story.lead_id, made[0]["id"])
        invoice = (living or made)[0]
        if not living and "void" not in story.done:
            numbers = ", ".join(str(one["number"]) for one in made)
            yield Finding(
                "lost", f"its only invoice is dead, though nobody voided it: {numbers}", story.lead_id, invoice["id"]
            )
        yield from self._shown(lead, invoice)
        if not _is_edited(story):
            yield from self._asked_for(story, invoice)

    def _asked_for(self, story: DealStory, invoice: Json) -> Iterator[Finding]:
        about = {"lead_id": story.lead_id, "invoice_id": str(invoice["id"]), "number": str(invoice["number"])}
        if Decimal(invoice["subtotal"]) != story.deal.net:
            yield Finding("wrong", f"invoiced over {invoice['subtotal']} instead of {story.deal.net}", **about)  # type: ignore[arg-type]
        if invoice["currency"] != story.deal.currency:
            yield Finding("wrong", f"invoiced in {invoice['currency']} instead of {story.deal.currency}", **about)  # type: ignore[arg-type]
        client = story.deal.client.name if story.deal.client else f"Late {story.deal.key} Ltd"
        if SUFFIX.sub("", str(invoice["contact"]["name"])) != client:
            yield Finding("wrong", f"invoiced to {invoice['contact']['name']} instead of {client}", **about)  # type: ignore[arg-type]
        yield from self._dated(story, invoice, about)

    def _dated(self, story: DealStory, invoice: Json, about: Mapping[str, Any]) -> Iterator[Finding]:
        """A run is over within hours, and a retry does not redate."""
        today, dated = datetime.now(UTC).astimezone(ZONE).date(), date.fromisoformat(invoice["date"])
        if dated not in (today, today - timedelta(days=1)):
            yield Finding("wrong", f"dated {dated}", **about)
        due = date.fromisoformat(invoice["due_date"])
        if "edit due date" not in story.done and due != dated + timedelta(days=DUE_DAYS):
            yield Finding("wrong", f"dated {dated} and due on {due}", **about)

    # invoices that were raised by hand

    def _raised(self, story: InvoiceStory) -> Iterator[Finding]:
        invoice = self.books.invoices[story.invoice_id]
        leads = self.books.shown.get(story.invoice_id, [])
        if len(leads) > 1:
            ids = ", ".join(str(lead["id"]) for lead in leads)
            yield Finding(
                "doubled", f"more deals than one for {story.number}: {ids}", int(leads[0]["id"]), story.invoice_id
            )
        if not leads:
            if invoice["status"] not in (*DEAD, "DRAFT"):  # voided at once, it may have got none
                yield Finding("lost", f"no deal was made for {story.number}", None, story.invoice_id, story.number)
            return
        yield from self._shown(leads[0], invoice)
        yield from self._made_deal(story, leads[0], invoice)

    def _made_deal(self, story: InvoiceStory, lead: Json, invoice: Json) -> Iterator[Finding]:
        about = {"lead_id": int(lead["id"]), "invoice_id": story.invoice_id, "number": story.number}
        if lead["stage"] != "Invoiced in Xero":
            yield Finding("wrong", f"the deal is in {lead['stage']}", **about)  # type: ignore[arg-type]
        if not _is_edited(story) and Decimal(lead["price"] or 0) != Decimal(invoice["total"]):
            yield Finding("wrong", f"the deal's price is {lead['price']}, the total {invoice['total']}", **about)  # type: ignore[arg-type]
        if not lead["contacts"] and not lead["company"]:
            yield Finding("lost", "the deal has no client", **about)  # type: ignore[arg-type]
        elif story.invoice.client.name not in (names := self._names(lead)):
            yield Finding("wrong", f"the deal is with {names} instead of {story.invoice.client.name}", **about)  # type: ignore[arg-type]

    def _names(self, lead: Json) -> list[str]:
        """The names of a deal's clients."""
        ids = {"companies": [lead["company"]], "contacts": lead["contacts"]}
        return [
            str(one["name"]) for kind, cards in self.books.clients.items() for one in cards if one["id"] in ids[kind]
        ]

    # what any deal with an invoice shows

    def _shown(self, lead: Json, invoice: Json) -> Iterator[Finding]:
        lead_id, number = int(lead["id"]), str(invoice["number"])
        for name, wanted in _fields(invoice).items():
            shown = lead["fields"].get(name)
            if not _same(shown, wanted):
                yield Finding("wrong", f"{name} is {shown!r} instead of {wanted!r}", lead_id, invoice["id"], number)
        texts = [str(note["text"]) for note in lead["notes"] if note["type"] == "service_message"]
        about = [text for text in texts if text.startswith(f"Invoice {number} ")]
        if not about:
            yield Finding("lost", "no note tells of the invoice", lead_id, invoice["id"], number)
        if len(about) > 1 or len(set(texts)) < len(texts) or sum(bool(TELLS.match(text)) for text in texts) > 1:
            yield Finding("doubled", f"{len(texts)} notes: {texts}", lead_id, invoice["id"], number)
        said = str(lead["fields"].get("XERO_SYNC_MESSAGE") or "")
        if not said.startswith((f"Invoice {number} ", f"Invoice {number}:")):
            yield Finding("wrong", f"the deal says {said!r}", lead_id, invoice["id"], number)
        yield from self._files(lead, invoice)

    def _files(self, lead: Json, invoice: Json) -> Iterator[Finding]:
        lead_id, number = int(lead["id"]), str(invoice["number"])
        files = [file for file in lead["files"] if not file["is_trashed"]]
        if not files or not lead["fields"].get("XERO_INVOICE_PDF"):
            yield Finding(
                "lost",
                f"{len(files)} files; PDF {lead['fields'].get('XERO_INVOICE_PDF')!r}",
                lead_id,
                invoice["id"],
                number,
            )
        if len(files) > 1:
            yield Finding("doubled", f"{len(files)} files", lead_id, invoice["id"], number)
        if len(files) == 1 and files[0]["name"] != lead["fields"].get("XERO_INVOICE_PDF"):
            yield Finding("wrong", "XERO_INVOICE_PDF names another file", lead_id, invoice["id"], number)
        if len(files) == 1 and invoice["status"] not in DEAD:
            printed, total = text_of(self.pdf(files[0]["uuid"])), f"{Decimal(invoice['total']):,.2f}"
            if f"({total})" not in printed or number not in printed:
                yield Finding("wrong", f"the PDF does not have {number} over {total}", lead_id, invoice["id"], number)

    # what should not be there

    def _strays(self, leads: set[int], raised: set[str]) -> Iterator[Finding]:
        for lead_id, invoices in self.books.marked.items():
            if lead_id not in leads:
                numbers = ", ".join(str(one["number"]) for one in invoices)
                yield Finding(
                    "doubled", f"an invoice for a deal that wanted none: {numbers}", lead_id, invoices[0]["id"]
                )
        for invoice in self.books.invoices.values():
            if invoice["created_by_app"] and not MARK.fullmatch(str(invoice["url"] or "")):
                yield Finding(
                    "doubled", f"{invoice['number']} is nobody's", None, invoice["id"], str(invoice["number"])
                )
        for lead_id, lead in self.books.leads.items():
            shown = str(lead["fields"].get("XERO_INVOICE_ID") or "")
            if lead_id not in leads and shown not in raised:
                yield Finding("doubled", f"a deal that nobody wanted: {lead['name']}", lead_id, shown or None)

    def _clients(self) -> Iterator[Finding]:
        """Each client's name is its own in the run: one card with it in each system, whatever was put behind the name."""
        for kind, cards in self.books.clients.items():
            for name, count in Counter(str(card["name"]) for card in cards).items():
                if count > 1:
                    yield Finding("doubled", f"{count} {kind} in Kommo called {name}")
        names = Counter(SUFFIX.sub("", str(one["name"])) for one in self.books.contacts)
        for name, count in names.items():
            if count > 1:
                yield Finding("doubled", f"{count} contacts in Xero called {name}")


def _is_edited(story: DealStory | InvoiceStory) -> bool:
    return "edit lines" in story.done


def _fields(invoice: Json) -> dict[str, str]:
    """What the deal must show of the invoice as it is now, by the fields' codes."""
    dead = invoice["status"] in DEAD
    return {
        "XERO_INVOICE_ID": str(invoice["id"]),
        "XERO_INVOICE_NUMBER": str(invoice["number"]),
        "XERO_INVOICE_STATUS": label(invoice, datetime.now(UTC).astimezone(ZONE).date()),
        "XERO_INVOICE_TOTAL": str(invoice["total"]),
        "XERO_AMOUNT_DUE": "0" if dead else str(invoice["amount_due"]),
        "XERO_CURRENCY": str(invoice["currency"]),
        "XERO_DUE_DATE": str(invoice["due_date"]),
        "XERO_INVOICE_URL": f"https://go.xero.com/AccountsReceivable/View.aspx?InvoiceID={invoice['id']}",
    }


def label(invoice: Json, today: date) -> str:
    """The words that the deal must use for the invoice's state."""
    total, due, paid = (Decimal(invoice[name]) for name in ("total", "amount_due", "amount_paid"))
    match invoice["status"]:
        case "PAID":
            return "Credited" if paid == 0 and total > 0 else "Paid"
        case "AUTHORISED":
            if due > 0 and date.fromisoformat(invoice["due_date"]) < today:
                return "Overdue"
            return "Partly paid" if due < total else "Awaiting payment"
    return str(invoice["status"]).capitalize()


def _same(shown: object, wanted: str) -> bool:
    if shown is None:
        return False
    try:
        return Decimal(str(shown)) == Decimal(wanted)
    except ArithmeticError:
        return str(shown) == wanted


def text_of(pdf: bytes) -> str:
    """What a PDF of the sandbox draws."""
    parts = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    return "".join(_drawn(part.strip()) for part in parts)


def _drawn(part: bytes) -> str:
    try:
        return zlib.decompress(base64.a85decode(part.removesuffix(b"~>"))).decode("latin-1")
    except (ValueError, zlib.error):
        return ""
