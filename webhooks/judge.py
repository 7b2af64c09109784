"""Which event makes which job. Pure: an event, what `setup` has learned, and what the ledger knows of it come in; wishes go out.

Kommo, a lead                  add, update, status, restore; in a         create_invoice, for each connection whose trigger it is
                               trigger stage
                               restore; the lead has a link               create_invoice (its invoice went on while it was away)
                               any event; the lead waits                  create_invoice (a deleted one too: the worker finds it gone)
Kommo, a contact or company    any event; a lead waits for it             create_invoice for that lead
Xero, INVOICE                  the invoice is linked to a deal            sync_status (its making, which we know of, is in no hurry)
                               the invoice is not, or its deal is not     create_deal (the worker drops bills, and finds our own)
                               made yet
anything else                                                             kept, no job
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from webhooks import kommo, xero
from worker.jobs import InvoiceRef, Kind, LeadRef, Wanted, echo_due
from worker.links import Linked, Origin, Waiting
from worker.routes import Route

# A stage move may come as any of these, or as two of them (kommo.md 4.4).
ENTERING = frozenset({"add", "update", "status", "restore"})
# What does not tell whether the lead has just come to its stage.
UNTOLD = frozenset({"update", "restore"})


def entered(events: Sequence[kommo.LeadEvent], routes: Sequence[Route], at: datetime) -> Iterator[Wanted]:
    """What leads that are in a trigger stage make."""
    for route in routes:
        for event in events:
            if event.action in ENTERING and _triggers(route, event):
                lead = LeadRef(route.account_id, event.lead_id)
                entered_at = None if event.action in UNTOLD else at
                yield Wanted(route.connection, Kind.CREATE_INVOICE, lead=lead, entered_at=entered_at)


def woken(notice: kommo.Notice, waiting: Sequence[Waiting]) -> Iterator[Wanted]:
    """What leads that wait make once they, or the client that they wait for, are heard of."""
    leads, contacts, companies = notice.lead_ids, notice.contact_ids, notice.company_ids
    for deal in waiting:
        if deal.lead.lead_id in leads or deal.contact_id in contacts or deal.company_id in companies:
            yield Wanted(deal.connection, Kind.CREATE_INVOICE, lead=deal.lead)


def returned(notice: kommo.Notice, links: Mapping[int, Linked]) -> Iterator[Wanted]:
    """What leads make that are back from the bin; `links` are those of such leads, by lead id."""
    for lead_id in notice.restored_ids:
        link = links.get(lead_id)
        if link and link.lead:
            yield Wanted(link.connection, Kind.CREATE_INVOICE, lead=link.lead)


def changed(
    events: Sequence[xero.Event], routes: Sequence[Route], links: Mapping[str, Linked], at: datetime
) -> Iterator[Wanted]:
    """What invoices of one organisation make; `links` are those that are linked, by invoice id."""
    # only one connection of an organisation may make deals; without any, the worker still finds an invoice of ours
    maker = next((route for route in routes if route.deal_stage), routes[0] if routes else None)
    for event in events:
        invoice = InvoiceRef(event.tenant_id, event.resource_id)
        link = links.get(event.resource_id)
        if event.category != "INVOICE" or not maker:
            continue
        if link and link.lead:
            due_at = echo_due(at) if event.kind == "CREATE" and link.origin == Origin.DEAL else None
            yield Wanted(link.connection, Kind.SYNC_STATUS, lead=link.lead, invoice=invoice, due_at=due_at)
        else:
            yield Wanted(link.connection if link else maker.connection, Kind.CREATE_DEAL, invoice=invoice)


def _triggers(route: Route, event: kommo.LeadEvent) -> bool:
    """Whether the lead is said to be in a trigger stage; a body without the pipeline is given the benefit of the doubt."""
    if event.pipeline_id is None:
        return event.status_id in {status_id for _, status_id in route.triggers}
    return (event.pipeline_id, event.status_id) in route.triggers
