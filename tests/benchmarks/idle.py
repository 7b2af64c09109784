"""One deal on an idle system: from its move to the invoice's number on it, without the time that the vendors took to answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stack.children import until
from tests.benchmarks import calllog, crowd, hooklog
from tests.benchmarks.calllog import Call
from tests.benchmarks.figures import Check, Section, Table, median, percentile, seconds
from tests.benchmarks.place import APPROVED, QUIET, Place
from tests.benchmarks.sizes import Size
from tests.benchmarks.watching import NUMBER

ANSWER_MS = 100
PATIENCE = 60
MEDIAN, TAIL = 0.150, 0.400


@dataclass(frozen=True, slots=True)
class Passage:
    """One deal's way, in seconds: all of it, how much of that a vendor was answering, and how many calls that were."""

    total: float
    answering: float
    calls: tuple[str, ...]

    @property
    def overhead(self) -> float:
        """What is ours."""
        return self.total - self.answering


def passage(calls: Sequence[Call], hooks: Sequence[dict[str, Any]], lead_id: int) -> Passage:
    """From the move to the end of the answer to the write that brought the number. Pure."""
    moved = hooklog.made(hooks, "status")[0]
    shown = hooklog.first_shown(hooks, NUMBER)[lead_id]
    write = min((call for call in calls if call.ended >= shown and "PATCH" in call.name), key=lambda call: call.ended)
    way = [call for call in calls if moved <= call.ended <= write.ended]
    answering = calllog.answering(way, since=moved, until=write.ended)
    return Passage(write.ended - moved, answering, tuple(f"{call.vendor} {call.name}" for call in way))


def measure(place: Place, size: Size) -> Section:
    """Deal after deal, each on a system that has come to rest."""
    place.answer_in(ANSWER_MS)
    client = crowd.clients(place, 1, "Idle")
    passages = [one_deal(place, crowd.deals(place, 1, client, f"Idle {n}")[0]) for n in range(size.idle + 1)]
    place.answer_in(0)
    return report(passages[1:])  # the first made the client known


def one_deal(place: Place, lead_id: int) -> Passage:
    """Approved, waited for, and left alone until all is done."""
    place.sandbox.wait_idle(quiet=QUIET, timeout=PATIENCE)
    place.hooks()
    mark = place.sandbox.mark()
    place.sandbox.post("kommo/leads/move", {"ids": [lead_id], **APPROVED})
    until(lambda: number_of(place, lead_id), PATIENCE, what=f"the number on deal {lead_id}", pause=0.1)
    until(lambda: place.sandbox.get(f"kommo/leads/{lead_id}")["files"], PATIENCE, what="its PDF", pause=0.5)
    place.invoiced.append(lead_id)
    return passage(place.calls(mark), place.hooks(), lead_id)


def number_of(place: Place, lead_id: int) -> str:
    """What the card shows now."""
    fields: dict[str, str] = place.sandbox.get(f"kommo/leads/{lead_id}")["fields"]
    return fields.get("XERO_INVOICE_NUMBER", "")


def report(passages: Sequence[Passage]) -> Section:
    """The section of the page. Pure."""
    measures = {
        "stage move to number": [one.total for one in passages],
        "of it vendors answering": [one.answering for one in passages],
        "overhead": [one.overhead for one in passages],
    }
    rows = tuple(
        (what, *(seconds(value) for value in (median(values), percentile(values, 0.95), max(values))))
        for what, values in measures.items()
    )
    way = max(passages, key=lambda one: one.total).calls
    overheads = measures["overhead"]
    return Section(
        name="idle",
        title="One deal on an idle system",
        notes=(
            f"{len(passages)} deals of a known client, one after the other, each vendor's answer delayed to {ANSWER_MS} ms. The overhead is what is "
            f"left of the way from the stage move to the write that brings the number when the time in which a vendor was answering is taken off. "
            f"Calls on the slowest deal's way: {', '.join(way)}."
        ),
        tables=(Table("Latency", ("", "p50", "p95", "most"), rows),),
        checks=(
            Check("overhead at the median", median(overheads) * 1000, MEDIAN * 1000, " ms"),
            Check("overhead at p95", percentile(overheads, 0.95) * 1000, TAIL * 1000, " ms"),
        ),
    )
