"""Writing on deals: a field that Kommo refuses is dropped and told, but never the invoice's id; a deal that was merged into another is followed."""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from integrations.errors import Rejected
from integrations.kommo.entities import Lead, LeadChange, LeadDraft, Value
from worker import links, wrote
from worker.links import Link
from worker.world import World

log = structlog.get_logger()

# Without it a deal can't be found again: rather no deal, and a person who mends the field.
NEVER_DROPPED = "XERO_INVOICE_ID"

# Kommo's clock and ours differ.
MARGIN = timedelta(minutes=5)

_FIELD = re.compile(r"custom_fields_values\.(\d+)\b")


@dataclass(frozen=True, slots=True)
class Written:
    """The ids of the deals that are still there, and the fields that Kommo refused: they are not shown, and are tried again with the next change."""

    ids: frozenset[int] = frozenset()
    dropped: frozenset[int | str] = frozenset()


def write(world: World, changes: Sequence[LeadChange]) -> Written:
    """Write these changes in one call.

    Raises Rejected for a batch, which is then taken apart; a change by itself is written without the fields that Kommo refuses.
    """
    if not changes:
        return Written()
    try:
        ids = world.kommo.update_leads(changes)
    except Rejected as error:
        if len(changes) > 1:
            raise
        (change,) = changes
        if world.kommo.lead(change.id) is None:
            return Written()  # what a bulk write answers for a deal that is gone is undocumented (kommo.md 12)
        kept = without_refused(change.fields, error)
        ids = world.kommo.update_leads([replace(change, fields=kept)])
        _tell(world, [replace(change, fields=kept)], ids)
        return Written(frozenset(ids), frozenset(change.fields.keys() - kept.keys()))
    _tell(world, changes, ids)
    return Written(frozenset(ids))


def _tell(world: World, changes: Sequence[LeadChange], ids: AbstractSet[int]) -> None:
    at = world.now()
    for change in changes:
        if change.id in ids:
            world.on_write(wrote.of_change(change, at=at))


def create(world: World, draft: LeadDraft) -> int:
    """Make the deal, without the fields that Kommo refuses."""
    try:
        lead_id = world.kommo.create_lead(draft)
    except Rejected as error:
        draft = replace(draft, fields=without_refused(draft.fields, error))
        lead_id = world.kommo.create_lead(draft)
    world.on_write(wrote.of_draft(lead_id, draft, at=world.now()))
    return lead_id


def without_refused(fields: Mapping[int | str, Value], error: Rejected) -> dict[int | str, Value]:
    """The fields less those that the refusal names (a user may have deleted one: kommo.md 12); raises it again where that is no help."""
    keys = list(fields)
    refused = {
        keys[int(found[1])] for path in error.paths if (found := _FIELD.search(path)) and int(found[1]) < len(keys)
    }
    if not refused or NEVER_DROPPED in refused:
        raise error
    log.warning("fields_refused", vendor="kommo", fields=sorted(map(str, refused)), mend="run admin setup")
    return {key: value for key, value in fields.items() if key not in refused}


def follow(world: World, link: Link) -> bool:
    """Whether the deal, which is gone, was merged into another: the link then leads there, and everything is shown again."""
    if link.invoice_id is None:
        return False
    heirs = [lead for lead in world.kommo.find_leads(link.invoice_id) if _is_heir(lead, link)]
    if len(heirs) != 1 or not world.kommo.has_taken_in_others(heirs[0].id, link.made_at - MARGIN):
        return False
    with world.begin() as session:
        if links.for_leads(session, link.account_id, [heirs[0].id]):
            return False  # it has an invoice of its own: one deal, two invoices, and both stay true in Xero
        links.change(session, link, lead_id=heirs[0].id, synced=None, pdf_shown=None)
    return True


def _is_heir(lead: Lead, link: Link) -> bool:
    return not lead.is_deleted and lead.id != link.lead_id and lead.text(NEVER_DROPPED) == link.invoice_id
