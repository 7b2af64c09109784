"""Writing on deals: a field that Kommo refuses is dropped and told, but never the invoice's id; a deal that was merged into another is followed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import reduce
from operator import or_

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
    """What became of the changes: the ids of the deals that are still there, the fields that Kommo refused, and the deals that it refused whole.

    A refused field is not shown, and is tried again with the next change.
    """

    ids: frozenset[int] = frozenset()
    dropped: Mapping[int, AbstractSet[int | str]] = field(default_factory=dict)
    refused: Mapping[int, Rejected] = field(default_factory=dict)

    def __or__(self, other: "Written") -> "Written":
        dropped: dict[int, AbstractSet[int | str]] = dict(self.dropped)
        for lead_id, fields in other.dropped.items():
            dropped[lead_id] = dropped.get(lead_id, frozenset()) | fields
        return Written(self.ids | other.ids, dropped, {**self.refused, **other.refused})


def write(world: World, changes: Sequence[LeadChange]) -> Written:
    """Write these changes in one call; where Kommo refuses some of them, in as few more as it takes, so that none suffers for its neighbours.

    Refused fields are left out. A change that is refused all the same is told by its error, and is not written.
    """
    if not changes:
        return Written()
    try:
        ids = world.kommo.update_leads(changes)
    except Rejected as error:
        return _write_again(world, changes, error)
    _tell(world, changes, ids)
    return Written(frozenset(ids))


def _write_again(world: World, changes: Sequence[LeadChange], error: Rejected) -> Written:
    """What was refused, of which nothing was written: without the fields that the refusal names, or else in parts."""
    if len(changes) == 1 and world.kommo.lead(changes[0].id) is None:
        return Written()  # what a bulk write answers for a deal that is gone is undocumented (kommo.md 12)
    kept = [_accepted(changes, number, error) for number in range(len(changes))]
    dropped = {one.id: one.fields.keys() - less.fields.keys() for one, less in zip(changes, kept, strict=True)}
    dropped = {lead_id: fields for lead_id, fields in dropped.items() if fields}
    if dropped:
        _warn(set().union(*dropped.values()))
        return Written(dropped=dropped) | write(world, kept)
    if len(changes) == 1:
        return Written(refused={changes[0].id: error})
    return reduce(or_, (write(world, part) for part in _parts(changes, error)))


def _accepted(changes: Sequence[LeadChange], number: int, error: Rejected) -> LeadChange:
    """This element of a batch without the fields that the refusal names for it; unchanged where that is no help."""
    about = (number,) if len(changes) > 1 else (number, None)
    paths = [path for element, path in zip(error.elements, error.paths, strict=False) if element in about]
    kept = _without(changes[number].fields, paths)
    return changes[number] if kept is None else replace(changes[number], fields=kept)


def _parts(changes: Sequence[LeadChange], error: Rejected) -> Iterable[Sequence[LeadChange]]:
    """Those that the refusal names, each by itself, and the others together; two halves where it names none, or all."""
    named = {number for number in error.elements if number is not None and number < len(changes)}
    if not named or len(named) == len(changes):
        half = len(changes) // 2
        return changes[:half], changes[half:]
    others = [change for number, change in enumerate(changes) if number not in named]
    return *([changes[number]] for number in sorted(named)), others


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


def without_refused(fields: Mapping[int | str, Value], error: Rejected) -> Mapping[int | str, Value]:
    """The fields less those that the refusal names; raises it again where that is no help."""
    kept = _without(fields, error.paths)
    if kept is None:
        raise error
    _warn(fields.keys() - kept.keys())
    return kept


def _warn(refused: Iterable[int | str]) -> None:
    log.warning("fields_refused", vendor="kommo", fields=sorted(map(str, refused)), mend="run admin setup")


def _without(fields: Mapping[int | str, Value], paths: Iterable[str]) -> dict[int | str, Value] | None:
    """The fields less those that these paths name (a user may have deleted one: kommo.md 12); None where that is no help."""
    keys = list(fields)
    refused = {keys[int(found[1])] for path in paths if (found := _FIELD.search(path)) and int(found[1]) < len(keys)}
    if not refused or NEVER_DROPPED in refused:
        return None
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
