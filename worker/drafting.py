"""Drafting: from deals to invoices that can be sent, or to the sentence that says what is missing.

A deal with a question waits: its next event or its client's wakes it, and what is mended in Xero, which tells nobody, is asked again by a timer.
"""

from collections.abc import Sequence
from datetime import date

from integrations.kommo.entities import Client, Product
from integrations.xero.entities import ContactDraft
from worker import invoicing, links, showing
from worker.billing import Key, find_payers
from worker.cases import Case, open_cases, without_invoice
from worker.clients import folded
from worker.invoicing import Drafted
from worker.questions import Mend, Question
from worker.reading import new_link, read_products
from worker.verdicts import Done, Wait
from worker.world import World


def draft(world: World, cases: Sequence[Case]) -> list[tuple[Case, Drafted]]:
    """The invoices to be sent; whoever has a question gets its verdict here."""
    cases = without_invoice(cases)
    products = read_products(world, cases)
    _ask(world, cases, products)
    _find_payers(world, open_cases(cases))
    drafted: list[tuple[Case, Drafted]] = []
    questions: list[tuple[Case, Question]] = []
    for case in open_cases(cases):
        made = _draft(world, case, products)
        if isinstance(made, Question):
            questions.append((case, made))
        else:
            drafted.append((case, made))
    put(world, questions)
    return drafted


def _ask(world: World, cases: Sequence[Case], products: dict[tuple[int, int], Product]) -> None:
    questions = [(case, question) for case in cases if (question := _question(world, case, products))]
    if any(question.mend is Mend.BOOKS for _, question in questions):
        world.known.fresh()  # it may have been mended since we last read the books
        questions = [(case, question) for case, _ in questions if (question := _question(world, case, products))]
    put(world, questions)


def _question(world: World, case: Case, products: dict[tuple[int, int], Product]) -> Question | None:
    assert case.lead is not None
    return invoicing.ask(
        case.lead, case.client, products, rules=world.rules, books=world.books,
        kommo_currency=world.facts.kommo.currency, entered_on=_entered_on(world, case),
    )  # fmt: skip


def _entered_on(world: World, case: Case) -> date:
    return (case.link.entered_on if case.link else None) or world.books.day(case.entered)


def _find_payers(world: World, cases: Sequence[Case]) -> None:
    """One payer a client: the second deal of a client who is new in Xero waits until the first has made it."""
    strangers: dict[Key, tuple[Client, Client | None]] = {}
    for case in cases:
        if case.payer is None:
            strangers.setdefault(_key(case), (_client(case), case.person))
    found = find_payers(world, list(strangers.values()))
    being_made: set[str] = set()
    for case in cases:
        case.payer = case.payer or found.payers.get(_key(case))
        if case.payer is None:
            case.verdict = found.wait
        elif isinstance(case.payer.contact, ContactDraft):
            name = folded(case.payer.name)  # one name in one call would be one contact in Xero, whoever the clients are
            if name in being_made:
                case.verdict = Wait(0, "its client is just being made in Xero, with another deal", counts=False)
            being_made.add(name)


def _client(case: Case) -> Client:
    assert case.client is not None
    return case.client


def _key(case: Case) -> Key:
    return _client(case).entity, _client(case).id


def _draft(world: World, case: Case, products: dict[tuple[int, int], Product]) -> Drafted | Question:
    assert case.lead is not None
    assert case.payer is not None
    return invoicing.draft(
        case.lead, case.client, products, contact=case.payer.contact, rules=world.rules, books=world.books,
        kommo_currency=world.facts.kommo.currency, entered_on=_entered_on(world, case), terms=case.payer.terms,
        deal_url=world.deal_url(case.lead_id),
    )  # fmt: skip


def put(world: World, questions: Sequence[tuple[Case, Question]]) -> None:
    """Put each question on its deal, once, and let the deal wait for its mend. Such a job is done."""
    new = [
        (case, question)
        for case, question in questions
        if not (case.lead and case.lead.text(showing.MESSAGE) == question.sentence)
    ]
    unwritten = [
        (case.lead_id, question.sentence)
        for case, question in new
        if all(found.text != question.sentence for found in world.kommo.notes(case.lead_id))
    ]
    if unwritten:
        world.kommo.create_notes(unwritten)
    refused = showing.say(world, [(case.lead_id, question.sentence, True) for case, question in new])
    for case, question in questions:
        _wait(world, case, question)
        case.verdict = refused.get(case.lead_id) or Done(question.sentence)


def _wait(world: World, case: Case, question: Question) -> None:
    assert case.lead is not None
    people = case.lead.contact_ids
    contact = case.lead.main_contact_id if case.lead.main_contact_id is not None else next(iter(people), None)
    link = case.link = case.link or new_link(world, case)
    with world.begin() as session:
        links.change(
            session, link, waiting=True, asked_at=world.now(), question=question.sentence, waits_company=case.lead.company_id,
            waits_contact=contact, waits_books=question.mend is Mend.BOOKS,
        )  # fmt: skip
