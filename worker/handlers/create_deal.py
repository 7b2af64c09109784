"""create_deal: an invoice that a person raised in Xero becomes a deal in Kommo, once, with all its data.

Most events that come here need no deal: bills, invoices of our own whose link is being made, payments on old ones. They cost one read for forty.
"""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from integrations.xero.entities import Invoice
from worker import dealing, jobs, links, sends
from worker.claims import Claimed
from worker.dealmaking import make_deal
from worker.handlers.sync_status import read
from worker.jobs import Kind, LeadRef, Wanted
from worker.links import Link
from worker.outcomes import DEAD
from worker.verdicts import Done, Failed, Verdict
from worker.world import World


def handle(claimed: Sequence[Claimed], world: World) -> dict[int, Verdict]:
    """Make the deals that are wanted; a verdict for each job."""
    ids = [job.invoice.invoice_id for job in claimed if job.invoice]
    with world.database.reading() as session:
        known = links.find_invoices(session, world.route.tenant_id, ids)
    invoices = read(world, ids)
    verdicts: dict[int, Verdict] = {}
    for job in claimed:
        assert job.invoice is not None
        invoice = invoices.get(job.invoice.invoice_id)
        link = known.get(job.invoice.invoice_id)
        verdicts[job.id] = _one(world, job, invoice, link) if invoice else Done("Xero does not know this invoice")
    return verdicts


def _one(world: World, job: Claimed, invoice: Invoice, link: Link | None) -> Verdict:
    if link and link.lead_id is not None and link.origin == links.Origin.DEAL:
        return _sync(world, link)
    if link and link.lead_id is not None and link.noted_at:
        return _sync(world, link)
    if link is None:
        ours = _ours(world, job, invoice)
        if ours is not None:
            return ours
        if (refusal := _unwanted(world, invoice)) is not None:
            return refusal
    return make_deal(world, job, invoice, link)


def _unwanted(world: World, invoice: Invoice) -> Verdict | None:
    rules = world.connection.deal
    if rules is None:
        return Done("this connection makes no deals from invoices")
    since = rules.since or world.route.since
    if since is None or not dealing.wants_deal(invoice, since=since, drafts=rules.drafts):
        return Done("no deal: a bill, a draft, or dated before the day from which invoices make deals")
    return None


def _ours(world: World, job: Claimed, invoice: Invoice) -> Verdict | None:
    """An invoice with a deal's mark that our app made: its link is told, if the answer to our call was lost, and it is synced.

    A copy that a person made of one of ours bears the mark too, but our app did not make it: it is theirs, and gets a deal of its own.
    """
    lead_id = world.lead_of(invoice.url)
    if lead_id is None or not world.xero.made_by_us([invoice.id]):
        return None
    lead = LeadRef(world.route.account_id, lead_id)
    with world.begin() as session:
        link = links.for_leads(session, lead.account_id, [lead_id]).get(lead_id)
        if link is None:
            link = _relink(world, invoice, lead_id)
            session.add(link)
            session.flush()
        elif link.invoice_id is None:
            links.settle_invoice(session, link.id, invoice_id=invoice.id, number=invoice.number, now=world.now())
            session.refresh(link)
        if link.invoice_id == invoice.id:
            _take_up(world, session, link, job)
            return Done(f"it is the invoice of deal {lead_id}")
    return _double(world, link, invoice)


def _take_up(world: World, session: Session, link: Link, job: Claimed) -> None:
    """Nobody needs to look for this link's invoice any more; what the deal lacks of it, and what changed meanwhile, is shown."""
    sends.resolve_link(session, link.id, now=world.now())
    name = world.connection.name
    wanted = [
        Wanted(name, Kind.CREATE_INVOICE, lead=link.lead),
        Wanted(name, Kind.SYNC_STATUS, lead=link.lead, invoice=job.invoice),
    ]
    jobs.record(session, wanted, now=world.now())


def _double(world: World, link: Link, invoice: Invoice) -> Verdict:
    """Our app made two invoices of one deal, because an answer came when nobody waited for it any more: the one that is not linked is voided.

    One that has money on it is never touched: a person is told.
    """
    if invoice.status in DEAD:
        return Done(f"it was a double of {link.number}, and is out of the way")
    if invoice.amount_paid or invoice.amount_credited:
        numbers = f"{link.number} and {invoice.number}"
        return Failed(
            f"Deal {link.lead_id} has two invoices, {numbers}, and {invoice.number} has been paid. Void {link.number} in Xero."
        )
    world.xero.withdraw(invoice)
    return Done(f"it was a double of {link.number}, and was voided")


def _relink(world: World, invoice: Invoice, lead_id: int) -> Link:
    """After a restore of the database: the mark tells what the ledger has forgotten."""
    return Link(
        connection=world.connection.name, origin=links.Origin.DEAL, account_id=world.route.account_id, lead_id=lead_id,
        tenant_id=world.route.tenant_id, invoice_id=invoice.id, number=invoice.number, made_at=world.now(),
        linked_at=world.now(), entered_on=invoice.issued_on, remarks=[],
    )  # fmt: skip


def _sync(world: World, link: Link) -> Verdict:
    with world.database.begin() as session:
        wish = Wanted(world.connection.name, Kind.SYNC_STATUS, lead=link.lead, invoice=link.invoice)
        jobs.record(session, [wish], now=world.now())
    return Done(f"deal {link.lead_id} shows it")
