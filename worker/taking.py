"""Which rows a claim takes: the job that was rung for, and its due siblings, whose subjects are free.

Statements are built once: their text is made when they are first used, and found again by each later use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from worker.database import UtcTime
from worker.jobs import Job, State, busy, is_in

_IDS: sa.BindParameter[int] = sa.bindparam("ids", expanding=True)
_NOW = sa.bindparam("at", type_=UtcTime)
_COLUMNS = (
    Job.id, Job.connection, Job.kind, Job.lead, Job.invoice, Job.attempts, Job.died_at, Job.recorded_at, Job.entered_at, Job.alone,
)  # fmt: skip


def _opaque(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """The same, with nothing in it that an index could be chosen for: the rows are found by their ids, not by walking through all that is due."""
    return sa.case((sa.and_(*conditions), sa.true()), else_=sa.false()) == sa.true()


_TAKE = (
    sa.update(Job)
    .where(Job.id.in_(_IDS), _opaque(is_in(State.QUEUED), Job.due_at <= _NOW, sa.not_(busy(Job))))
    .values(
        state=State.RUNNING, holder=sa.bindparam("by"), leased_until=sa.bindparam("until"), started_at=_NOW, not_before=None, batch=1
    )
    .returning(*_COLUMNS)
    .execution_options(synchronize_session=False)
)  # fmt: skip

_SIBLINGS = (
    sa.select(Job.id, Job.lead, Job.invoice)
    .where(
        Job.connection == sa.bindparam("of"), Job.kind == sa.bindparam("alike"), is_in(State.QUEUED),
        Job.due_at <= _NOW, Job.alone.is_(False), sa.not_(busy(Job)),
    )
    .order_by(Job.due_at, Job.id)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
)  # fmt: skip

_BATCH = (
    sa.update(Job)
    .where(Job.holder == sa.bindparam("by"), is_in(State.RUNNING))
    .values(batch=sa.bindparam("together"))
    .execution_options(synchronize_session=False)
)

Row = sa.Row[Any]


@dataclass(frozen=True, slots=True)
class Taker:
    """Takes rows in one transaction, under one holder's name."""

    session: Session
    holder: str
    now: datetime
    until: datetime

    def take(self, job_id: int, *, most: int) -> list[Row]:
        """The job that was rung for and its siblings, `most` in all; nothing if the job is not to be had now."""
        taken = self._take([job_id])
        if not taken or taken[0].alone or most <= 1:
            return taken
        taken += self._take_passing_over(self._siblings(taken[0], most - 1))
        if len(taken) > 1:
            self.session.execute(_BATCH, {"by": self.holder, "together": len(taken)})
        return taken

    def _take(self, ids: Sequence[int]) -> list[Row]:
        asked = {"ids": ids, "at": self.now, "by": self.holder, "until": self.until}
        return sorted(self.session.execute(_TAKE, asked), key=lambda row: row.id)

    def _siblings(self, first: Row, most: int) -> list[int]:
        asked = {"of": first.connection, "alike": first.kind, "at": self.now, "most": most}
        taken = {subject for subject in (first.lead, first.invoice) if subject}
        free: list[int] = []
        for row in self.session.execute(_SIBLINGS, asked):
            subjects = {subject for subject in (row.lead, row.invoice) if subject}
            if not subjects & taken:
                taken |= subjects
                free.append(row.id)
        return sorted(free)

    def _take_passing_over(self, ids: Sequence[int]) -> list[Row]:
        if not ids:
            return []
        try:
            with self.session.begin_nested():
                return self._take(ids)
        except IntegrityError:
            if len(ids) == 1:
                return []
        half = len(ids) // 2
        return [*self._take_passing_over(ids[:half]), *self._take_passing_over(ids[half:])]
