"""Reading deals from Kommo: as they are now, with whom they are for, in as few calls as there can be. The webhook was only a hint."""

from collections.abc import Sequence

import sqlalchemy as sa

from integrations.kommo.entities import Client, Lead, LeadChange, Product
from worker import cursors, links, restored, sends, showing
from worker.billing import Payer, known_payers
from worker.cases import Case, open_cases, without_invoice
from worker.clients import bill_to, person_beside
from worker.cursors import Side
from worker.links import Link
from worker.outcomes import OVERLAP
from worker.standing import Place, stands
from worker.verdicts import Done, Wait
from worker.world import World
from worker.writing import write

# What our fields hold on a deal that was copied from one with an invoice, to be cleared.
COPIED = (
    "XERO_INVOICE_ID", "XERO_INVOICE_NUMBER", "XERO_INVOICE_STATUS", "XERO_INVOICE_TOTAL", "XERO_AMOUNT_DUE", "XERO_CURRENCY",
    "XERO_DUE_DATE", "XERO_INVOICE_URL", "XERO_INVOICE_PDF", "XERO_SYNC_MESSAGE",
)  # fmt: skip


def read(world: World, cases: Sequence[Case]) -> None:
    """Read the deals that need an invoice, and give a verdict to those that get none."""
    cases = without_invoice(cases)
    if not cases:
        return
    leads = world.kommo.leads([case.lead_id for case in cases])
    for case in cases:
        case.lead = leads.get(case.lead_id)
        if case.lead is None:
            _stop_waiting(world, case)
            case.verdict = Done("the deal is gone from Kommo")
    for case in open_cases(cases):
        _recognise(world, case)
    _judge(world, open_cases(cases))
    _ask_when_entered(world, without_invoice(cases))
    _find_clients(world, without_invoice(cases))


def _recognise(world: World, case: Case) -> None:
    """A deal that names an invoice is one of ours that the ledger does not know yet, or a copy of another deal."""
    assert case.lead is not None
    invoice_id = case.lead.text("XERO_INVOICE_ID")
    if not invoice_id or (case.link and case.link.invoice_id):
        return
    with world.begin() as session:
        known = links.find_invoices(session, world.route.tenant_id, [invoice_id]).get(invoice_id)
        if known and known.lead_id is None:
            known.lead_id = case.lead_id  # made by us a moment ago, and its webhook was faster than our commit
            sends.resolve_link(session, known.id, now=world.now())
        ours = known is not None and known.lead_id == case.lead_id
    if ours:
        case.link, case.verdict = known, Done("the deal was made from an invoice")
    elif known is not None and _inherit(world, known, case):
        case.verdict = Wait(
            0, f"deal {case.lead_id} has taken over the invoice of a deal that was merged into it", counts=False
        )
    elif known is not None or not _adopt(world, invoice_id, case):
        case.verdict = write(world, [LeadChange(id=case.lead_id, fields=dict.fromkeys(COPIED))]).refused.get(
            case.lead_id
        )


def _inherit(world: World, known: Link, case: Case) -> bool:
    """A deal that shows another deal's invoice is a copy of it, unless Kommo says that one was merged into this one, and the other is gone."""
    if known.lead_id is None or world.kommo.lead(known.lead_id) is not None:
        return False
    if not world.kommo.has_taken_in_others(case.lead_id, known.made_at - OVERLAP):
        return False
    with world.begin() as session:
        if case.link:
            session.execute(sa.delete(Link).where(Link.id == case.link.id))  # it only waited
        links.change(session, known, lead_id=case.lead_id, synced=None, pdf_shown=None, gone=False)
    return True


def _adopt(world: World, invoice_id: str, case: Case) -> bool:
    """An invoice that a deal names and the ledger does not know, as after a restore of the database, is the deal's own unless it names another deal."""
    invoice = world.xero.invoice(invoice_id)
    if invoice is None or world.lead_of(invoice.url) not in (None, case.lead_id):
        return False
    link = case.link = case.link or new_link(world, case)
    traces = restored.traces(case.lead, before=world.now() - world.quiet)
    with world.begin() as session:
        links.change(session, link, invoice_id=invoice.id, number=invoice.number, linked_at=world.now(), **traces)
    case.invoice = invoice
    return True


def new_link(world: World, case: Case) -> Link:
    """A deal's link, before it has an invoice; the day on which it entered the stage is kept from the first event on."""
    return Link(
        connection=world.connection.name, origin=links.Origin.DEAL, account_id=world.route.account_id, lead_id=case.lead_id,
        tenant_id=world.route.tenant_id, made_at=world.now(), entered_on=world.books.day(case.entered), remarks=[],
    )  # fmt: skip


def _judge(world: World, cases: Sequence[Case]) -> None:
    """Which deals still stand where they get an invoice; the others are told why they get none."""
    told: list[tuple[int, str, bool]] = []
    for case in without_invoice(cases):
        assert case.lead is not None
        standing = stands(case.lead, world.facts.pipelines, world.route.triggers)
        if standing.is_in_place:
            continue
        if standing.place is not Place.DELETED and case.lead.text(showing.MESSAGE) != standing.sentence:
            told.append((case.lead_id, standing.sentence, False))
        case.verdict = Done(standing.sentence)
    refused = showing.say(world, told)
    for case in cases:
        if case.verdict:
            _stop_waiting(world, case)
        case.verdict = refused.get(case.lead_id, case.verdict)


def _ask_when_entered(world: World, cases: Sequence[Case]) -> None:
    """A deal that was merely touched may lie in the stage since before the connection was set up: then nobody wants its invoice now.

    Only where no event told that it entered, and it is older than the connection, is Kommo's log asked.
    """
    with world.database.reading() as session:
        began = cursors.positions(session, world.connection.name).get(Side.BEGAN)
    old = [
        case for case in cases if case.lead and began and _is_untold(case) and case.lead.created_at < began - OVERLAP
    ]
    if not old or began is None:
        return
    told = world.kommo.entered(world.route.triggers, began - OVERLAP, [case.lead_id for case in old])
    entries = {event.lead_id: event.at for event in told}
    for case in old:
        case.entered_at = entries.get(case.lead_id)
        if case.entered_at is None:
            case.verdict = Done(
                "it was in the stage before the connection was set up: moved there again, it gets its invoice"
            )


def _is_untold(case: Case) -> bool:
    return case.job.entered_at is None and not (case.link and case.link.entered_on)


def _stop_waiting(world: World, case: Case) -> None:
    """The deal left the stage: if it enters it again, that is another day."""
    if case.link and not case.link.invoice_id:
        with world.begin() as session:
            links.change(session, case.link, waiting=False, waits_books=False, question=None, entered_on=None)


def _find_clients(world: World, cases: Sequence[Case]) -> None:
    """Whom each deal is for: from our table without a call, else from Kommo."""
    wanted = {key for case in cases if case.lead and (key := _likely(case.lead))}
    payers = known_payers(world, wanted)
    for case in cases:
        key = _likely(case.lead) if case.lead else None
        if key in payers:
            case.payer = payers[key]
            case.client = _as_known(key[0], key[1], case.payer)
    strangers = [case for case in cases if case.client is None and case.lead]
    companies = _clients(world, "companies", [case.lead.company_id for case in strangers if case.lead])
    contacts = _clients(world, "contacts", [key for case in strangers if case.lead for key in _people(case.lead)])
    for case in strangers:
        if case.lead:
            case.client = bill_to(case.lead, companies=companies, contacts=contacts)
            case.person = person_beside(case.lead, case.client, contacts=contacts) if case.client else None


def _likely(lead: Lead) -> tuple[str, int] | None:
    if lead.company_id is not None:
        return "companies", lead.company_id
    people = _people(lead)
    return ("contacts", people[0]) if people else None


def _people(lead: Lead) -> list[int]:
    return [lead.main_contact_id] if lead.main_contact_id is not None else list(lead.contact_ids[:1])


def _as_known(entity: str, kommo_id: int, payer: Payer) -> Client:
    return Client(entity="companies" if entity == "companies" else "contacts", id=kommo_id, name=payer.name)


def _clients(world: World, entity: str, ids: Sequence[int | None]) -> dict[int, Client]:
    wanted = sorted({client_id for client_id in ids if client_id is not None})
    if not wanted:
        return {}
    return world.kommo.companies(wanted) if entity == "companies" else world.kommo.contacts(wanted)


def read_products(world: World, cases: Sequence[Case]) -> dict[tuple[int, int], Product]:
    """The catalogue's entries for all products on these deals, one call a catalogue."""
    wanted: dict[int, set[int]] = {}
    for case in cases:
        for product in case.lead.products if case.lead else ():
            wanted.setdefault(product.catalog_id, set()).add(product.element_id)
    found: dict[tuple[int, int], Product] = {}
    for catalog_id, ids in wanted.items():
        found.update(
            {(catalog_id, key): product for key, product in world.kommo.products(catalog_id, sorted(ids)).items()}
        )
    return found
