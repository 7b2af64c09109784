"""create_invoice: a deal that entered the trigger stage becomes an invoice in Xero, once.

Recall what is known of it, resolve what was tried, read the deal, judge it, send, show. Each step takes the cases that the earlier ones have
left without a verdict.
"""

from collections.abc import Sequence

from integrations.errors import CallError
from worker import jobs, links, outcomes, sends, showing
from worker.cases import Case, open_cases
from worker.claims import Claimed
from worker.drafting import draft
from worker.handlers.sync_status import GONE
from worker.handlers.sync_status import read as read_invoices
from worker.jobs import Kind, Wanted
from worker.links import Link
from worker.reading import read
from worker.sending import send
from worker.verdicts import Done, Failed, Verdict, Wait
from worker.world import World

ELSEWHERE = (
    "This deal's invoice was sent to the organisation that the connection had before, {tenant}. "
    "Connect it to that one again, run its setup, and replay: then it is known what came of it."
)


def handle(claimed: Sequence[Claimed], world: World) -> dict[int, Verdict | CallError]:
    """Invoice these deals; a verdict for each job."""
    cases = [Case(job) for job in claimed]
    _recall(world, cases)
    _resolve(world, cases)
    read(world, open_cases(cases))
    send(world, draft(world, open_cases(cases)))
    _show(world, cases)
    return {case.job.id: case.verdict or Wait(0, "its turn comes again", counts=False) for case in cases}


def _recall(world: World, cases: Sequence[Case]) -> None:
    """What the ledger knows. A deal whose invoice is made and shown needs no call: that ends the echoes of our own writes."""
    with world.database.reading() as session:
        known = links.for_leads(session, world.route.account_id, [case.lead_id for case in cases])
    for case in cases:
        link = case.link = known.get(case.lead_id)
        if link is None:
            continue
        if link.invoice_id and link.synced and link.noted_at and not link.gone:
            case.verdict = Done(f"the deal has its invoice: {link.number}")
        elif (link.connection, link.tenant_id) != (world.connection.name, world.route.tenant_id):
            case.verdict = _take_over(world, link)


def _take_over(world: World, link: Link) -> Verdict | None:
    """Take over what another connection of the account, or ours to an earlier organisation, has begun, unless an invoice came of it or may have.

    What became of a call can only be seen in the organisation that it went to.
    """
    with world.begin() as session:
        is_open = link.id in sends.unresolved(session, [link.id])
        if not link.invoice_id and not is_open:
            links.change(session, link, connection=world.connection.name, tenant_id=world.route.tenant_id)
            return None
        if link.tenant_id == world.route.tenant_id:
            return None
        if link.connection == world.connection.name:
            return Failed(ELSEWHERE.format(tenant=link.tenant_id))
        wish = Wanted(link.connection, Kind.CREATE_INVOICE, lead=link.lead)
        jobs.record(session, [wish], now=world.now())
    if is_open:
        return Wait(world.quiet.total_seconds(), f"the connection {link.connection} looks for an invoice of this deal")
    return Done(f"the deal has its invoice from the connection {link.connection}: {link.number}")


def _resolve(world: World, cases: Sequence[Case]) -> None:
    """What became of earlier tries, and the invoices of deals that have one which is not shown yet."""
    tried = [(case.job, case.link) for case in open_cases(cases) if case.link and not case.link.invoice_id]
    told = outcomes.resolve(world, tried)
    made = [case.link.invoice_id for case in open_cases(cases) if case.link and case.link.invoice_id]
    read_again = read_invoices(world, made)
    for case in open_cases(cases):
        if case.link:
            case.verdict = told.verdicts.get(case.link.id)
            case.invoice = told.found.get(case.link.id) or read_again.get(case.link.invoice_id or "")
            if case.link.invoice_id and not case.invoice and not case.verdict:
                case.verdict = Failed(GONE)  # a deal that has an invoice never gets a second one


def _show(world: World, cases: Sequence[Case]) -> None:
    """The new invoices on their deals, and a note on each."""
    shown = [(case, case.link, case.invoice) for case in open_cases(cases) if case.link and case.invoice]
    told = showing.show(world, [(link, invoice) for _, link, invoice in shown])
    # one that shows nothing has no deal any more
    notes = [
        (link, showing.invoice_note(invoice, link.remarks)) for _, link, invoice in shown if link.synced is not None
    ]
    noted = showing.write_notes(world, notes, died={link.id: case.job.died_at for case, link, _ in shown})
    for case, link, _ in shown:
        waits = noted.get(link.id)
        case.verdict = waits if isinstance(waits, Wait) else told[link.id]
