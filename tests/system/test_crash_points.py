"""A worker is killed at each of its calls to a vendor, once before the call took effect and once after: both books are then as if nothing had happened.

Each way of working is played once undisturbed, which tells its calls. Then each of them is held at the sandbox's barrier while its worker is killed with
kill -9, main process and children; the call that nobody waits for any more is cut off, the same line of the Procfile is started again, and the books are
read. One worker has several children, so that one kill and one start serve several points; each child stands at its own, and while it stands it makes no
call, so that the next point can be no other job's.

CRASH_POINTS=all walks through every point; else some are left out, always the same ones, and the output says how many.
"""

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest

from stack import books as books_of_both
from stack.books import Books, Deal, Invoice
from stack.children import Children, NotReady
from tests import servers
from tests.conftest import wait_until
from tests.system import product as system
from tests.system.hooks import Hooks
from tests.system.product import Product

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

When = Literal["before", "after"]

# Shrunk so that nobody waits: but a lease must outlast a moment in which the machine is busy with others.
PERIODS = {
    "BRIDGE_LEASE_SECONDS": "2",
    "BRIDGE_RENEW_SECONDS": "0.5",
    "BRIDGE_SWEEP_SECONDS": "0.5",
    "BRIDGE_QUIET_SECONDS": "3",
    # points are held one after the other, and the first must not give up before the last is there
    "BRIDGE_READ_TIMEOUT_SECONDS": "60",
    "BRIDGE_RECONCILE_SECONDS": "3600",
}

AT_ONCE = 6
# A call to Xero that dies keeps one of the five places there for some seconds, and the next attempt needs one too.
XERO_AT_ONCE = 3
SETTINGS = PERIODS | {"CELERY_WORKER_CONCURRENCY": str(AT_ONCE + 2), "WEB_CONCURRENCY": "1"}

# Of the points of each way, how many `make test` walks through; they lie evenly spread.
THINNED = 6
ALL = os.environ.get("CRASH_POINTS") == "all"

WHOLE = 60.0


@dataclass(frozen=True, slots=True)
class Call:
    """One of the calls that a way makes: so-many-th of its method and path, ids left open."""

    vendor: str
    method: str
    path: str
    number: int
    succeeds: bool = True

    def __str__(self) -> str:
        return f"{self.vendor} {self.method} {self.path} #{self.number}"


@dataclass(frozen=True, slots=True)
class Point:
    """Where a worker dies."""

    call: Call
    when: When

    @property
    def fault(self) -> dict[str, object]:
        """What holds the call there."""
        path = self.call.path if "*" in self.call.path else f"{self.call.path}$"
        skip = self.call.number - 1
        return {
            "vendor": self.call.vendor, "call": f"{self.call.method} {path}", "when": self.when, "do": "hold", "skip": skip,
        }  # fmt: skip


class Way(Protocol):
    """A handler at work: what it is given, what starts it, and what must then be in the books."""

    name: str

    def begin(self) -> Any:
        """What people do before; the subject of the rest."""

    def start(self, subject: Any) -> None:
        """The webhook comes."""

    def wrong(self, subject: Any) -> list[str]:
        """What is not, or not yet, as it must be."""

    def is_own(self, calls: Sequence[Call]) -> list[bool]:
        """Which of its calls are walked through here, and not by another way."""


@dataclass
class Ground:
    """The product, its webhooks in our hands, and what has been walked through."""

    product: Product
    hooks: Hooks
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    walked: dict[str, tuple[int, int]] = field(default_factory=dict)
    subjects: list[tuple[Way, Any]] = field(default_factory=list)

    def books(self) -> tuple[Books, dict[str, Any]]:
        """Both books, read and raw."""
        raw = self.product.sandbox.books()
        return books_of_both.read(raw), raw

    def let_go(self) -> None:
        """Nothing is held any more; what is held now is cut off."""
        sandbox = self.product.sandbox
        sandbox.delete("faults")
        for held in sandbox.get("held"):
            sandbox.post(f"held/{held['id']}/release", {"then": "reset"})

    def wait_idle(self) -> None:
        """Until no job is left; what the vendors would still send waits in their hands."""
        wait_until(lambda: not self.product.processes.jobs_left(), WHOLE, pause=0.5)


@pytest.fixture(scope="module")
def ground(children: Children, ground_folder: Path) -> Iterator[Ground]:
    folder = Path(tempfile.mkdtemp(prefix="crash-", dir=ground_folder))
    folder.chmod(0o711)
    kinds = {"web": 1, "worker": 1, "beat": 1}
    try:
        with system.product(children, folder, kinds=kinds, more=SETTINGS) as running:
            ground = Ground(running, Hooks(running))
            ground.hooks.take_over()
            yield ground
            walked, known = (sum(numbers[n] for numbers in ground.walked.values()) for n in (0, 1))
            print(f"\nwalked through {walked} crash points of {known} in {len(ground.walked)} ways")
    except servers.Absent as absent:
        pytest.skip(str(absent).splitlines()[0])


# --- the ways -------------------------------------------------------------------------------------------------------------


def of_invoice(ground: Ground, lead_id: int, client: str) -> list[str]:
    """What is wrong with a deal that is to have its invoice."""
    books, raw = ground.books()
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


# --- the walk -------------------------------------------------------------------------------------------------------------


def settle(way: Way, subject: Any) -> None:
    """Until all is as it must be; fails with what is not."""
    deadline = time.monotonic() + WHOLE
    while wrong := way.wrong(subject):
        if time.monotonic() > deadline:
            pytest.fail(f"{way.name}: after {WHOLE:g} s {'; '.join(wrong)}")
        time.sleep(0.1)


def discover(ground: Ground, way: Way) -> list[Call]:
    """The calls of this way, in order, as an undisturbed worker makes them: once it has claimed together what belongs together."""
    for _ in range(8):
        calls = play(ground, way)
        if sum((call.method, call.path) == ("PUT", "/api.xro/2.0/Invoices") for call in calls) <= 1:
            return calls
    pytest.fail(f"{way.name}: its deals are never claimed together")


def play(ground: Ground, way: Way) -> list[Call]:
    """The way once, from its beginning to its end, and its calls."""
    subject = way.begin()
    ground.wait_idle()
    since = ground.product.sandbox.mark()
    way.start(subject)
    settle(way, subject)
    ground.wait_idle()
    calls: list[Call] = []
    for made in ground.product.sandbox.calls_after(since):
        if made["path"].endswith("/connect/token"):
            continue
        path = re.sub(r"/(?:\d{4,}|[0-9a-f]{8}-[0-9a-f-]{27}|upload/.+|kommo:[^/]+)(?=/|$)", "/*", made["path"])
        number = 1 + sum((one.vendor, one.method, one.path) == (made["vendor"], made["method"], path) for one in calls)
        calls.append(Call(made["vendor"], made["method"], path, number, made["status"] < 400))
    return calls


def points_of(way: Way, calls: Sequence[Call]) -> list[Point]:
    """Each of its own calls, before and after; one that finds nothing takes no effect that it could die after."""
    own = [call for call, is_own in zip(calls, way.is_own(calls), strict=True) if is_own]
    return [Point(call, when) for call in own for when in ("before", "after") if call.succeeds or when == "before"]


def thin(points: Sequence[Point]) -> list[Point]:
    """All of them, or some that lie evenly spread: those around a write before all others."""
    if ALL or len(points) <= THINNED:
        return list(points)
    writes = [point for point in points if point.call.method != "GET"]
    reads = [point for point in points if point.call.method == "GET"]
    left = max(THINNED - len(writes), 1)
    return writes + reads[:: max(len(reads) // left, 1)][:left]


def grouped(points: Sequence[Point]) -> Iterator[list[Point]]:
    """So many as one kill serves."""
    left = list(points)
    while left:
        group: list[Point] = []
        for point in left:
            of_xero = sum(one.call.vendor == "xero" for one in group)
            if len(group) < AT_ONCE and (point.call.vendor != "xero" or of_xero < XERO_AT_ONCE):
                group.append(point)
        left = [point for point in left if point not in group]
        yield group


def stand_at(ground: Ground, way: Way, point: Point, until: Callable[..., Any]) -> Any:
    """A subject on its way, whose worker stands at this point."""
    sandbox = ground.product.sandbox
    subject = way.begin()
    fault = sandbox.post("faults", point.fault)["id"]
    way.start(subject)
    try:
        until(lambda: any(held["fault"] == fault for held in sandbox.get("held")), 40)
    except pytest.fail.Exception:
        pytest.fail(f"{way.name} never came to {point.call} ({point.when}); then {way.wrong(subject)}")
    return subject


def kill_and_start(ground: Ground) -> None:
    """Main process and children, at once; what they asked for is cut off."""
    ground.product.processes.kill("worker.1")
    ground.let_go()
    ground.product.processes.restart("worker.1")


def walk(ground: Ground, way: Way, until: Callable[..., Any]) -> None:
    """Through the way's points."""
    ground.let_go()
    calls = discover(ground, way)
    points = points_of(way, calls)
    chosen = thin(points)
    slowest = 0.0
    for group in grouped(chosen):
        subjects = [stand_at(ground, way, point, until) for point in group]
        killed = time.monotonic()
        kill_and_start(ground)
        for point, subject in zip(group, subjects, strict=True):
            try:
                settle(way, subject)
            except pytest.fail.Exception as failure:
                pytest.fail(f"killed {point.when} {point.call}: {failure}")
        slowest = max(slowest, time.monotonic() - killed)
        ground.subjects += [(way, subject) for subject in subjects]
    ground.walked[way.name] = len(chosen), len(points)
    print(
        f"{way.name}: walked through {len(chosen)} of {len(points)} crash points, whole again {slowest:.1f} s after a kill at most"
    )


@pytest.fixture(scope="module")
def ways(ground: Ground) -> dict[str, Way]:
    ground.hooks.give_back()
    company = ground.product.company("Known Ltd")
    ground.product.settle()
    ground.hooks.take_over()
    new, known = NewClient(ground), KnownClient(ground, "Known Ltd", company)
    made: list[Way] = [new, known, Three(ground, new, known), Pdf(ground), Payment(ground, known), ByHand(ground)]
    return {way.name: way for way in made}


@pytest.mark.parametrize(
    "name",
    [
        "create_invoice, new client",
        "create_invoice, known client",
        "create_invoice, three at once",
        "attach_invoice",
        "sync_status",
        "create_deal, new clients",
    ],
)
def test_a_worker_that_dies_at_any_call_leaves_one_of_each(
    name: str, ground: Ground, ways: dict[str, Way], until: Callable[..., Any]
):
    walk(ground, ways[name], until)


def test_the_echoes_of_all_that_find_nothing_to_do(ground: Ground):
    """Both vendors' own webhooks, which were held back till now, come at last, all at once."""
    ground.hooks.give_back()
    try:
        ground.product.settle(120)
    except NotReady as late:
        pytest.fail(f"{late}: {ground.product.processes.admin(('jobs', 'list', '--json', '--state', 'queued'))}")
    wrong = [sentence for way, subject in ground.subjects for sentence in way.wrong(subject)]
    assert wrong == []
    assert [one for one in ground.product.processes.status()["jobs"] if one["state"] == "failed"] == []
