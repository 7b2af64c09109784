"""Showing an invoice on its deal: fields, the one line, the note, and the stage that goes with a label.

Only what differs from what was shown last is written, so an echo of our own write finds nothing to do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from integrations.errors import OutcomeUnknown
from integrations.kommo.entities import LeadChange, Value
from integrations.xero.entities import Invoice
from worker import jobs, marks, statuses
from worker.jobs import Kind, Wanted
from worker.links import Link
from worker.questions import SENTENCE_LENGTH
from worker.statuses import Label
from worker.verdicts import Done, Verdict, Wait
from worker.wording import cut, money
from worker.world import World

MESSAGE = "XERO_SYNC_MESSAGE"
STATUS = "XERO_INVOICE_STATUS"


@dataclass(frozen=True, slots=True)
class Shown:
    """An invoice as its deal is to show it."""

    link: Link
    invoice: Invoice
    label: Label
    values: dict[int | str, Value]

    @property
    def changes(self) -> dict[int | str, Value]:
        """Of the values, what the deal does not show yet."""
        return statuses.changed(self.link.synced, self.values)


def show(world: World, pairs: Iterable[tuple[Link, Invoice]]) -> dict[int, Verdict]:
    """Bring the deals of these links up to date, in as few calls as there can be; a verdict for each link's id."""
    wanted = [_shown(world, link, invoice) for link, invoice in pairs]
    moves = {shown.link.id: _stage_for(world, shown) for shown in wanted}
    changes = [
        LeadChange(
            id=shown.link.lead_id or 0, fields=shown.changes, pipeline_id=stage[0] if stage else None, status_id=stage[1] if stage else None
        )
        for shown in wanted
        if (stage := moves[shown.link.id]) or shown.changes
    ]  # fmt: skip
    written = world.kommo.update_leads(changes) if changes else set()
    asked = {change.id for change in changes}
    verdicts: dict[int, Verdict] = {}
    for shown in wanted:
        lead_id = shown.link.lead_id or 0
        if lead_id in asked and lead_id not in written:
            verdicts[shown.link.id] = Done("the deal is gone from Kommo, so nothing is shown on it")
            continue
        with world.database.begin() as session:
            _remember(session, shown, now=world.now())
        verdicts[shown.link.id] = Done(statuses.message(shown.invoice, shown.label))
    return verdicts


def _shown(world: World, link: Link, invoice: Invoice) -> Shown:
    label = statuses.label(invoice, world.today)
    values = statuses.fields(invoice, today=world.today, page_url=_page(world, link, invoice))
    values[MESSAGE] = cut(" ".join([statuses.message(invoice, label), *link.remarks]), SENTENCE_LENGTH)
    return Shown(link, invoice, label, values)


def _page(world: World, link: Link, invoice: Invoice) -> str:
    """The invoice's page in Xero; the client's own page where the connection wants it, which is asked for once."""
    if not world.connection.invoice.online_link:
        return marks.invoice_page(invoice.id)
    known = (link.synced or {}).get("XERO_INVOICE_URL")
    if isinstance(known, str) and known != marks.invoice_page(invoice.id):
        return known
    return world.xero.online_link(invoice.id) or marks.invoice_page(invoice.id)


def _stage_for(world: World, shown: Shown) -> tuple[int, int] | None:
    """The stage that the deal moves to: only when its label changes, so that nobody's later move is undone."""
    if shown.link.label == shown.label:
        return None
    return world.route.moves.get(shown.label.name.lower())


def _remember(session: Session, shown: Shown, *, now: datetime) -> None:
    print_of_it = statuses.pdf_fingerprint(shown.invoice)
    values = {
        "synced": statuses.to_snapshot(shown.values),
        "label": shown.label.value,
        "due_on": shown.invoice.due_on,
        "number": shown.invoice.number,
        "pdf_wanted": print_of_it,
    }
    link = shown.link
    session.execute(sa.update(Link).where(Link.id == link.id).values(**values))
    for name, value in values.items():
        setattr(link, name, value)
    if print_of_it != link.pdf_shown and link.invoice and shown.label is not Label.DELETED:
        wish = Wanted(link.connection, Kind.ATTACH_INVOICE, lead=link.lead, invoice=link.invoice)
        jobs.record(session, [wish], now=now)


def invoice_note(invoice: Invoice, remarks: Sequence[str]) -> str:
    """The note on a deal that got its invoice, with what a person should know about it."""
    total = money(invoice.total, invoice.currency)
    return "\n".join([f"{statuses.title(invoice)} over {total} was made in Xero for {invoice.contact_name}.", *remarks])


def note(world: World, link: Link, text: str) -> Verdict:
    """Write the link's note, once: after an answer that was lost it is looked for before it is written again."""
    if link.noted_at is not None or link.lead_id is None:
        return Done()
    tried = link.note_sent_at
    if tried is not None:
        rest = (tried + world.quiet - world.now()).total_seconds()
        if rest > 0:
            return Wait(rest, "a note's answer was lost: looking for it after a quiet minute", counts=False)
        if any(found.text == text for found in world.kommo.notes(link.lead_id)):
            _noted(world, link)
            return Done()
    _write_note(world, link, text)
    return Done()


def _write_note(world: World, link: Link, text: str) -> None:
    _mark(world, link, sent=world.now())
    try:
        world.kommo.create_note(link.lead_id or 0, text)
    except OutcomeUnknown:
        _mark(world, link, sent=world.now())  # the quiet period begins when we stop waiting
        raise
    except Exception:
        _mark(world, link, sent=None)  # surely not written
        raise
    _noted(world, link)


def _mark(world: World, link: Link, *, sent: datetime | None) -> None:
    with world.database.begin() as session:
        session.execute(sa.update(Link).where(Link.id == link.id).values(note_sent_at=sent))
    link.note_sent_at = sent


def _noted(world: World, link: Link) -> None:
    with world.database.begin() as session:
        session.execute(sa.update(Link).where(Link.id == link.id).values(noted_at=world.now()))
    link.noted_at = world.now()


def say(world: World, sentences: Sequence[tuple[int, str, bool]]) -> None:
    """Put a sentence on deals that have no invoice: (lead id, sentence, whether it is a problem). One call for all of them."""
    changes = [
        LeadChange(id=lead_id, fields={MESSAGE: sentence or None, STATUS: Label.PROBLEM.value if problem else None})
        for lead_id, sentence, problem in sentences
    ]
    if changes:
        world.kommo.update_leads(changes)
