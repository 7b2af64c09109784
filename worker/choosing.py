"""Choosing: a ring says that there is work of a kind; whose it is, the ledger says.

Rings come in the order in which they were rung, so that behind a burst of a thousand deals of one connection a single deal of another would
wait for a thousand rings. So whoever hears a ring takes the job of the connection that has the least in hand, and whoever is done rings again
while there is more.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from worker import routes
from worker.database import Database, UtcTime
from worker.jobs import Job, Kind, Ring, State, busy, is_in, ring_of

# So many claims of one connection at once, where there are several: one of the four children of a worker (celeryconfig) stays free for the others.
# And of what can wait one less, so that a new deal finds a child although PDFs of its own connection are under way.
MOST_OF_ONE: Mapping[Kind, int] = {
    Kind.CREATE_INVOICE: 3,
    Kind.SYNC_STATUS: 2,
    Kind.CREATE_DEAL: 3,
    Kind.ATTACH_INVOICE: 2,
}

# While one attempt makes a connection's invoices, deals that come meanwhile wait for it, and share the next call of its sixty a minute. One that
# takes longer than this (it waits for turns, or Xero does not answer) holds up nobody.
TOGETHER: Mapping[Kind, timedelta] = {Kind.CREATE_INVOICE: timedelta(seconds=2)}

_NOW = sa.bindparam("at", type_=UtcTime)
_DUE = sa.and_(is_in(State.QUEUED), Job.kind == sa.bindparam("alike", type_=sa.Text), Job.due_at <= _NOW)
_OF_ONE = sa.select(Job.id, Job.kind, Job.lead, Job.invoice).where(
    _DUE, Job.connection == sa.bindparam("of", type_=sa.Text), sa.not_(busy(Job))
)

_WAITING = sa.select(Job.connection, sa.func.min(Job.due_at).label("since")).where(_DUE).group_by(Job.connection)

_IN_HAND = (
    sa.select(Job.connection, sa.func.count(Job.holder.distinct()).label("claims"))
    .where(is_in(State.RUNNING))
    .group_by(Job.connection)
)

_MAKING = sa.select(Job.connection).where(
    is_in(State.RUNNING),
    Job.kind == sa.bindparam("alike", type_=sa.Text),
    Job.started_at.between(sa.bindparam("since", type_=UtcTime), _NOW),  # the clock of another host may be ahead
    sa.not_(Job.alone),
)

_RUNG = _OF_ONE.where(Job.id == sa.bindparam("rung"))

_OLDEST = _OF_ONE.order_by(Job.due_at, Job.id).limit(1)


def choose(database: Database, kind: Kind, rung: int, *, now: datetime) -> Ring | None:
    """The job that a ring of this kind is to be spent on, which is the one that was rung for where nothing speaks against it.

    None: there is nothing to be had now.
    """
    with database.reading() as session:
        return _choose(session, kind, rung, now=now)


def after(database: Database, kind: Kind, rung: int, *, now: datetime) -> list[Ring]:
    """What whoever is done rings for: more of the kind, and what else there is, since rings for it found its connection's hands full."""
    with database.reading() as session:
        more = [_choose(session, kind, rung, now=now)]
        if routes.are_several(session):
            more += [_choose(session, other, rung, now=now) for other in MOST_OF_ONE if other is not kind]
    return [ring for ring in more if ring]


def _choose(session: Session, kind: Kind, rung: int, *, now: datetime) -> Ring | None:
    asked = {"alike": kind.value, "at": now}
    waiting = {row.connection: row.since for row in session.execute(_WAITING, asked)}
    in_hand = _in_hand(session) if waiting and routes.are_several(session) else {}
    making = _making(session, kind, now) if waiting else frozenset()
    free = [name for name in waiting if in_hand.get(name, 0) < MOST_OF_ONE[kind] and name not in making]
    for name in sorted(free, key=lambda name: (in_hand.get(name, 0), waiting[name])):
        of_it = asked | {"of": name}
        if row := session.execute(_RUNG, of_it | {"rung": rung}).first() or session.execute(_OLDEST, of_it).first():
            return ring_of(row)
    return None


def _in_hand(session: Session) -> Mapping[str, int]:
    return {row.connection: row.claims for row in session.execute(_IN_HAND)}


def _making(session: Session, kind: Kind, now: datetime) -> AbstractSet[str]:
    """The connections whose jobs of this kind wait for an attempt that has just begun."""
    if kind not in TOGETHER:
        return frozenset()
    return set(session.scalars(_MAKING, {"alike": kind.value, "since": now - TOGETHER[kind], "at": now}))
