"""Points at which a worker can be stopped: each of its calls to a vendor, before the call took effect and after.

They are discovered by playing a way of working once. A point is a call that the sandbox holds at its barrier; while a child of the worker stands at one
it makes no other call, so that others can be brought to theirs one by one.
"""

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest

from stack import books as books_of_both
from stack.books import Books
from stack.children import Children
from tests import servers
from tests.conftest import wait_until
from tests.system import product as system
from tests.system.hooks import Hooks
from tests.system.product import Product

When = Literal["before", "after"]

AT_ONCE = 6
# A call to Xero that dies keeps one of the five places there for some seconds, and the next attempt needs one too.
XERO_AT_ONCE = 3
CONCURRENCY = {"CELERY_WORKER_CONCURRENCY": str(2 * AT_ONCE + 2), "WEB_CONCURRENCY": "1"}

WHOLE = 60.0

# What differs from run to run in a path: numbers, UUIDs, our own marks, and the address of an upload.
NAMES = r"/(?:\d{4,}|[0-9a-f]{8}-[0-9a-f-]{27}|kommo:[^/]+|(?<=upload/)[^/]+)(?=/|$)"


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
    """The product, its webhooks in our hands, and what has been begun."""

    product: Product
    hooks: Hooks
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
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
        wait_until(lambda: not self.product.jobs_left(), WHOLE, pause=0.1)


@contextmanager
def open_ground(
    children: Children, within: Path, *, kinds: Mapping[str, int], settings: Mapping[str, str], told: dict[str, str]
) -> Iterator[Ground]:
    """A product whose webhooks a test sends; a skip where there is nothing to run it on. What it stands on is `told`."""
    folder = Path(tempfile.mkdtemp(prefix="points-", dir=within))
    folder.chmod(0o711)
    try:
        with system.product(children, folder, kinds=kinds, more=settings) as running:
            told |= running.stands_on()
            ground = Ground(running, Hooks(running))
            ground.hooks.take_over()
            yield ground
    except servers.Absent as absent:
        pytest.skip(str(absent).splitlines()[0])


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
        path = re.sub(NAMES, "/*", made["path"])
        number = 1 + sum((one.vendor, one.method, one.path) == (made["vendor"], made["method"], path) for one in calls)
        calls.append(Call(made["vendor"], made["method"], path, number, made["status"] < 400))
    return calls


def points_of(way: Way, calls: Sequence[Call]) -> list[Point]:
    """Each of its own calls, before and after; one that finds nothing takes no effect that it could die after."""
    own = [call for call, is_own in zip(calls, way.is_own(calls), strict=True) if is_own]
    return [Point(call, when) for call in own for when in ("before", "after") if call.succeeds or when == "before"]


def grouped(stops: Sequence[tuple[Way, Point]]) -> Iterator[list[tuple[Way, Point]]]:
    """So many as one kill serves, of whatever ways."""
    left = list(stops)
    while left:
        group: list[tuple[Way, Point]] = []
        for stop in left:
            of_xero = sum(point.call.vendor == "xero" for _, point in group)
            if len(group) < AT_ONCE and (stop[1].call.vendor != "xero" or of_xero < XERO_AT_ONCE):
                group.append(stop)
        left = [stop for stop in left if stop not in group]
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
