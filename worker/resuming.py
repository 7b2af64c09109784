"""Jobs of a lost connection wait, and don't fail: once somebody has connected again, they go on at once, and not when they next look."""

from collections.abc import Collection

import sqlalchemy as sa

from integrations.errors import Refusal
from worker.jobs import Job, Ring, State, is_in, ring_of
from worker.verdicts import reconnect
from worker.workshop import Workshop


def resume(workshop: Workshop, vendor: str, connections: Collection[str]) -> int:
    """Pull to now what waits for these connections to be connected again with the vendor, ring for it, and answer how much it is."""
    now = workshop.now()
    waiting = (
        is_in(State.QUEUED),
        Job.connection.in_(connections),
        Job.due_at > now,
        Job.sentence.in_([reconnect(reason, vendor) for reason in Refusal if reason is not Refusal.BLOCKED]),
    )
    pulled = (
        sa.update(Job)
        .where(*waiting)
        .values(due_at=now, rung_at=None)
        .returning(Job.id, Job.kind, Job.lead, Job.invoice)
        .execution_options(synchronize_session=False)
    )
    with workshop.database.begin() as session:
        rings: list[Ring] = [ring_of(row) for row in session.execute(pulled)]
    workshop.ring(rings)
    return len(rings)
