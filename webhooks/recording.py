"""From what came to committed rows: each delivery as it came, what it speaks of, and the jobs that it makes, in one transaction.

Deliveries that came together are recorded together, in as few statements as one of them would need.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from webhooks import judge, kommo, xero
from webhooks.known import Known, Notice
from worker import deliveries, jobs
from worker.database import Transaction
from worker.deliveries import Received
from worker.jobs import InvoiceRef, LeadRef, Ring, Wanted
from worker.routes import Route

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Arrival:
    """What an authenticated sender sent, byte for byte, and what it tells."""

    source: str
    body: bytes
    content_type: str
    at: datetime
    notice: Notice


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of an arrival: the delivery that is kept, and the jobs that it makes."""

    delivery: Received
    wanted: Sequence[Wanted]


def record(transaction: Transaction, arrivals: Sequence[Arrival]) -> list[Ring]:
    """Keep each arrival and record what it makes; the rings for all of it."""
    known = Known(transaction, [arrival.notice for arrival in arrivals])
    judged = [_judge(known, arrival) for arrival in arrivals]
    ids = deliveries.keep(transaction, [one.delivery for one in judged])
    wanted: list[Wanted] = []
    for delivery_id, one in zip(ids, judged, strict=True):
        wanted += [replace(wish, delivery_id=delivery_id) for wish in one.wanted]
        about = {"source": one.delivery.source, "problem": one.delivery.problem}
        log.info("delivery_recorded", delivery=delivery_id, jobs=len({wish.slot for wish in one.wanted}), **about)
    return jobs.record_rings(transaction, wanted, now=arrivals[-1].at)


def _judge(known: Known, arrival: Arrival) -> Judged:
    if isinstance(arrival.notice, xero.Notice):
        return _judge_xero(known, arrival, arrival.notice)
    return _judge_kommo(known, arrival, arrival.notice)


def _judge_kommo(known: Known, arrival: Arrival, notice: kommo.Notice) -> Judged:
    own, account_id = known.of_account(notice), known.account_id(notice)
    wanted = list(judge.entered(notice.leads, own, arrival.at))
    if account_id:
        wanted += judge.woken(notice, known.waiting(account_id))
        wanted += judge.returned(notice, known.restored(account_id))
    return _judged(
        arrival,
        wanted=wanted,
        known=own,
        subjects={f"lead:{LeadRef(account_id, event.lead_id)}" for event in notice.leads} if account_id else (),
        problem=notice.problem or (None if own else _stranger(notice)),
    )


def _judge_xero(known: Known, arrival: Arrival, notice: xero.Notice) -> Judged:
    """One body may speak of several organisations."""
    tenants = {event.tenant_id: known.of_tenant(event.tenant_id) for event in notice.events}
    wanted: list[Wanted] = []
    for tenant_id, own in tenants.items():
        events = [event for event in notice.invoices if event.tenant_id == tenant_id]
        wanted += judge.changed(events, own, known.links(tenant_id), arrival.at)
    strangers = [tenant_id for tenant_id, own in tenants.items() if not own]
    return _judged(
        arrival,
        wanted=wanted,
        known=[route for own in tenants.values() for route in own],
        subjects={f"invoice:{InvoiceRef(event.tenant_id, event.resource_id)}" for event in notice.invoices},
        problem=notice.problem
        or (f"no connection has the organisation {', '.join(strangers[:5])}" if strangers else None),
    )


def _judged(
    arrival: Arrival,
    *,
    wanted: Sequence[Wanted],
    known: Iterable[Route],
    subjects: Iterable[str],
    problem: str | None,
) -> Judged:
    names = {wish.connection for wish in wanted} or {route.connection for route in known}
    delivery = Received(
        source=arrival.source,
        body=arrival.body,
        content_type=arrival.content_type,
        at=arrival.at,
        problem=problem,
        connection=names.pop() if len(names) == 1 else None,
        subjects=frozenset(subjects),
    )
    return Judged(delivery, wanted)


def _stranger(notice: kommo.Notice) -> str:
    return f"no connection has the account {notice.account_id or ''} {notice.subdomain}".rstrip()
