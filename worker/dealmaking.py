"""Making a deal for an invoice: its client found or made, the deal with all its fields in one request, a note with the lines, the PDF.

Kommo has no idempotency key: every creating call is written down before it is sent, and one whose answer was lost is looked for, after the quiet
period, by the mark that it carries (XERO_INVOICE_ID, XERO_CONTACT_ID).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from integrations.errors import CallError, LeaseLost, OutcomeUnknown
from integrations.kommo.entities import ClientDraft, ClientEntity, Lead, LeadDraft
from integrations.xero.entities import Contact, Invoice
from worker import contacts, dealing, links, marks, outcomes, restored, sends, showing, writing
from worker.claims import Claimed
from worker.clients import XERO_CONTACT_ID, choose_client
from worker.links import Link
from worker.sends import Send
from worker.verdicts import Done, Verdict, Wait
from worker.world import World


class NotYet(Exception):
    """There is no deal, for now or at all: the verdict says why."""

    def __init__(self, verdict: Wait | Done) -> None:
        super().__init__(verdict)
        self.verdict = verdict


# Another job makes the same client just now: it takes a second or two, or its outcome is looked for.
ELSEWHERE = Wait(5, "its client is just being made in Kommo, with another invoice", counts=False)


def make_deal(world: World, job: Claimed, invoice: Invoice, link: Link | None) -> Verdict:
    """The invoice's deal, made or found; a verdict for the job."""
    link = link or _new_link(world, invoice)
    try:
        if link.lead_id is None:
            _make_lead(world, job, invoice, link)
    except NotYet as not_yet:
        return not_yet.verdict
    shown = showing.show(world, [(link, invoice)])[link.id]
    if isinstance(shown, CallError):
        raise shown
    if link.synced is None:
        return shown
    text = dealing.note_lines(invoice, kommo_currency=world.facts.kommo.currency)
    noted = showing.write_notes(world, [(link, text)], died={link.id: job.died_at})[link.id]
    return Done(f"deal {link.lead_id} was made") if isinstance(noted, Done) else noted


def _new_link(world: World, invoice: Invoice) -> Link:
    link = Link(
        connection=world.connection.name, origin=links.Origin.INVOICE, account_id=world.route.account_id,
        tenant_id=world.route.tenant_id, invoice_id=invoice.id, number=invoice.number, made_at=world.now(),
        entered_on=invoice.issued_on, remarks=[],
    )  # fmt: skip
    with world.begin() as session:
        session.add(link)
    return link


def _make_lead(world: World, job: Claimed, invoice: Invoice, link: Link) -> None:
    def find(since: datetime) -> int | None:
        lead = _lead_made_since(world, invoice, since)
        return lead.id if lead else None

    def settle(session: Session, lead_id: int) -> None:
        mine = sa.update(Link).where(Link.id == link.id, Link.lead_id.is_(None))
        session.execute(mine.values(lead_id=lead_id, linked_at=world.now()))
        link.lead_id = lead_id

    creation = Creation("lead", find, settle)
    if _find(world, job, link, creation) is None and not _remembered(world, invoice, link, creation):
        if invoice.status in outcomes.DEAD:
            with world.begin() as session:
                links.change(session, link, gone=True)  # nobody needs to ask again
            raise NotYet(Done("no deal: the invoice was withdrawn before it became one"))
        draft = _lead_draft(world, job, invoice, link)
        _create(world, link, creation, lambda: writing.create(world, draft))


def _lead_made_since(world: World, invoice: Invoice, since: datetime) -> Lead | None:
    made = outcomes.made_since(world, world.kommo, world.kommo.leads_created_since, since)
    return next((lead for lead in made if lead.text("XERO_INVOICE_ID") == invoice.id), None)


def _remembered(world: World, invoice: Invoice, link: Link, creation: "Creation") -> bool:
    """Whether Kommo has a deal of this invoice that a restored ledger has forgotten: it is linked again, with what was done on it."""
    since = restored.look_since(world.database, world.redis, world.connection.name, now=world.now())
    lead = _lead_made_since(world, invoice, since) if since else None
    if lead is None:
        return False
    with world.begin() as session:
        creation.settle(session, lead.id)
        links.change(session, link, **restored.traces(lead, before=world.now() - world.quiet))
    return True


def _lead_draft(world: World, job: Claimed, invoice: Invoice, link: Link) -> LeadDraft:
    contact_id, company_id = _clients(world, job, invoice, link)
    stage = world.route.deal_stage
    assert stage is not None, "a connection that makes deals has a stage for them: setup sees to it"
    return dealing.deal_draft(
        invoice, rules=world.rules, stage=stage, contact_id=contact_id, company_id=company_id,
        page_url=marks.invoice_page(invoice.id), today=world.today,
    )  # fmt: skip


def _clients(world: World, job: Claimed, invoice: Invoice, link: Link) -> tuple[int | None, int | None]:
    """The Kommo contact and company that the invoice's client is."""
    with world.database.reading() as session:
        known = contacts.of_xero_contact(session, world.route.account_id, world.route.tenant_id, invoice.contact_id)
    by_entity: dict[str, int] = {pair.entity: pair.kommo_id for pair in known}
    contact = world.xero.contact(invoice.contact_id) or Contact(invoice.contact_id, invoice.contact_name)
    drafts = dealing.client_drafts(contact)
    wanted: list[tuple[ClientEntity, ClientDraft | None]] = [("contacts", drafts.person), ("companies", drafts.company)]
    for entity, draft in wanted:
        if draft and entity not in by_entity:
            pays = entity == "companies" or drafts.company is None
            by_entity[entity] = _client(world, job, link, contact, Sought(entity, draft, pays))
    return by_entity.get("contacts"), by_entity.get("companies")


@dataclass(frozen=True, slots=True)
class Sought:
    """A client that an invoice has in Kommo. `pays`: it is who the invoice is for; a person beside a company is not."""

    entity: ClientEntity
    draft: ClientDraft
    pays: bool


def _client(world: World, job: Claimed, link: Link, contact: Contact, sought: Sought) -> int:
    entity, draft = sought.entity, sought.draft
    account_id, tenant_id = world.route.account_id, world.route.tenant_id
    search = world.kommo.find_contacts if entity == "contacts" else world.kommo.find_companies

    def choose(queries: Sequence[str]) -> int | None:
        candidates = {client.id: client for query in queries if query for client in search(query)}
        with world.database.reading() as session:
            others = contacts.of_others(
                session, account_id, tenant_id, entity=entity, kommo_ids=candidates, xero_id=contact.id
            )
        # a person beside a company may well be somebody else's payer
        free = [client for client in candidates.values() if client.id not in others or not sought.pays]
        chosen = choose_client(contact, free, account_id=account_id, name=draft.name)
        return chosen.id if chosen else None

    def settle(session: Session, client_id: int) -> None:
        contacts.remember(
            session, account_id=account_id, tenant_id=tenant_id, entity=entity, kommo_id=client_id, contact=contact,
            now=world.now(), pays=sought.pays,
        )  # fmt: skip

    def known(session: Session) -> int | None:
        pairs = contacts.of_xero_contact(session, account_id, tenant_id, contact.id)
        return next((pair.kommo_id for pair in pairs if pair.entity == entity), None)

    def find(since: datetime) -> int | None:
        made = outcomes.made_since(world, world.kommo, partial(world.kommo.clients_updated_since, entity), since)
        return next((client.id for client in made if client.text(XERO_CONTACT_ID) == contact.id), None)

    about = f"{entity}:{account_id}:{tenant_id}:{contact.id}"
    creation = Creation(entity, find, settle, about=about, known=known)
    found = _find(world, job, link, creation)
    if found is None and (found := choose([contact.id, draft.email, draft.name])) is not None:
        with world.database.begin() as session:
            settle(session, found)
    return found or _create(world, link, creation, lambda: world.kommo.create_client(entity, draft))


@dataclass(frozen=True, slots=True)
class Creation:
    """Something to be made in Kommo: how to find it again by its mark, and what to write down in the very commit that closes its call."""

    what: str
    find: Callable[[datetime], int | None]
    settle: Callable[[Session, int], None]
    about: str | None = None  # what only one call at a time may make
    known: Callable[[Session], int | None] = lambda _: None  # whether another job has made it since


def _find(world: World, job: Claimed, link: Link, creation: Creation) -> int | None:
    """What an earlier call made whose answer was lost; None if nothing was tried, or nothing came of it. NotYet in the quiet period."""
    with world.database.reading() as session:
        send = sends.unresolved(session, [link.id]).get(link.id)
        elsewhere = sends.open_elsewhere(session, creation.about, link.id) if creation.about else None
    if elsewhere:
        return _find_for_another(world, elsewhere, creation)
    if send is None or send.what != creation.what:
        return None
    rest = (outcomes.end_of(world, send, [job]) + world.quiet - world.now()).total_seconds()
    if rest > 0:
        why = "an answer of Kommo was lost: looking what became of it after a quiet period"
        raise NotYet(Wait(rest, why, counts=False, hard=True))
    found = creation.find(send.sent_at)
    _close(world, send, link, creation, found)
    return found


def _find_for_another(world: World, send: Send, creation: Creation) -> int | None:
    """What another job's call made. Its own job looks first; but it may have failed, or have nothing left to do, and then nobody would."""
    if world.now() < outcomes.end_of(world, send, ()) + world.quiet:
        raise NotYet(ELSEWHERE)
    theirs = creation.find(send.sent_at)
    with world.begin() as session:
        if theirs is not None:
            creation.settle(session, theirs)
        sends.close(session, send.id, sends.members_of(session, send.id), now=world.now())
    return theirs


def _create(world: World, link: Link, creation: Creation, call: Callable[[], int]) -> int:
    try:
        with world.begin() as session:
            send = sends.open_send(
                session, connection=world.connection.name, scope=str(world.route.account_id), what=creation.what, body=b"",
                members={link.id: None}, now=world.now(), about=creation.about,
            )  # fmt: skip
            if (known := creation.known(session)) is not None:
                sends.close(session, send.id, [link.id], now=world.now())  # nothing is to be sent
                return known
    except IntegrityError as error:
        raise NotYet(ELSEWHERE) from error
    restored.remember(world.redis, send.id)
    try:
        made = call()
    except OutcomeUnknown as error:
        with world.database.begin() as session:
            sends.ended_without_answer(session, send.id, now=world.now())
        why = f"the answer of Kommo was lost: looking what became of it after a quiet period ({error.call})"
        raise NotYet(Wait(world.quiet.total_seconds(), why, counts=False, hard=True)) from error
    except (CallError, LeaseLost):
        _close(world, send, link, creation, None)  # surely nothing was made
        raise
    _close(world, send, link, creation, made)
    return made


def _close(world: World, send: Send, link: Link, creation: Creation, made: int | None) -> None:
    with world.database.begin() as session:
        if made is not None:
            creation.settle(session, made)
        sends.close(session, send.id, [link.id], now=world.now())
