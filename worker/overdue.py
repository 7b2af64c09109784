"""What no webhook tells: a due date that passes, and a mend made in Xero's settings."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from worker import facts
from worker.jobs import Kind, Wanted
from worker.links import IS_WAITING, Link
from worker.links import past_due as links_past_due
from worker.statuses import Label

OWED = (Label.AWAITING_PAYMENT.value, Label.PARTLY_PAID.value)

# A round takes this many; the next one takes the rest.
MOST = 200


def past_due(session: Session, *, now: datetime) -> list[Wanted]:
    """Jobs for invoices that are owed and whose due date has passed in their organisation's zone."""
    wanted: list[Wanted] = []
    owing = (
        sa.select(Link.connection)
        .where(Link.label.in_(OWED), Link.due_on < (now + timedelta(days=1)).date())
        .distinct()
    )
    for connection in session.scalars(owing):
        known = facts.last_known(session, connection)
        zone = ZoneInfo(known.organisation.timezone if known else "UTC")
        today = now.astimezone(zone).date()
        wanted += [
            Wanted(link.connection, Kind.SYNC_STATUS, lead=link.lead, invoice=link.invoice)
            for link in links_past_due(session, connection, today=today, labels=OWED, most=MOST)
        ]
    return wanted


def waiting_for_books(session: Session, *, now: datetime) -> list[Wanted]:  # noqa: ARG001  (a round's finder is told the time)
    """Jobs for deals that wait for something that is mended in Xero."""
    statement = (
        sa.select(Link).where(IS_WAITING, Link.waits_books.is_(True)).order_by(Link.asked_at, Link.id).limit(MOST)
    )
    return [Wanted(link.connection, Kind.CREATE_INVOICE, lead=link.lead) for link in session.scalars(statement)]
