"""People: they do what the script says, through the sandbox's control plane, and remember what they did for whoever judges."""

import heapq
import itertools
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from stack.sandbox import Sandbox, SandboxRefused
from tests.system.chaos.script import Approval, Client, Deal, HandInvoice, Later, Raising, Script

OFFER = {"pipeline": "Sales", "stage": "Offer"}
APPROVED = {"pipeline": "Sales", "stage": "Payment approved"}

# How often somebody looks whether a deal has its invoice by now, before paying it; after so many looks they let it be.
LOOK_AGAIN = 2.0
MOST_LOOKS = 90


@dataclass(slots=True)
class DealStory:
    """A deal of the run, and what people did with it and with its invoice."""

    deal: Deal
    lead_id: int
    is_copy: bool = False
    done: list[Later] = field(default_factory=list)


@dataclass(slots=True)
class InvoiceStory:
    """An invoice that was raised by hand."""

    invoice: HandInvoice
    invoice_id: str
    number: str
    done: list[Later] = field(default_factory=list)


Story = DealStory | InvoiceStory


class People(threading.Thread):
    """Acts at the times of the script. `before_approval` is told how many deals are about to be approved together.

    `pace` answers up to which second of the script people may act by now, for a slow machine that is behind with its incidents.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        script: Script,
        *,
        seed: int,
        before_approval: Callable[[int], None],
        pace: Callable[[], float],
        stop: threading.Event,
    ) -> None:
        super().__init__(name="people", daemon=True)
        self._pace = pace
        self._sandbox, self._script, self._before, self._stop_asked = sandbox, script, before_approval, stop
        self._dice = random.Random(f"hands {seed}")
        self._began = 0.0
        self._order = itertools.count()
        self._script_left: deque[tuple[float, Callable[[], None]]] = deque()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._hurried = threading.Event()
        self._clients: dict[str, int] = {}
        self.deals: list[DealStory] = []
        self.invoices: list[InvoiceStory] = []
        self.refused: Counter[str] = Counter()
        self.done = 0
        self.failure: BaseException | None = None

    @property
    def planned(self) -> int:
        """How many things are still to be done."""
        return len(self._agenda) + len(self._script_left)

    def hurry(self) -> None:
        """What the script has next is done now: somebody waits for it. Called by other threads."""
        self._hurried.set()

    def prepare(self) -> None:
        """Types in the clients that are there beforehand."""
        for client in self._script.clients:
            self._clients[client.name] = int(self._sandbox.post("kommo/companies", _typed(client))["id"])

    def run(self) -> None:
        self._began = time.monotonic()
        acts: list[tuple[float, Callable[[], None]]] = [
            (approval.at, lambda approval=approval: self._approve(approval))  # type: ignore[misc]
            for approval in self._script.approvals
        ]
        acts += [
            (raising.at, lambda raising=raising: self._raise(raising))  # type: ignore[misc]
            for raising in self._script.raisings
        ]
        self._script_left.extend(sorted(acts, key=lambda act: act[0]))
        try:
            while self.planned and not self._stop_asked.is_set():
                self._next()
        except Exception as error:  # noqa: BLE001  (told to whoever waits for us)
            self.failure = error

    def _next(self) -> None:
        act = self._due()
        if act is None:
            self._stop_asked.wait(0.05)
            return
        self.done += 1
        try:
            act()
        except SandboxRefused as refusal:
            self.refused[str(refusal)[:120]] += 1

    def _due(self) -> Callable[[], None] | None:
        """The next thing to do, if its time has come or somebody waits for it."""
        now = time.monotonic()
        by_now = min(now - self._began, self._pace())
        if self._script_left and (self._script_left[0][0] <= by_now or self._hurried.is_set()):
            self._hurried.clear()
            return self._script_left.popleft()[1]
        if self._agenda and self._agenda[0][0] <= now:
            return heapq.heappop(self._agenda)[2]
        return None

    def _at(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self._began + seconds, next(self._order), act))

    def _soon(self, least: float, most: float, act: Callable[[], None]) -> None:
        self._at(time.monotonic() - self._began + self._dice.uniform(least, most), act)

    # deals

    def _approve(self, approval: Approval) -> None:
        """Types the deals in; those that are not born in the stage are moved there a moment later, all with one action."""
        typed = [self._type(deal) for deal in approval.deals]
        ids = [int(one) for one in self._sandbox.post("kommo/leads", typed)["ids"]]
        stories = [DealStory(deal, lead_id) for deal, lead_id in zip(approval.deals, ids, strict=True)]
        self.deals += stories
        to_move = [story.lead_id for story in stories if not story.deal.is_born_approved]
        if to_move:
            self._soon(0.1, 0.6, lambda: self._move_in(to_move))
        for story in stories:
            self._plan(story)

    def _type(self, deal: Deal) -> dict[str, Any]:
        place = APPROVED if deal.is_born_approved else OFFER
        typed: dict[str, Any] = {"name": deal.name, **place}
        if deal.products:
            typed["products"] = [
                {"name": name, "price": price, "quantity": count} for name, price, count in deal.products
            ]
        else:
            typed["price"] = str(deal.net)
        if deal.typed_currency:
            typed["fields"] = {"Invoice currency": deal.typed_currency}
        if deal.client:
            typed |= self._with_client(deal.client)
        return typed

    def _with_client(self, client: Client) -> dict[str, Any]:
        """By id where the client is there, else typed in with the deal. Two deals of one body can't share one that is new."""
        kind = "contact" if client.is_person else "company"
        if client.name not in self._clients:
            kinds = {"contact": "contacts", "company": "companies"}
            self._clients[client.name] = int(self._sandbox.post(f"kommo/{kinds[kind]}", _typed(client))["id"])
        return {kind: self._clients[client.name]}

    def _move_in(self, lead_ids: list[int]) -> None:
        self._before(len(lead_ids))
        self._move(APPROVED, *lead_ids)

    def _move(self, place: Mapping[str, str], *lead_ids: int) -> None:
        self._sandbox.post("kommo/leads/move", {"ids": lead_ids, **place})

    def _plan(self, story: DealStory) -> None:
        lead_id, address = story.lead_id, f"kommo/leads/{story.lead_id}"
        match story.deal.twist:
            case "mend client":
                client = _typed(Client(f"Late {story.deal.key} Ltd"))
                self._soon(2, 8, lambda: self._post(f"{address}/link", {"company": client}))
            case "mend currency":
                self._soon(2, 8, lambda: self._patch(address, {"fields": {"Invoice currency": story.deal.currency}}))
            case "rename":
                self._soon(0.5, 6, lambda: self._patch(address, {"name": f"{story.deal.name} (renamed)"}))
            case "away and back":
                self._soon(0.7, 4, lambda: self._move(OFFER, lead_id))
                self._soon(4.5, 7, lambda: self._move(APPROVED, lead_id))
            case "copy":
                self._when_numbered(story, lambda _: self._copy(story))
        self._plan_laters(story)

    def _copy(self, story: DealStory) -> None:
        """The copy stands in the stage too, and carries all that its original shows."""
        made = int(self._sandbox.post(f"kommo/leads/{story.lead_id}/copy")["id"])
        self.deals.append(DealStory(story.deal, made, is_copy=True))

    def _post(self, path: str, body: object) -> None:
        self._sandbox.post(path, body)

    def _patch(self, path: str, body: object) -> None:
        self._sandbox.patch(path, body)

    # invoices

    def _raise(self, raising: Raising) -> None:
        for invoice in raising.invoices:
            self._soon(0, 1, lambda invoice=invoice: self._raise_one(invoice))  # type: ignore[misc]

    def _raise_one(self, invoice: HandInvoice) -> None:
        made = self._sandbox.post("xero/invoices", _raised(invoice))
        story = InvoiceStory(invoice, str(made["id"]), str(made["number"]))
        self.invoices.append(story)
        if invoice.is_draft_first:
            self._soon(1, 6, lambda: self._post(f"xero/invoices/{story.number}/approve", {}))
            self._soon(6.5, 8, lambda: self._plan_laters(story))
        else:
            self._plan_laters(story)

    def _plan_laters(self, story: Story) -> None:
        least = 0.5
        for later in (story.deal if isinstance(story, DealStory) else story.invoice).laters:
            most = least + 12
            self._soon(
                least, most, lambda later=later: self._when_numbered(story, lambda number: self._later(story, later, number))  # type: ignore[misc]
            )  # fmt: skip
            least = most + 0.5

    def _when_numbered(self, story: Story, act: Callable[[str], None], looks: int = 0) -> None:
        """As soon as the deal shows an invoice's number; people don't wait for ever."""
        number = story.number if isinstance(story, InvoiceStory) else self._shown_number(story)
        if number:
            act(number)
        elif looks < MOST_LOOKS:
            self._soon(LOOK_AGAIN, LOOK_AGAIN, lambda: self._when_numbered(story, act, looks + 1))
        else:
            self.refused["waited in vain for an invoice's number"] += 1

    def _shown_number(self, story: DealStory) -> str:
        fields = self._sandbox.get(f"kommo/leads/{story.lead_id}")["fields"]
        return str(fields.get("XERO_INVOICE_NUMBER") or "")

    def _later(self, story: Story, later: Later, number: str) -> None:
        """What people do with an invoice; refused where what they did before does not allow it."""
        address = f"xero/invoices/{number}"
        match later:
            case "pay":
                self._post(f"{address}/pay", {})
            case "pay part":
                self._post(f"{address}/pay", {"amount": self._part(address)})
            case "take payment back":
                self._post(f"{address}/unpay", {})
            case "void" | "credit":
                self._post(f"{address}/{later}", {})
            case "edit lines":
                amount = str(Decimal(self._dice.randint(1_00, 9_000_00)) / 100)
                line = {"description": "Changed by hand", "quantity": "1", "unit_amount": amount, "account_code": "200"}
                self._post(f"{address}/edit", {"lines": [line]})
            case "edit due date":
                due = self._sandbox.get(address)["date"][:4]
                self._post(f"{address}/edit", {"due_date": f"{int(due) + 1}-06-30"})
        story.done.append(later)

    def _part(self, address: str) -> str:
        due = Decimal(self._sandbox.get(address)["amount_due"])
        return str((due / 3).quantize(Decimal("0.01")))


def _typed(client: Client) -> dict[str, str]:
    return {"name": client.name, "email": client.email}


def _raised(invoice: HandInvoice) -> dict[str, Any]:
    client = invoice.client
    contact = {"name": client.name, "email": client.email}
    if client.first_name:
        contact |= {"first_name": client.first_name, "last_name": "Desk"}
    line = {"description": "Work by the day", "quantity": "1", "unit_amount": str(invoice.net), "account_code": "200"}
    return {
        "contact": contact,
        "currency": invoice.currency,
        "status": "DRAFT" if invoice.is_draft_first else "AUTHORISED",
        "reference": invoice.reference,
        "lines": [line],
    }
