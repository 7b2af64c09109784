"""The housekeeper: `celery -A worker.app beat -S worker.beat.Housekeeper`. Any number of them may run.

It does its rounds in its own process instead of sending them to the workers, so that the sweep waits behind no job, needs no Redis, and fills no
page of Flower. What makes calls is sent, since it may take a while, and so is the canary, which shows that rings are heard. Each round does the same whether it is done once or twice.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

import structlog
from celery.beat import Scheduler

from worker import cursors, jobs, keeping, overdue, sweep, telling, uninstalls, watching
from worker.pruning import Pruner
from worker.workshop import Workshop

log = structlog.get_logger()

# A due date passes at midnight somewhere: within this, the deal says so.
OVERDUE_EVERY = 600.0
# What is mended in Xero (a currency, an account) tells nobody; deals that wait for it ask again this often.
BOOKS_EVERY = 900.0
CANARY_EVERY = 30.0
# A reconciliation that could not be brought to its end (no turn, a lost connection, a worker that died) is tried again this much sooner.
RECONCILE_LOOKS = 15
# A step of pruning takes 500 rows at most: some millions a day, should it come to that, and nobody waits for any of them.
PRUNE_EVERY = 5.0
# What has come is judged at once: the grant must be known as refused within a minute, and calls are wasted until then.
UNINSTALLS_EVERY = 5.0
# A refusal is to be told within a minute; it is one read, of a few rows.
ACCESS_EVERY = 20.0
# Whether it is time to check everything, and to send what was not taken before.
LOOK_EVERY = 20.0
TELL_EVERY = 10.0
# A week's grace is not in a hurry, but a vendor that could not be reached is asked again within the hour.
KEEP_ALIVE_EVERY = 3600.0


class Send(Protocol):
    """Sends one of Celery's tasks, unless it can't be heard within so many seconds."""

    def __call__(self, task: str, expires: float, *arguments: str) -> None: ...


class Rounds:
    """The housekeeping rounds, each with the seconds between two of it."""

    def __init__(self, workshop: Workshop, send: Send) -> None:
        self._workshop = workshop
        self._send = send
        self._pruner = Pruner(workshop.settings.keeping)
        self._next: dict[str, float] = {}
        self._all: dict[str, tuple[float, Callable[[], None]]] = {
            "sweep": (workshop.settings.timing.sweep_seconds, self.sweep),
            "overdue": (OVERDUE_EVERY, self.overdue),
            "books": (BOOKS_EVERY, self.books),
            "canary": (CANARY_EVERY, lambda: send("canary", CANARY_EVERY)),
            "prune": (PRUNE_EVERY, self.prune),
            "reconcile": (workshop.settings.timing.reconcile_seconds / RECONCILE_LOOKS, self.reconcile),
            "uninstalls": (UNINSTALLS_EVERY, lambda: uninstalls.judge(workshop)),
            "access": (ACCESS_EVERY, lambda: watching.look_at_access(workshop)),
            "look": (min(LOOK_EVERY, workshop.settings.timing.check_seconds), self.look),
            "keep_alive": (KEEP_ALIVE_EVERY, self.keep_alive),
            "tell": (TELL_EVERY, self.tell),
        }

    def run_due(self, at: float) -> float:
        """Do what is due at this moment (monotonic seconds), and answer the seconds until the next round."""
        for name, (every, round_) in self._all.items():
            if self._next.get(name, 0.0) <= at:
                self._next[name] = at + every
                self._do(name, round_)
        return max(min(self._next.values()) - time.monotonic(), 0.05)

    def sweep(self) -> None:
        """Take lapsed leases back, and ring for what is due."""
        workshop = self._workshop
        workshop.ring(sweep.sweep(workshop.database, now=workshop.now()))

    def overdue(self) -> None:
        """Record jobs for invoices whose due date has passed."""
        self._record(overdue.past_due)

    def books(self) -> None:
        """Record jobs for deals that wait for a mend in Xero."""
        self._record(overdue.waiting_for_books)

    def prune(self) -> None:
        """Take a few hundred rows away that have ended long ago."""
        self._pruner.step(self._workshop.database, now=self._workshop.now())

    def reconcile(self) -> None:
        """Have a worker compare both systems of each connection that was not for long; whoever comes second finds the first one at it."""
        workshop = self._workshop
        every = timedelta(seconds=workshop.settings.timing.reconcile_seconds)
        with workshop.database.reading() as session:
            due = [
                name for name in workshop.connections if cursors.is_due(session, name, now=workshop.now(), every=every)
            ]
        for name in due:
            self._send("reconcile", every.total_seconds() / RECONCILE_LOOKS, name)

    def look(self) -> None:
        """Have a worker check everything, once an hour, and a minute after something was seen to fail."""
        workshop = self._workshop
        every = timedelta(seconds=workshop.settings.timing.check_seconds)
        with workshop.database.reading() as session:
            due = watching.is_due(session, now=workshop.now(), every=every)
        if due:
            self._send("look", LOOK_EVERY)

    def keep_alive(self) -> None:
        """Have a worker renew the consents that nobody has used for long."""
        with self._workshop.database.reading() as session:
            due = keeping.due(session, now=self._workshop.now())
        if due:
            self._send("keep_alive", KEEP_ALIVE_EVERY)

    def tell(self) -> None:
        """Have a worker send what the operator is to be told."""
        with self._workshop.database.reading() as session:
            due = telling.is_due(session, now=self._workshop.now())
        if due:
            self._send("tell", TELL_EVERY)

    def _record(self, find: Callable[..., list[jobs.Wanted]]) -> None:
        workshop = self._workshop
        with workshop.database.begin() as session:
            ids = jobs.record(session, find(session, now=workshop.now()), now=workshop.now())
            rings = jobs.rings_for(session, ids)
        workshop.ring(rings)

    def _do(self, name: str, round_: Callable[[], None]) -> None:
        try:
            round_()
        except Exception as error:  # noqa: BLE001  (a round that fails is done again; the others must go on)
            log.warning("round_failed", round=name, error=type(error).__name__, detail=str(error).splitlines()[:1])


class Housekeeper(Scheduler):
    """Celery beat's scheduler, which ticks our rounds. It keeps no file: two in one folder do each other no harm."""

    def __init__(self, app: Any, *args: Any, **kwargs: Any) -> None:
        from worker.app import settings  # noqa: PLC0415  (imported by Celery's beat, which has the app by then)

        def send(task: str, expires: float, *arguments: str) -> None:
            app.send_task(task, args=arguments, retry=False, expires=expires)

        self._rounds = Rounds(Workshop(settings), send)
        super().__init__(app, *args, **kwargs)

    def tick(self, *_: Any, **__: Any) -> float:
        """Do what is due, and answer how long to sleep."""
        return self._rounds.run_due(time.monotonic())
