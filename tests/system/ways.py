"""Each handler at work, as a test begins it, starts it by a webhook, and reads both books for what must have come of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stack.books import Books, Deal, Invoice
from tests.system.points import Call, Ground, Way, settle


def of_invoice(ground: Ground, lead_id: int, client: str) -> list[str]:
    """What is wrong with a deal that is to have its invoice."""
    return invoiced(*ground.books(), lead_id, client)


def invoiced(books: Books, raw: dict[str, Any], lead_id: int, client: str) -> list[str]:
    """The same, of books that have been read."""
    deal = books.deals[lead_id]
    invoices = [one for one in books.invoices if one.is_for(lead_id)]
    contacts = [one for one in raw["xero"]["contacts"] if one["name"].startswith(client)]
    companies = [one for one in raw["kommo"]["companies"] if one["name"] == client]
    if len(invoices) != 1:
        return [f"deal {lead_id} has {len(invoices)} invoices"]
    return shown(deal, invoices[0], "Awaiting payment") + told(
        {f"{client} is {len(contacts)} contacts": len(contacts) == 1, f"{client} is {len(companies)} companies": len(companies) == 1}
    )  # fmt: skip


def shown(deal: Deal, invoice: Invoice, status: str) -> list[str]:
    """What is wrong with what a deal shows of its invoice."""
    return told(
        {
            f"deal {deal.id} shows {deal.number} for {invoice.number}": deal.number == invoice.number,
            f"deal {deal.id} shows another id": deal.fields.get("XERO_INVOICE_ID") == invoice.id,
            f"deal {deal.id} says {deal.status}": deal.status == status,
            f"deal {deal.id} shows a total of {deal.total}": deal.total == invoice.total,
            f"deal {deal.id} shows {deal.due} due": deal.due == invoice.due,
            f"deal {deal.id} has {len(deal.notes)} notes": len(deal.notes) == 1,
            f"deal {deal.id} has {len(deal.files)} files": len(deal.files) == 1,
            f"deal {deal.id} shows no PDF": bool(deal.fields.get("XERO_INVOICE_PDF")),
        }
    )


def told(wants: dict[str, bool]) -> list[str]:
    return [sentence for sentence, is_so in wants.items() if not is_so]


def before_the_pdf(calls: Sequence[Call]) -> list[bool]:
    """Those of the main job: the PDF's job begins with its first own call."""
    first = next((n for n, call in enumerate(calls) if is_of_pdf(call)), len(calls))
    return [n < first for n in range(len(calls))]


def is_of_pdf(call: Call) -> bool:
    """Whether it reads the PDF, the first thing that only the PDF's job does."""
    return call.vendor == "xero" and call.method == "GET" and call.path.endswith("/Invoices/*")


@dataclass
class NewClient:
    """A deal of a client whom Xero does not know yet becomes an invoice."""

    ground: Ground
    name: str = "create_invoice, new client"

    def begin(self) -> tuple[int, str]:
        client = f"Client {next(self.ground.numbers)} Ltd"
        company = {"name": client, "email": f"{client.split()[1]}@client.example"}
        return self.ground.product.deal(f"Deal of {client}", company=company), client

    def start(self, subject: tuple[int, str]) -> None:
        self.ground.hooks.approve(subject[0])

    def wrong(self, subject: tuple[int, str]) -> list[str]:
        return of_invoice(self.ground, *subject)

    def is_own(self, calls: Sequence[Call]) -> list[bool]:
        return before_the_pdf(calls)


@dataclass
class Pdf(NewClient):
    """The same, killed only when the PDF is on its way."""

    name: str = "attach_invoice"

    def is_own(self, calls: Sequence[Call]) -> list[bool]:
        return [not main for main in before_the_pdf(calls)]


@dataclass
class KnownClient:
    """A deal of a client whom both know becomes an invoice."""

    ground: Ground
    client: str
    company: int
    name: str = "create_invoice, known client"

    def begin(self) -> int:
        return self.ground.product.deal(f"Deal {next(self.ground.numbers)}", company=self.company)

    def start(self, subject: int) -> None:
        self.ground.hooks.approve(subject)

    def wrong(self, subject: int) -> list[str]:
        return of_invoice(self.ground, subject, self.client)

    def is_own(self, calls: Sequence[Call]) -> list[bool]:
        return before_the_pdf(calls)


@dataclass
class Three:
    """Three deals in one webhook, two of new clients and one of a known one, become invoices in one call."""

    ground: Ground
    new: NewClient
    known: KnownClient
    name: str = "create_invoice, three at once"

    def begin(self) -> tuple[tuple[int, str], tuple[int, str], int]:
        return self.new.begin(), self.new.begin(), self.known.begin()

    def start(self, subject: tuple[tuple[int, str], tuple[int, str], int]) -> None:
        first, second, third = subject
        self.ground.hooks.approve(first[0], second[0], third)

    def wrong(self, subject: tuple[tuple[int, str], tuple[int, str], int]) -> list[str]:
        first, second, third = subject
        return self.new.wrong(first) + self.new.wrong(second) + self.known.wrong(third)

    def is_own(self, calls: Sequence[Call]) -> list[bool]:
        return before_the_pdf(calls)


@dataclass
class Payment:
    """An invoice is paid, and its deal says so."""

    ground: Ground
    known: KnownClient
    name: str = "sync_status"

    def begin(self) -> tuple[int, str]:
        lead_id = self.known.begin()
        self.known.start(lead_id)
        settle(self.known, lead_id)
        (invoice,) = [one for one in self.ground.books()[0].invoices if one.is_for(lead_id)]
        self.ground.product.sandbox.post(f"xero/invoices/{invoice.id}/pay")
        return lead_id, invoice.id

    def start(self, subject: tuple[int, str]) -> None:
        self.ground.hooks.changed(subject[1])

    def wrong(self, subject: tuple[int, str]) -> list[str]:
        books, _ = self.ground.books()
        (invoice,) = [one for one in books.invoices if one.is_for(subject[0])]
        return shown(books.deals[subject[0]], invoice, "Paid")

    def is_own(self, calls: Sequence[Call]) -> list[bool]:
        return [True for _ in calls]


@dataclass
class ByHand:
    """An invoice raised by hand in Xero becomes a deal, with a contact and a company that Kommo does not know yet."""

    ground: Ground
    name: str = "create_deal, new clients"

    def begin(self) -> tuple[str, str]:
        client = f"Customer {next(self.ground.numbers)} Ltd"
        person = {
            "first_name": "Accounts",
            "last_name": f"of {client}",
            "email": f"{client.split()[1]}@customer.example",
        }
        line = {"description": "Workshop", "quantity": "1", "unit_amount": "200.00", "account_code": "200"}
        body = {"contact": {"name": client, **person}, "status": "AUTHORISED", "lines": [line]}
        return str(self.ground.product.sandbox.post("xero/invoices", body)["id"]), client

    def start(self, subject: tuple[str, str]) -> None:
        self.ground.hooks.changed(subject[0])

    def wrong(self, subject: tuple[str, str]) -> list[str]:
        invoice_id, client = subject
        books, raw = self.ground.books()
        deals = [deal for deal in books.deals.values() if deal.fields.get("XERO_INVOICE_ID") == invoice_id]
        invoice = next(one for one in books.invoices if one.id == invoice_id)
        if len(deals) != 1:
            return [f"{invoice.number} has {len(deals)} deals"]
        people = [one for one in raw["kommo"]["contacts"] if one["name"].endswith(client)]
        companies = [one for one in raw["kommo"]["companies"] if one["name"] == client]
        return shown(deals[0], invoice, "Awaiting payment") + told(
            {
                f"the deal of {client} is in {deals[0].stage}": deals[0].stage == "Invoiced in Xero",
                f"the deal of {client} has the price {deals[0].price}": deals[0].price == invoice.total,
                f"the deal of {client} has {deals[0].clients} clients": deals[0].clients == 2,
                f"{client} is {len(people)} contacts": len(people) == 1,
                f"{client} is {len(companies)} companies": len(companies) == 1,
            }
        )

    def is_own(self, calls: Sequence[Call]) -> list[bool]:
        return before_the_pdf(calls)


@dataclass
class NoClient:
    """A deal that lacks a client is told so, once, and gets no invoice."""

    ground: Ground
    name: str = "create_invoice, no client"

    def begin(self) -> int:
        return self.ground.product.deal(f"Lonely {next(self.ground.numbers)}")

    def start(self, subject: int) -> None:
        self.ground.hooks.approve(subject)

    def wrong(self, subject: int) -> list[str]:
        books, _ = self.ground.books()
        deal, invoices = books.deals[subject], books.invoices_for(subject)
        return told(
            {
                f"deal {subject} has {len(invoices)} invoices": not invoices,
                f"deal {subject} says {deal.status}": deal.status == "Problem",
                f"deal {subject} has the notes {deal.notes}": deal.notes == (deal.message,),
            }
        )

    def is_own(self, calls: Sequence[Call]) -> list[bool]:
        return [True for _ in calls]


def ways(ground: Ground) -> dict[str, Way]:
    """All of them by name, on a ground where one client is known."""
    ground.hooks.give_back()
    company = ground.product.company("Known Ltd")
    ground.product.settle()
    ground.hooks.take_over()
    new, known = NewClient(ground), KnownClient(ground, "Known Ltd", company)
    made: list[Way] = [new, known, Three(ground, new, known), NoClient(ground), Pdf(ground), Payment(ground, known)]
    made.append(ByHand(ground))
    return {way.name: way for way in made}
