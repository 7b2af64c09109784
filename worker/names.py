"""What deals are called, as far as Kommo has told: most of its webhooks name the deal, and the ledger keeps what they said.

For an operator's eyes only: a name is personal data, and no log line has one.
"""

import re
from collections.abc import Collection, Iterator
from urllib.parse import parse_qsl

import sqlalchemy as sa
from sqlalchemy.orm import Session

from worker.deliveries import Delivery, Mention
from worker.jobs import LeadRef
from worker.wording import plain

# The newest that speak of a deal: one of them names it, for only the Digital Pipeline's and a contact's do not (kommo.md 4.3, 4.9).
NEWEST = 5

# So few at once that each is looked up: asked for many, PostgreSQL would rather read through the whole table.
MOST_ASKED = 10

_ENTRY = re.compile(r"leads\[(\w+\]\[\w+)\]\[(id|name)\]")


def of_leads(session: Session, leads: Collection[LeadRef]) -> dict[LeadRef, str]:
    """The names of those deals that Kommo has named; a deal that was renamed has its newest name."""
    subjects = {f"lead:{lead}": lead for lead in leads}
    told = _told(session, list(subjects))
    bodies = _bodies(session, {delivery_id for ids in told.values() for delivery_id in ids})
    found = {}
    for subject, ids in told.items():
        lead = subjects[subject]
        named = (bodies.get(delivery_id, {}).get(str(lead.lead_id)) for delivery_id in ids)
        if name := next((one for one in named if one), None):
            found[lead] = name
    return found


def _told(session: Session, subjects: list[str]) -> dict[str, list[int]]:
    """The newest deliveries that speak of each subject, the newest first."""
    told: dict[str, list[int]] = {}
    for start in range(0, len(subjects), MOST_ASKED):
        some = Mention.subject.in_(subjects[start : start + MOST_ASKED])
        for subject, delivery_id in session.execute(sa.select(Mention.subject, Mention.delivery_id).where(some)):
            told.setdefault(subject, []).append(delivery_id)
    return {subject: sorted(ids, reverse=True)[:NEWEST] for subject, ids in told.items()}


def _bodies(session: Session, ids: Collection[int]) -> dict[int, dict[str, str]]:
    """What each delivery calls which deals."""
    wanted = sorted(ids)
    found: dict[int, dict[str, str]] = {}
    for start in range(0, len(wanted), MOST_ASKED):
        some = sa.select(Delivery.id, Delivery.body).where(
            Delivery.id.in_(wanted[start : start + MOST_ASKED]), Delivery.source == "kommo"
        )
        found |= {row.id: dict(in_body(row.body)) for row in session.execute(some)}
    return found


def in_body(body: bytes) -> Iterator[tuple[str, str]]:
    """The ids and names of the deals in one body, which may be any bytes at all."""
    entries: dict[str, dict[str, str]] = {}
    for key, value in parse_qsl(body.decode("utf-8", "replace")):
        if found := _ENTRY.fullmatch(key):
            entries.setdefault(found[1], {})[found[2]] = value
    for entry in entries.values():
        if (name := plain(entry.get("name", ""))) and (lead_id := entry.get("id")):
            yield lead_id, name
