"""The sweep: takes lapsed leases back, and rings for whatever is due. Any number of sweeps may run at once."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from worker.attempts import Attempt
from worker.database import Database, UtcTime
from worker.jobs import Job, Kind, Ring, State, busy, is_in, ring_of
from worker.subjects import absorb_twin

# Deaths on a job alone before a person must look at it: a deploy and two accidents are no reason, a poisonous job is.
MAX_DEATHS = 5

# A ring stands in the queue behind others: to ring sooner again would only fill the queue with spent rings.
RING_AGAIN = timedelta(seconds=10)

# But a deal whose ring came while others of its connection were just being made (worker/choosing.py) waits for no more than that.
RING_CREATES_AGAIN = timedelta(seconds=3)

# Rings of one sweep: what is more waits two seconds for the next one.
MOST_RINGS = 500

_NOW = sa.bindparam("at", type_=UtcTime)

_LAPSED = (
    sa.select(Job)
    .where(is_in(State.RUNNING), Job.leased_until < _NOW)
    .limit(MOST_RINGS)  # in no order: for one by id, SQLite would read the whole table in it
    .with_for_update(skip_locked=True)
)

_DUE = (
    sa.select(Job.id)
    .where(
        is_in(State.QUEUED), Job.due_at <= _NOW, sa.not_(busy(Job)),
        sa.or_(
            Job.rung_at.is_(None), Job.rung_at < sa.bindparam("rung_before", type_=UtcTime),
            sa.and_(Job.kind == Kind.CREATE_INVOICE.value, Job.rung_at < sa.bindparam("create_rung_before", type_=UtcTime)),
        ),
    )
    .order_by(Job.due_at, Job.id)
    .limit(MOST_RINGS)
    .with_for_update(skip_locked=True)
)  # fmt: skip

_RUNG = (
    sa.update(Job)
    .where(Job.id.in_(sa.bindparam("ids", expanding=True)))
    .values(rung_at=_NOW)
    .returning(Job.id, Job.kind, Job.lead, Job.invoice)
    .execution_options(synchronize_session=False)
)


def sweep(database: Database, *, now: datetime, ring_again: timedelta = RING_AGAIN) -> list[Ring]:
    """Take back what dead workers held, and answer what to ring for."""
    with database.begin() as session:
        # in the order in which jobs are recorded, or two that wait for each other's places might wait for ever
        for job in sorted(_lapsed(session, now), key=_slot):
            _take_back(session, job, now)
        return _due(session, now, ring_again)


def _lapsed(session: Session, now: datetime) -> list[Job]:
    return list(session.scalars(_LAPSED, {"at": now}))


def _slot(job: Job) -> tuple[str, str, str]:
    return job.connection, job.kind, job.subject


def _take_back(session: Session, job: Job, now: datetime) -> None:
    if absorb_twin(session, job.id, _slot(job)):
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
    before = {"rung_before": now - ring_again, "create_rung_before": now - min(ring_again, RING_CREATES_AGAIN)}
    due = list(session.scalars(_DUE, {"at": now} | before))
    rows = session.execute(_RUNG, {"ids": due, "at": now}) if due else ()
    return sorted((ring_of(row) for row in rows), key=lambda ring: ring.job_id)
