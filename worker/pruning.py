"""Pruning: what has ended long ago is taken away, a few hundred rows at a time, so that nobody waits for it.

Ages count from the last thing that happened to a deal, not from the row: what is told of a deal is told whole, or, long after, by its link alone.
Nothing goes that is still needed: links and clients stay for ever, sends until their outcome is known, jobs until they are done, and what is said
of a job that failed as long as it waits for a person. The newest row of each table stays too: SQLite counts on from it, so that no number is given
twice, and a restored database is told by its sends.

SQLite gives the freed pages to the next rows and keeps its file as large as it ever was (no `auto_vacuum`): a ledger that takes in as much as it lets
go needs them again at once, and giving them back moves others about in every commit. Who wants the file smaller runs VACUUM while nothing works.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import InstrumentedAttribute

from worker.attempts import Attempt
from worker.database import Base, BigId, Database, UtcTime, changed_rows
from worker.deliveries import Delivery, Mention
from worker.jobs import Job, State
from worker.sends import Send
from worker.settings import Keeping

log = structlog.get_logger()

# Rows that one step looks at: their locks, and SQLite's one writer, are let go within some hundredths of a second.
MOST = 500
# When all has been walked through, this long nothing is old enough that was not before.
REST = timedelta(hours=1)

_BEFORE = sa.bindparam("before", type_=UtcTime)
_PROBLEMS_BEFORE = sa.bindparam("problems_before", type_=UtcTime)
_AFTER: sa.BindParameter[int] = sa.bindparam("after", type_=BigId)

LIVE = (State.QUEUED, State.RUNNING, State.FAILED)
ENDED = (State.DONE, State.CANCELLED)


def _is_fresh(job: Any) -> sa.ColumnElement[bool]:
    """Whether the job is still to be done, or has ended since."""
    return sa.or_(job.state.in_(LIVE), job.ended_at >= _BEFORE)


def _is_one_fresh(about: Callable[[Any], sa.ColumnElement[bool]], other_than: Any) -> sa.ColumnElement[bool]:
    """Whether one of the jobs that `about` chooses is fresh, other than one.

    Without "other than", PostgreSQL might read all jobs at each step, to have the answers for all rows at hand.
    """
    job = sa.orm.aliased(Job)
    return sa.exists().where(about(job), job.id != other_than, _is_fresh(job))


def _deal_is_fresh(mine: Any) -> sa.ColumnElement[bool]:
    """Whether anything happened to the job's deal or invoice since."""
    by_lead = _is_one_fresh(lambda job: job.lead == mine.lead, mine.id)
    by_invoice = _is_one_fresh(lambda job: job.invoice == mine.invoice, mine.id)
    return sa.or_(_is_fresh(mine), by_lead, by_invoice)


def _of_fresh_job() -> sa.ColumnElement[bool]:
    mine = sa.orm.aliased(Job)
    return sa.exists().where(mine.id == Attempt.job_id, _deal_is_fresh(mine))


def _speaks_of_fresh_deal() -> sa.ColumnElement[bool]:
    mention = sa.orm.aliased(Mention)
    lead = sa.func.substr(mention.subject, len("lead:") + 1)
    invoice = sa.func.substr(mention.subject, len("invoice:") + 1)
    nobody = -mention.delivery_id
    fresh = sa.or_(
        _is_one_fresh(lambda job: job.lead == lead, nobody), _is_one_fresh(lambda job: job.invoice == invoice, nobody)
    )
    return sa.exists().where(mention.delivery_id == Delivery.id, fresh)


def _is_named() -> sa.ColumnElement[bool]:
    other = sa.orm.aliased(Attempt)
    return sa.exists().where(other.told_in == Attempt.id)


@dataclass(frozen=True, slots=True)
class Walk:
    """A table, walked through by its ids from the oldest row to the first that is too young. `age` grows with the ids."""

    table: type[Base]
    age: InstrumentedAttribute[datetime]
    goes: sa.ColumnElement[bool]

    @property
    def name(self) -> str:
        """The table's."""
        return str(self.table.__tablename__)

    def look(self) -> sa.Select[Any]:
        """The next rows: their ids, their ages, and whether they go."""
        own_id = sa.inspect(self.table).columns["id"]
        newest = sa.select(sa.func.max(own_id)).scalar_subquery()
        goes = sa.case((self.goes, 1), else_=0).label("goes")
        return (
            sa.select(own_id, self.age.label("age"), goes)
            .where(own_id > _AFTER, own_id < newest)
            .order_by(own_id)
            .limit(MOST)
        )

    def remove(self) -> sa.Delete:
        """Takes rows away by their ids."""
        own_id = sa.inspect(self.table).columns["id"]
        return sa.delete(self.table).where(own_id.in_(sa.bindparam("ids", expanding=True)))


DELIVERIES = Walk(
    Delivery,
    Delivery.received_at,
    sa.case(
        (Delivery.problem.is_not(None), Delivery.received_at < _PROBLEMS_BEFORE),
        else_=sa.and_(Delivery.received_at < _BEFORE, sa.not_(_speaks_of_fresh_deal())),
    ),
)
ATTEMPTS = Walk(
    Attempt, Attempt.ended_at, sa.and_(Attempt.ended_at < _BEFORE, sa.not_(_of_fresh_job()), sa.not_(_is_named()))
)
JOBS = Walk(Job, Job.recorded_at, sa.and_(Job.state.in_(ENDED), Job.ended_at < _BEFORE, sa.not_(_deal_is_fresh(Job))))
SENDS = Walk(Send, Send.sent_at, Send.closed_at < _BEFORE)

# Jobs last: by them the others know whether a deal is fresh.
WALKS = (DELIVERIES, ATTEMPTS, SENDS, JOBS)
_LOOKS = {walk.name: walk.look() for walk in WALKS}
_REMOVALS = {walk.name: walk.remove() for walk in WALKS}


class Pruner:
    """Walks through the tables step by step, and rests when it is through. Any number of them may be at it."""

    def __init__(self, keeping: Keeping) -> None:
        self._days = {
            DELIVERIES.name: keeping.deliveries_days,
            ATTEMPTS.name: keeping.attempts_days,
            SENDS.name: keeping.sends_days,
            JOBS.name: keeping.jobs_days,
        }
        self._problems = timedelta(days=keeping.problems_days)
        self._place = 0
        self._after = 0
        self._rests_until: datetime | None = None

    def step(self, database: Database, *, now: datetime) -> int:
        """Look at the next few hundred rows, and take away what goes of them; how many that were."""
        if self._rests_until is not None and now < self._rests_until:
            return 0
        walk = WALKS[self._place]
        before = now - timedelta(days=self._days[walk.name])
        asked = {"after": self._after, "before": before, "problems_before": now - self._problems}
        with database.reading() as session:
            rows = session.execute(_LOOKS[walk.name], asked).all()
        removed = self._remove(database, walk, [row.id for row in rows if row.goes])
        self._go_on(rows, before, now)
        return removed

    def _remove(self, database: Database, walk: Walk, ids: list[int]) -> int:
        if not ids:
            return 0
        with database.begin() as session:
            removed = changed_rows(session.connection().execute(_REMOVALS[walk.name], {"ids": ids}))
        log.info("pruned", table=walk.name, rows=removed)
        return removed

    def _go_on(self, rows: Sequence[Any], before: datetime, now: datetime) -> None:
        """To the next rows; from the last ones that are old enough to the next table; from the last table to rest."""
        latest = max(before, now - self._problems)  # whichever of a delivery's two ages is shorter
        if len(rows) == MOST and rows[-1].age < latest:
            self._after = rows[-1].id
            return
        self._after = 0
        self._place = (self._place + 1) % len(WALKS)
        self._rests_until = now + REST if self._place == 0 else None
