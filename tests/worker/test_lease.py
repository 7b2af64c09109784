"""The lease in a worker's hands, in real time: a tenth of the usual."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from worker import claims
from worker.database import Database
from worker.jobs import Job
from worker.lease import Lease, boot_seconds
from worker.sweep import sweep

from .ledger import for_lead, record

LENGTH, EVERY = timedelta(seconds=1), timedelta(seconds=0.2)


def now() -> datetime:
    return datetime.now(UTC)


def begin(database: Database, *, since: float | None = None) -> tuple[int, Lease]:
    (job_id,) = record(database, for_lead(), now=now())
    taken = claims.claim(database, job_id, now=now(), lease=LENGTH, most=1)
    assert taken is not None
    started = boot_seconds() if since is None else since
    return job_id, Lease(database, taken.holder, since=started, length=LENGTH, every=EVERY, now=now)


def leased_until(database: Database, job_id: int) -> datetime | None:
    with database.reading() as session:
        return session.scalar(sa.select(Job.leased_until).where(Job.id == job_id))


def test_it_is_kept_for_as_long_as_the_work_takes(database: Database, until: Callable[..., object]):
    job_id, lease = begin(database)
    first = leased_until(database, job_id)
    with lease:
        until(lambda: (leased_until(database, job_id) or now()) > (first or now()) + LENGTH, 5)
        assert lease.is_held()
        assert sweep(database, now=now()) == []


def test_a_worker_that_was_frozen_past_it_may_not_write(database: Database):
    _, lease = begin(database, since=boot_seconds() - 2)
    assert not lease.is_held()


def test_whoever_was_replaced_notices(database: Database, until: Callable[..., object]):
    _, lease = begin(database)
    with lease:
        sweep(database, now=now() + timedelta(hours=1))
        until(lambda: not lease.is_held(), 5)
