"""Four workers at a burst, at the vendors' own pace: neither ever sees more calls than it allows.

Judged by the sandbox's log of calls, over any second and any minute.
"""

import os
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from stack.children import Children
from tests.system.product import Product, product

pytestmark = pytest.mark.system

# The few press Kommo's second. The many (LONG=yes) press Xero's minute too: each PDF is a call of its sixty.
FEW, MANY = 24, 75
DEALS = MANY if os.environ.get("LONG") == "yes" else FEW
# Whether Kommo's drive, another host, is counted with the account is not documented: our budget counts both.
RATES = {("kommo", "drive"): (7, 1.0), ("xero",): (60, 60.0)}

# Seven calls of ours take 1.2 s. Where this machine lets a program that wants to run wait for this long (seconds), calls bunch on
# their way, and what arrives says nothing of our turns.
TOO_BUSY = 0.1


@contextmanager
def watched() -> Iterator[list[float]]:
    """By how much a sleep of ten milliseconds was too long at the most, in the list's only number."""
    worst, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.is_set():
            began = time.monotonic()
            time.sleep(0.01)
            worst[0] = max(worst[0], time.monotonic() - began - 0.01)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield worst
    over.set()
    watcher.join()


def most_in(period: float, times: list[float]) -> int:
    """The most that any period of so many seconds held."""
    most, first = 0, 0
    for last, time_ in enumerate(times):
        while times[first] <= time_ - period:
            first += 1
        most = max(most, last - first + 1)
    return most


def arrived(running: Product, hosts: Collection[str], mark: int) -> list[float]:
    """When calls came to a vendor's hosts, in order."""
    calls = [call for call in running.sandbox.calls_after(mark) if call["vendor"] in hosts]
    return sorted(datetime.fromisoformat(call["at"]).timestamp() - call["ms"] / 1000 for call in calls)


def test_four_workers_at_a_burst_never_exceed_the_limits(children: Children, ground_folder: Path):
    kinds = {"web": 1, "worker": 4, "beat": 1}
    with product(
        children, ground_folder / "limits", kinds=kinds, on_sqlite=True, more={"BRIDGE_TIME_FACTOR": "1"}
    ) as running:
        running.sandbox.patch("settings", {"time_factor": 1})
        client = running.company("Acme Ltd")
        deals = [running.deal(f"Deal {number}", company=client) for number in range(DEALS)]
        mark = running.sandbox.mark()
        with watched() as worst:
            running.approve(*deals)
            running.settle(90 + 2 * DEALS)
        made = running.books()
        assert all(made.deals[lead_id].number for lead_id in deals)
        refused = [call for call in running.sandbox.calls_after(mark) if call["status"] == 429]
        most = {hosts: most_in(period, arrived(running, hosts, mark)) for hosts, (_, period) in RATES.items()}
    print(f"at most {most}; {len(refused)} refused; {worst[0]:.3f} s late at the worst")
    if worst[0] > TOO_BUSY:
        pytest.skip(f"this machine is too busy: a program waited for {worst[0]:.2f} s")
    assert refused == []
    assert most["kommo", "drive"] > 3
    assert DEALS == FEW or most["xero",] > 45  # PDFs leave a fifth of the sixty to what is new
    assert all(most[hosts] <= rate for hosts, (rate, _) in RATES.items())
