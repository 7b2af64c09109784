"""create_deal: an invoice that a person raised in Xero becomes a deal in Kommo, once, with all its data.

Most events that come here need no deal: bills, invoices of our own whose link is being made, payments on old ones. They cost one read for forty.
"""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from integrations.errors import CallError
from integrations.xero.entities import Invoice
from worker import dealing, jobs, links, restored, sends
from worker.claims import Claimed
from worker.dealmaking import make_deal
from worker.handlers.singly import one_by_one
from worker.handlers.sync_status import read
from worker.jobs import Kind, LeadRef, Wanted
from worker.links import Link
from worker.outcomes import DEAD, OVERLAP
from worker.verdicts import Done, Failed, Verdict, Wait, backoff
from worker.world import World

# Xero tells of an invoice before its answer to our own call has come: in a second its link is known, and no read is spent.
OURS_PERHAPS = Wait(1, "invoices of ours are just being made, and this may be one of them", counts=False)

EDITED = "our app made it, and its mark was edited: the deal that it is for is being looked for"


def handle(claimed: Sequence[Claimed], world: World) -> dict[int, Verdict | CallError]:
    """Make the deals that are wanted; a verdict for each job, or the error that it met."""
    told: dict[int, Verdict | CallError] = {}
    answered_by = world.now() - world.read_timeout
    with world.database.reading() as session:
        known = links.find_invoices(session, world.route.tenant_id, _ids(claimed))
        sending = sends.sending_since(session, world.route.tenant_id, after=answered_by)
        is_any_lost = sends.is_any_unknown(session, world.route.tenant_id, before=answered_by)
    for job in claimed:
        link = known.get(_id(job))
        if link and link.lead_id is not None and (link.origin == links.Origin.DEAL or link.noted_at):
            told[job.id] = _sync(world, job, link)
        elif link is None and sending and sending <= job.recorded_at:
            told[job.id] = OURS_PERHAPS
    rest = [job for job in claimed if job.id not in told]
    invoices = read(world, _ids(rest))
    strangers = [invoices[_id(job)] for job in rest if _id(job) in invoices and _id(job) not in known]
    made = _made_by_us(world, strangers, is_any_lost=is_any_lost)

    def make(job: Claimed) -> Verdict:
        if (invoice := invoices.get(_id(job))) is None:
            return Done("Xero does not know this invoice")
        return _one(world, job, invoice, known.get(invoice.id), is_ours=invoice.id in made)

    return told | one_by_one(rest, make)


def _id(job: Claimed) -> str:
    assert job.invoice is not None
    return job.invoice.invoice_id


def _ids(jobs: Sequence[Claimed]) -> list[str]:
    return [_id(job) for job in jobs]


def _made_by_us(world: World, invoices: Sequence[Invoice], *, is_any_lost: bool) -> set[str]:
    """Which of them bear a deal's mark and were made by our app: a copy that a person made bears the mark too.

    While an invoice of ours is lost, also which of those that bear none: people can edit the mark before we find it.
    """
    asked = [invoice.id for invoice in invoices if is_any_lost or world.connection_of(invoice.url)]
    return world.xero.made_by_us(asked) if asked else set()


def _one(world: World, job: Claimed, invoice: Invoice, link: Link | None, *, is_ours: bool) -> Verdict:
    if link is None:
        if is_ours and (lead_id := world.lead_of(invoice.url)) is not None:
            return _ours(world, job, invoice, lead_id)
        if is_ours and (owner := world.connection_of(invoice.url)):
            return _hand_over(world, job, owner)
        if is_ours:
            return Wait(max(world.quiet.total_seconds(), backoff(job.attempts + 1)), EDITED)
        if (refusal := _unwanted(world, invoice)) is not None:
            return refusal
    return make_deal(world, job, invoice, link)


def _hand_over(world: World, job: Claimed, owner: str) -> Verdict:
    """It was made for a deal of another Kommo account, whose connection shares our organisation: never a deal of ours."""
    with world.begin() as session:
        jobs.record(session, [Wanted(owner, Kind.CREATE_DEAL, invoice=job.invoice)], now=world.now())
    return Done(f"it is the invoice of a deal of the connection {owner}")


def _unwanted(world: World, invoice: Invoice) -> Verdict | None:
    rules = world.connection.deal
    if rules is None:
        return Done("this connection makes no deals from invoices")
    since = rules.since or world.route.since
    if since is None or not dealing.wants_deal(invoice, since=since, drafts=rules.drafts):
        return Done("no deal: a bill, a draft, or dated before the day from which invoices make deals")
    return None


def _ours(world: World, job: Claimed, invoice: Invoice, lead_id: int) -> Verdict:
    """An invoice with a deal's mark that our app made: its link is told, if the answer to our call was lost, and it is synced.

    A copy that a person made of one of ours bears the mark too, but our app did not make it: it is theirs, and gets a deal of its own.
    """
    lead = LeadRef(world.route.account_id, lead_id)
    with world.database.reading() as session:
        is_forgotten = lead_id not in links.for_leads(session, lead.account_id, [lead_id])
    forgotten = _relink(world, _living(world, invoice, lead_id), lead_id) if is_forgotten else None
    with world.begin() as session:
        link = links.for_leads(session, lead.account_id, [lead_id]).get(lead_id) or forgotten
        assert link is not None, "links of deals are never taken away"
        if link is forgotten:
            session.add(link)
            session.flush()
        elif link.invoice_id is None and invoice.status in DEAD and link.id in sends.unresolved(session, [link.id]):
            return Done("it was withdrawn, and whether another one was made for its deal is being looked for")
        elif link.invoice_id is None:
            links.settle_invoice(session, link.id, invoice_id=invoice.id, number=invoice.number, now=world.now())
            session.refresh(link)
        if link.invoice_id == invoice.id:
            _take_up(world, session, link, job)
            return Done(f"it is the invoice of deal {lead_id}")
    return _double(world, job, link, invoice)


def _living(world: World, invoice: Invoice, lead_id: int) -> Invoice:
    """The invoice, or a living one of the same deal in the place of a dead one: a restored ledger may have forgotten several."""
    if invoice.status not in DEAD:
        return invoice
    since = restored.look_since(world.database, world.redis, world.connection.name, now=world.now())
    made = world.xero.invoices_made_by_us(since - OVERLAP) if since else []
    return next((one for one in made if one.status not in DEAD and world.lead_of(one.url) == lead_id), invoice)


def _take_up(world: World, session: Session, link: Link, job: Claimed) -> None:
    """Nobody needs to look for this link's invoice any more; what the deal lacks of it, and what changed meanwhile, is shown."""
    sends.resolve_link(session, link.id, now=world.now())
    wanted = [
        Wanted(link.connection, Kind.CREATE_INVOICE, lead=link.lead),
        Wanted(link.connection, Kind.SYNC_STATUS, lead=link.lead, invoice=job.invoice),
    ]
    jobs.record(session, wanted, now=world.now())


def _double(world: World, job: Claimed, link: Link, invoice: Invoice) -> Verdict:
    """Our app made two invoices of one deal, because an answer came when nobody waited for it any more: the one that is not linked is voided.

    One that has money on it is never touched: a person is told. Nor is one that a person kept when voiding the linked one: it is the deal's.
    """
    if invoice.status in DEAD:
        return Done(f"it was a double of {link.number}, and is out of the way")
    linked = world.xero.invoice(link.invoice_id or "")
    if _was_kept(invoice, linked):
        return _succeed(world, job, link, invoice)
    if invoice.amount_paid or invoice.amount_credited:
        numbers = f"{link.number} and {invoice.number}"
        return Failed(
            f"Deal {link.lead_id} has two invoices, {numbers}, and {invoice.number} has been paid. Void {link.number} in Xero, then replay this job."
        )
    world.xero.withdraw(invoice)
    return Done(f"it was a double of {link.number}, and was voided")


def _was_kept(invoice: Invoice, linked: Invoice | None) -> bool:
    """Whether the linked one is dead, and this was there when it died, or has money on it; one that came later would undo what was decided."""
    if linked is None or linked.status not in DEAD:
        return linked is None
    if invoice.amount_paid or invoice.amount_credited or not invoice.updated_at or not linked.updated_at:
        return True
    return invoice.updated_at < linked.updated_at


def _succeed(world: World, job: Claimed, link: Link, invoice: Invoice) -> Verdict:
    with world.begin() as session:
        links.change(
            session, link, invoice_id=invoice.id, number=invoice.number, linked_at=world.now(), synced=None, note_sent_at=None, noted_at=None
        )  # fmt: skip
        _take_up(world, session, link, job)
    return Done(f"it is the invoice of deal {link.lead_id} now: the one before it is voided or deleted")


def _relink(world: World, invoice: Invoice, lead_id: int) -> Link:
    """After a restore of the database: the mark tells what the ledger has forgotten."""
    traces = restored.traces(world.kommo.lead(lead_id), before=world.now() - world.quiet)
    return Link(
        connection=world.connection.name, origin=links.Origin.DEAL, account_id=world.route.account_id, lead_id=lead_id,
        tenant_id=world.route.tenant_id, invoice_id=invoice.id, number=invoice.number, made_at=world.now(),
        linked_at=world.now(), entered_on=invoice.issued_on, remarks=[], **traces,
    )  # fmt: skip


def _sync(world: World, job: Claimed, link: Link) -> Verdict:
    # what we were told before we knew of our own invoice was its making
    is_echo = link.origin == links.Origin.DEAL and link.linked_at is not None and job.recorded_at <= link.linked_at
    due_at = jobs.echo_due(world.now()) if is_echo else None
    with world.database.begin() as session:
        sends.resolve_link(session, link.id, now=world.now())  # both sides are known: nothing is to be looked for
        wish = Wanted(link.connection, Kind.SYNC_STATUS, lead=link.lead, invoice=link.invoice, due_at=due_at)
        jobs.record(session, [wish], now=world.now())
    return Done(f"deal {link.lead_id} shows it")
