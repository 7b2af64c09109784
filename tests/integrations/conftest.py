"""The cast: a vendor's host, a grant, a budget that always gives, and wires between them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import pytest
from redis import Redis

from integrations.errors import Refusal, Unauthorised
from integrations.turns import Heard, Priority, Turns, Window
from integrations.wire import CallRecord, Wire
from tests.integrations.budgets import Make
from tests.integrations.vendor import Vendor


@dataclass
class Grant:
    """Tokens: the first is used until somebody says that it is stale."""

    tokens: list[str] = field(default_factory=lambda: ["first", "second", "third"])
    stale: list[str] = field(default_factory=list)
    worked: list[str] = field(default_factory=list)

    def current(self) -> str:
        return self.tokens[0]

    def renew(self, stale: str) -> str:
        self.stale.append(stale)
        if len(self.tokens) == 1:
            raise Unauthorised("vendor", "token", reason=Refusal.REVOKED)
        self.tokens.pop(0)
        return self.tokens[0]

    def let_in(self, call: str) -> None:
        self.worked.append(call)


class OpenBudget:
    """A budget that always gives, and remembers what it was asked and told. What waits in Redis has its own tests."""

    def __init__(self) -> None:
        self.asked: list[tuple[Priority, float | None]] = []
        self.told: list[Heard] = []
        self.held = 0

    def take(self, priority: Priority, *, patience: float | None = None) -> "OpenBudget":
        self.asked.append((priority, patience))
        return self

    def heard(self, heard: Heard) -> None:
        self.told.append(heard)

    def __enter__(self) -> Self:
        self.held += 1
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.held -= 1


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A vendor's host."""
    host = Vendor()
    yield host
    host.close()


@pytest.fixture
def drive() -> Iterator[Vendor]:
    """Another host of the same vendor."""
    host = Vendor()
    yield host
    host.close()


@pytest.fixture
def grant() -> Grant:
    """Tokens."""
    return Grant()


@pytest.fixture
def budget() -> OpenBudget:
    """Turns for all."""
    return OpenBudget()


@pytest.fixture
def records() -> list[CallRecord]:
    """What the wire kept of its calls."""
    return []


@pytest.fixture
def wires(grant: Grant, budget: OpenBudget, records: list[CallRecord]) -> Iterator[Callable[..., Wire]]:
    """A wire by vendor, with any settings of its own."""
    made: list[Wire] = []

    def make(vendor: str = "vendor", **settings) -> Wire:
        made.append(Wire(vendor=vendor, tokens=grant, turns=budget, **{"on_call": records.append, **settings}))
        return made[-1]

    yield make
    for wire in made:
        wire.close()


@pytest.fixture
def make(redis: Redis) -> Make:
    """Budgets of one account, whose logs are complete unless the test says otherwise."""

    def make(*windows: Window, known: bool = True, **settings) -> Turns:
        turns = Turns(redis, key="xero:acme", windows=windows, **{"patience": 0.0, **settings})
        if known:
            for window in windows:
                redis.set(f"turns:{window.shared or 'xero:acme:' + window.name}:since", 1)
        return turns

    return make
