"""Where it is measured: the product's own processes and the sandbox, on servers of their own, as one machine runs them."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stack.children import Children, until
from stack.plan import CONNECTION, environment, is_ours
from stack.processes import Processes, inherited
from stack.redis import Redis
from stack.sandbox import Sandbox, start_sandbox
from stack.trial import bring_up
from tests import servers
from tests.benchmarks import calllog
from tests.benchmarks.floor import MINUTE, Pace

Say = Callable[[str], None]
Json = Mapping[str, Any]

# As the Procfile starts them on a small machine; each web has two processes, and each worker a child a core.
KINDS = {"web": 1, "worker": 1, "beat": 1}

# Nobody calls for so long: all echoes of our own writes have come, and a sweep (2 s) has found nothing.
QUIET = 2.5

# What the bursts take together is several days' calls to Xero, and none of them ends in here: see burst.report.
DAY_LIMIT = 100_000

LEFT = sa.text("SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')")

OFFER = {"pipeline": "Sales", "stage": "Offer"}
APPROVED = {"pipeline": "Sales", "stage": "Payment approved"}


@dataclass(slots=True)
class Place:
    """All that stands. `invoiced` are the deals that have an unpaid invoice, left by earlier measurements for later ones."""

    folder: Path
    children: Children
    sandbox: Sandbox
    processes: Processes
    redis: Redis
    pace: Pace
    database_url: str
    database: servers.Postgres | None
    say: Say
    engine: sa.Engine
    invoiced: list[int] = field(default_factory=list)
    companies: list[int] = field(default_factory=list)
    last_hook: int = 0

    @property
    def settings(self) -> Mapping[str, str]:
        """The environment of the product's processes."""
        return self.processes.environment

    def answer_in(self, milliseconds: float) -> None:
        """Every answer of a vendor takes at least so long from now on."""
        self.sandbox.patch("settings", {"answer_ms": dict.fromkeys(("kommo", "drive", "xero"), milliseconds)})

    def settle(self, timeout: float = 300) -> None:
        """Until nothing is left to do and nobody calls."""
        until(lambda: not self.jobs_left(), timeout, what="the last job", pause=0.5)
        self.sandbox.wait_idle(quiet=QUIET, timeout=timeout)

    def jobs_left(self) -> int:
        """How many jobs wait or run; asked of the database, since a command takes seconds to start on a busy machine."""
        with self.engine.connect() as connection:
            return int(connection.scalar(LEFT) or 0)

    def rest(self, timeout: float = 300) -> None:
        """Idle, and for so long that every minute of the vendors' is empty again."""
        self.settle(timeout)
        time.sleep(MINUTE * 1.1 / self.pace.factor)

    def hooks(self) -> list[dict[str, Any]]:
        """The webhooks that were made since the last time that this was asked."""
        found: list[dict[str, Any]] = self.sandbox.get("webhooks", after=self.last_hook)
        self.last_hook = max((one["id"] for one in found), default=self.last_hook)
        return found

    def calls(self, mark: int) -> list[calllog.Call]:
        """The calls after that one."""
        return calllog.read(self.sandbox.calls_after(mark))


@contextmanager
def place(
    folder: Path, *, factor: float, say: Say, database: str = "sqlite", second: Mapping[str, str] | None = None
) -> Iterator[Place]:
    """Up and connected; ended in order. `second` names a further connection, in the words of its part of the connections file."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    with ExitStack() as opened:
        children = opened.enter_context(Children(folder / "logs"))
        redis = servers.own_redis(children, folder / "redis")
        redis.start()
        opened.callback(redis.stop)
        postgres = (
            opened.enter_context(servers.own_postgres(children, folder / "pg")) if database == "postgres" else None
        )
        sandbox = start_sandbox(
            children,
            folder,
            env=inherited(os.environ, without=is_ours),
            more=["--time-factor", str(factor)],
        )
        assert sandbox.child
        opened.callback(children.stop, sandbox.child)
        opened.callback(sandbox.close)
        url = postgres.url if postgres else f"sqlite:///{folder.resolve() / 'bridge.db'}"
        settings = environment(folder=folder, sandbox=sandbox.ready, redis_url=redis.url, database_url=url)
        sandbox.patch("settings", {"xero": {"day_limit": DAY_LIMIT}})
        with (folder / "connections.toml").open("a", encoding="utf-8") as file:
            file.write(DAY)
            if second:
                file.write(SECOND.format(**second) + DAY)
        processes = Processes(children, settings | {"BRIDGE_TIME_FACTOR": f"{factor:g}"} | tuned(os.environ))
        opened.callback(stop_product, processes)
        bring_up(processes, sandbox, kinds=KINDS, say=say)
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        yield Place(folder, children, sandbox, processes, redis, Pace(factor, 0.0), url, postgres, say, engine)


def tuned(environ: Mapping[str, str]) -> dict[str, str]:
    """Settings of the product that whoever measures wants to try: BRIDGE_..., and how many processes."""
    names = ("CELERY_WORKER_CONCURRENCY", "WEB_CONCURRENCY")
    return {name: value for name, value in environ.items() if name.startswith("BRIDGE_") or name in names}


def stop_product(processes: Processes) -> None:
    """Asked first are those who would ask the others."""
    for kind in ("flower", "beat", "worker", "web"):
        alive = [name for name in processes.of(kind) if processes[name].child.is_alive]
        processes.stop(*alive)


def silence_product(place: Place) -> None:
    """Stop the product, and have the vendors forget where its webhooks went."""
    stop_product(place.processes)
    for hook in place.sandbox.books()["kommo"]["webhooks"]:
        place.sandbox.post("kommo/webhooks/disable", {"destination": hook["destination"]})
    place.sandbox.delete("xero/webhook")


DAY = f"""
[connection.limits]
xero_day = {DAY_LIMIT}
"""

SECOND = """
[[connection]]
name = "{name}"
kommo_subdomain = "acme"
xero_tenant_id = "{tenant}"

[connection.trigger]
pipeline = "{pipeline}"
stage = "{stage}"

[connection.invoice]
status = "AUTHORISED"
account_code = "200"
tax_type = "OUTPUT2"
line_amounts = "Exclusive"
due_days = 14
"""

FIRST = CONNECTION
