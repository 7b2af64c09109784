"""Sending drafted invoices: written down before the call, and each judged by its own element of the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from integrations.errors import CallError, LeaseLost, OutcomeUnknown
from integrations.kommo.entities import ClientEntity
from integrations.xero.dialect import invoice_body, new_contacts
from integrations.xero.entities import Contact, ContactDraft, Created, Invoice, Refused
from worker import contacts, invoicing, jobs, links, questions, restored, sends, statuses
from worker.billing import Payer
from worker.cases import Case
from worker.clients import folded
from worker.drafting import put
from worker.invoicing import Drafted
from worker.jobs import InvoiceRef, Job, Kind, Wanted
from worker.links import Link
from worker.outcomes import DEAD, OVERLAP
from worker.reading import new_link
from worker.sends import Send
from worker.verdicts import Failed, Wait
from worker.world import World

# The other call takes a second or two; then its client is found, and this one gets something behind its name.
NAMESAKE = Wait(2, "another client of the same name is just being made in Xero", counts=False)


def send(world: World, drafted: Sequence[tuple[Case, Drafted]]) -> None:
    """Create these invoices in one call. Every case ends with an invoice, with a verdict, or with its outcome open in the ledger."""
    drafted = _after_restore(world, drafted)
    if not drafted:
        return
    body = invoice_body([made.draft for _, made in drafted])
    sent = _write_down(world, drafted, body)
    if sent is None:
        for case, _ in drafted:
            case.verdict = case.verdict or Wait(
                0, "what this deal or one beside it asked for is being made, or is made", counts=False
            )
        return
    restored.remember(world.redis, sent.id)
    try:
        answers = world.xero.create_invoices(body, idempotency_key=sent.key)
    except OutcomeUnknown:
        _end(world, sent, drafted)
        return
    except (CallError, LeaseLost):
        _close(world, sent, [case for case, _ in drafted])  # surely nothing was made
        raise
    told = [(case, made, answer) for (case, made), answer in zip(drafted, answers, strict=True)]
    # what was made is written down before anything else can go wrong
    _created(world, sent, [_Made(case, made, answer) for case, made, answer in told if isinstance(answer, Created)])
    for case, _, answer in told:
        if isinstance(answer, Refused):
            _refused(world, sent, case, answer)


def _after_restore(world: World, drafted: Sequence[tuple[Case, Drafted]]) -> Sequence[tuple[Case, Drafted]]:
    """After a restore of the database each create looks first what our app made since the last reconciliation that the backup knows."""
    if not drafted:
        return drafted
    since = restored.look_since(world.database, world.redis, world.connection.name, now=world.now())
    if since is None:
        return drafted
    made = sorted(world.xero.invoices_made_by_us(since - OVERLAP), key=lambda one: one.status not in DEAD)
    # of several the last one counts, which is a living one where there is one
    by_lead = {lead_id: invoice for invoice in made if (lead_id := world.lead_of(invoice.url)) is not None}
    for case, _ in drafted:
        if invoice := by_lead.get(case.lead_id):
            link = case.link = case.link or new_link(world, case)
            traces = restored.traces(case.lead, before=world.now() - world.quiet)
            with world.begin() as session:
                links.change(
                    session, link, invoice_id=invoice.id, number=invoice.number, linked_at=world.now(), **traces
                )
            case.invoice = invoice
    return [(case, made) for case, made in drafted if case.invoice is None]


def _write_down(world: World, drafted: Sequence[tuple[Case, Drafted]], body: bytes) -> Send | None:
    """The call that is about to be sent; None where one of the invoices has turned up since its deal was read, or a client's namesake.

    Then nothing is sent.
    """
    asked = [_asked(world, made) for _, made in drafted]
    for case, _ in drafted:
        case.link = case.link or new_link(world, case)
    with world.begin() as session:
        known = [_link(case).id for case, _ in drafted if _link(case).id is not None]
        if session.scalar(sa.select(Link.id).where(Link.id.in_(known), Link.invoice_id.is_not(None)).limit(1)):
            return None
        if namesakes := _namesakes(session, world, [case for case, _ in drafted]):
            for case in namesakes:
                case.verdict = NAMESAKE
            return None
        links.change_all(session, [(_link(case), {"remarks": _remarks(case, made)}) for case, made in drafted])
        ids = [_link(case).id for case, _ in drafted]
        return sends.open_send(
            session, connection=world.connection.name, scope=world.route.tenant_id, what="invoices", body=body,
            members=dict(zip(ids, asked, strict=True)), now=world.now(),
        )  # fmt: skip


def _remarks(case: Case, made: Drafted) -> list[str]:
    return [remark for remark in (*made.remarks, case.payer.remark if case.payer else "") if remark]


def _namesakes(session: Session, world: World, cases: Sequence[Case]) -> list[Case]:
    """Those whose new client has the name of another one whom another call makes, or has made since we looked: Xero would take both for one."""
    new = [(case, case.payer) for case in cases if case.payer and isinstance(case.payer.contact, ContactDraft)]
    looked = [payer.looked_at for _, payer in new if payer.looked_at]
    if not looked:
        return []
    under_way = world.now() - world.read_timeout - world.quiet
    bodies = sends.bodies_since(session, world.route.tenant_id, since=min(looked), open_since=under_way)
    made = {(folded(name), number) for body in bodies for name, number in new_contacts(body)}
    return [case for case, payer in new if any(_is_namesake(payer, name, number) for name, number in made)]


def _is_namesake(payer: Payer, name: str, number: str) -> bool:
    return isinstance(payer.contact, ContactDraft) and folded(payer.name) == name and payer.contact.number != number


def _asked(world: World, made: Drafted) -> sends.Drafted:
    # a template without the deal's id makes references that several deals share
    unique = "{lead_id}" in world.rules.reference
    total = made.expected.total if made.expected else None
    contact = made.draft.contact
    client = contact.name if isinstance(contact, ContactDraft) else contact
    reference = made.draft.reference if unique else None
    return sends.Drafted(reference, client, made.draft.issued_on, made.draft.currency, total)


def _end(world: World, sent: Send, drafted: Sequence[tuple[Case, Drafted]]) -> None:
    with world.database.begin() as session:
        sends.ended_without_answer(session, sent.id, now=world.now())
    why = "the answer of Xero was lost: looking what became of it after a quiet period"
    for case, _ in drafted:
        case.verdict = Wait(world.quiet.total_seconds(), why, counts=False, hard=True)


def _close(world: World, sent: Send, cases: Sequence[Case]) -> None:
    with world.database.begin() as session:
        sends.close(session, sent.id, [_link(case).id for case in cases], now=world.now())


@dataclass(frozen=True, slots=True)
class _Made:
    """An invoice that Xero has just made, beside what was asked for."""

    case: Case
    drafted: Drafted
    answer: Created


def _created(world: World, sent: Send, made: Sequence[_Made]) -> None:
    """The invoices' ids, their clients', and the jobs for their PDFs, in one commit: a burst must not wait for fifty."""
    if not made:
        return
    try:
        with world.database.begin() as session:
            taken = _settle(session, world, sent, made)
    except (IntegrityError, OperationalError):
        if len(made) == 1:
            raise
        for one in made:
            _created(world, sent, [one])
        return
    for one in made:
        link = taken.get(_link(one.case).id)
        if link is None:
            why = f"{one.answer.invoice.number} was made too late: another invoice is this deal's"
            one.case.verdict = Wait(0, why, counts=False)
        else:
            one.case.link, one.case.invoice = link, one.answer.invoice


def _settle(session: Session, world: World, sent: Send, made: Sequence[_Made]) -> dict[int, Link]:
    """Tell the links their invoices; those are missing for which another invoice was made while this answer was on its way.

    In few statements: on SQLite a webhook and every other writer wait for this.
    """
    now = world.now()
    by_link = {_link(one.case).id: one for one in made}
    sends.close(session, sent.id, list(by_link), now=now)
    invoices = {link_id: (one.answer.invoice.id, one.answer.invoice.number) for link_id, one in by_link.items()}
    taken = links.settle_invoices(session, invoices, now=now)
    wishes = []
    for link_id, one in by_link.items():
        ref = InvoiceRef(world.route.tenant_id, one.answer.invoice.id)
        if link := taken.get(link_id):
            _tell(link, one)
            wishes.append(Wanted(world.connection.name, Kind.ATTACH_INVOICE, lead=link.lead, invoice=ref))
        else:  # which of the two stays is decided under a lease of its own
            wishes.append(Wanted(world.connection.name, Kind.CREATE_DEAL, invoice=ref))
    for link_id in taken:
        _remember_payer(session, world, by_link[link_id].case, by_link[link_id].answer.invoice)
    jobs.record(session, wishes, now=now)
    _name_invoices(session, {by_link[link_id].case.job.id: str(link.invoice) for link_id, link in taken.items()})
    return taken


def _tell(link: Link, made: _Made) -> None:
    """What a person should know about the invoice, and how it would be printed."""
    remark = invoicing.total_remark(made.drafted.expected, made.answer.invoice)
    link.remarks = [*link.remarks, *([remark] if remark else []), *made.answer.warnings]
    link.pdf_wanted = statuses.pdf_fingerprint(made.answer.invoice)


def _remember_payer(session: Session, world: World, case: Case, invoice: Invoice) -> None:
    if case.client is None or case.payer is None or not isinstance(case.payer.contact, ContactDraft):
        return  # known already, with its terms
    contacts.remember(
        session, account_id=world.route.account_id, tenant_id=world.route.tenant_id, entity=case.client.entity,
        kommo_id=case.client.id, contact=Contact(invoice.contact_id, invoice.contact_name), now=world.now(),
    )  # fmt: skip


_NAME = sa.update(Job).where(Job.id == sa.bindparam("job")).values(invoice=sa.bindparam("made"))


def _name_invoices(session: Session, invoices: Mapping[int, str]) -> None:
    """Tell the running jobs their invoices, so that nothing else about those runs meanwhile; if something does, the index says no, and that is all."""
    if not invoices:
        return
    try:
        with session.begin_nested():
            session.connection().execute(_NAME, [{"job": job, "made": made} for job, made in invoices.items()])
    except IntegrityError:
        for job, made in invoices.items() if len(invoices) > 1 else ():
            _name_invoices(session, {job: made})


def _refused(world: World, sent: Send, case: Case, answer: Refused) -> None:
    _close(world, sent, [case])
    question = questions.from_refusal(answer.messages)
    if question.kind is questions.Kind.CLIENT_REFUSED and case.client and _was_known(case):
        _forget(world, case.client.entity, case.client.id)
        case.verdict = Wait(0, "Xero refuses the contact that we knew: looking for the client again")
        return
    put(world, [(case, question)])
    if question.kind is questions.Kind.REFUSED:
        with world.begin() as session:  # nobody knows what would mend it, so no timer tries
            links.change(session, _link(case), waits_books=False)
        case.verdict = Failed(question.sentence)


def _was_known(case: Case) -> bool:
    return case.payer is not None and case.payer.is_remembered


def _forget(world: World, entity: ClientEntity, kommo_id: int) -> None:
    with world.database.begin() as session:
        contacts.forget(
            session,
            account_id=world.route.account_id,
            tenant_id=world.route.tenant_id,
            entity=entity,
            kommo_id=kommo_id,
        )


def _link(case: Case) -> Link:
    assert case.link is not None
    return case.link
