"""One worker's process without Celery: `python -m tests.worker.labour GO` works off all that is due, once the file GO is there."""

import sys
import time
from pathlib import Path

import sqlalchemy as sa

from worker.jobs import Job, Kind, State, is_in
from worker.run import attempt
from worker.settings import load
from worker.workshop import Workshop

# A process that nobody lets go, or whose jobs don't end, ends by itself.
PATIENCE = 240


def main(go: Path) -> None:
    """Attempt every job that is queued and due, again and again, until none is queued."""
    workshop = Workshop(load(needs=["worker"], env_file=None))
    deadline = time.monotonic() + PATIENCE
    print("ready", flush=True)
    while not go.exists():
        time.sleep(0.01)
    while (waiting := due(workshop)) and time.monotonic() < deadline:
        for job_id, kind in waiting:
            attempt(workshop, Kind(kind), job_id)
    workshop.close()


def due(workshop: Workshop) -> list[tuple[int, str]]:
    with workshop.database.reading() as session:
        return [
            (job_id, kind) for job_id, kind in session.execute(sa.select(Job.id, Job.kind).where(is_in(State.QUEUED)))
        ]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
