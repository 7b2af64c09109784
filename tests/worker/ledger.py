"""What tests of the ledger share: wishes, claims and reading a job's row. The clock is a plain value: THEN plus seconds."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from worker import claims, jobs
from worker.claims import Claim
from worker.database import Database
from worker.jobs import InvoiceRef, Job, Kind, LeadRef, State, Wanted

THEN = datetime(2026, 9, 14, 3, tzinfo=UTC)
LEASE = timedelta(seconds=10)
ACCOUNT, TENANT = 30896271, "fe79f7dd-b6d4-4a92-ba7b-538af6289c58"


def at(seconds: float) -> datetime:
    """This many seconds after THEN."""
    return THEN + timedelta(seconds=seconds)


def for_lead(lead_id: int = 7, *, connection: str = "acme", invoice: str | None = None) -> Wanted:
    """The wish that this deal gets its invoice."""
    known = InvoiceRef(TENANT, invoice) if invoice else None
    return Wanted(connection, Kind.CREATE_INVOICE, lead=LeadRef(ACCOUNT, lead_id), invoice=known)


def for_invoice(invoice: str = "inv-1", *, lead_id: int | None = None, kind: Kind = Kind.SYNC_STATUS) -> Wanted:
    """The wish that this invoice's deal shows what became of it."""
    lead = LeadRef(ACCOUNT, lead_id) if lead_id is not None else None
    return Wanted("acme", kind, lead=lead, invoice=InvoiceRef(TENANT, invoice))


def record(database: Database, *wanted: Wanted, now: datetime = THEN) -> list[int]:
    """Write wishes down."""
    with database.begin() as session:
        return jobs.record(session, wanted, now=now)


def claim(database: Database, job_id: int, *, now: datetime = THEN, most: int = 1) -> Claim | None:
    """Claim, with the usual lease."""
    return claims.claim(database, job_id, now=now, lease=LEASE, most=most)


def must_claim(database: Database, job_id: int, *, now: datetime = THEN, most: int = 1) -> Claim:
    """Claim what surely is to be had."""
    claimed = claim(database, job_id, now=now, most=most)
    assert claimed is not None
    return claimed


def job(database: Database, job_id: int) -> Job:
    """The job's row."""
    with database.reading() as session:
        found = session.get(Job, job_id)
    assert found is not None
    return found


def states(database: Database) -> list[State]:
    """The states of all jobs, in the order of their ids."""
    with database.reading() as session:
        return [State(state) for state in session.scalars(sa.select(Job.state).order_by(Job.id))]
