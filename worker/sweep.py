"""The sweep: takes lapsed leases back, and rings for whatever is due. Any number of sweeps may run at once."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from worker.attempts import Attempt
from worker.claims import absorb_twin
from worker.database import Database
from worker.jobs import Job, Ring, State, busy, ring_of

# Deaths on a job alone before a person must look at it: a deploy and two accidents are no reason, a poisonous job is.
MAX_DEATHS = 5

# A ring stands in the queue behind others: to ring sooner again would only fill the queue with spent rings.
RING_AGAIN = timedelta(seconds=10)

# Rings of one sweep: what is more waits two seconds for the next one.
MOST_RINGS = 500


def sweep(database: Database, *, now: datetime, ring_again: timedelta = RING_AGAIN) -> list[Ring]:
    """Take back what dead workers held, and answer what to ring for."""
    with database.begin() as session:
        for job in _lapsed(session, now):
            _take_back(session, job, now)
        return _due(session, now, ring_again)


def _lapsed(session: Session, now: datetime) -> list[Job]:
    statement = (
        sa.select(Job)
        .where(Job.state == State.RUNNING, Job.leased_until < now)
        .order_by(Job.id)
        .limit(MOST_RINGS)
        .with_for_update(skip_locked=True)
    )
    return list(session.scalars(statement))


def _take_back(session: Session, job: Job, now: datetime) -> None:
    if absorb_twin(session, job.id):
        job.attempts = 0  # an event came meanwhile
    together = job.batch > 1
    session.add(
        Attempt(
            job_id=job.id,
            started_at=job.started_at,
            ended_at=now,
            verdict="died",
            batch=job.batch,
            calls=[],
            sentence="its worker died, or was frozen, and lost the lease",
        )
    )
    job.died_at, job.holder, job.leased_until = job.leased_until, None, None
    job.alone = job.alone or together
    job.deaths += 0 if together else 1
    if job.deaths >= MAX_DEATHS:
        job.state, job.ended_at = State.FAILED, now
        job.sentence = (
            f"{job.deaths} workers died while they worked on this job alone. Look at the worker's log, then replay it."
        )
    else:
        job.state, job.due_at, job.rung_at = State.QUEUED, now, None


def _due(session: Session, now: datetime, ring_again: timedelta) -> list[Ring]:
    unrung = sa.or_(Job.rung_at.is_(None), Job.rung_at < now - ring_again)
    ids = (
        sa.select(Job.id)
        .where(Job.state == State.QUEUED, Job.due_at <= now, unrung, sa.not_(busy(Job)))
        .order_by(Job.due_at, Job.id)
        .limit(MOST_RINGS)
        .with_for_update(skip_locked=True)
    )
    due = list(session.scalars(ids))
    statement = (
        sa.update(Job).where(Job.id.in_(due)).values(rung_at=now).returning(Job.id, Job.kind, Job.lead, Job.invoice)
    )
    rows = session.execute(statement.execution_options(synchronize_session=False)) if due else ()
    return sorted((ring_of(row) for row in rows), key=lambda ring: ring.job_id)
