"""The kit as a vendor sees it, and a vendor as the kit sees it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import WSGIApplication

from flask import Blueprint

from sandbox.kit.calls import Calls
from sandbox.kit.clock import Clock
from sandbox.kit.faults import Faults
from sandbox.kit.front import FaultAnswer, Front
from sandbox.kit.hooks import Hooks
from sandbox.kit.settings import Settings


class Kit:
    """What a vendor is given; this package's docstring explains each part."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.clock = Clock(self.settings)
        self.faults = Faults()
        self.calls = Calls()
        self.hooks = Hooks(self.clock, self.settings)
        self.urls: dict[str, str] = {}

    def front(self, name: str, app: WSGIApplication, fault_answer: FaultAnswer | None = None) -> WSGIApplication:
        """`name` is what faults and calls know this host by."""
        return Front(
            name,
            app,
            clock=self.clock,
            settings=self.settings,
            faults=self.faults,
            calls=self.calls,
            fault_answer=fault_answer,
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of one of a vendor's limits, for one client."""

    whose: str
    what: str
    left: int
    limit: int


@dataclass(frozen=True, slots=True)
class Target:
    """Where a vendor sends webhooks; `state` as the vendor calls it, `form` the address that switches it on again."""

    url: str
    state: str
    remark: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class Vendor:
    name: str
    ports: dict[str, WSGIApplication]
    books: Callable[[], dict[str, Any]]
    reset: Callable[[str], None]  # the seed's name
    blueprint: Blueprint | None = None
    ready: Callable[[], dict[str, Any]] = field(default=dict)
    pending: Callable[[], int] = field(default=int)  # events that are not yet a webhook (batches being gathered)
    flush: Callable[[], None] = field(default=lambda: None)  # makes webhooks of them now
    stop: Callable[[], None] = field(default=lambda: None)
    pages: Blueprint | None = None  # what people see, at /NAME/ on the control port
    budgets: Callable[[], list[Budget]] = field(default=list)
    targets: Callable[[], list[Target]] = field(default=list)


OpenVendor = Callable[[Kit, str], Vendor]
