"""The floor: how soon it could be done at all, computed from the vendors' limits and how long their answers take. Pure.

A client that does not know where a vendor's window begins may send `limit` calls at once and then must wait a whole period;
that is what is computed here, without any margin and with every batch full. Times are in seconds of the run: the time factor
has shrunk the periods.
"""

import math
from dataclasses import dataclass

XERO_MINUTE, MINUTE = 60, 60.0  # xero.md 2.1
KOMMO_SECOND = 7  # kommo.md 3
CREATES, READS = 50, 40  # invoices a create call, invoices a read by id (xero.md 2.1, 4.6)
WRITES, PAGE = 50, 250  # deals a write, deals a page (kommo.md 3)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the vendors are in this run: what their periods are divided by, and how long an answer takes, in seconds."""

    factor: float
    answer: float

    def xero_waits(self, calls: int) -> float:
        """How long the last of so many calls must wait for its turn."""
        return max(calls - 1, 0) // XERO_MINUTE * MINUTE / self.factor

    def kommo_waits(self, calls: int) -> float:
        """The same at Kommo; its drive is a host of its own and counts apart."""
        return max(calls - 1, 0) // KOMMO_SECOND / self.factor


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds until the last of each is there, and the calls that it takes."""

    invoice: float
    status: float
    pdf: float
    xero_calls: int
    kommo_calls: int


def burst(deals: int, *, pace: Pace, new_clients: bool = False) -> Floor:
    """For so many deals approved at once. A client that Xero may or may not know takes one call to look for."""
    looks = deals if new_clients else 0
    creates, pages, writes = _full(deals, CREATES), _full(deals, PAGE), _full(deals, WRITES)
    reads = pages * (2 if new_clients else 1)  # the deals, and the clients where they are not known
    steps = (
        (2 if new_clients else 1) + (1 if new_clients else 0) + 1
    )  # one answer after another before an invoice exists
    invoice = pace.xero_waits(looks + creates) + steps * pace.answer
    status = max(invoice, pace.kommo_waits(reads + writes)) + pace.answer
    notes, names = writes, writes
    kommo = reads + writes + notes + deals + names
    # the PDF itself, the drive's session and part, and its link to the deal
    by_xero = pace.xero_waits(looks + creates + deals) + 4 * pace.answer
    by_kommo = pace.kommo_waits(reads + writes + deals) + pace.answer
    return Floor(invoice, status, max(by_xero, by_kommo, invoice), looks + creates + deals, kommo)


@dataclass(frozen=True, slots=True)
class PaymentsFloor:
    """Seconds until the last deal shows it, and the calls that it takes."""

    shown: float
    xero_calls: int
    kommo_writes: int


def payments(invoices: int, *, pace: Pace) -> PaymentsFloor:
    """For so many invoices paid at once."""
    reads, writes = _full(invoices, READS), _full(invoices, WRITES)
    shown = max(pace.xero_waits(reads), pace.kommo_waits(writes)) + 2 * pace.answer
    return PaymentsFloor(shown, reads, writes)


def _full(count: int, size: int) -> int:
    return math.ceil(count / size)
