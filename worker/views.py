"""Jobs as a person sees them: what each is about, by name and with links to both systems, what came of it, and what to do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from worker import links, marks, names, routes
from worker.jobs import InvoiceRef, Job, LeadRef, State
from worker.links import Link


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with its deal, by Kommo's name for it and its page there, and its invoice, by its number and its page in Xero."""

    id: int
    kind: str
    state: str
    connection: str
    lead_id: int | None
    deal_name: str | None
    deal_page: str | None
    invoice_id: str | None
    invoice_number: str | None
    invoice_page: str | None
    failures: int
    sentence: str | None
    to_do: str
    recorded_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class _About:
    """What the ledger knows besides the jobs."""

    subdomains: dict[str, str]
    by_lead: dict[LeadRef, Link]
    by_invoice: dict[InvoiceRef, Link]
    names: dict[LeadRef, str]


def view(session: Session, found: Sequence[Job], *, now: datetime) -> list[JobView]:
    """The jobs as a person sees them."""
    leads = {LeadRef.parse(job.lead) for job in found if job.lead}
    by_lead = _by_lead(session, leads)
    by_invoice = _by_invoice(session, {InvoiceRef.parse(job.invoice) for job in found if job.invoice})
    linked = {link.lead for link in by_invoice.values() if link.lead}
    about = _About(
        _subdomains(session, {job.connection for job in found}),
        by_lead,
        by_invoice,
        names.of_leads(session, leads | linked),
    )
    return [_view(job, about, now) for job in found]


def _view(job: Job, about: _About, now: datetime) -> JobView:
    lead = LeadRef.parse(job.lead) if job.lead else None
    invoice = InvoiceRef.parse(job.invoice) if job.invoice else None
    link = about.by_invoice.get(invoice) if invoice else about.by_lead.get(lead) if lead else None
    if link:
        lead, invoice = lead or link.lead, invoice or link.invoice
    subdomain = about.subdomains.get(job.connection)
    return JobView(
        id=job.id,
        kind=job.kind,
        state=job.state,
        connection=job.connection,
        lead_id=lead.lead_id if lead else None,
        deal_name=about.names.get(lead) if lead else None,
        deal_page=marks.deal_url(subdomain, lead.lead_id) if lead and subdomain else None,
        invoice_id=invoice.invoice_id if invoice else None,
        invoice_number=link.number if link else None,
        invoice_page=marks.invoice_page(invoice.invoice_id) if invoice else None,
        failures=job.attempts,
        sentence=job.sentence,
        to_do=to_do(job, now),
        recorded_at=job.recorded_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        next_at=job.due_at if job.state == State.QUEUED else None,
    )


def to_do(job: Job, now: datetime) -> str:
    """What is left for a person."""
    match job.state:
        case State.FAILED:
            return f"Mend what it says, then: jobs replay {job.id}. If nobody needs it any more: jobs cancel {job.id}."
        case State.CANCELLED:
            return f"Nothing. If it is wanted after all: jobs replay {job.id}."
        case State.RUNNING:
            return "Nothing: a worker is at it."
        case State.QUEUED if job.due_at <= now:
            return "Nothing: it is due, and goes on as soon as a worker is free."
        case State.QUEUED:
            return f"Nothing: it goes on by itself at {job.due_at:%Y-%m-%d %H:%M:%S} UTC."
    return "Nothing: it is done."


def _subdomains(session: Session, names: Iterable[str]) -> dict[str, str]:
    known = {name: routes.load(session, name) for name in names}
    return {name: route.subdomain for name, route in known.items() if route}


def _by_lead(session: Session, leads: Iterable[LeadRef]) -> dict[LeadRef, Link]:
    by_account: dict[int, set[int]] = {}
    for lead in leads:
        by_account.setdefault(lead.account_id, set()).add(lead.lead_id)
    return {
        LeadRef(account_id, lead_id): link
        for account_id, ids in by_account.items()
        for lead_id, link in links.for_leads(session, account_id, ids).items()
    }


def _by_invoice(session: Session, invoices: Iterable[InvoiceRef]) -> dict[InvoiceRef, Link]:
    by_tenant: dict[str, set[str]] = {}
    for invoice in invoices:
        by_tenant.setdefault(invoice.tenant_id, set()).add(invoice.invoice_id)
    return {
        InvoiceRef(tenant_id, invoice_id): link
        for tenant_id, ids in by_tenant.items()
        for invoice_id, link in links.find_invoices(session, tenant_id, ids).items()
    }
