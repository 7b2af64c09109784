"""Claiming jobs, keeping their lease, and settling them.

A lease says that somebody is alive, and nothing about how long the work may take. The fence is `holder`: a claim's own name, which settling
must still find in the row. Whoever lost the lease settles nothing.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from worker.attempts import Attempt
from worker.database import Database
from worker.jobs import InvoiceRef, Job, Kind, LeadRef, Ring, State, busy, ring_of
from worker.verdicts import Done, Failed, Verdict, Wait


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job in a worker's hands."""

    id: int
    connection: str
    kind: Kind
    lead: LeadRef | None
    invoice: InvoiceRef | None
    attempts: int
    died_at: datetime | None
    recorded_at: datetime
    entered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Jobs of one connection and kind, taken together under one holder's name."""

    holder: str
    jobs: tuple[Claimed, ...]
    started_at: datetime

    @property
    def connection(self) -> str:
        """The connection that all of them belong to."""
        return self.jobs[0].connection

    @property
    def kind(self) -> Kind:
        """What all of them do."""
        return self.jobs[0].kind


def claim(database: Database, job_id: int, *, now: datetime, lease: timedelta, most: int) -> Claim | None:
    """Take the job that was rung for, and up to `most` in all of its due siblings; None if it is not to be had now.

    Busy subjects are passed over. A clash with another claim on PostgreSQL costs the clashing rows, never the claim.
    """
    holder = uuid.uuid4().hex
    try:
        with database.begin() as session:
            first = _take(session, [job_id], holder, now=now, lease=lease)
            if not first:
                return None
            if not first[0].alone and most > 1:
                siblings = _siblings(session, first[0], now=now, most=most - 1)
                first += _take_passing_over(session, siblings, holder, now=now, lease=lease)
            session.execute(
                sa.update(Job).where(Job.holder == holder, Job.state == State.RUNNING).values(batch=len(first))
            )
            return Claim(holder, tuple(_claimed(job) for job in first), now)
    except (IntegrityError, OperationalError):
        # Somebody else was faster, on this very subject: the sweep rings again for what is left.
        return None


def _take(session: Session, ids: Sequence[int], holder: str, *, now: datetime, lease: timedelta) -> list[Job]:
    statement = (
        sa.update(Job)
        .where(Job.id.in_(ids), Job.state == State.QUEUED, Job.due_at <= now, sa.not_(busy(Job)))
        .values(state=State.RUNNING, holder=holder, leased_until=now + lease, started_at=now, not_before=None)
        .returning(Job)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return sorted(session.scalars(statement), key=lambda job: job.id)


def _siblings(session: Session, first: Job, *, now: datetime, most: int) -> list[int]:
    statement = (
        sa.select(Job.id, Job.lead, Job.invoice)
        .where(
            Job.connection == first.connection, Job.kind == first.kind, Job.state == State.QUEUED,
            Job.due_at <= now, Job.alone.is_(False), sa.not_(busy(Job)),
        )
        .order_by(Job.due_at, Job.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )  # fmt: skip
    taken = {subject for subject in (first.lead, first.invoice) if subject}
    free: list[int] = []
    for row in session.execute(statement):
        subjects = {subject for subject in (row.lead, row.invoice) if subject}
        if not subjects & taken:
            taken |= subjects
            free.append(row.id)
    return sorted(free)


def _take_passing_over(
    session: Session, ids: Sequence[int], holder: str, *, now: datetime, lease: timedelta
) -> list[Job]:
    if not ids:
        return []
    try:
        with session.begin_nested():
            return _take(session, ids, holder, now=now, lease=lease)
    except IntegrityError:
        if len(ids) == 1:
            return []
    half = len(ids) // 2
    return [
        *_take_passing_over(session, ids[:half], holder, now=now, lease=lease),
        *_take_passing_over(session, ids[half:], holder, now=now, lease=lease),
    ]


def _claimed(job: Job) -> Claimed:
    return Claimed(
        id=job.id,
        connection=job.connection,
        kind=Kind(job.kind),
        lead=LeadRef.parse(job.lead) if job.lead else None,
        invoice=InvoiceRef.parse(job.invoice) if job.invoice else None,
        attempts=job.attempts,
        died_at=job.died_at,
        recorded_at=job.recorded_at,
        entered_at=job.entered_at,
    )


def holds(session: Session, holder: str) -> bool:
    """Whether this holder still has its jobs; they stay so until the transaction ends, for a sweep passes over locked rows."""
    mine = sa.select(Job.id).where(Job.holder == holder, Job.state == State.RUNNING).limit(1)
    return session.scalar(mine.with_for_update()) is not None


def renew(database: Database, holder: str, *, now: datetime, lease: timedelta) -> bool:
    """Keep the lease of whatever this holder still has; False if nothing is left to keep."""
    with database.begin() as session:
        statement = (
            sa.update(Job).where(Job.holder == holder, Job.state == State.RUNNING).values(leased_until=now + lease)
        )
        return bool(_rows(session.execute(statement)))


def settle(
    database: Database,
    claim: Claim,
    verdicts: Mapping[int, Verdict],
    *,
    now: datetime,
    calls: Sequence[Mapping[str, Any]] = (),
) -> list[Ring]:
    """Write the verdicts down and answer which due jobs about the same subjects are to be rung now.

    What this holder no longer has is passed over: somebody else does it, or did.
    """
    rings: list[Ring] = []
    for job in claim.jobs:
        if job.id in verdicts:
            rings += _settle_one(database, claim, job, verdicts[job.id], now=now, calls=calls)
    return rings


def _settle_one(
    database: Database,
    claim: Claim,
    job: Claimed,
    verdict: Verdict,
    *,
    now: datetime,
    calls: Sequence[Mapping[str, Any]],
) -> list[Ring]:
    for _ in range(3):  # a twin may be recorded between our look and our write: then the next look finds it
        try:
            with database.begin() as session:
                if not _write(session, claim, job, verdict, now=now):
                    return []
                session.add(
                    Attempt(
                        job_id=job.id,
                        started_at=claim.started_at,
                        ended_at=now,
                        verdict=type(verdict).__name__.lower(),
                        sentence=_sentence(verdict),
                        batch=len(claim.jobs),
                        calls=list(calls),
                    )
                )
                return _next(session, job, now=now)
        except IntegrityError:
            continue
    return []  # the lease lapses, and the sweep takes it from there


def _write(session: Session, claim: Claim, job: Claimed, verdict: Verdict, *, now: datetime) -> bool:
    if not _still_held(session, claim, job):
        return False
    values: dict[str, Any] = {"holder": None, "leased_until": None, "sentence": _sentence(verdict) or None}
    match verdict:
        case Done():
            values |= {"state": State.DONE, "ended_at": now, "alone": False}
            _close_failures(session, job)
        case Failed():
            values |= {"state": State.FAILED, "ended_at": now, "alone": False}
        case Wait():
            values |= _waiting(session, job, verdict, now)
    session.execute(sa.update(Job).where(Job.id == job.id).values(**values))
    return True


def _still_held(session: Session, claim: Claim, job: Claimed) -> bool:
    """The fence. It locks the row until the commit, so that nothing below is written by a holder who has lost it."""
    held = sa.and_(Job.id == job.id, Job.holder == claim.holder, Job.state == State.RUNNING)
    return bool(_rows(session.execute(sa.update(Job).where(held).values(holder=claim.holder))))


def _waiting(session: Session, job: Claimed, verdict: Wait, now: datetime) -> dict[str, Any]:
    due = now + timedelta(seconds=verdict.seconds)
    values: dict[str, Any] = {
        "state": State.QUEUED,
        "due_at": due,
        "rung_at": None,
        "not_before": due if verdict.hard else None,
        "attempts": job.attempts + 1 if verdict.counts else job.attempts,
        **({"alone": True} if verdict.alone else {}),
    }
    if absorb_twin(session, job.id):
        # An event came while this ran: that gives the attempts back, and pulls it to now unless a vendor's word forbids.
        values |= {"attempts": 0, "due_at": due if verdict.hard else now}
    return values


def absorb_twin(session: Session, job_id: int) -> bool:
    """Take the queued row with the same subject away, which an event recorded while this one ran; it was never claimed."""
    mine = sa.orm.aliased(Job)
    same = sa.exists().where(
        mine.id == job_id, mine.connection == Job.connection, mine.kind == Job.kind, mine.subject == Job.subject
    )
    statement = sa.delete(Job).where(Job.state == State.QUEUED, Job.id != job_id, same)
    return bool(_rows(session.execute(statement.execution_options(synchronize_session=False))))


def _close_failures(session: Session, job: Claimed) -> None:
    """A success closes what failed before about the same subject."""
    mine = sa.orm.aliased(Job)
    same = sa.exists().where(
        mine.id == job.id, mine.connection == Job.connection, mine.kind == Job.kind, mine.subject == Job.subject
    )
    statement = sa.update(Job).where(Job.state == State.FAILED, Job.id != job.id, same)
    session.execute(
        statement.values(state=State.DONE, sentence=f"done by job {job.id}").execution_options(
            synchronize_session=False
        )
    )


def _next(session: Session, job: Claimed, *, now: datetime) -> list[Ring]:
    """The job that waited for this one's subject: its own ring is spent."""
    about = [column == str(ref) for column, ref in ((Job.lead, job.lead), (Job.invoice, job.invoice)) if ref]
    if not about:
        return []
    row = session.execute(
        sa.select(Job.id, Job.kind, Job.lead, Job.invoice)
        .where(Job.state == State.QUEUED, Job.due_at <= now, sa.or_(*about))
        .order_by(Job.due_at, Job.id)
        .limit(1)
    ).first()
    return [ring_of(row)] if row else []


def _sentence(verdict: Verdict) -> str:
    match verdict:
        case Done():
            return verdict.note
        case Wait():
            return verdict.why
        case Failed():
            return verdict.sentence


def _rows(result: sa.Result[Any]) -> int:
    assert isinstance(result, sa.CursorResult)
    return int(result.rowcount)
