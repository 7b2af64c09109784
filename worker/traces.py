"""Traces: the whole story of one deal, and of one job, in the order of time, from what the ledger has written down."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

import sqlalchemy as sa
from sqlalchemy.orm import Session

from worker import attempts, deliveries, marks, names, routes, views
from worker.attempts import Attempt
from worker.database import Database
from worker.deliveries import Delivery
from worker.findings import NotDone
from worker.jobs import InvoiceRef, Job, LeadRef
from worker.links import Link
from worker.routes import RouteRow, What
from worker.views import JobView

SOURCES = {"kommo": "Kommo", "xero": "Xero", "kommo-uninstall": "Kommo (access revoked)"}

# One body may tell of a thousand deals, but of few kinds of events.
MOST_EVENTS = 4

# Milliseconds; a turn that was there at once is not worth a word.
WORTH_TELLING = 10

# The deal or invoice that a call is about, where its path says so.
_NAMED = re.compile(r"/(?:leads/|Invoices/)([0-9a-f-]{36}|\d+)\b")

_KOMMO = re.compile(rb"(?:^|&)(leads|contacts|companies|unsorted)\[(\w+)\]")
_XERO = re.compile(rb'"eventCategory"\s*:\s*"(\w+)"\s*,\s*"eventType"\s*:\s*"(\w+)"')


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: a delivery, a job, a call, fields written on the deal, an attempt's end, or a step of the link.

    `body` is what a vendor sent, as text; bytes that are none are escaped.
    """

    at: datetime
    what: str
    text: str
    job_id: int | None = None
    delivery_id: int | None = None
    call: dict[str, Any] | None = None
    fields: dict[str, str | bool | None] | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True)
class LinkView:
    """Which deal is which invoice, and what stands on the deal."""

    connection: str
    lead_id: int | None
    deal_name: str | None
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
        view = views.view(session, [job], now=now)[0]
        about = {str(view.lead_id), view.invoice_id or ""}
        entries = [_recorded(job), *_tries(attempts.story(session, [job_id]), about)]
        return JobStory(view, _in_order(entries))


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
    ids = {*(str(lead.lead_id) for lead in leads), *(invoice.invoice_id for invoice in invoices)}
    about = sa.or_(Job.lead.in_([str(lead) for lead in leads]), Job.invoice.in_([str(invoice) for invoice in invoices]))
    jobs = list(session.scalars(sa.select(Job).where(about).order_by(Job.id)))
    entries = [
        *(_received(delivery) for delivery in deliveries.about(session, subjects)),
        *(_recorded(job) for job in jobs),
        *_tries(attempts.story(session, [job.id for job in jobs]), ids),
        *(step for link in found for step in _steps(link)),
    ]
    return Trace(tuple(_view(session, link) for link in found), _in_order(entries))


def _in_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.at))  # stable: what is written at one instant keeps its order


def _received(delivery: Delivery) -> Entry:
    text = f"{delivery.id}: {SOURCES.get(delivery.source, delivery.source)} sent {len(delivery.body)} bytes"
    if events := _events(delivery):
        text += f": {', '.join(events)}"
    if delivery.problem:
        text += f"; not understood: {delivery.problem}"
    body = delivery.body.decode("utf-8", "backslashreplace")
    return Entry(delivery.received_at, "delivery", text, delivery_id=delivery.id, body=body)


def _events(delivery: Delivery) -> list[str]:
    """What it told, as its vendor calls that; a body may be any bytes at all."""
    found = _KOMMO.findall(unquote_to_bytes(delivery.body)) if delivery.source == "kommo" else []
    found += _XERO.findall(delivery.body) if delivery.source == "xero" else []
    told = (b" ".join(part for part in parts).decode().lower() for parts in found)
    return list(dict.fromkeys(told))[:MOST_EVENTS]


def _recorded(job: Job) -> Entry:
    by = f" by delivery {job.delivery_id}" if job.delivery_id else ""
    text = f"{job.kind} was recorded{by}; now it is {job.state}"
    return Entry(job.recorded_at, "job", text, job_id=job.id, delivery_id=job.delivery_id)


def _tries(story: Iterable[Attempt], about: Collection[str]) -> Iterator[Entry]:
    """A batch shares its calls; what was asked of or written on another of its deals or invoices is no part of this story."""
    for attempt in story:
        for step in attempt.calls:
            if "wrote" in step:
                if str(step["lead_id"]) in about:
                    yield _wrote(attempt.job_id, step)
            elif not (named := _NAMED.search(step["path"])) or named[1] in about:
                yield _called(attempt.job_id, step)
        sentence = f": {attempt.sentence}" if attempt.sentence else ""
        shared = f" (one of {attempt.batch} together)" if attempt.batch > 1 else ""
        yield Entry(attempt.ended_at, "attempt", f"{attempt.verdict}{sentence}{shared}", job_id=attempt.job_id)


def _called(job_id: int, call: dict[str, Any]) -> Entry:
    answered = call.get("status") or "no answer"
    waited = f", waited {call['turn_ms']} ms for its turn" if (call.get("turn_ms") or 0) >= WORTH_TELLING else ""
    is_well = str(answered).startswith("2")
    request = f", request {call['request_id']}" if call.get("request_id") and not is_well else ""
    text = f"{call['vendor']}: {call['method']} {call['path']}: {answered} in {call['ms']} ms{waited}{request}"
    return Entry(datetime.fromisoformat(call["at"]), "call", text, job_id=job_id, call=call)


def _wrote(job_id: int, step: dict[str, Any]) -> Entry:
    fields = dict(step["wrote"])
    told = [f"{name} = {value}" if value is not None else f"{name} emptied" for name, value in fields.items()]
    stage = [f"stage {step['stage']}"] if step.get("stage") else []
    text = f"on deal {step['lead_id']}: {', '.join(stage + told)}"
    return Entry(datetime.fromisoformat(step["at"]), "wrote", text, job_id=job_id, fields=fields)


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
        deal_name=names.of_leads(session, [link.lead]).get(link.lead) if link.lead else None,
        deal_page=marks.deal_url(route.subdomain, link.lead_id) if route and link.lead_id else None,
        invoice_id=link.invoice_id,
        invoice_page=marks.invoice_page(link.invoice_id) if link.invoice_id else None,
        number=link.number,
        status=link.label,
        waits_for=link.question if link.waiting else None,
        file=link.file_name,
    )
