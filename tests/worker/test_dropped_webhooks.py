"""Three in ten webhooks of both vendors never come. Once people have stopped, one round of reconciliation finds all of it, whatever it was about."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from threading import Thread

import pytest
import requests
from pydantic import SecretStr
from werkzeug.serving import make_server

from tests.system.chaos.oracle import Books, Finding, Judge
from tests.system.chaos.people import DealStory, InvoiceStory
from tests.system.chaos.script import Client, Deal, HandInvoice, Later
from tests.worker.shop import Shop
from webhooks.receive import create_app
from worker.reconciling import reconcile
from worker.setup import set_up

OFFER = {"pipeline": "Sales", "stage": "Offer"}
APPROVED = {"pipeline": "Sales", "stage": "Payment approved"}
DROPPED = 0.3
DEALS, INVOICES, CLIENTS, MOST_TOGETHER = 32, 10, 6, 4


@pytest.fixture
def heard(shop: Shop) -> Iterator[Shop]:
    """The same shop, whose webhooks come to a receiver of its own."""
    key = shop.sandbox.ready["xero_webhook_key"]
    settings = shop.workshop.settings.model_copy(update={"xero_webhook_key": (SecretStr(key),)})
    app = create_app(settings, shop.workshop.database, lambda _: None, patience=20)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serving = Thread(target=server.serve_forever)
    serving.start()
    url = f"http://127.0.0.1:{server.server_port}"
    shop.workshop.settings = settings.model_copy(update={"public_url": url})
    set_up(shop.workshop, "demo")
    assert shop.sandbox.post("xero/webhook", {"url": f"{url}/webhooks/xero", "key": key})["ok"]
    yield shop
    shop.sandbox.delete("xero/webhook")
    server.shutdown()
    serving.join()
    server.server_close()


@dataclass
class People:
    """What they do, and whoever judges it."""

    shop: Shop
    dice: random.Random
    deals: list[DealStory] = field(default_factory=list)
    invoices: list[InvoiceStory] = field(default_factory=list)

    def approve_deals(self) -> None:
        """In singles and bursts, for clients that are there; some of them have none."""
        kept = [self._company(Client(f"Regular {n} Ltd")) for n in range(CLIENTS)]
        while len(self.deals) < DEALS:
            some = [self._deal(self.dice.choice([*kept, None])) for _ in range(self.dice.randint(1, MOST_TOGETHER))]
            self.shop.sandbox.post("kommo/leads/move", {"ids": [story.lead_id for story in some], **APPROVED})
            self.deals += some
            self._hear()

    def _company(self, client: Client) -> tuple[Client, int]:
        typed = {"name": client.name, "email": "pay@client.example"}
        return client, int(self.shop.sandbox.post("kommo/companies", typed)["id"])

    def _deal(self, company: tuple[Client, int] | None) -> DealStory:
        key, net = self.dice.randrange(10**6), Decimal(self.dice.randint(1_00, 9_000_00)) / 100
        typed = {"name": f"Deal {key}", "price": str(net), **OFFER} | ({"company": company[1]} if company else {})
        lead_id = int(self.shop.sandbox.post("kommo/leads", typed)["id"])
        client = company[0] if company else None
        return DealStory(Deal(key, client, net, (), "USD", "", "", is_born_approved=False, laters=()), lead_id)

    def raise_invoices(self) -> None:
        """By hand in Xero, some for the same client."""
        for key in range(INVOICES):
            client, net = Client(f"Stranger {key // 2} Ltd"), Decimal(self.dice.randint(1_00, 9_000_00)) / 100
            line = {"description": "Work", "quantity": "1", "unit_amount": str(net), "account_code": "200"}
            wanted = {"contact": {"name": client.name, "email": client.email}, "status": "AUTHORISED", "lines": [line]}
            made = self.shop.sandbox.post("xero/invoices", wanted)
            told = HandInvoice(key, client, net, "NZD", is_draft_first=False, laters=())
            self.invoices.append(InvoiceStory(told, made["id"], made["number"]))
            self._hear()

    def link_clients(self) -> None:
        """Deals that asked for a client get one."""
        for story in self.deals:
            if story.deal.client is None:
                company = {"name": f"Late {story.deal.key} Ltd", "email": "late@client.example"}
                self.shop.sandbox.post(f"kommo/leads/{story.lead_id}/link", {"company": company})
                self._hear()

    def go_on_with_invoices(self) -> None:
        """Pay, credit, void or change those that they see."""
        stories: list[DealStory | InvoiceStory] = [*self.deals, *self.invoices]
        for story in stories:
            number = story.number if isinstance(story, InvoiceStory) else self.shop.lead(story.lead_id).number
            if number and self.dice.random() < 0.7:
                self._go_on(story, f"xero/invoices/{number}")
                self._hear()

    def _go_on(self, story: DealStory | InvoiceStory, address: str) -> None:
        later: Later = self.dice.choice(("pay", "pay part", "credit", "void", "edit lines"))
        match later:
            case "pay part":
                self.shop.sandbox.post(f"{address}/pay", {"amount": "0.50"})
            case "edit lines":
                line = {"description": "Changed", "quantity": "1", "unit_amount": "77.70", "account_code": "200"}
                self.shop.sandbox.post(f"{address}/edit", {"lines": [line]})
            case "pay" | "credit" | "void":
                self.shop.sandbox.post(f"{address}/{later}", {})
        story.done.append(later)

    def _hear(self) -> None:
        """What comes of it comes before they go on."""
        self.shop.sandbox.post("webhooks/flush")
        self.shop.work()

    def wrong(self) -> list[Finding]:
        """What the judge, who reads both books and asks nothing of ours, finds wrong."""
        books = Books.of(self.shop.sandbox.books())
        return Judge(books, self._file).judge(self.deals, self.invoices)

    def _file(self, uuid: str) -> bytes:
        return requests.get(f"{self.shop.sandbox.control_url}/kommo/files/{uuid}", timeout=10).content


@pytest.mark.parametrize("seed", [1, 2])
def test_one_round_after_the_last_event_brings_everything_that_was_dropped(heard: Shop, seed: int):
    people = People(heard, random.Random(seed))
    heard.sandbox.patch("settings", {"noise": {"drop": DROPPED, "seed": seed}})
    people.approve_deals()
    people.raise_invoices()
    people.link_clients()
    people.go_on_with_invoices()
    sent = Counter((hook["vendor"], hook["state"]) for hook in heard.sandbox.get("webhooks"))
    assert all(0.15 < share(sent, vendor) < 0.45 for vendor in ("kommo", "xero")), sent
    assert {finding.kind for finding in people.wrong()} >= {"lost", "wrong"}

    heard.sandbox.patch("settings", {"noise": {"drop": 1.0}})
    found = reconcile(heard.workshop, "demo")
    heard.work()
    assert people.wrong() == []
    again = reconcile(heard.workshop, "demo")
    assert found is not None
    assert again is not None
    assert (len(found.wanted) > 5, again.wanted) == (True, set())


def share(sent: Counter[tuple[str, str]], vendor: str) -> float:
    """How much of what that vendor sent was dropped."""
    return sent[vendor, "dropped"] / sum(count for (of, _), count in sent.items() if of == vendor)
