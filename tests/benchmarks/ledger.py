"""Claiming and settling jobs in a ledger with a thousand and with a million finished ones."""

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from stack.children import Children
from stack.plan import is_ours
from stack.processes import ROOT, inherited
from tests import servers
from tests.benchmarks.figures import Check, Row, Section, Table, median, number, percentile, ratio
from tests.benchmarks.sizes import Size
from worker import choosing, claims, jobs, sweep
from worker.attempts import Attempt
from worker.database import Database, open_database
from worker.jobs import Job, Kind, LeadRef, Wanted
from worker.verdicts import Done

TIMES_SMALL = 1.2
ACCOUNT, TENANT = 30_896_271, "5b96e86b-418e-48d8-8949-308c14aec278"
LEASE = timedelta(seconds=10)
BATCH = 50
STEPS = ("record 1", "choose", "claim 1", "settle 1", f"claim {BATCH}", f"settle {BATCH}", "sweep")
CHECKED = ("choose", "claim 1", "settle 1", f"claim {BATCH}", f"settle {BATCH}")

Times = dict[str, list[float]]


@dataclass(slots=True)
class Ledger:
    """A database with so many finished jobs, and how long each step took on it, in seconds."""

    kind: str
    finished: int
    database: Database
    times: Times = field(default_factory=lambda: defaultdict(list))
    leads: int = 10_000_000

    @contextmanager
    def timing(self, step: str) -> Iterator[None]:
        """How long the block takes is kept."""
        started = time.perf_counter()
        yield
        self.times[step].append(time.perf_counter() - started)

    def wishes(self, count: int) -> list[Wanted]:
        """Jobs about leads that nobody has heard of."""
        self.leads += count
        return [
            Wanted("acme", Kind.CREATE_INVOICE, lead=LeadRef(ACCOUNT, self.leads + n), delivery_id=1) for n in range(count)
        ]  # fmt: skip


def measure(folder: Path, size: Size, say: Callable[[str], None]) -> Section:
    """On both databases, in turns on the small and the large ledger, so that noise falls on both."""
    ledgers: list[Ledger] = []
    for kind in ("sqlite", "postgres"):
        with both(folder / kind, kind, size, say) as (small, large):
            for n in range(size.rounds + 10):
                for ledger in (small, large) if n % 2 else (large, small):
                    one_round(ledger, with_batch=n % 10 == 0)
                if n == 9:  # the first rounds only warm up
                    small.times.clear()
                    large.times.clear()
            ledgers += [small, large]
    return report(ledgers)


@contextmanager
def both(folder: Path, kind: str, size: Size, say: Callable[[str], None]) -> Iterator[list[Ledger]]:
    """A ledger of each size."""
    folder.mkdir(parents=True)
    folder.chmod(0o711)
    with Children(folder / "logs") as children:
        if kind == "sqlite":
            yield [made(kind, f"sqlite:///{folder.resolve() / f'{count}.db'}", count, say) for count in size.finished]
            return
        with (
            servers.own_postgres(children, folder / "pg") as server,
            servers.fresh_database(server.url) as few,
            servers.fresh_database(server.url) as many,
        ):
            yield [made(kind, url, count, say) for url, count in zip((few, many), size.finished, strict=True)]


def made(kind: str, url: str, finished: int, say: Callable[[str], None]) -> Ledger:
    """Migrated, and filled."""
    say(f"{kind} with {finished:,} finished jobs")
    env = inherited(os.environ, without=is_ours) | {"DATABASE_URL": url}
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"], env=env, cwd=ROOT, check=True, capture_output=True
    )
    ledger = Ledger(kind, finished, open_database(url, patience=600))
    fill(ledger)
    return ledger


def fill(ledger: Ledger) -> None:
    """One job that was really done, copied with other subjects, and its attempt with it: so columns to come are filled too."""
    one_round(ledger, with_batch=False)
    numbers = _numbers(ledger)
    number = sa.cast(numbers.c.n, sa.Text)
    lead, invoice = sa.literal(f"{ACCOUNT}:") + number, sa.literal(f"{TENANT}:") + number
    changed = {"subject": sa.literal("lead:") + lead, "lead": lead, "invoice": invoice}
    with ledger.database.begin() as session:
        for table, own in ((Job.__table__, changed), (Attempt.__table__, {"job_id": numbers.c.n})):
            assert isinstance(table, sa.Table)
            columns = [column for column in table.columns if column.name != "id"]
            chosen = sa.select(*(own.get(column.name, column) for column in columns)).select_from(
                sa.join(table, numbers, sa.true())
            )
            first = sa.select(sa.func.min(table.c.id)).scalar_subquery()
            session.execute(sa.insert(table).from_select(columns, chosen.where(table.c.id == first)))
    if ledger.kind == "postgres":  # what its autovacuum does by itself, a minute later
        with ledger.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
            session.execute(sa.text("VACUUM ANALYZE"))


def _numbers(ledger: Ledger) -> sa.FromClause:
    if ledger.kind == "postgres":
        return sa.select(sa.func.generate_series(1, ledger.finished).label("n")).subquery()
    first = sa.select(sa.literal(1).label("n")).cte("numbers", recursive=True)
    return first.union_all(sa.select(first.c.n + 1).where(first.c.n < ledger.finished))


def one_round(ledger: Ledger, *, with_batch: bool) -> None:
    """A job is recorded, claimed and settled; now and then a batch of them."""
    database, now = ledger.database, datetime.now(UTC)

    def record(count: int) -> int:
        with database.begin() as session:
            return jobs.record(session, ledger.wishes(count), now=now)[0]

    for count in (1, BATCH) if with_batch else (1,):
        with ledger.timing(f"record {count}"):
            first = record(count)
        with ledger.timing("choose"):
            ring = choosing.choose(database, Kind.CREATE_INVOICE, first, now=now)
        assert ring is not None
        with ledger.timing(f"claim {count}"):
            claim = claims.claim(database, first, now=now, lease=LEASE, most=BATCH)
        assert claim is not None
        assert len(claim.jobs) == count
        with ledger.timing(f"settle {count}"):
            claims.settle(database, claim, {job.id: Done("measured") for job in claim.jobs}, now=now)
    if with_batch:
        with ledger.timing("sweep"):
            sweep.sweep(database, now=now)


def report(ledgers: list[Ledger]) -> Section:
    """The section of the page; the small ledger of each database stands before the large one. Pure."""
    pairs = list(zip(ledgers[::2], ledgers[1::2], strict=True))
    small, large = pairs[0]
    columns = ("", f"{small.finished:,}: p50", "p95", f"{large.finished:,}: p50", "p95", "ratio of p50")
    return Section(
        name="ledger",
        title="The ledger at size",
        notes=(
            f"Recording, choosing, claiming and settling one job and {BATCH} at once, through the same functions as the product, in turns on a ledger with "
            f"{small.finished:,} and one with {large.finished:,} finished jobs, each with its attempt."
        ),
        tables=tuple(Table(pair[0].kind, columns, tuple(_row(pair, step) for step in STEPS)) for pair in pairs),
        checks=tuple(
            Check(f"{pair[0].kind}: {step}, times its time at {pair[0].finished:,}", _ratio(pair, step), TIMES_SMALL, " x")
            for pair in pairs
            for step in CHECKED
        ),
    )  # fmt: skip


def _row(pair: tuple[Ledger, Ledger], step: str) -> Row:
    cells = [f"{number(percentile(ledger.times[step], share) * 1000)} ms" for ledger in pair for share in (0.5, 0.95)]
    return step, *cells, f"{number(_ratio(pair, step))} x"


def _ratio(pair: tuple[Ledger, Ledger], step: str) -> float:
    few, many = (median(ledger.times[step]) for ledger in pair)
    return ratio(many, few)
