"""Waiting until a burst is over, without loading the sandbox that is being measured, and reading what its logs say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stack import books
from stack.children import until
from tests.benchmarks import calllog, hooklog
from tests.benchmarks.calllog import Call
from tests.benchmarks.place import Place

NUMBER, STATUS = "Xero invoice number", "Xero invoice status"
ATTACH = "PUT /leads/{id}/files"
CREATE = ("PUT /Invoices", "POST /Invoices")
WRITE_ONE = "PATCH /leads/{id}"


@dataclass(frozen=True, slots=True)
class Story:
    """What the logs say of one burst. Times are seconds after its last webhook was sent; the first was `hooks` before it."""

    deals: int
    hooks: float
    invoice: float
    status: float
    pdf: float
    shown: tuple[float, ...]
    attached: tuple[float, ...]
    calls: tuple[Call, ...]

    @property
    def from_first(self) -> float:
        """The last invoice, counted from the first webhook."""
        return self.invoice + self.hooks

    def per_invoice(self, vendor: str) -> float:
        """Calls to a vendor by invoice, refused ones too."""
        return sum(call.vendor == vendor for call in self.calls) / self.deals


def tell(deals: int, calls: Sequence[Call], hooks: Sequence[Mapping[str, Any]], *, by_field: bool) -> Story:
    """`by_field`: the webhooks tell when the status came to each deal; else each deal's own write does. Pure."""
    sent = hooklog.sent(hooks, "status")
    first, last = sent[0], sent[-1]
    if by_field:
        shown = sorted(hooklog.first_shown(hooks, STATUS).values())
    else:
        shown = sorted(call.ended for call in calllog.of(calls, "kommo", WRITE_ONE))
    attached = sorted(call.ended for call in calllog.of(calls, "kommo", ATTACH))
    created = [call.ended for call in calllog.of(calls, "xero", *CREATE)]
    return Story(
        deals=deals,
        hooks=last - first,
        invoice=max(created, default=float("nan")) - last,
        status=max(shown, default=float("nan")) - last,
        pdf=max(attached, default=float("nan")) - last,
        shown=tuple(at - first for at in shown),
        attached=tuple(at - first for at in attached),
        calls=tuple(calls),
    )


def wait_whole(place: Place, leads: Sequence[int], *, mark: int, timeout: float) -> None:
    """Until every deal has one invoice, its number, its status and its PDF."""

    def attached() -> bool:
        calls: dict[str, int] = place.sandbox.get("calls/count", after=mark)["calls"].get("kommo", {})
        return sum(count for name, count in calls.items() if name.startswith("PUT") and name.endswith("/files")) >= len(leads)  # fmt: skip

    until(attached, timeout, what=f"{len(leads)} PDFs", pause=1)
    until(lambda: not lacking(place, leads), timeout, what=f"{len(leads)} whole deals", pause=2)


def lacking(place: Place, leads: Sequence[int]) -> list[str]:
    """What is not as it must be, in the books of both systems."""
    now = books.read(place.sandbox.books())
    marked = [one.url.rpartition("/")[2] for one in now.invoices if one.is_by_app]
    counts = {lead_id: marked.count(str(lead_id)) for lead_id in leads}
    return [
        f"deal {lead_id}: {counts[lead_id]} invoices, number {deal.number!r}, status {deal.status!r}, {len(deal.files)} files"
        for lead_id in leads
        if (deal := now.deals[lead_id]) and (counts[lead_id], bool(deal.number and deal.status), len(deal.files)) != (1, True, 1)
    ]  # fmt: skip
