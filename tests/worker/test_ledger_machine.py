"""The ledger as a state machine: deliver, ring, end in any way, die, thaw, let time pass, in any order.

The model knows who holds what; the ledger must agree: nobody else settles, one job about a subject runs at a time, no event is ever lost, and left alone
with workers that live, everything ends.
"""

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from worker import claims
from worker.claims import Claim
from worker.database import Database, open_database
from worker.jobs import Job, Kind, State
from worker.sweep import sweep
from worker.tables import METADATA
from worker.verdicts import Done, Failed, Verdict, Wait

from .ledger import LEASE, THEN, for_invoice, for_lead, record

LEADS = st.integers(1, 3)
VERDICTS = st.sampled_from(
    [Done(), Failed("no"), Wait(5, "broken"), Wait(2, "turn", counts=False), Wait(30, "theirs", hard=True)]
)


class Ledger(RuleBasedStateMachine):
    """What may happen, by anybody at any time."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = THEN
        self.held: list[Claim] = []  # by workers that live, whether or not their lease has lapsed
        self.frozen: list[Claim] = []
        with self.database.begin() as session:
            session.execute(sa.delete(Job))

    @rule(lead=LEADS, kind=st.sampled_from(["create", "sync"]))
    def deliver(self, lead: int, kind: str) -> None:
        """An event comes; whatever is going on, a job that is still to run must stand for it."""
        wish = for_lead(lead) if kind == "create" else for_invoice(f"inv-{lead}", lead_id=lead)
        (job_id,) = record(self.database, wish, now=self.now)
        assert self.row(job_id).state == State.QUEUED

    @rule(pick=st.integers(0, 50), most=st.sampled_from([1, 50]))
    def ring(self, pick: int, most: int) -> None:
        """A worker hears a ring, perhaps an old one."""
        ids = self.ids()
        if ids and (taken := claims.claim(self.database, ids[pick % len(ids)], now=self.now, lease=LEASE, most=most)):
            self.held.append(taken)

    @rule(pick=st.integers(0, 50), verdict=VERDICTS)
    def end(self, pick: int, verdict: Verdict) -> None:
        """A worker ends its attempt; whatever it no longer holds must not change by it."""
        if self.held:
            self.settle(self.held.pop(pick % len(self.held)), verdict)

    @rule(pick=st.integers(0, 50))
    def freeze(self, pick: int) -> None:
        """A worker dies, or is frozen: nobody hears of it until it thaws."""
        if self.held:
            self.frozen.append(self.held.pop(pick % len(self.held)))

    @rule(pick=st.integers(0, 50), verdict=VERDICTS)
    def thaw(self, pick: int, verdict: Verdict) -> None:
        """A frozen worker comes back and ends its attempt."""
        if self.frozen:
            self.settle(self.frozen.pop(pick % len(self.frozen)), verdict)

    @rule(seconds=st.sampled_from([1, 4, 9, 11, 40]))
    def pass_time(self, seconds: int) -> None:
        """Time passes; those who live renew their leases on the way."""
        self.now += timedelta(seconds=seconds)
        for taken in self.held:
            claims.renew(self.database, taken.holder, now=self.now, lease=LEASE)

    @rule()
    def sweep(self) -> None:
        """A housekeeper makes its round."""
        sweep(self.database, now=self.now)

    @invariant()
    def one_at_a_time(self) -> None:
        """At most one job about one lead, and one about one invoice, runs."""
        for column in (Job.lead, Job.invoice):
            with self.database.reading() as session:
                running = sa.select(column).where(Job.state == State.RUNNING, column.is_not(None))
                subjects = list(session.scalars(running))
            assert len(subjects) == len(set(subjects))

    @invariant()
    def nothing_hangs(self) -> None:
        """What runs has a lease that will lapse, and what is held by the living is theirs alone."""
        with self.database.reading() as session:
            rows = list(session.scalars(sa.select(Job).where(Job.state == State.RUNNING)))
        assert all(row.leased_until is not None and row.holder is not None for row in rows)
        living = {taken.holder for taken in self.held}
        assert {row.holder for row in rows} <= living | {taken.holder for taken in self.frozen}

    def teardown(self) -> None:
        """Left alone with workers that live, everything ends, and the last word on each subject is not a wait."""
        self.held, self.frozen = [], []
        for _ in range(60):
            self.now += timedelta(seconds=11)
            for ring in sweep(self.database, now=self.now):
                if taken := claims.claim(self.database, ring.job_id, now=self.now, lease=LEASE, most=50):
                    claims.settle(self.database, taken, {job.id: Done() for job in taken.jobs}, now=self.now)
            if not self.unfinished():
                return
        assert not self.unfinished()

    def settle(self, taken: Claim, verdict: Verdict) -> None:
        before = {job.id: self.row(job.id) for job in taken.jobs if self.exists(job.id)}
        others = {key: row for key, row in before.items() if row.holder != taken.holder}
        queued = set(self.queued_subjects())
        claims.settle(self.database, taken, {job.id: verdict for job in taken.jobs}, now=self.now)
        for key, row in others.items():
            if row.state in (State.RUNNING, State.QUEUED):
                assert (self.row(key).state, self.row(key).holder) == (row.state, row.holder)
        assert queued <= set(self.queued_subjects())  # whatever ends, an event that waits for its run goes on waiting

    def row(self, job_id: int) -> Job:
        with self.database.reading() as session:
            found = session.get(Job, job_id)
        assert found is not None
        return found

    def exists(self, job_id: int) -> bool:
        return job_id in self.ids()

    def ids(self) -> list[int]:
        with self.database.reading() as session:
            return list(session.scalars(sa.select(Job.id).order_by(Job.id)))

    def queued_subjects(self) -> list[tuple[str, str]]:
        with self.database.reading() as session:
            rows = session.execute(sa.select(Job.kind, Job.subject).where(Job.state == State.QUEUED))
            return [(Kind(row.kind), row.subject) for row in rows]

    def unfinished(self) -> int:
        with self.database.reading() as session:
            waiting = sa.select(sa.func.count()).where(Job.state.in_([State.QUEUED, State.RUNNING]))
            return session.scalar(waiting.select_from(Job)) or 0


def run(url: str, examples: int, steps: int) -> None:
    """Play it on this database."""
    database = open_database(url)
    METADATA.create_all(database.engine)
    machine = type("LedgerOn", (Ledger,), {"database": database})
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    told = settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks)
    try:
        run_state_machine_as_test(machine, settings=told)
    finally:
        database.close()


def test_the_ledger_holds_whatever_happens_on_sqlite():
    with TemporaryDirectory() as folder:
        run(f"sqlite:///{Path(folder) / 'ledger.db'}", examples=60, steps=30)


@pytest.mark.timeout(300)
def test_the_ledger_holds_whatever_happens_on_postgresql(fresh_postgres_url: str):
    run(fresh_postgres_url, examples=25, steps=30)
