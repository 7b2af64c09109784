"""The product as system tests start it: lines of the Procfile on a database and a Redis of their own, and the sandbox."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stack import books
from stack.books import Books
from stack.children import Children, until
from stack.plan import environment, is_ours
from stack.processes import Processes, inherited
from stack.redis import Redis, answers
from stack.sandbox import Sandbox, start_sandbox
from stack.trial import bring_up
from tests import servers

TIME_FACTOR = 10
"""How many times faster the vendors' minutes pass, for them and for our budgets alike: nobody should wait for a window here."""

KINDS = {"web": 2, "worker": 2, "beat": 2}

OFFER = {"pipeline": "Sales", "stage": "Offer"}
APPROVED = {"pipeline": "Sales", "stage": "Payment approved"}


@dataclass(frozen=True, slots=True)
class Product:
    """All that a system test may start, stop, ask or break."""

    sandbox: Sandbox
    processes: Processes
    redis: Redis
    database: servers.Postgres | None
    """None where the product runs on SQLite."""

    @property
    def postgres(self) -> servers.Postgres:
        """The server, to be stopped and started."""
        assert self.database, "this product runs on SQLite"
        return self.database

    def stands_on(self) -> dict[str, str]:
        """The servers' versions, for the last lines of a test run."""
        told = {"Redis": f"{answers(self.redis.url)}"}
        return told | ({"PostgreSQL": f"{servers.version(self.database.url)}"} if self.database else {})

    def books(self) -> Books:
        """Both vendors' books, now."""
        return books.read(self.sandbox.books())

    def deal(self, name: str, *, price: str = "100.00", **more: object) -> int:
        """A person types in a deal, which is not yet approved."""
        return int(self.sandbox.post("kommo/leads", {"name": name, "price": price, **OFFER, **more})["id"])

    def approve(self, *lead_ids: int) -> None:
        """A person moves deals into the trigger stage; one webhook for all of them."""
        self.sandbox.post("kommo/leads/move", {"ids": lead_ids, **APPROVED})

    def company(self, name: str) -> int:
        """A client of both systems: an invoice of it was made before."""
        self.approve(
            self.deal(
                f"First of {name}", company={"name": name, "email": f"{name.partition(' ')[0].lower()}@client.example"}
            )
        )
        self.settle()
        companies: list[dict[str, Any]] = self.sandbox.books()["kommo"]["companies"]
        return next(int(one["id"]) for one in companies if one["name"] == name)

    def settle(self, timeout: float = 60) -> None:
        """Until all is idle on both sides."""
        is_idle = False
        while not is_idle:
            until(lambda: not self.jobs_left(), timeout, what="the last job", pause=0.2)
            self.sandbox.wait_idle(quiet=1, timeout=timeout)
            is_idle = not self.jobs_left()  # the last webhook may have brought one that nobody has begun

    def jobs_left(self) -> int:
        """How many jobs still wait or run: asked of the ledger itself, since a command costs a second or two of a processor."""
        engine = sa.create_engine(self.processes.environment["DATABASE_URL"], poolclass=sa.NullPool)
        with engine.connect() as connection:
            left = connection.scalar(sa.text("SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')"))
        return int(left or 0)


@contextmanager
def product(
    children: Children,
    folder: Path,
    *,
    kinds: Mapping[str, int] = KINDS,
    on_sqlite: bool = False,
    keeps: bool = True,
    connects: bool = True,
    more: Mapping[str, str] | None = None,
) -> Iterator[Product]:
    """Up and connected; stopped in order at the end. `keeps`: Redis writes its own down; `more` are settings of the product.

    Without `connects`, nobody has connected anything yet.
    """
    with ExitStack() as opened:
        redis = servers.own_redis(children, folder / "redis", appendonly=keeps)
        redis.start()
        opened.callback(redis.stop)
        postgres = None if on_sqlite else opened.enter_context(servers.own_postgres(children, folder / "postgres"))
        sandbox = start_sandbox(
            children, folder, env=inherited(os.environ, without=is_ours), more=["--time-factor", str(TIME_FACTOR)]
        )
        assert sandbox.child
        opened.callback(children.stop, sandbox.child)
        opened.callback(sandbox.close)
        settings = environment(
            folder=folder, sandbox=sandbox.ready, redis_url=redis.url, database_url=postgres.url if postgres else None
        )
        processes = Processes(children, settings | {"BRIDGE_TIME_FACTOR": str(TIME_FACTOR)} | dict(more or {}))
        opened.callback(stop_all, processes)
        bring_up(processes, sandbox, kinds=kinds, say=print, connects=connects)
        yield Product(sandbox, processes, redis, postgres)


def stop_all(processes: Processes) -> None:
    """Asked first are those who would ask the others."""
    for kind in ("flower", "console", "beat", "worker", "web"):
        processes.stop(*processes.of(kind))
