"""The acknowledgement of a webhook: our receiver against a bare view, in turns, on both databases; and without Redis."""

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import sqlalchemy as sa

from stack.plan import is_ours
from stack.processes import ROOT, answers_ok, inherited
from stack.redis import free_port
from tests import servers
from tests.benchmarks import crowd, load
from tests.benchmarks.figures import Check, Row, Section, Table, number, percentile, ratio, seconds
from tests.benchmarks.load import Load
from tests.benchmarks.place import APPROVED, Place, place
from tests.benchmarks.sizes import Size

CONNECTIONS = 32
SHARE_OF_FLOOR, TIMES_P99, SLOWEST = 0.6, 2.0, 1.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Compared:
    """Both sides on one database, and ours without a Redis: stopped, and frozen."""

    database: str
    ours: Load
    bare: Load
    shares: tuple[float, ...]
    """Ours by the bare one's answers a second, slice by slice."""
    stopped: Load
    frozen: Load


def measure(folder: Path, size: Size, say: Say) -> Section:
    """On SQLite and on PostgreSQL."""
    return report([compare(folder / kind, kind, size, say) for kind in ("sqlite", "postgres")])


def compare(folder: Path, database: str, size: Size, say: Say) -> Compared:
    """Slices in turns, so that noise falls on both."""
    with place(folder, factor=1, say=say, database=database) as here:
        here.processes.stop(*here.processes.of("beat"), *here.processes.of("worker"))
        bodies = webhooks(here)
        url = f"{here.processes['web.1'].url}/webhooks/kommo/{here.settings['KOMMO_WEBHOOK_TOKEN']}"
        with bare(here) as bare_url:
            ours, floor, shares = Load(), Load(), []
            for side in (url, bare_url):  # the first requests only warm up
                load.run(side, bodies, connections=CONNECTIONS, seconds=size.slice_seconds)
            for n in range(size.slices):
                pair = [(url, ours), (bare_url, floor)]
                got = []
                for side, total in pair if n % 2 else pair[::-1]:
                    got.append(load.run(side, bodies, connections=CONNECTIONS, seconds=size.slice_seconds))
                    total.add(got[-1])
                first, second = got if n % 2 else got[::-1]
                shares.append(first.rate / second.rate)
        say(f"{database}: without Redis")
        here.redis.stop()
        stopped = load.run(url, bodies, connections=CONNECTIONS, seconds=2 * size.slice_seconds)
        here.redis.start()
        load.run(url, bodies, connections=CONNECTIONS, seconds=size.slice_seconds)
        here.redis.child.signal(signal.SIGSTOP)
        frozen = load.run(url, bodies, connections=CONNECTIONS, seconds=2 * size.slice_seconds)
        here.redis.child.signal(signal.SIGCONT)
        return Compared(database, ours, floor, tuple(shares), stopped, frozen)


def webhooks(here: Place) -> Iterator[bytes]:
    """Bodies as Kommo sends them, each about another deal that came to the trigger stage: a delivery and a job each."""
    lead_id = crowd.deals(here, 1, crowd.clients(here, 1, "Ack"), "Ack")[0]
    here.sandbox.wait_idle(quiet=1, timeout=60)
    here.hooks()
    here.sandbox.post("kommo/leads/move", {"ids": [lead_id], **APPROVED})
    here.sandbox.wait_idle(quiet=1, timeout=60)
    body = next(hook["body"] for hook in here.hooks() if "leads%5Bstatus%5D" in hook["body"])
    return (body.replace(str(lead_id), str(number)).encode() for number in itertools.count(50_000_000))


@contextmanager
def bare(here: Place) -> Iterator[str]:
    """The bare view behind the very same settings of Gunicorn, with a database of its own on the same server."""
    port = free_port()
    with ExitStack() as opened:
        if here.database:
            url = opened.enter_context(servers.fresh_database(here.database.url))
        else:
            url = f"sqlite:///{here.folder.resolve() / 'bare.db'}"
        env = inherited(os.environ, without=is_ours) | {
            name: value for name, value in here.settings.items() if is_ours(name)
        }
        env |= {"BARE_DATABASE_URL": url, "BARE_REDIS_URL": here.redis.url, "PORT": str(port)}
        env["GUNICORN_CMD_ARGS"] = f"--bind 127.0.0.1:{port} --no-control-socket"
        make_table(url)
        command = [sys.executable, "-m", "gunicorn", "-c", "webhooks/gunicorn.py", "tests.benchmarks.bare:app"]
        child = here.children.start("bare", command, env=env, cwd=ROOT)
        opened.callback(here.children.stop, child)
        child.wait_ready(lambda: answers_ok(f"http://127.0.0.1:{port}/readyz"), 40)
        yield f"http://127.0.0.1:{port}/webhooks/kommo/{here.settings['KOMMO_WEBHOOK_TOKEN']}"


def make_table(url: str) -> None:
    """Its one table; the module that serves it opens a database as it is imported, so the shape stands here too."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        key = "SERIAL" if engine.dialect.name == "postgresql" else "INTEGER"
        binary = "BYTEA" if engine.dialect.name == "postgresql" else "BLOB"
        connection.execute(
            sa.text(f"CREATE TABLE received (id {key} PRIMARY KEY, at TIMESTAMP NOT NULL, body {binary} NOT NULL)")
        )
    engine.dispose()


# --- what it comes to (pure) ---------------------------------------------------------------------------------------------


def report(compared: list[Compared]) -> Section:
    """The section of the page."""
    return Section(
        name="ack",
        title="Acknowledging a webhook",
        notes=(
            f"{CONNECTIONS} connections, each webhook about another deal that came to the trigger stage. The floor is a Flask view that inserts one row and "
            "pushes one message to Redis (tests/benchmarks/bare.py), behind the same settings of Gunicorn, on the same database server and Redis. Both take "
            "turns in slices of a few seconds. The generator's own share of a core is shown: it must stay well below 1."
        ),
        tables=tuple(_table(one) for one in compared),
        checks=tuple(check for one in compared for check in _checks(one)),
    )


def _table(one: Compared) -> Table:
    loads = {"the product": one.ours, "bare": one.bare, "the product, Redis stopped": one.stopped, "the product, Redis frozen": one.frozen}  # fmt: skip
    columns = ("", "req/s", "p50", "p99", "most", "failed", "generator's share")
    return Table(one.database, columns, tuple(_row(who, load) for who, load in loads.items()))


def _row(who: str, load: Load) -> Row:
    times = (percentile(load.answers, 0.5), percentile(load.answers, 0.99), max(load.answers, default=0.0))
    share = f"{ratio(load.own_cpu, load.seconds):.2f}"
    return who, number(load.rate), *(seconds(time) for time in times), str(load.failed), share


def _checks(one: Compared) -> list[Check]:
    p99 = ratio(percentile(one.ours.answers, 0.99), percentile(one.bare.answers, 0.99))
    slowest = max(max(load.answers, default=0.0) for load in (one.stopped, one.frozen))
    failed = sum(load.failed for load in (one.ours, one.bare, one.stopped, one.frozen))
    return [
        Check(f"{one.database}: req/s by the floor's (median of the slices)", median(one.shares), SHARE_OF_FLOOR, at_least=True),
        Check(f"{one.database}: p99 by the floor's", p99, TIMES_P99),
        Check(f"{one.database}: slowest answer without Redis", slowest, SLOWEST, " s"),
        Check(f"{one.database}: failed, the floor's too", failed, 0),
    ]  # fmt: skip
