"""How the service is doing, on one screen: jobs, deliveries, budgets, grants, and who was last heard of."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from integrations.errors import RateLimited
from worker import budgets, canary, routes
from worker.beat import CANARY_EVERY
from worker.budgets import Budget, Budgeted
from worker.deliveries import Delivery
from worker.grants import Grant, GrantKind, Standing, standings
from worker.jobs import Job, State, is_in
from worker.verdicts import RECONNECT
from worker.workshop import Workshop

# Two canaries may be late in a burst; three mean that nobody listens.
CANARY_LATE = timedelta(seconds=3 * CANARY_EVERY)

# Days in which a person has the time to make a new token, and to be reminded of it twice.
ENDS_SOON = 30

# The newest of those that were not understood: enough to see whether it is one accident or a habit.
MOST_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class Count:
    """So many jobs of a kind in a state."""

    kind: str
    state: str
    jobs: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A delivery that was not understood, or is nobody's."""

    delivery_id: int
    source: str
    received_at: datetime
    problem: str


@dataclass(frozen=True, slots=True)
class GrantView:
    """How long a grant lasts; `days_left` None where it is renewed by itself. `refusal` is why the vendor does not let us in, `mend` what to do."""

    connection: str
    vendor: str
    kind: str
    days_left: int | None
    refusal: str | None
    mend: str | None


@dataclass(frozen=True, slots=True)
class Heard:
    """When a connection's vendor last sent a webhook."""

    connection: str
    source: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Overview:
    """All of it."""

    at: datetime
    jobs: tuple[Count, ...]
    oldest_due: datetime | None
    not_understood: int
    problems: tuple[Problem, ...]
    budgets: tuple[Budget, ...]
    grants: tuple[GrantView, ...]
    heard: tuple[Heard, ...]
    canary_at: datetime | None
    is_canary_late: bool


def look(workshop: Workshop) -> Overview:
    """How everything stands now. No call to a vendor is made."""
    now, names = workshop.now(), sorted(workshop.connections)
    sung = canary.last_heard(workshop.redis)
    with workshop.database.reading() as session:
        return Overview(
            at=now,
            jobs=tuple(counts(session)),
            oldest_due=oldest_due(session, now),
            not_understood=count_problems(session),
            problems=tuple(problems(session)),
            budgets=tuple(_budgets(workshop, session)),
            grants=tuple(one for one in grants(session, now) if one.connection in workshop.connections),
            heard=tuple(heard(session, names)),
            canary_at=sung,
            is_canary_late=sung is None or now - sung > CANARY_LATE,
        )


def needs(seen: Overview) -> list[str]:
    """What a person must see to, with the mend, the worst first. Pure."""
    failed = sum(count.jobs for count in seen.jobs if count.state == State.FAILED)
    found = list(_silence(seen))
    found += [f"{grant.connection}: {grant.mend}" for grant in seen.grants if grant.mend]
    found += _ungranted(seen)
    if failed:
        found.append(f"{failed:,} failed job{'s' if failed > 1 else ''}: see jobs list --state failed")
    if seen.not_understood:
        count = f"{seen.not_understood:,} webhook{'s were' if seen.not_understood > 1 else ' was'}"
        found.append(f"{count} not understood: see below")
    return found


def _ungranted(seen: Overview) -> Iterator[str]:
    granted = {(one.connection, one.vendor) for one in seen.grants}
    for one in seen.heard:
        if (one.connection, one.source) not in granted:
            yield f"{one.connection}: no access to {one.source.title()} yet: admin connect {one.source} {one.connection}"


def _silence(seen: Overview) -> Iterator[str]:
    """Where Redis is down, nobody can have heard a ring."""
    if problem := next((budget.problem for budget in seen.budgets if budget.problem), None):
        yield f"{problem} (REDIS_URL): jobs wait until it does"
    elif seen.is_canary_late:
        late = f" for {(seen.at - seen.canary_at).total_seconds():.0f} s" if seen.canary_at else " yet"
        yield f"no worker has heard a ring{late}: start worker and beat (Procfile)"


def counts(session: Session) -> list[Count]:
    """How many jobs there are of each kind in each state.

    Each state by an index of its own: of a million done jobs that reads a tenth of what the table is, and costs a tenth of a second.
    """
    ended = (
        sa.select(Job.kind, Job.state, sa.func.count()).where(Job.ended_at.is_not(None)).group_by(Job.state, Job.kind)
    )
    live = [
        sa.select(Job.kind, sa.literal(state.value), sa.func.count()).where(is_in(state)).group_by(Job.kind)
        for state in (State.QUEUED, State.RUNNING)
    ]
    found = [Count(*row) for statement in (ended, *live) for row in session.execute(statement)]
    return sorted(found, key=lambda count: (count.kind, count.state))


def oldest_due(session: Session, now: datetime) -> datetime | None:
    """Since when the job waits that has waited longest for a worker."""
    return session.scalar(sa.select(sa.func.min(Job.due_at)).where(is_in(State.QUEUED), Job.due_at <= now))


def grants(session: Session, now: datetime) -> list[GrantView]:
    """The grants of all connections."""
    return [
        GrantView(
            grant.connection, grant.vendor, grant.kind, days_left(grant, now), grant.refusal, mend_of(grant, now=now)
        )
        for grant in standings(session)
    ]


def mend_of(grant: Standing, *, now: datetime) -> str | None:
    """What a person must do so that the vendor lets us in, or goes on to; None where nothing is to be done."""
    vendor, left = grant.vendor.title(), days_left(grant, now)
    again = f"connect it again (admin connect {grant.vendor} {grant.connection})"
    if grant.refusal:
        said = RECONNECT[grant.refusal].format(vendor=vendor, command=grant.vendor)
        return said.replace(" NAME)", f" {grant.connection})")
    if left is None or left >= ENDS_SOON:
        return None
    return f"the token of {vendor} has ended: {again}" if left < 0 else f"{vendor}'s token ends in {left} days: {again}"


def days_left(grant: Grant | Standing, now: datetime) -> int | None:
    """Whole days until a person must connect again; below zero where the time is over, None where it never comes."""
    if grant.kind != GrantKind.LONG_LIVED or grant.expires_at is None:
        return None
    return (grant.expires_at - now).days


def count_problems(session: Session) -> int:
    """How many deliveries were not understood."""
    return session.scalar(sa.select(sa.func.count()).where(Delivery.problem.is_not(None))) or 0


def problems(session: Session) -> Iterator[Problem]:
    """The newest deliveries that were not understood."""
    columns = (Delivery.id, Delivery.source, Delivery.received_at, Delivery.problem)
    statement = sa.select(*columns).where(Delivery.problem.is_not(None)).order_by(Delivery.received_at.desc())
    for delivery_id, source, received_at, problem in session.execute(statement.limit(MOST_PROBLEMS)):
        yield Problem(delivery_id, source, received_at, problem or "")


def _budgets(workshop: Workshop, session: Session) -> Iterator[Budget]:
    """Each budget once, Kommo's first."""
    found = [workshop.kommo_budget(connection) for connection in workshop.connections.values()]
    for name, connection in workshop.connections.items():
        if route := routes.load(session, name):
            found.append(workshop.xero_budget(connection, route.tenant_id))
    for budgeted in {one.key: one for one in found}.values():
        yield _budget(workshop, budgeted)


def _budget(workshop: Workshop, budgeted: Budgeted) -> Budget:
    try:
        return budgets.look(workshop.turns(budgeted), budgeted, now=workshop.now())
    except RateLimited:
        return Budget(budgeted.key, budgeted.parties, None, problem="Redis does not answer")


def last_spoke(session: Session, source: str, connection: str) -> datetime | None:
    """When this vendor last sent a webhook about the connection, or one that tells of none, as when Xero asks whether we check signatures."""
    spoken = sa.select(Delivery.received_at).where(Delivery.source == source).order_by(Delivery.received_at.desc())
    about = session.scalar(spoken.where(Delivery.connection == connection).limit(1))
    at_all = session.scalar(spoken.where(Delivery.connection.is_(None), Delivery.problem.is_(None)).limit(1))
    return max((at for at in (about, at_all) if at), default=None)


def heard(session: Session, names: list[str]) -> Iterator[Heard]:
    """When each vendor of these connections was last heard of."""
    for name in names:
        for source in ("kommo", "xero"):
            of = sa.and_(Delivery.connection == name, Delivery.source == source)
            yield Heard(name, source, session.scalar(sa.select(sa.func.max(Delivery.received_at)).where(of)))
