"""What was written on a deal, for its story: the names of fields, and the values of our own marks. Pure.

No sentence, and nothing that a person typed, gets into it: of those the name alone is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from integrations.kommo.entities import LeadChange, LeadDraft, Value
from worker.statuses import Shown, to_snapshot

# Of our fields the one that holds a sentence, with a client's name in it perhaps.
_SENTENCES = frozenset({"XERO_SYNC_MESSAGE"})
UNTOLD = "…"


@dataclass(frozen=True, slots=True)
class Wrote:
    """One deal's part of a write that Kommo took: None is a field that was emptied. `stage` is "pipeline:stage" where it was moved."""

    at: datetime
    lead_id: int
    wrote: dict[str, Shown] = field(default_factory=dict)
    stage: str | None = None


def forget(_: Wrote) -> None:
    """For writes whose story nobody keeps."""


def of_change(change: LeadChange, *, at: datetime) -> Wrote:
    """What a change wrote."""
    stage = f"{change.pipeline_id}:{change.status_id}" if change.status_id is not None else None
    return Wrote(at, change.id, told(change.fields), stage)


def of_draft(lead_id: int, draft: LeadDraft, *, at: datetime) -> Wrote:
    """What the deal had from the beginning."""
    return Wrote(at, lead_id, told(draft.fields), f"{draft.pipeline_id}:{draft.status_id}")


def told(fields: Mapping[int | str, Value]) -> dict[str, Shown]:
    """The fields as they may be kept."""
    return {name: value if _is_ours(name) or value is None else UNTOLD for name, value in to_snapshot(fields).items()}


def _is_ours(name: str) -> bool:
    return name.startswith("XERO_") and name not in _SENTENCES
