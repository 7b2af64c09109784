"""sync_status: what became of an invoice, shown on its deal. Events may be late, doubled or out of order: what is read now is what counts."""

from collections.abc import Sequence

from integrations.errors import CallError
from integrations.xero.entities import Invoice
from worker import links, showing
from worker.claims import Claimed
from worker.links import Link
from worker.verdicts import Done, Failed, Verdict
from worker.world import World

GONE = "Xero no longer knows this invoice, although it never deletes any. Check that the connection is to the right organisation, then replay."


def handle(jobs: Sequence[Claimed], world: World) -> dict[int, Verdict | CallError]:
    """Bring the deals of these invoices up to date; a verdict for each job."""
    ids = [job.invoice.invoice_id for job in jobs if job.invoice]
    with world.database.reading() as session:
        known = links.find_invoices(session, world.route.tenant_id, ids)
    invoices = read(world, [invoice_id for invoice_id in ids if invoice_id in known])
    pairs = [(known[key], invoice) for key, invoice in invoices.items() if known[key].lead_id is not None]
    shown = showing.show(world, pairs)
    return {job.id: _verdict(job, known, invoices, shown) for job in jobs}


def read(world: World, ids: Sequence[str]) -> dict[str, Invoice]:
    """The invoices, by id, in few calls; one that is missing from the answer is asked for by itself before it counts as gone."""
    found = world.xero.invoices(ids) if ids else {}
    for invoice_id in ids:
        if invoice_id not in found and (invoice := world.xero.invoice(invoice_id)):
            found[invoice_id] = invoice
    return found


def _verdict(
    job: Claimed, known: dict[str, Link], invoices: dict[str, Invoice], shown: dict[int, Verdict | CallError]
) -> Verdict | CallError:
    assert job.invoice is not None
    link = known.get(job.invoice.invoice_id)
    if link is None:
        return Done("no deal belongs to this invoice")
    if job.invoice.invoice_id not in invoices:
        return Failed(GONE)
    return shown.get(link.id, Done("the deal is still being made"))
