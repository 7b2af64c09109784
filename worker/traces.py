"""Traces: the whole story of one deal, and of one job, in the order of time, from what the ledger has written down."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from worker import attempts, deliveries, marks, replays, routes
from worker.attempts import Attempt
from worker.database import Database
from worker.deliveries import Delivery
from worker.findings import NotDone
from worker.jobs import InvoiceRef, Job, LeadRef
from worker.links import Link
from worker.replays import JobView
from worker.routes import RouteRow, What

SOURCES = {"kommo": "Kommo", "xero": "Xero", "kommo-uninstall": "Kommo (access revoked)"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: a delivery, a job, a call, an attempt's end, or a step of the link."""

    at: datetime
    what: str
    text: str
    job_id: int | None = None
    delivery_id: int | None = None


@dataclass(frozen=True, slots=True)
class LinkView:
    """Which deal is which invoice, and what stands on the deal."""

    connection: str
    lead_id: int | None
    deal_page: str | None
    invoice_id: str | None
    invoice_page: str | None
    number: str | None
    status: str | None
    waits_for: str | None
    file: str | None


@dataclass(frozen=True, slots=True)
class Trace:
    """A deal's story."""

    links: tuple[LinkView, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class JobStory:
    """One job with every attempt."""

    job: JobView
    entries: tuple[Entry, ...]


def of_job(database: Database, job_id: int, *, now: datetime) -> JobStory:
    """The job's story. Raises NotDone where there is none."""
    with database.reading() as session:
        job = session.get(Job, job_id)
        if job is None:
            raise NotDone(f"there is no job {job_id}")
        entries = [_recorded(job), *_tries(attempts.story(session, [job_id]))]
        return JobStory(replays.view(session, [job], now=now)[0], _in_order(entries))


def of_lead(database: Database, lead_id: int) -> Trace:
    """The deal's story, in whatever account it is. Raises NotDone where nothing is known of it."""
    with database.reading() as session:
        found = _links(session, Link.lead_id == lead_id)
        leads = {LeadRef(int(account), lead_id) for account in _routed(session, What.ACCOUNT)}
        trace = _trace(session, found, leads, set())
    return _or_nothing(trace, f"the deal {lead_id}", "no webhook, no job and no link speaks of it")


def of_invoice(database: Database, id_or_number: str) -> Trace:
    """The story of an invoice, by Xero's id or by the number that people see. Raises NotDone where nothing is known of it."""
    said = id_or_number.strip().lower()
    is_id = re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", said) is not None
    with database.reading() as session:
        found = _links(session, sa.or_(Link.invoice_id == said, sa.func.lower(Link.number) == said))
        tenants = _routed(session, What.TENANT) if is_id else []
        trace = _trace(session, found, set(), {InvoiceRef(tenant_id, said) for tenant_id in tenants})
    why = (
        "no webhook, no job and no link speaks of it"
        if is_id
        else "no deal has an invoice of this number; Xero's id may tell more"
    )
    return _or_nothing(trace, f"the invoice {id_or_number}", why)


def _or_nothing(trace: Trace, what: str, why: str) -> Trace:
    if not trace.links and not trace.entries:
        raise NotDone(f"nothing is known of {what}: {why}")
    return trace


def _links(session: Session, condition: sa.ColumnElement[bool]) -> list[Link]:
    return list(session.scalars(sa.select(Link).where(condition).order_by(Link.id)))


def _routed(session: Session, what: What) -> list[str]:
    return list(session.scalars(sa.select(RouteRow.value).where(RouteRow.what == what).distinct()))


def _trace(session: Session, found: Sequence[Link], leads: set[LeadRef], invoices: set[InvoiceRef]) -> Trace:
    leads |= {link.lead for link in found if link.lead}
    invoices |= {link.invoice for link in found if link.invoice}
    subjects = [*(f"lead:{lead}" for lead in leads), *(f"invoice:{invoice}" for invoice in invoices)]
    about = sa.or_(Job.lead.in_([str(lead) for lead in leads]), Job.invoice.in_([str(invoice) for invoice in invoices]))
    jobs = list(session.scalars(sa.select(Job).where(about).order_by(Job.id)))
    entries = [
        *(_received(delivery) for delivery in deliveries.about(session, subjects)),
        *(_recorded(job) for job in jobs),
        *_tries(attempts.story(session, [job.id for job in jobs])),
        *(step for link in found for step in _steps(link)),
    ]
    return Trace(tuple(_view(session, link) for link in found), _in_order(entries))


def _in_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.at))  # stable: what is written at one instant keeps its order


def _received(delivery: Delivery) -> Entry:
    text = f"{SOURCES.get(delivery.source, delivery.source)} sent {len(delivery.body)} bytes"
    if delivery.problem:
        text += f"; not understood: {delivery.problem}"
    return Entry(delivery.received_at, "delivery", text, delivery_id=delivery.id)


def _recorded(job: Job) -> Entry:
    text = f"{job.kind} was recorded; now it is {job.state}"
    return Entry(job.recorded_at, "job", text, job_id=job.id, delivery_id=job.delivery_id)


def _tries(story: Iterable[Attempt]) -> Iterator[Entry]:
    for attempt in story:
        yield from (_called(attempt.job_id, call) for call in attempt.calls)
        sentence = f": {attempt.sentence}" if attempt.sentence else ""
        shared = f" (one of {attempt.batch} together)" if attempt.batch > 1 else ""
        yield Entry(attempt.ended_at, "attempt", f"{attempt.verdict}{sentence}{shared}", job_id=attempt.job_id)


def _called(job_id: int, call: dict[str, Any]) -> Entry:
    answered = call.get("status") or "no answer"
    waited = f", waited {call['turn_ms']} ms for its turn" if call.get("turn_ms") else ""
    request = f", request {call['request_id']}" if call.get("request_id") else ""
    text = f"{call['vendor']}: {call['method']} {call['path']}: {answered} in {call['ms']} ms{waited}{request}"
    return Entry(datetime.fromisoformat(call["at"]), "call", text, job_id=job_id)


def _steps(link: Link) -> Iterator[Entry]:
    steps = (
        (link.made_at, f"link made, from the {link.origin}" + (f": {link.question}" if link.question else "")),
        (link.linked_at, f"linked: deal {link.lead_id} is invoice {link.number or link.invoice_id}"),
        (link.noted_at, "the note was written"),
    )
    yield from (Entry(at, "link", text) for at, text in steps if at)


def _view(session: Session, link: Link) -> LinkView:
    route = routes.load(session, link.connection)
    return LinkView(
        connection=link.connection,
        lead_id=link.lead_id,
        deal_page=marks.deal_url(route.subdomain, link.lead_id) if route and link.lead_id else None,
        invoice_id=link.invoice_id,
        invoice_page=marks.invoice_page(link.invoice_id) if link.invoice_id else None,
        number=link.number,
        status=link.label,
        waits_for=link.question if link.waiting else None,
        file=link.file_name,
    )
