"""Unfinished links: tried, or made, and not brought to an end, with no job that would. Whatever became of their jobs, they are found here."""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from worker.jobs import Job, Kind, State, Wanted
from worker.links import Link
from worker.sends import SendMember

# More than this wait for the next round.
MOST = 500

LIVE = (State.QUEUED, State.RUNNING)


def wanted(session: Session, connection: str, *, again: bool) -> Iterator[Wanted]:
    """Jobs for links without a verdict. Those whose job has failed, and so waits for a person, only if `again`: once a day."""
    ended = LIVE if again else (*LIVE, State.FAILED)
    open_send = sa.exists().where(SendMember.link_id == Link.id, SendMember.open.is_(True))
    half_made = sa.and_(
        Link.invoice_id.is_not(None), sa.or_(Link.lead_id.is_(None), Link.synced.is_(None), Link.noted_at.is_(None))
    )
    no_pdf = sa.and_(
        Link.lead_id.is_not(None), Link.pdf_wanted.is_not(None), Link.pdf_shown.is_distinct_from(Link.pdf_wanted)
    )
    in_hand = sa.exists().where(Job.state.in_(ended), sa.or_(Job.lead == _lead_text(), Job.invoice == _invoice_text()))
    statement = sa.select(Link).where(
        Link.connection == connection, sa.or_(open_send, half_made, no_pdf), sa.not_(in_hand), Link.gone.is_(False)
    )
    for link in session.scalars(statement.order_by(Link.id).limit(MOST)):
        yield _wish(link)


def _wish(link: Link) -> Wanted:
    complete = link.synced is not None and link.noted_at is not None
    if link.lead is not None and complete:
        return Wanted(link.connection, Kind.ATTACH_INVOICE, lead=link.lead, invoice=link.invoice)
    if link.origin == "invoice":
        return Wanted(link.connection, Kind.CREATE_DEAL, invoice=link.invoice)
    return Wanted(link.connection, Kind.CREATE_INVOICE, lead=link.lead)


def _lead_text() -> sa.ColumnElement[str]:
    return sa.cast(Link.account_id, sa.Text) + ":" + sa.cast(Link.lead_id, sa.Text)


def _invoice_text() -> sa.ColumnElement[str]:
    return Link.tenant_id + ":" + Link.invoice_id
