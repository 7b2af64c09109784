"""From a notice to committed rows: the delivery as it came, what it speaks of, and the jobs that it makes, in one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from webhooks import judge, kommo, xero
from worker import deliveries, jobs, links, routes
from worker.jobs import InvoiceRef, LeadRef, Ring, Wanted
from worker.routes import Route

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Arrival:
    """What an authenticated sender sent, byte for byte."""

    source: str
    body: bytes
    content_type: str
    at: datetime


def record_kommo(session: Session, arrival: Arrival, notice: kommo.Notice) -> list[Ring]:
    """Keep the delivery and record what it makes; the rings for it."""
    known = routes.find_connections(session, account_id=notice.account_id, subdomain=notice.subdomain or None)
    account_id = known[0].account_id if known else notice.account_id
    waiting = links.waiting(
        session,
        account_id or 0,
        leads=[event.lead_id for event in notice.leads],
        contacts=[event.client_id for event in notice.clients if event.kind != "company"],
        companies=[event.client_id for event in notice.clients if event.kind != "contact"],
    )
    back = [event.lead_id for event in notice.leads if event.action == "restore"]
    restored = links.for_leads(session, account_id or 0, back) if back else {}
    return _record(
        session,
        arrival,
        wanted=[*judge.entered(notice.leads, known, arrival.at), *judge.woken([*waiting, *restored.values()])],
        known=known,
        subjects={f"lead:{LeadRef(account_id, event.lead_id)}" for event in notice.leads} if account_id else set(),
        problem=notice.problem or (None if known else _stranger(notice)),
    )


def record_xero(session: Session, arrival: Arrival, notice: xero.Notice) -> list[Ring]:
    """Keep the delivery and record what it makes; the rings for it. One body may speak of several organisations."""
    wanted: list[Wanted] = []
    known: list[Route] = []
    strangers: list[str] = []
    for tenant_id in dict.fromkeys(event.tenant_id for event in notice.events):
        own = routes.find_connections(session, tenant_id=tenant_id)
        events = [event for event in notice.events if event.tenant_id == tenant_id and event.category == "INVOICE"]
        linked = links.find_invoices(session, tenant_id, [event.resource_id for event in events])
        wanted += judge.changed(events, own, linked, arrival.at)
        known += own
        strangers += [] if own else [tenant_id]
    return _record(
        session,
        arrival,
        wanted=wanted,
        known=known,
        subjects={
            f"invoice:{InvoiceRef(event.tenant_id, event.resource_id)}"
            for event in notice.events
            if event.category == "INVOICE"
        },
        problem=notice.problem
        or (f"no connection has the organisation {', '.join(strangers[:5])}" if strangers else None),
    )


def record_uninstall(session: Session, arrival: Arrival, account_id: int | None) -> list[Ring]:
    """Keep Kommo's word that access was revoked; whether it is Kommo's, the worker finds out: it has the secret."""
    known = routes.find_connections(session, account_id=account_id)
    return _record(
        session,
        arrival,
        wanted=[],
        known=known,
        subjects=(),
        problem=None if known else "no connection has this account",
    )


def _record(
    session: Session,
    arrival: Arrival,
    *,
    wanted: Sequence[Wanted],
    known: Sequence[Route],
    subjects: Iterable[str],
    problem: str | None,
) -> list[Ring]:
    names = {wish.connection for wish in wanted} or {route.connection for route in known}
    delivery_id = deliveries.keep(
        session,
        source=arrival.source,
        body=arrival.body,
        content_type=arrival.content_type,
        now=arrival.at,
        problem=problem,
        connection=names.pop() if len(names) == 1 else None,
        subjects=subjects,
    )
    ids = jobs.record(session, [replace(wish, delivery_id=delivery_id) for wish in wanted], now=arrival.at)
    log.info("delivery_recorded", source=arrival.source, delivery=delivery_id, jobs=len(ids), problem=problem)
    return jobs.rings_for(session, ids) if ids else []


def _stranger(notice: kommo.Notice) -> str:
    return f"no connection has the account {notice.account_id or ''} {notice.subdomain}".rstrip()
