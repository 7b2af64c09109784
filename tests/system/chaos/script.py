"""What people do during the run, made from the seed alone: which deals, for whom, over what, when approved, and what comes after."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal, TypeVar

Name = TypeVar("Name")

Twist = Literal["", "mend client", "mend currency", "away and back", "copy", "rename"]
Later = Literal["pay", "pay part", "void", "credit", "edit lines", "edit due date", "take payment back"]

# One body may carry many deals; the product claims at most 50 together.
MOST_TOGETHER = 20
# Twists and what comes later, each with its share; what is left is the plain case.
TWISTS: dict[Twist, float] = {
    "mend client": 0.08,
    "mend currency": 0.03,
    "away and back": 0.06,
    "copy": 0.04,
    "rename": 0.03,
}
LATERS: dict[Later, float] = {
    "pay": 0.35,
    "pay part": 0.2,
    "void": 0.04,
    "credit": 0.06,
    "edit lines": 0.1,
    "edit due date": 0.05,
}
CURRENCIES = ("EUR", "GBP", "NZD")
# The organisation does not have it: such a deal asks for a mend.
FOREIGN = "CHF"


@dataclass(frozen=True, slots=True)
class Client:
    """A client by its name, which is nobody else's in the run: made beforehand, or with the deal or invoice that needs it."""

    name: str
    is_person: bool = False
    first_name: str = ""
    is_there: bool = False

    @property
    def email(self) -> str:
        return f"{self.name.lower().replace(' ', '.')}@client.example"


@dataclass(frozen=True, slots=True)
class Deal:
    """A deal as a person types it. `price` None: what its products come to."""

    key: int
    client: Client | None
    net: Decimal
    products: tuple[tuple[str, str, int], ...]
    currency: str
    typed_currency: str
    twist: Twist
    is_born_approved: bool
    laters: tuple[Later, ...]

    @property
    def name(self) -> str:
        return f"Deal {self.key:05d}"


@dataclass(frozen=True, slots=True)
class HandInvoice:
    """An invoice that a person raises in Xero."""

    key: int
    client: Client
    net: Decimal
    currency: str
    is_draft_first: bool
    laters: tuple[Later, ...]

    @property
    def reference(self) -> str:
        return f"Hand {self.key:05d}"


@dataclass(frozen=True, slots=True)
class Approval:
    """Deals that one person approves with one action, `at` seconds after the start."""

    at: float
    deals: tuple[Deal, ...]


@dataclass(frozen=True, slots=True)
class Raising:
    """Invoices that are raised within a second."""

    at: float
    invoices: tuple[HandInvoice, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """All that people do; `clients` are there beforehand."""

    clients: tuple[Client, ...]
    approvals: tuple[Approval, ...]
    raisings: tuple[Raising, ...]

    @property
    def deals(self) -> list[Deal]:
        return [deal for approval in self.approvals for deal in approval.deals]

    @property
    def invoices(self) -> list[HandInvoice]:
        return [invoice for raising in self.raisings for invoice in raising.invoices]


def write(seed: int, *, deals: int, invoices: int, seconds: float) -> Script:
    """The script of a run that lasts so long."""
    return _Writer(random.Random(f"people {seed}"), seconds).write(deals, invoices)


@dataclass(slots=True)
class _Writer:
    dice: random.Random
    seconds: float
    made: int = 0

    def write(self, deals: int, invoices: int) -> Script:
        clients = tuple(Client(f"Regular {n} Ltd", is_there=True) for n in range(max(deals // 20, 3)))
        approvals = [approval for keys in self._groups(deals, 0.5) for approval in self._approvals(keys, clients)]
        raisings = [Raising(self._when(), self._raised(keys, clients)) for keys in self._groups(invoices, 0.6, most=3)]
        return Script(
            clients,
            tuple(sorted(approvals, key=lambda one: one.at)),
            tuple(sorted(raisings, key=lambda one: one.at)),
        )

    def _when(self) -> float:
        return self.dice.uniform(0, 0.85 * self.seconds)

    def _groups(self, count: int, alone: float, most: int = MOST_TOGETHER) -> Iterator[list[int]]:
        """The numbers up to `count` in singles and bursts: so large a share of the groups are singles."""
        key = 0
        while key < count:
            size = 1 if self.dice.random() < alone else self.dice.randint(2, most)
            yield list(range(key, min(key + size, count)))
            key += size

    def _approvals(self, keys: Sequence[int], clients: Sequence[Client]) -> Iterator[Approval]:
        """One; now and then it is split in two that follow each other at once, about the same client, who is new."""
        deals = [self._deal(key, clients) for key in keys]
        at = self._when()
        if len(deals) == 2 or (len(deals) > 2 and self.dice.random() < 0.3):
            first, second, client = *deals[:2], self._new("Twin")
            yield Approval(at, (_for(first, client),))
            yield Approval(at + self.dice.uniform(0.05, 1.0), (_for(second, client),))
            deals = deals[2:]
        if deals:
            yield Approval(at, tuple(deals))

    def _raised(self, keys: Sequence[int], clients: Sequence[Client]) -> tuple[HandInvoice, ...]:
        """Several are mostly for the same client, who is new."""
        invoices = [self._invoice(key, clients) for key in keys]
        if len(invoices) > 1 and self.dice.random() < 0.7:
            client = self._new("Stranger")
            invoices = [replace(invoice, client=client, is_draft_first=False) for invoice in invoices]
        return tuple(invoices)

    def _deal(self, key: int, clients: Sequence[Client]) -> Deal:
        twist: Twist = self._draw(TWISTS) or ""
        typed = self.dice.choice(CURRENCIES) if self.dice.random() < 0.2 else ""
        products = self._products() if self.dice.random() < 0.3 else ()
        net = sum((Decimal(price) * count for _, price, count in products), Decimal(0)) or self._amount()
        return Deal(
            key=key,
            client=None if twist == "mend client" else self._client(clients),
            net=net,
            products=products,
            currency=CURRENCIES[0] if twist == "mend currency" else typed or "USD",
            typed_currency=FOREIGN if twist == "mend currency" else typed,
            twist=twist,
            is_born_approved=self.dice.random() < 0.1 and twist != "away and back",
            laters=self._laters(),
        )

    def _invoice(self, key: int, clients: Sequence[Client]) -> HandInvoice:
        roll = self.dice.random()
        if roll < 0.15:
            client = self.dice.choice(clients)
        elif roll < 0.5:
            client = self._new("Studio", first_name=f"Front{self.made}")
        else:
            client = self._new("Newcomer")
        currency = self.dice.choice((*CURRENCIES, "USD"))
        return HandInvoice(key, client, self._amount(), currency, self.dice.random() < 0.1, self._laters())

    def _client(self, clients: Sequence[Client]) -> Client:
        """Mostly one that is there."""
        roll = self.dice.random()
        if roll < 0.6:
            return self.dice.choice(clients)
        return self._new("Desk", is_person=True) if roll < 0.85 else self._new("Client")

    def _new(self, word: str, *, is_person: bool = False, first_name: str = "") -> Client:
        self.made += 1
        return Client(f"{word} {self.made} Ltd", is_person, first_name)

    def _amount(self) -> Decimal:
        return Decimal(self.dice.randint(1_00, 9_000_00)) / 100

    def _products(self) -> tuple[tuple[str, str, int], ...]:
        return tuple(
            (f"Product {n}", str(self._price(n)), self.dice.randint(1, 5))
            for n in self.dice.sample(range(40), self.dice.randint(1, 3))
        )

    @staticmethod
    def _price(number: int) -> Decimal:
        """A product has one price all through the run."""
        return Decimal(9_50 + 137 * number) / 100

    def _laters(self) -> tuple[Later, ...]:
        first = self._draw(LATERS)
        if first is None:
            return ()
        if first == "pay part":
            return (first, self.dice.choice(("pay", "take payment back", "credit")))
        if first in ("edit lines", "edit due date"):
            return (first, "pay") if self.dice.random() < 0.5 else (first,)
        return (first,)

    def _draw(self, shares: Mapping[Name, float]) -> Name | None:
        roll = self.dice.random()
        for name, share in shares.items():
            if roll < share:
                return name
            roll -= share
        return None


def _for(deal: Deal, client: Client) -> Deal:
    """The same, plainly, for this client."""
    return replace(deal, twist="", client=client, currency="USD", typed_currency="")
