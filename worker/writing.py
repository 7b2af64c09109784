"""Writing on deals: a field that Kommo refuses is dropped and told, but never the invoice's id; a deal that was merged into another is followed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from integrations.errors import Rejected
from integrations.kommo.entities import Lead, LeadChange, LeadDraft, Value
from worker import links
from worker.links import Link
from worker.world import World

log = structlog.get_logger()

# Without it a deal can't be found again: rather no deal, and a person who mends the field.
NEVER_DROPPED = "XERO_INVOICE_ID"

_FIELD = re.compile(r"custom_fields_values\.(\d+)\b")


def write(world: World, changes: Sequence[LeadChange]) -> set[int]:
    """Write these changes in one call; the ids of the deals that are still there.

    Raises Rejected for a batch, which is then taken apart; a change by itself is written without the fields that Kommo refuses.
    """
    if not changes:
        return set()
    try:
        return world.kommo.update_leads(changes)
    except Rejected as error:
        if len(changes) > 1:
            raise
        (change,) = changes
        if world.kommo.lead(change.id) is None:
            return set()  # what a bulk write answers for a deal that is gone is undocumented (kommo.md 12)
        return world.kommo.update_leads([replace(change, fields=without_refused(change.fields, error))])


def create(world: World, draft: LeadDraft) -> int:
    """Make the deal, without the fields that Kommo refuses."""
    try:
        return world.kommo.create_lead(draft)
    except Rejected as error:
        return world.kommo.create_lead(replace(draft, fields=without_refused(draft.fields, error)))


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
    if len(heirs) != 1:
        return False
    with world.begin() as session:
        if links.for_leads(session, link.account_id, [heirs[0].id]):
            return False  # it has an invoice of its own: one deal, two invoices, and both stay true in Xero
        links.change(session, link, lead_id=heirs[0].id, synced=None, pdf_shown=None)
    return True


def _is_heir(lead: Lead, link: Link) -> bool:
    return not lead.is_deleted and lead.id != link.lead_id and lead.text(NEVER_DROPPED) == link.invoice_id
