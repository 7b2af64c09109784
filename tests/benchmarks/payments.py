"""Many invoices paid at once: until every deal shows it, and how many calls that takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from stack import books
from stack.children import until
from tests.benchmarks import burst, calllog, crowd, floor, hooklog
from tests.benchmarks.calllog import Call
from tests.benchmarks.figures import Check, Section, Table, percentile, seconds
from tests.benchmarks.floor import PaymentsFloor
from tests.benchmarks.place import Place
from tests.benchmarks.sizes import Size
from tests.benchmarks.watching import STATUS, wait_whole

PAID = "Paid"
PATIENCE = 600
# For a thousand; a smaller run may have as many more than its floor as these are above theirs.
XERO_CALLS, KOMMO_WRITES = 30, 30
WRITES, NOTES = ("PATCH /leads", "PATCH /leads/{id}"), ("POST /leads/notes", "POST /leads/{id}/notes")


@dataclass(frozen=True, slots=True)
class Paid:
    """What the logs say: when each deal showed it, in seconds after the first webhook was sent."""

    shown: tuple[float, ...]
    calls: tuple[Call, ...]
    wrong: int
    floor: PaymentsFloor


def measure(place: Place, size: Size) -> Section:
    """Takes invoices that earlier measurements left unpaid, and makes those that lack."""
    count = size.payments
    _have_enough(place, count)
    leads, place.invoiced = place.invoiced[:count], place.invoiced[count:]
    now = books.read(place.sandbox.books())
    numbers = [now.deals[lead_id].number for lead_id in leads]
    place.rest()
    place.hooks()
    mark = place.sandbox.mark()
    place.sandbox.post("xero/payments", {"invoices": numbers})
    until(lambda: not wrong(place, leads), PATIENCE, what=f"{count} deals that show a payment", pause=2)
    place.settle()
    hooks = place.hooks()
    first = min(hooklog.sent_by(hooks, "xero"))
    shown = hooklog.first_shown(hooks, STATUS, PAID)
    times = tuple(sorted(shown[lead_id] - first for lead_id in leads))
    paid = Paid(times, tuple(place.calls(mark)), wrong(place, leads), floor.payments(count, pace=place.pace))
    return report(paid, factor=size.factor)


def wrong(place: Place, leads: Sequence[int]) -> int:
    """How many deals do not show a paid invoice with nothing due."""
    deals = books.read(place.sandbox.books()).deals
    return sum(deals[one].status != PAID or deals[one].due != Decimal(0) for one in leads)


def _have_enough(place: Place, count: int) -> None:
    lacking = count - len(place.invoiced)
    if lacking <= 0:
        return
    place.say(f"{lacking} more invoices are made first")
    leads = crowd.deals(place, lacking, burst.acquainted(place, min(lacking, 200)), "To be paid")
    mark = place.sandbox.mark()
    crowd.approve(place, leads, "bulk")
    wait_whole(place, leads, mark=mark, timeout=PATIENCE)
    place.invoiced += leads


def report(paid: Paid, *, factor: float) -> Section:
    """The section of the page. Pure."""
    count, least = len(paid.shown), paid.floor
    xero = sum(call.vendor == "xero" for call in paid.calls)
    kommo = [call for call in paid.calls if call.vendor == "kommo"]
    writes, notes = (sum(call.name in names for call in kommo) for names in (WRITES, NOTES))
    others = len(kommo) - writes - notes
    spare = 1.0 if count >= 1000 else 0.0
    rows = (
        ("until half of the deals show it", seconds(percentile(paid.shown, 0.5)), ""),
        ("until the last deal shows it", seconds(max(paid.shown)), seconds(least.shown)),
        ("calls to Xero", str(xero), str(least.xero_calls)),
        ("writes of fields to Kommo", str(writes), str(least.kommo_writes)),
        ("writes of notes to Kommo", str(notes), ""),
        ("other calls to Kommo", str(others), ""),
        ("429s", str(sum(calllog.refusals(paid.calls).values())), "0"),
    )
    return Section(
        name="payments",
        title=f"{count:,} invoices paid at once",
        notes=f"Periods of the vendors are divided by {factor:g}. Times count from the first of Xero's webhooks.",
        tables=(
            Table("Time and calls", ("", "measured", "floor"), rows),
            Table("Calls by path", ("", "calls"), tuple((f"{v} {n}", str(c)) for (v, n), c in calllog.by_name(paid.calls).most_common())),
        ),
        checks=(
            Check("calls to Xero", xero, XERO_CALLS if spare else least.xero_calls + XERO_CALLS - 25),
            Check("writes of fields to Kommo", writes, KOMMO_WRITES if spare else least.kommo_writes + KOMMO_WRITES - 20),
            Check("deals that are wrong", paid.wrong, 0),
        ),
    )  # fmt: skip
