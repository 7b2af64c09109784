"""Reconciliation: what no webhook brought is found by reading both systems, and recorded as jobs. It decides nothing itself.

Both vendors give a webhook up at some time, and switch hooks off. A round that finds nothing costs four calls: our hook, who entered the
stage, who was touched there, which invoices changed. Open invoices are also read by their ids once a day, since Xero tells nobody of
some changes (xero.md 4.10).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from integrations.turns import Priority
from integrations.wire import CallRecord
from integrations.xero.entities import Invoice
from worker import cursors, dealing, hooks, jobs, links, restored, showing, unfinished
from worker.cursors import Side
from worker.hooks import Registered
from worker.jobs import InvoiceRef, Kind, LeadRef, Ring, Wanted
from worker.links import Link
from worker.statuses import Label
from worker.workshop import Workshop
from worker.world import World

# Both vendors' lists may lag behind their events by seconds, and count in whole seconds.
OVERLAP = timedelta(minutes=2)
# What happened longer ago is in every list by now, and is not read again although nothing has happened since: else each round after a bulk change
# would read all of it. Generous, since this is by our clock.
SETTLED = timedelta(hours=1)
# Some changes of an open invoice are told by nobody: once a day is often enough for a due date.
OPEN_EVERY = timedelta(days=1)
OPEN = tuple(
    label.value for label in (Label.DRAFT, Label.SUBMITTED, Label.AWAITING_PAYMENT, Label.PARTLY_PAID, Label.OVERDUE)
)
# Deals that wait for a client are asked about again; more of them than this wait for the next round.
MOST_WAITING = 200


@dataclass(slots=True)
class Found:
    """What a reconciliation saw. `agree`: links whose deal shows what Xero says; `wanted`: the jobs that no webhook brought.

    `waiting` of them are about deals that wait for what their message asks for: they are asked about each time, and nothing is missing.
    """

    hook: Registered | None = None
    agree: int = 0
    waiting: int = 0
    wanted: set[Wanted] = field(default_factory=set)
    seen: dict[Side, datetime] = field(default_factory=dict)

    def see(self, side: Side, times: Iterable[datetime | None]) -> None:
        """Remember the latest time of that side's own clock."""
        known = [time for time in (self.seen.get(side), *times) if time is not None]
        if known:
            self.seen[side] = max(known)

    def count(self, kind: Kind) -> int:
        """How many jobs of a kind are wanted."""
        return sum(wish.kind is kind for wish in self.wanted)


def reconcile(workshop: Workshop, name: str, *, since: datetime | None = None, dry_run: bool = False) -> Found | None:
    """Compare both systems, from the cursors on or since a given time, and record what is missing; None if somebody else is at it.

    With `since` the open links are read too; what the cursors have not passed yet is read in any case. A dry run records nothing, moves no cursor
    and leaves the hook alone.
    """
    silence = timedelta(seconds=workshop.settings.timing.read_timeout_seconds)

    def keep(_: CallRecord) -> None:
        if not dry_run:
            with workshop.database.begin() as session:
                cursors.keep(session, name, now=workshop.now(), silence=silence)

    # four calls in a quarter of an hour, and they find what nobody told: no backlog of PDFs may keep them away
    world = workshop.world(name, priority=Priority.STATUS, on_call=keep)
    if not dry_run and not _take(workshop, name, silence):
        return None
    try:
        found = _compare(workshop, world, since=since, dry_run=dry_run)
        if not dry_run:
            workshop.ring(_record(workshop, name, found))
        return found
    finally:
        if not dry_run:
            with workshop.database.begin() as session:
                cursors.release(session, name)


def _take(workshop: Workshop, name: str, silence: timedelta) -> bool:
    highest = restored.highest_known(workshop.redis)
    with workshop.database.begin() as session:
        cursors.begin(session, name, now=workshop.now())
        restored.is_restored(session, highest, name, now=workshop.now())  # noticed before the cursors move
        return cursors.take(session, name, now=workshop.now(), silence=silence)


def _record(workshop: Workshop, name: str, found: Found) -> list[Ring]:
    with workshop.database.begin() as session:
        ids = jobs.record(session, found.wanted, now=workshop.now())
        for side, time in found.seen.items():
            cursors.move(session, name, side, time)
        cursors.finish(session, name, now=workshop.now())
        # deals that wait for something are wanted each time: only what comes from Xero may have been forgotten
        highest = None if found.count(Kind.CREATE_DEAL) else restored.reconciled(session, name)
        rings = jobs.rings_for(session, ids)
    if highest is not None:
        restored.count_from(workshop.redis, highest)
    return rings


def _compare(workshop: Workshop, world: World, *, since: datetime | None, dry_run: bool) -> Found:
    found = Found()
    with world.database.reading() as session:
        known = cursors.positions(session, world.connection.name)
    now = world.now()
    from_kommo, from_xero = (_begin(known.get(side, now) - OVERLAP, since) for side in (Side.KOMMO, Side.XERO))
    if not dry_run:
        found.hook = hooks.register(world.kommo, workshop.settings)
    _read_deals(world, found, from_kommo)
    _read_invoices(world, found, world.xero.invoices_changed(from_xero))
    for side in (Side.KOMMO, Side.XERO):
        found.see(side, [now - SETTLED])
    whole = since is not None or now - known.get(Side.OPEN_LINKS, now) >= OPEN_EVERY
    if whole:
        _read_open_links(world, found)
        found.see(Side.OPEN_LINKS, [now])
    with world.database.reading() as session:
        found.wanted |= set(unfinished.wanted(session, world.connection.name, again=whole))
    return found


def _begin(unread: datetime, since: datetime | None) -> datetime:
    """Where to read from: a `since` after what is unread would leave a gap, and the cursors move past it."""
    return unread if since is None else min(since, unread)


def _read_deals(world: World, found: Found, since: datetime) -> None:
    """Deals that entered the stage, by the log, or are there and were touched; and those that were made there and have left it since."""
    triggers = sorted(world.route.triggers)
    moves = world.kommo.moved(since)
    events = [event for event in moves if (event.pipeline_id, event.status_id) in triggers]
    left = {event.lead_id for event in moves if (event.left_pipeline_id, event.left_status_id) in triggers}
    there = world.kommo.leads_updated_since(triggers, since)
    found.see(Side.KOMMO, [event.at for event in moves])
    found.see(Side.KOMMO, [lead.updated_at for lead in there])
    # an old deal that lies there and was only touched has not entered the stage
    entered = {lead.id: lead.created_at for lead in there if lead.created_at >= since}
    entered |= {event.lead_id: event.at for event in events}
    account_id = world.route.account_id
    with world.database.reading() as session:
        known = links.for_leads(session, account_id, entered.keys() | left | {lead.id for lead in there})
        waiting = _waiting(session, world.connection.name)
    missing = {lead_id for lead_id in entered.keys() | left if lead_id not in known}
    missing |= {
        lead.id for lead in there if lead.id not in known or known[lead.id].gone
    }  # they may be back from the bin
    missing |= {lead_id for lead_id, link in known.items() if not link.invoice_id}
    missing |= {link.lead_id for link in waiting if link.lead_id is not None}
    asked = {lead_id for lead_id, link in known.items() if link.waiting} | {link.lead_id for link in waiting}
    found.waiting = len(missing & asked)
    found.wanted |= {
        Wanted(
            world.connection.name, Kind.CREATE_INVOICE, lead=LeadRef(account_id, lead_id), entered_at=entered.get(lead_id)
        )
        for lead_id in missing
    }  # fmt: skip


def _waiting(session: Session, connection: str) -> Sequence[Link]:
    statement = sa.select(Link).where(Link.connection == connection, links.IS_WAITING, Link.waits_books.is_(False))
    return list(session.scalars(statement.order_by(Link.asked_at, Link.id).limit(MOST_WAITING)))


def _read_invoices(world: World, found: Found, invoices: Sequence[Invoice]) -> None:
    """Invoices that changed: those of deals are compared with what the deal shows, the others may become deals."""
    found.see(Side.XERO, [invoice.updated_at for invoice in invoices])
    with world.database.reading() as session:
        known = links.find_invoices(session, world.route.tenant_id, [invoice.id for invoice in invoices])
    for invoice in invoices:
        link = known.get(invoice.id)
        ref = InvoiceRef(world.route.tenant_id, invoice.id)
        if link is not None and link.lead is not None:
            _compare_link(world, found, link, invoice)
        elif world.lead_of(invoice.url) is not None or _wants_deal(world, invoice):
            found.wanted.add(Wanted(world.connection.name, Kind.CREATE_DEAL, invoice=ref))


def _compare_link(world: World, found: Found, link: Link, invoice: Invoice) -> None:
    if link.connection != world.connection.name:
        return  # another connection's deal: it compares by itself
    if showing.is_shown(world, link, invoice):
        found.agree += 1
    else:
        found.wanted.add(Wanted(link.connection, Kind.SYNC_STATUS, lead=link.lead, invoice=link.invoice))


def _wants_deal(world: World, invoice: Invoice) -> bool:
    rules = world.connection.deal
    since = (rules.since or world.route.since) if rules else None
    return since is not None and rules is not None and dealing.wants_deal(invoice, since=since, drafts=rules.drafts)


def _read_open_links(world: World, found: Found) -> None:
    """All invoices that are still open, forty a call: some of their changes are told by nobody."""
    statement = sa.select(Link).where(
        Link.connection == world.connection.name,
        Link.label.in_(OPEN),
        Link.invoice_id.is_not(None),
        Link.lead_id.is_not(None),
    )
    with world.database.reading() as session:
        known = {link.invoice_id: link for link in session.scalars(statement) if link.invoice_id}
    for invoice in world.xero.at(Priority.RECONCILE).invoices(list(known)).values():
        _compare_link(world, found, known[invoice.id], invoice)
