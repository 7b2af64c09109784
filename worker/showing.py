"""Showing an invoice on its deal: fields, the one line, the note, and the stage that goes with a label.

Only what differs from what was shown last is written, so an echo of our own write finds nothing to do.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from integrations.errors import CallError, LeaseLost, OutcomeUnknown
from integrations.kommo.entities import LeadChange, Value
from integrations.xero.entities import Invoice
from worker import jobs, links, marks, statuses
from worker.jobs import Kind, Wanted
from worker.links import Link
from worker.outcomes import OVERLAP
from worker.questions import SENTENCE_LENGTH
from worker.statuses import Label
from worker.verdicts import Done, Verdict, Wait
from worker.wording import cut, money
from worker.world import World
from worker.writing import follow, write

MESSAGE = "XERO_SYNC_MESSAGE"
STATUS = "XERO_INVOICE_STATUS"
# How the note begins that tells of a deal's invoice, whatever its number: what was made here, or raised there.
TELLS = re.compile(r"(Invoice .+|The invoice) (over .+ was made|was raised) in Xero")


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


def show(world: World, pairs: Iterable[tuple[Link, Invoice]]) -> dict[int, Verdict | CallError]:
    """Bring the deals of these links up to date, in as few calls as there can be; for each link's id a verdict, or why Kommo refused its deal."""
    wanted = [_shown(world, link, invoice) for link, invoice in pairs]
    moves = {shown.link.id: _stage_for(world, shown) for shown in wanted}
    changes = [
        LeadChange(
            id=shown.link.lead_id or 0, fields=shown.changes, pipeline_id=stage[0] if stage else None, status_id=stage[1] if stage else None
        )
        for shown in wanted
        if (stage := moves[shown.link.id]) or shown.changes
    ]  # fmt: skip
    asked = {change.id for change in changes}
    _doubt(world, [shown.link for shown in wanted if shown.link.lead_id in asked])
    written = write(world, changes)
    absent = asked - written.ids - written.refused.keys()
    there = [one for one in wanted if one.link.lead_id not in {*absent, *written.refused}]
    if there:
        with world.begin() as session:
            _remember(session, there, written.dropped, now=world.now())
    told: dict[int, Verdict | CallError] = {
        one.link.id: Done(statuses.message(one.invoice, one.label)) for one in there
    }
    told |= {one.link.id: error for one in wanted if (error := written.refused.get(one.link.lead_id or 0))}
    return told | {one.link.id: gone(world, one.link) for one in wanted if one.link.lead_id in absent}


def _doubt(world: World, about: Sequence[Link]) -> None:
    """Forget what these deals show before it is changed: if nobody learns what became of the write, the next one writes everything.

    Otherwise what was written and lost would stay, where the invoice has gone back meanwhile to what we remember.
    """
    known = [link for link in about if link.synced is not None]
    if known:
        with world.begin() as session:
            links.change_all(session, [(link, {"synced": None}) for link in known])


def is_shown(world: World, link: Link, invoice: Invoice) -> bool:
    """Whether the deal shows this invoice as it is; one whose deal is gone shows all that can be shown."""
    if link.gone:
        return True
    shown = _shown(world, link, invoice)
    return not shown.changes and link.pdf_wanted == statuses.pdf_fingerprint(invoice)


def gone(world: World, link: Link) -> Verdict:
    """The deal is no longer there: it was merged into another, which is followed, or deleted."""
    if follow(world, link):
        return Wait(0, f"the deal was merged into deal {link.lead_id}, which shows the invoice now", counts=False)
    with world.begin() as session:
        links.change(session, link, gone=True)
    return Done("the deal is gone from Kommo, so nothing is shown on it")


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


def _remember(
    session: Session, shown: Sequence[Shown], dropped: Mapping[int, AbstractSet[int | str]], *, now: datetime
) -> None:
    """What these deals show now, and the jobs for PDFs that differ from what they have."""
    values = [_stands(one, dropped.get(one.link.lead_id or 0, frozenset())) for one in shown]
    links.change_all(session, zip((one.link for one in shown), values, strict=True))
    wishes = [
        Wanted(one.link.connection, Kind.ATTACH_INVOICE, lead=one.link.lead, invoice=one.link.invoice)
        for one in shown
        if one.link.pdf_wanted != one.link.pdf_shown and one.link.invoice and one.label is not Label.DELETED
    ]
    jobs.record(session, wishes, now=now)


def _stands(shown: Shown, dropped: AbstractSet[int | str]) -> dict[str, Any]:
    visible = {code: value for code, value in shown.values.items() if code not in dropped}
    return {
        "synced": statuses.to_snapshot(visible),
        "label": shown.label.value,
        "due_on": shown.invoice.due_on,
        "number": shown.invoice.number,
        "pdf_wanted": statuses.pdf_fingerprint(shown.invoice),
        "gone": False,
    }


def invoice_note(invoice: Invoice, remarks: Sequence[str]) -> str:
    """The note on a deal that got its invoice, with what a person should know about it."""
    total = money(invoice.total, invoice.currency)
    return "\n".join([f"{statuses.title(invoice)} over {total} was made in Xero for {invoice.contact_name}.", *remarks])


def write_notes(
    world: World, wanted: Sequence[tuple[Link, str]], *, died: Mapping[int, datetime | None]
) -> dict[int, Verdict]:
    """Write each link's note, once, all new ones in one call; a verdict for each link's id.

    After an answer that was lost, or a worker that `died` in the call, a note is looked for, when a quiet period is over, before it is
    written again.
    """
    missing = [(link, text) for link, text in wanted if link.noted_at is None and link.lead_id is not None]
    waits = {link.id: wait for link, _ in missing if (wait := _quiet(world, link, died.get(link.id)))}
    to_look_for = [(link, text) for link, text in missing if link.note_sent_at is not None and link.id not in waits]
    found = {link.id for link, text in to_look_for if _has_note(world, link, text)}
    _remember_notes(world, [link for link, _ in to_look_for if link.id in found])
    _send_notes(world, [(link, text) for link, text in missing if link.id not in found and link.id not in waits])
    return {link.id: waits.get(link.id, Done()) for link, _ in wanted}


def _quiet(world: World, link: Link, died_at: datetime | None) -> Wait | None:
    """How long not to touch a note whose answer was lost."""
    if link.note_sent_at is None:
        return None
    rest = (max(link.note_sent_at, died_at or link.note_sent_at) + world.quiet - world.now()).total_seconds()
    if rest <= 0:
        return None
    return Wait(rest, "a note's answer was lost: looking for it after a quiet period", counts=False)


def _has_note(world: World, link: Link, text: str) -> bool:
    """By how it begins: the amounts behind it may have been edited in Xero since. So may the number: then by what a note tells that came since."""
    assert link.note_sent_at is not None
    since = link.note_sent_at - OVERLAP
    begins = text[: text.index(" Xero")].partition(" over ")[0]
    notes = world.kommo.notes(link.lead_id or 0)
    return any(one.text.startswith(begins) or (one.created_at >= since and TELLS.match(one.text)) for one in notes)


def _send_notes(world: World, notes: Sequence[tuple[Link, str]]) -> None:
    if not notes:
        return
    noted = [link for link, _ in notes]
    sent = world.now()
    with world.begin() as session:
        links.change_all(session, [(link, {"note_sent_at": sent}) for link in noted])
    try:
        world.kommo.create_notes([(link.lead_id or 0, text) for link, text in notes])
    except OutcomeUnknown:
        _mark_notes(world, noted, sent, to=world.now())  # the quiet period begins when we stop waiting
        raise
    except (CallError, LeaseLost):
        _mark_notes(world, noted, sent, to=None)  # surely not written
        raise
    _remember_notes(world, noted)


def _mark_notes(world: World, noted: Sequence[Link], sent: datetime, *, to: datetime | None) -> None:
    """Only where our own mark still stands: a successor may have sent the note since."""
    with world.database.begin() as session:
        mine = sa.update(Link).where(Link.id.in_([link.id for link in noted]), Link.note_sent_at == sent)
        session.execute(mine.values(note_sent_at=to).execution_options(synchronize_session=False))


def _remember_notes(world: World, noted: Sequence[Link]) -> None:
    if not noted:
        return
    with world.database.begin() as session:
        links.change_all(session, [(link, {"noted_at": world.now()}) for link in noted])


def say(world: World, sentences: Sequence[tuple[int, str, bool]]) -> Mapping[int, CallError]:
    """Put a sentence on deals that have no invoice: (lead id, sentence, whether it is a problem). One call for all of them.

    Answers which deals Kommo refused, and why.
    """
    changes = [
        LeadChange(id=lead_id, fields={MESSAGE: sentence or None, STATUS: Label.PROBLEM.value if problem else None})
        for lead_id, sentence, problem in sentences
    ]
    return write(world, changes).refused
