"""Claiming jobs, keeping their lease, and settling them.

A lease says that somebody is alive, and nothing about how long the work may take. The fence is `holder`: a claim's own name, which settling
must still find in the row. Whoever lost the lease settles nothing.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from worker import attempts
from worker.database import Database, UtcTime, changed_rows
from worker.jobs import InvoiceRef, Job, Kind, LeadRef, Ring, State, Wanted, is_in
from worker.subjects import absorb_twin, close_failures, next_due
from worker.taking import Taker
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

    @property
    def subject(self) -> str:
        """What it is about, as the ledger's indexes have it."""
        return Wanted(self.connection, self.kind, lead=self.lead, invoice=self.invoice).subject

    @property
    def slot(self) -> tuple[str, str, str]:
        """What at most one queued job may stand for."""
        return self.connection, self.kind, self.subject


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


# Tries of a settlement that clashes: a twin may be recorded between our look and our write, and then the next look finds it.
TRIES = 3

_MINE = sa.and_(Job.holder == sa.bindparam("by"), is_in(State.RUNNING))

_ALL_OF_MINE = sa.select(Job.id, Job.batch).where(_MINE).order_by(Job.id).with_for_update()

_STILL_MINE = _ALL_OF_MINE.where(Job.id.in_(sa.bindparam("ids", expanding=True)))

_RENEW = (
    sa.update(Job)
    .where(Job.id.in_(sa.bindparam("ids", expanding=True)))
    .values(leased_until=sa.bindparam("until"))
    .execution_options(synchronize_session=False)
)

_END = (
    sa.update(Job)
    .where(Job.id == sa.bindparam("job"))
    .values(
        state=sa.bindparam("to"), sentence=sa.bindparam("said"), ended_at=sa.bindparam("at", type_=UtcTime), alone=False,
        holder=None, leased_until=None,
    )
)  # fmt: skip

_WAIT = (
    sa.update(Job)
    .where(Job.id == sa.bindparam("job"))
    .values(
        state=State.QUEUED, sentence=sa.bindparam("said"), due_at=sa.bindparam("due"), not_before=sa.bindparam("earliest"),
        attempts=sa.bindparam("failures"), alone=sa.or_(Job.alone, sa.bindparam("single")), rung_at=None, holder=None,
        leased_until=None,
    )
    .execution_options(synchronize_session=False)
)  # fmt: skip


def claim(
    database: Database, job_id: int, *, now: datetime, lease: timedelta, most: int, worker: str = ""
) -> Claim | None:
    """Take the job that was rung for, and up to `most` in all of its due siblings, in this worker's name; None if it is not to be had now.

    Busy subjects are passed over. A clash with another claim on PostgreSQL costs the clashing rows, never the claim.
    """
    holder = f"{worker}/{uuid.uuid4().hex}"
    try:
        with database.begin() as session:
            rows = Taker(session, holder, now, now + lease).take(job_id, most=most)
            return Claim(holder, tuple(_claimed(row) for row in rows), now) if rows else None
    except (IntegrityError, OperationalError):
        # Somebody else was faster, on this very subject: the sweep rings again for what is left.
        return None


def is_by(holder: str | None, worker: str) -> bool:
    """Whether this is the name of a claim of this worker's."""
    return holder is not None and holder.rpartition("/")[0] == worker


def _claimed(row: sa.Row[Any]) -> Claimed:
    return Claimed(
        id=row.id,
        connection=row.connection,
        kind=Kind(row.kind),
        lead=LeadRef.parse(row.lead) if row.lead else None,
        invoice=InvoiceRef.parse(row.invoice) if row.invoice else None,
        attempts=row.attempts,
        died_at=row.died_at,
        recorded_at=row.recorded_at,
        entered_at=row.entered_at,
    )


def holds(session: Session, holder: str) -> bool:
    """Whether this holder still has all of its jobs; they stay so until the transaction ends, for a sweep passes over locked rows."""
    return bool(_whole(session, holder))


def renew(database: Database, holder: str, *, now: datetime, lease: timedelta) -> bool:
    """Keep the lease of what this holder has claimed; False if any of it is no longer its own."""
    with database.begin() as session:
        ids = _whole(session, holder)
        kept = session.execute(_RENEW, {"ids": ids, "until": now + lease}) if ids else None
        return kept is not None and bool(changed_rows(kept))


def _whole(session: Session, holder: str) -> list[int]:
    """The jobs of a claim, locked; none of them where one is missing.

    A worker that is frozen while it writes keeps the row that it has locked from the sweep, and no other. It must not think that the
    claim is whole when it thaws: its handler works on all of it.
    """
    mine = session.execute(_ALL_OF_MINE, {"by": holder}).all()
    return [row.id for row in mine] if mine and len(mine) == mine[0].batch else []


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to be written down of a claim."""

    claim: Claim
    verdicts: Mapping[int, Verdict]
    now: datetime
    calls: Sequence[Mapping[str, Any]]

    def settle(self, database: Database, jobs: Sequence[Claimed]) -> list[Ring]:
        """In one transaction; where that clashes with an event of the same moment, in smaller and smaller ones."""
        for is_last in (*(False,) * (TRIES - 1), True):
            try:
                with database.begin() as session:
                    return self._write(session, jobs)
            except IntegrityError:
                if len(jobs) > 1:
                    half = len(jobs) // 2
                    return [*self.settle(database, jobs[:half]), *self.settle(database, jobs[half:])]
            except OperationalError:  # somebody's lock that took too long
                if is_last:
                    raise
        return []  # the lease lapses, and the sweep takes it from there

    def _write(self, session: Session, jobs: Sequence[Claimed]) -> list[Ring]:
        held = self._held(session, jobs)
        mine = [job for job in jobs if job.id in held]
        if mine:
            self._end(session, mine)
            self._wait(session, mine)
            attempts.write_down(session, [self._attempt(job) for job in mine], self.calls)
        return next_due(session, mine, now=self.now)

    def _held(self, session: Session, jobs: Sequence[Claimed]) -> set[int]:
        """The fence. It locks the rows until the commit, so that nothing below is written by a holder who has lost them."""
        asked = {"by": self.claim.holder, "ids": [job.id for job in jobs]}
        return set(session.scalars(_STILL_MINE, asked))

    def _end(self, session: Session, mine: Iterable[Claimed]) -> None:
        ended = [(job, verdict) for job in mine if not isinstance(verdict := self.verdicts[job.id], Wait)]
        close_failures(session, [job for job, verdict in ended if isinstance(verdict, Done)])
        rows = [
            {
                "job": job.id, "said": _sentence(verdict) or None, "at": self.now,
                "to": State.DONE if isinstance(verdict, Done) else State.FAILED,
            }
            for job, verdict in ended
        ]  # fmt: skip
        if rows:
            session.connection().execute(_END, rows)

    def _wait(self, session: Session, mine: Iterable[Claimed]) -> None:
        for job in mine:  # one by one: each takes its place in the queue before the next one does
            if isinstance(verdict := self.verdicts[job.id], Wait):
                session.execute(_WAIT, _waiting(session, job, verdict, self.now))

    def _attempt(self, job: Claimed) -> dict[str, Any]:
        verdict = self.verdicts[job.id]
        return {
            "job_id": job.id, "started_at": self.claim.started_at, "ended_at": self.now, "batch": len(self.claim.jobs),
            "verdict": type(verdict).__name__.lower(), "sentence": _sentence(verdict),
        }  # fmt: skip


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
    jobs = sorted((job for job in claim.jobs if job.id in verdicts), key=lambda job: job.subject)
    return Settlement(claim, verdicts, now, calls).settle(database, jobs) if jobs else []


def _waiting(session: Session, job: Claimed, verdict: Wait, now: datetime) -> dict[str, Any]:
    due = now + timedelta(seconds=verdict.seconds)
    values: dict[str, Any] = {
        "job": job.id,
        "said": verdict.why or None,
        "due": due,
        "earliest": due if verdict.hard else None,
        "failures": job.attempts + 1 if verdict.counts else job.attempts,
        "single": verdict.alone,
    }
    if absorb_twin(session, job.id, job.slot):
        # An event came while this ran: that gives the attempts back, and pulls it to now unless a vendor's word forbids.
        values |= {"failures": 0, "due": due if verdict.hard else now}
    return values


def _sentence(verdict: Verdict) -> str:
    match verdict:
        case Done():
            return verdict.note
        case Wait():
            return verdict.why
        case Failed():
            return verdict.sentence
