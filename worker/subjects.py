"""What else the ledger has about the subject of a job that ends: a twin that an event recorded meanwhile, failures, and what waits for its turn.

Statements are built once: their text is made when they are first used, and found again by each later use.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from worker.database import UtcTime, changed_rows
from worker.jobs import InvoiceRef, Job, LeadRef, Ring, State, is_in, ring_of


class Ending(Protocol):
    """A job in the hands of whoever ends it."""

    @property
    def id(self) -> int: ...
    @property
    def connection(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def lead(self) -> LeadRef | None: ...
    @property
    def invoice(self) -> InvoiceRef | None: ...


_ALIKE = sa.and_(Job.connection == sa.bindparam("of"), Job.kind == sa.bindparam("alike"))

_ABSORB = (
    sa.delete(Job)
    .where(is_in(State.QUEUED), _ALIKE, Job.subject == sa.bindparam("about"), Job.id != sa.bindparam("not_id"))
    .execution_options(synchronize_session=False)
)

_FAILURES = sa.select(Job.id, Job.subject).where(
    is_in(State.FAILED), _ALIKE, Job.subject.in_(sa.bindparam("subjects", expanding=True))
)

_CLOSE = (
    sa.update(Job)
    .where(Job.id == sa.bindparam("failure"), is_in(State.FAILED))
    .values(state=State.DONE, sentence=sa.bindparam("said"))
    .execution_options(synchronize_session=False)
)

_DUE = sa.select(Job.id, Job.kind, Job.lead, Job.invoice, Job.due_at).where(
    is_in(State.QUEUED), Job.due_at <= sa.bindparam("at", type_=UtcTime)
)

# Two questions and no "or", nor an order with a limit: those would let the database walk through all that is due to find the few that are meant.
_WAITING = sa.union(
    _DUE.where(Job.lead.in_(sa.bindparam("leads", expanding=True))),
    _DUE.where(Job.invoice.in_(sa.bindparam("invoices", expanding=True))),
)


def absorb_twin(session: Session, job_id: int, slot: tuple[str, str, str]) -> bool:
    """Take the queued row of the same connection, kind and subject away, which an event recorded while this one ran; it was never claimed."""
    connection, kind, subject = slot
    absorbed = session.execute(_ABSORB, {"of": connection, "alike": kind, "about": subject, "not_id": job_id})
    return bool(changed_rows(absorbed))


def close_failures(session: Session, jobs: Sequence[Ending]) -> None:
    """A success closes what failed before about the same subject. The jobs are of one connection and kind."""
    if not jobs:
        return
    ids = {job.subject: job.id for job in jobs}
    asked = {"of": jobs[0].connection, "alike": jobs[0].kind, "subjects": list(ids)}
    for failure in list(session.execute(_FAILURES, asked)):
        session.execute(_CLOSE, {"failure": failure.id, "said": f"done by job {ids[failure.subject]}"})


def next_due(session: Session, jobs: Sequence[Ending], *, now: datetime) -> list[Ring]:
    """The jobs that waited for these ones' subjects, the first for each: their own rings are spent."""
    leads = [str(job.lead) for job in jobs if job.lead]
    invoices = [str(job.invoice) for job in jobs if job.invoice]
    rows = session.execute(_WAITING, {"at": now, "leads": leads, "invoices": invoices}).all()
    waiting = sorted(rows, key=lambda row: (row.due_at, row.id))
    return list(_first_of_each(jobs, waiting))


def _first_of_each(jobs: Sequence[Ending], waiting: Sequence[Any]) -> Iterator[Ring]:
    rung: set[int] = set()
    for job in jobs:
        about = {str(ref) for ref in (job.lead, job.invoice) if ref}
        found = next((row for row in waiting if row.lead in about or row.invoice in about), None)
        if found and found.id not in rung:
            rung.add(found.id)
            yield ring_of(found)
