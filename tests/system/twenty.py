"""Twenty deals of four new clients, which are approved a few at a time while something breaks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from stack import books as books_of_both
from stack.children import Children
from tests import servers
from tests.conftest import wait_until
from tests.system import product as system
from tests.system.product import Product
from tests.system.ways import invoiced

DEALS, CLIENTS, AT_ONCE = 20, 4, 4

# A tenth of the usual or somewhat more, since two cores do all of it.
PERIODS = {
    "BRIDGE_LEASE_SECONDS": "4",
    "BRIDGE_RENEW_SECONDS": "1",
    "BRIDGE_SWEEP_SECONDS": "0.5",
    "BRIDGE_QUIET_SECONDS": "5",
    "BRIDGE_READ_TIMEOUT_SECONDS": "5",
    "BRIDGE_RECONCILE_SECONDS": "3600",
    "CELERY_WORKER_CONCURRENCY": "3",
    "WEB_CONCURRENCY": "1",
}

KINDS = {"web": 1, "worker": 2, "beat": 1}

SLOW_MS = 60
"""Milliseconds that each vendor takes for an answer, so that what breaks does so in the middle."""


class Twenty:
    """The deals of one trial."""

    def __init__(self, product: Product, name: str) -> None:
        self.product = product
        sandbox = product.sandbox
        sandbox.patch("settings", {"answer_ms": {"kommo": SLOW_MS, "drive": SLOW_MS, "xero": SLOW_MS}})
        clients = [f"{name} {number} Ltd" for number in range(CLIENTS)]
        ids = [
            sandbox.post("kommo/companies", {"name": one, "email": f"{number}@{name.lower()}.example"})["id"]
            for number, one in enumerate(clients)
        ]
        self.deals = {
            product.deal(f"{name} deal {number}", price=f"{100 + number}.50", company=ids[number % CLIENTS]): clients[
                number % CLIENTS
            ]
            for number in range(DEALS)
        }

    def groups(self) -> Iterator[list[int]]:
        """So many as a person approves in one go."""
        leads = list(self.deals)
        for start in range(0, DEALS, AT_ONCE):
            yield leads[start : start + AT_ONCE]

    def made(self) -> int:
        """How many have an invoice in Xero."""
        books = self.product.books()
        return sum(bool(books.invoices_for(lead_id)) for lead_id in self.deals)

    def wait_for(self, count: int) -> None:
        """Until so many have an invoice."""
        wait_until(lambda: self.made() >= count, 60)

    def wrong(self) -> list[str]:
        """What is not, or not yet, as it must be."""
        raw = self.product.sandbox.books()
        books = books_of_both.read(raw)
        return [
            sentence for lead_id, client in self.deals.items() for sentence in invoiced(books, raw, lead_id, client)
        ]

    def wait_whole(self, timeout: float = 120) -> None:
        """Until all is as it must be."""
        try:
            wait_until(lambda: not self.wrong(), timeout, pause=0.2)
        except pytest.fail.Exception:
            pytest.fail(
                f"after {timeout:g} s: {'; '.join(self.wrong()[:10])}; {self.product.processes.status()['jobs']}"
            )


@contextmanager
def running(children: Children, within: Path, *, told: dict[str, str], on_sqlite: bool = False) -> Iterator[Product]:
    """A product for such trials; a skip where there is nothing to run it on. What it stands on is `told`."""
    folder = Path(mkdtemp(prefix="twenty-", dir=within))
    folder.chmod(0o711)
    try:
        with system.product(children, folder, kinds=KINDS, on_sqlite=on_sqlite, more=PERIODS) as product:
            told |= product.stands_on()
            yield product
    except servers.Absent as absent:
        pytest.skip(str(absent).splitlines()[0])


def assert_at_rest(product: Product, trials: list[Twenty]) -> None:
    """When all is idle: one of each still, nobody died, and no job waits for a person."""
    product.sandbox.patch("settings", {"answer_ms": {"kommo": 0, "drive": 0, "xero": 0}})
    product.sandbox.post("webhooks/flush")
    product.settle(120)
    assert [sentence for trial in trials for sentence in trial.wrong()] == []
    assert product.processes.dead() == []
    assert [one for one in product.processes.status()["jobs"] if one["state"] == "failed"] == []


def hooks_since(product: Product, seq: int) -> list[dict[str, Any]]:
    """Webhooks of Kommo that were tried since then."""
    return [one for one in product.sandbox.get("webhooks", after=seq, vendor="kommo") if one["attempts"]]


def last_hook(product: Product) -> int:
    """The number of the last webhook, to count from."""
    return max((one["id"] for one in product.sandbox.get("webhooks")), default=0)
