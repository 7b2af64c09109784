"""Choosing: a ring says that there is work of a kind; whose it is, the ledger says.

Rings come in the order in which they were rung, so that behind a burst of a thousand deals of one connection a single deal of another would
wait for a thousand rings. So whoever hears a ring takes the job of the connection that has the least in hand, and whoever is done rings again
while there is more.

A child is never taken from under a new deal that may come: what can wait, and a burst, leave one of a worker's children free.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

import celeryconfig
from worker import routes
from worker.claims import is_by
from worker.database import Database, UtcTime
from worker.jobs import Job, Kind, Ring, State, busy, is_in, ring_of

# What can wait: nobody looks on while a PDF is fetched.
LATER = frozenset({Kind.SYNC_STATUS, Kind.ATTACH_INVOICE})

USUAL_CHILDREN: int = celeryconfig.worker_concurrency


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker by the name that its children claim under, and how many it has."""

    name: str = ""
    children: int = USUAL_CHILDREN

    @property
    def most_later(self) -> int:
        """So many of them may be at what can wait."""
        return max(self.children // 2, 1)

    @property
    def most_of_one(self) -> int:
        """So many may make one connection's new invoices and deals, where there are several connections."""
        return max(self.children - 2, 1)

    @property
    def most_together(self) -> int:
        """So many may do either, the one connection's and what can wait: the last child is for another connection's new deal."""
        return max(self.children - 1, 1)


USUAL = Worker()

# While one attempt makes a connection's invoices, deals that come meanwhile wait for it, and share the next call of its sixty a minute. One that
# takes longer than this (it waits for turns, or Xero does not answer) holds up nobody.
TOGETHER: Mapping[Kind, timedelta] = {Kind.CREATE_INVOICE: timedelta(seconds=2)}

_NOW = sa.bindparam("at", type_=UtcTime)
_DUE = sa.and_(is_in(State.QUEUED), Job.kind == sa.bindparam("alike", type_=sa.Text), Job.due_at <= _NOW)
_OF_ONE = sa.select(Job.id, Job.kind, Job.lead, Job.invoice).where(
    _DUE, Job.connection == sa.bindparam("of", type_=sa.Text), sa.not_(busy(Job))
)

_WAITING = sa.select(Job.connection, sa.func.min(Job.due_at).label("since")).where(_DUE).group_by(Job.connection)

_HANDS = sa.select(Job.holder, Job.connection, Job.kind).where(is_in(State.RUNNING)).distinct()

_MAKING = sa.select(Job.connection).where(
    is_in(State.RUNNING),
    Job.kind == sa.bindparam("alike", type_=sa.Text),
    Job.started_at.between(sa.bindparam("since", type_=UtcTime), _NOW),  # the clock of another host may be ahead
    sa.not_(Job.alone),
)

_RUNG = _OF_ONE.where(Job.id == sa.bindparam("rung"))

_OLDEST = _OF_ONE.order_by(Job.due_at, Job.id).limit(1)


@dataclass(frozen=True, slots=True)
class Hands:
    """What is in hand, a claim each: of all workers how many of each connection, and of the worker that asks which."""

    of_connection: Mapping[str, int]
    here: Sequence[tuple[str, Kind]]
    worker: Worker
    several: bool
    """Whether more than one connection was ever set up."""

    @classmethod
    def of(cls, session: Session, worker: Worker) -> "Hands":
        """As the ledger has them."""
        claims = session.execute(_HANDS).all()
        return cls(
            of_connection=Counter(claim.connection for claim in claims),
            here=[(claim.connection, Kind(claim.kind)) for claim in claims if is_by(claim.holder, worker.name)],
            worker=worker,
            several=routes.are_several(session),
        )

    def have_room(self, kind: Kind, connection: str) -> bool:
        """Whether the worker that asks may take a job of this kind for this connection. Pure."""
        worker = self.worker
        later = sum(held in LATER for _, held in self.here)
        made = Counter(of for of, held in self.here if held not in LATER)
        if kind in LATER:
            together = later + max(made.values(), default=0)
            return later < worker.most_later and (not self.several or together < worker.most_together)
        together = later + made[connection]
        return not self.several or (made[connection] < worker.most_of_one and together < worker.most_together)


def choose(database: Database, kind: Kind, rung: int, *, now: datetime, worker: Worker = USUAL) -> Ring | None:
    """The job that a ring of this kind is to be spent on, which is the one that was rung for where nothing speaks against it.

    `worker` is whose child asks. None: there is nothing to be had now.
    """
    with database.reading() as session:
        return _choose(session, Hands.of(session, worker), kind, rung, now=now)


def after(database: Database, kind: Kind, rung: int, *, now: datetime, worker: Worker = USUAL) -> list[Ring]:
    """What whoever is done rings for: more of the kind, and what else there is whose rings may have found no room."""
    with database.reading() as session:
        hands = Hands.of(session, worker)
        others = set(Kind) if hands.several else LATER if kind in LATER else frozenset()
        kinds = [kind, *(other for other in Kind if other in others - {kind})]
        more = [_choose(session, hands, kind, rung, now=now) for kind in kinds]
    return [ring for ring in more if ring]


def _choose(session: Session, hands: Hands, kind: Kind, rung: int, *, now: datetime) -> Ring | None:
    asked = {"alike": kind.value, "at": now}
    waiting = {row.connection: row.since for row in session.execute(_WAITING, asked)}
    making = _making(session, kind, now) if waiting else frozenset()
    free = [name for name in waiting if name not in making and hands.have_room(kind, name)]
    for name in sorted(free, key=lambda name: (hands.of_connection.get(name, 0), waiting[name])):
        of_it = asked | {"of": name}
        if row := session.execute(_RUNG, of_it | {"rung": rung}).first() or session.execute(_OLDEST, of_it).first():
            return ring_of(row)
    return None


def _making(session: Session, kind: Kind, now: datetime) -> AbstractSet[str]:
    """The connections whose jobs of this kind wait for an attempt that has just begun."""
    if kind not in TOGETHER:
        return frozenset()
    return set(session.scalars(_MAKING, {"alike": kind.value, "since": now - TOGETHER[kind], "at": now}))
