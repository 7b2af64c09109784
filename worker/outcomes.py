"""Outcomes: what became of a creating call whose answer was lost. Looking decides, and nothing is repeated before that.

First a quiet period, in which a call that the vendor still works on may end; then a look for our mark on what our app made since; then, and only if
nothing is there, the links are free to be sent again, under a new key.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from integrations.kommo.client import Kommo
from integrations.xero.client import Xero
from integrations.xero.entities import Invoice, InvoiceStatus
from worker import links, sends
from worker.claims import Claimed
from worker.links import Link
from worker.sends import Drafted, Send
from worker.verdicts import Failed, Verdict, Wait
from worker.world import World

T = TypeVar("T")

# A vendor's clock and ours differ, and If-Modified-Since counts in whole seconds.
OVERLAP = timedelta(minutes=5)

DEAD = frozenset({InvoiceStatus.DELETED, InvoiceStatus.VOIDED})


@dataclass(frozen=True, slots=True)
class Resolved:
    """What looking told, by link id: invoices that were made after all, links that are free again, and verdicts on the rest."""

    found: dict[int, Invoice] = field(default_factory=dict)
    free: set[int] = field(default_factory=set)
    verdicts: dict[int, Verdict] = field(default_factory=dict)


def resolve(world: World, cases: Sequence[tuple[Claimed, Link]]) -> Resolved:
    """Find out about every link that has a send without a known outcome."""
    told = Resolved()
    with world.database.reading() as session:
        unknown = sends.unresolved(session, [link.id for _, link in cases])
    for send in {send.id: send for send in unknown.values()}.values():
        members = [
            (job, link) for job, link in cases if unknown.get(link.id) is not None and unknown[link.id].id == send.id
        ]
        rest = (end_of(world, send, [job for job, _ in members]) + world.quiet - world.now()).total_seconds()
        if rest > 0:
            why = "an answer of Xero was lost: looking what became of it after a quiet period"
            told.verdicts.update({link.id: Wait(rest, why, counts=False, hard=True) for _, link in members})
        else:
            _look(world, send, [link for _, link in members], told)
    return told


def end_of(world: World, send: Send, jobs: Sequence[Claimed]) -> datetime:
    """When the call can no longer be on its way from us: its time-out, or the end of the lease of whoever died in it."""
    if send.ended_at:
        return send.ended_at
    deaths = [job.died_at for job in jobs if job.died_at and job.died_at > send.sent_at]
    return max(deaths) if deaths else send.sent_at + world.read_timeout


def made_since(world: World, clock: Kommo | Xero, look: Callable[[datetime], list[T]], since: datetime) -> list[T]:
    """What a vendor's list has from a moment of our clock on, with overlap; where theirs is far behind ours, from as much earlier on."""
    found = look(since - OVERLAP)
    behind = world.now() - (clock.heard_at or world.now())
    return look(since - OVERLAP - behind) if behind > OVERLAP / 2 else found


def _look(world: World, send: Send, members: Sequence[Link], told: Resolved) -> None:
    made = made_since(world, world.xero, world.xero.invoices_made_by_us, send.sent_at)
    with world.database.reading() as session:
        others = links.find_invoices(session, world.route.tenant_id, [invoice.id for invoice in made])
        drafts = sends.drafted(session, send.id)
    nobodys = [invoice for invoice in made if invoice.id not in others]
    for link in members:
        hits = hits_for(world, link, nobodys, drafts.get(link.id))
        if len(hits) > 1:
            told.verdicts[link.id] = Failed(two_invoices(hits))
            continue
        _close(world, send, link, hits[0] if hits else None)
        if hits:
            nobodys.remove(hits[0])
            told.found[link.id] = hits[0]
        else:
            told.free.add(link.id)


def _close(world: World, send: Send, link: Link, hit: Invoice | None) -> None:
    with world.database.begin() as session:
        if hit:
            links.settle_invoice(session, link.id, invoice_id=hit.id, number=hit.number, now=world.now())
            link.invoice_id, link.number = hit.id, hit.number
        sends.close(session, send.id, [link.id], now=world.now())


def hits_for(world: World, link: Link, nobodys: Sequence[Invoice], draft: Drafted | None) -> list[Invoice]:
    """Which of the invoices that our app made, and that are nobody's, are this deal's: by `Url`, else by `Reference`, else by what was sent.

    People can edit both marks; an invoice of our app that is nobody's, for the same client, day and amount, is the one that we asked for.
    One that a person deleted or voided meanwhile counts if it is the only one: what was decided in Xero is not undone by a second invoice.
    """
    by_url = [one for one in nobodys if world.lead_of(one.url) == link.lead_id]
    unmarked = [one for one in nobodys if world.connection_of(one.url) is None]
    by_reference = [one for one in unmarked if draft and draft.reference and one.reference == draft.reference]
    hits = by_url or by_reference or [one for one in unmarked if draft and draft.is_like(one)][:1]
    return [one for one in hits if one.status not in DEAD] or hits[-1:]


def two_invoices(hits: Sequence[Invoice]) -> str:
    """The sentence for a deal that has more than one invoice."""
    numbers = " and ".join(invoice.number or invoice.id for invoice in hits)
    return f"Xero has more than one invoice for this deal: {numbers}. Void all but one, then replay this job."
