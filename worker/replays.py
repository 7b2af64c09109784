"""Jobs in an operator's hands: which there are, the failed ones again, and taking one back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from worker import jobs
from worker.database import Database
from worker.jobs import InvoiceRef, Job, Kind, LeadRef, Ring, State, Wanted, is_in

REPLAYABLE = frozenset({State.FAILED, State.CANCELLED})
ENDED = frozenset({State.DONE, State.FAILED, State.CANCELLED})
CANCELLABLE = frozenset({State.QUEUED, State.FAILED})

# Jobs in one transaction: many enough to be quick, few enough that the receiver never waits long for SQLite's one writer.
BATCH = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are meant; None and nothing mean all. `error` is a part of the sentence, whatever its case."""

    state: State | None = None
    kind: Kind | None = None
    connection: str | None = None
    error: str | None = None
    since: datetime | None = None


class Outcome(StrEnum):
    """What became of a wish about one job."""

    QUEUED = "queued"
    TWIN = "twin"  # one about the same was queued already
    CANCELLED = "cancelled"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a wish about one job, and in words; `queued_as` is the job that does it now."""

    job_id: int
    outcome: Outcome
    sentence: str
    queued_as: int | None = None


# Of those that are replayed together, the answer about the first of each connection, kind and subject: one run serves all of them.
Served = dict[tuple[str, str, str], Answer]


def find(session: Session, wanted: Filter, *, most: int | None = None) -> list[Job]:
    """The jobs that the filter means, the newest first."""
    conditions = [
        column == value
        for column, value in ((Job.kind, wanted.kind), (Job.connection, wanted.connection))
        if value is not None
    ]
    if wanted.state:
        conditions.append(is_in(wanted.state))
    if wanted.state is State.CANCELLED:  # the only rare state without an index of its own
        conditions.append(Job.ended_at.is_not(None))
    if wanted.error:
        conditions.append(Job.sentence.icontains(wanted.error, autoescape=True))
    chosen = sa.select(Job).where(*conditions)
    if wanted.since:
        return _newest(session, [chosen.where(touched) for touched in _touched(wanted.since)], most)
    if wanted.state not in (None, State.DONE):
        return _newest(session, [chosen], most)
    return list(session.scalars(chosen.order_by(Job.id.desc()).limit(most)))


def _newest(session: Session, few: Sequence[sa.Select[Any]], most: int | None) -> list[Job]:
    """Few are meant: they are found first and put in order then, instead of walking through all jobs in that order."""
    every = sa.union_all(*few).subquery()
    job = sa.orm.aliased(Job, every)
    return list(session.scalars(sa.select(job).order_by((job.id + 0).desc()).limit(most)))


def _touched(since: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Recorded, started or ended since: what has ended was touched by that last, and an index tells it."""
    ended = sa.and_(Job.state.in_(ENDED), Job.kind.in_(list(Kind)), Job.ended_at >= since)
    began = sa.or_(Job.recorded_at >= since, Job.started_at >= since)
    return ended, sa.and_(is_in(State.QUEUED), began), sa.and_(is_in(State.RUNNING), began)


def sentences(session: Session, wanted: Filter) -> list[str]:
    """What the jobs say that the filter means, each for itself."""
    return [job.sentence for job in find(session, wanted) if job.sentence]


def replay(database: Database, ids: Sequence[int], *, now: datetime) -> tuple[list[Answer], list[Ring]]:
    """Record the jobs again, each once, and answer what to ring for. The old ones stay as they are until a success closes them."""
    answers: list[Answer] = []
    rings: dict[int, Ring] = {}
    served: Served = {}
    for batch in _batches(ids):
        with database.begin() as session:
            some = _replay(session, batch, served, now=now)
            queued = [answer.queued_as for answer in some if answer.queued_as is not None]
            rings |= {ring.job_id: ring for ring in jobs.rings_for(session, queued)}
        answers += some
    return answers, list(rings.values())


def preview(session: Session, ids: Sequence[int], *, now: datetime) -> list[Answer]:
    """What `replay` would say, with nothing recorded."""
    served: Served = {}
    return [answer for batch in _batches(ids) for answer in _replay(session, batch, served, now=now, is_dry=True)]


def _replay(
    session: Session, ids: Sequence[int], served: Served, *, now: datetime, is_dry: bool = False
) -> list[Answer]:
    found = _by_id(session, ids)
    answers = []
    for job_id in ids:
        job = found.get(job_id)
        if job is None or job.state not in REPLAYABLE:
            answers.append(Answer(job_id, Outcome.REFUSED, _not_replayed(job_id, job)))
            continue
        key = (job.connection, job.kind, job.subject)
        if earlier := served.get(key):
            sentence = f"job {job_id} is about the same as job {earlier.job_id}: one run serves both"
            answers.append(Answer(job_id, Outcome.TWIN, sentence, earlier.queued_as))
            continue
        served[key] = _replay_one(session, job, now=now, is_dry=is_dry)
        answers.append(served[key])
    return answers


def _replay_one(session: Session, job: Job, *, now: datetime, is_dry: bool) -> Answer:
    twin = session.scalar(sa.select(Job.id).where(*_same(job), Job.state == State.QUEUED))
    queued_as = twin if is_dry else jobs.record(session, [_wish(job)], now=now)[0]
    if twin is not None:
        goes = "would go on now" if is_dry else "goes on now"
        sentence = f"job {job.id}: job {twin} about the same is queued already; it {goes}"
        return Answer(job.id, Outcome.TWIN, sentence, queued_as)
    if is_dry:
        return Answer(job.id, Outcome.QUEUED, f"job {job.id} would be queued again")
    return Answer(job.id, Outcome.QUEUED, f"job {job.id} is queued again, as job {queued_as}", queued_as)


def _same(job: Job) -> tuple[sa.ColumnElement[bool], ...]:
    return Job.connection == job.connection, Job.kind == job.kind, Job.subject == job.subject


def _wish(job: Job) -> Wanted:
    return Wanted(
        job.connection,
        Kind(job.kind),
        lead=LeadRef.parse(job.lead) if job.lead else None,
        invoice=InvoiceRef.parse(job.invoice) if job.invoice else None,
        delivery_id=job.delivery_id,
    )


def _not_replayed(job_id: int, job: Job | None) -> str:
    match job.state if job else None:
        case State.DONE:
            return f"job {job_id} is done: there is nothing to replay"
        case State.RUNNING:
            return f"job {job_id} is running: wait for its end"
        case State.QUEUED:
            return f"job {job_id} is queued already: it goes on by itself"
    return f"there is no job {job_id}"


def cancel(database: Database, ids: Sequence[int], *, now: datetime) -> list[Answer]:
    """Take queued or failed jobs back. One that runs can't be: its calls may be on their way."""
    answers = []
    for batch in _batches(ids):
        with database.begin() as session:
            answers += _cancel(session, batch, now=now)
    return answers


def _cancel(session: Session, ids: Sequence[int], *, now: datetime) -> list[Answer]:
    statement = (
        sa.update(Job)
        .where(Job.id.in_(ids), Job.state.in_(CANCELLABLE))
        .values(state=State.CANCELLED, ended_at=now, sentence="taken back by an operator")
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    cancelled = set(session.scalars(statement))
    found = _by_id(session, ids)
    return [
        Answer(job_id, Outcome.CANCELLED, f"job {job_id} is cancelled")
        if job_id in cancelled
        else Answer(job_id, Outcome.REFUSED, _not_cancelled(job_id, found.get(job_id)))
        for job_id in ids
    ]


def _not_cancelled(job_id: int, job: Job | None) -> str:
    match job.state if job else None:
        case State.RUNNING:
            return f"job {job_id} is running, and what it has sent can't be called back: let it end, or cancel it when it waits"
        case State.DONE:
            return f"job {job_id} is done: there is nothing to cancel"
        case State.CANCELLED:
            return f"job {job_id} is cancelled already"
    return f"there is no job {job_id}"


def _by_id(session: Session, ids: Sequence[int]) -> dict[int, Job]:
    return {job.id: job for job in session.scalars(sa.select(Job).where(Job.id.in_(ids)))}


def _batches(ids: Sequence[int]) -> list[list[int]]:
    once = list(dict.fromkeys(ids))
    return [once[start : start + BATCH] for start in range(0, len(once), BATCH)]
