"""Measures: what is counted for machines that watch, beside what `status` shows to people."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from worker.jobs import Job, State, is_in

OPEN = (State.QUEUED, State.RUNNING, State.FAILED)


@dataclass(frozen=True, slots=True)
class OpenCount:
    """So many jobs of a connection and kind that have not come to a good end: queued, running or failed."""

    connection: str
    kind: str
    state: str
    jobs: int


def open_counts(session: Session) -> list[OpenCount]:
    """How many jobs of each connection are not done, each state by its own index. Of those that are done, there is none by connection."""
    counted = [
        sa.select(Job.connection, Job.kind, sa.literal(state.value), sa.func.count())
        .where(is_in(state))
        .group_by(Job.connection, Job.kind)
        for state in OPEN
    ]
    return [OpenCount(*row) for statement in counted for row in session.execute(statement)]
