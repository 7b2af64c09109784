"""Watching without a call: whether a vendor still lets us in, which token comes to its end, and whether it is time to check everything."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from worker import grants, notices
from worker.cursors import Cursor, Side
from worker.database import changed_rows
from worker.grants import Grant, GrantKind, Standing
from worker.notices import NOBODYS, Change, Look
from worker.settings import Settings
from worker.verdicts import reconnect
from worker.workshop import Workshop

# Days before a pasted token's end on which that is told, each once: a month for whoever has to ask an administrator, a day for whoever put it off.
ANNOUNCED = (30, 14, 7, 1)

# What was seen to fail is looked at again after this, and not before the next hour.
AGAIN = timedelta(minutes=1)

# Where a cursor stands that has never moved.
NEVER = datetime(2000, 1, 1, tzinfo=UTC)


def channels(settings: Settings) -> list[str]:
    """How the operator wants to be told."""
    wanted = {"mail": settings.notify_email, "webhook": settings.notify_webhook_url}
    return [channel for channel, address in wanted.items() if address]


def looked_at(session: Session) -> datetime | None:
    """When everything was last looked at."""
    cursor = session.get(Cursor, (NOBODYS, Side.CHECKED.value))
    return cursor.read_until if cursor and cursor.read_until > NEVER else None


def is_due(session: Session, *, now: datetime, every: timedelta) -> bool:
    """Whether it is time for the checks: an hour has passed, or something failed at the last look and a minute has."""
    cursor = session.get(Cursor, (NOBODYS, Side.CHECKED.value))
    if cursor is None:
        return True
    if cursor.busy_until and cursor.busy_until > now:
        return False
    since = now - cursor.read_until
    return since >= every or (since >= min(AGAIN, every) and notices.has_doubts(session, now=now))


def look_at_access(workshop: Workshop) -> None:
    """Have the operator told of vendors that no longer let us in, or do again, and of tokens that end: no call is made."""
    now = workshop.now()
    with workshop.database.reading() as session:
        seen = access_of(grants.standings(session), list(workshop.connections), now=now)
        known = {notice.key for notice in notices.standing(session)}
        ending = _ending(session, now)
    if not ending and seen.failing.keys() <= known and not any(seen.is_over(key) for key in known):
        return
    with workshop.database.begin() as session:
        changes = [*notices.remember(session, seen, now=now), *_announce(session, now)]
        notices.tell(session, changes, channels(workshop.settings), now=now)


def access_of(standings: Iterable[Standing], connections: Iterable[str], *, now: datetime) -> Look:
    """Which grants of these connections are refused or have ended. Pure."""
    names = set(connections)
    mine = [one for one in standings if one.connection in names]
    failing = {(one.connection, f"{one.vendor} grant"): why for one in mine if (why := _why(one, now))}
    return Look(failing, {(one.connection, f"{one.vendor} grant") for one in mine} - failing.keys(), sure=True)


def _why(one: Standing, now: datetime) -> str:
    if one.refusal:
        return reconnect(one.refusal, one.vendor).replace("NAME", one.connection)
    if one.kind is GrantKind.LONG_LIVED and one.expires_at and one.expires_at <= now:
        return f"its token ended on {one.expires_at:%Y-%m-%d}: admin connect {one.vendor} {one.connection}"
    return ""


def announcement(*, ends_at: datetime, granted_at: datetime, announced: int | None, now: datetime) -> int | None:
    """How many days before the end it is to be announced now, of those that it has not been announced for. Pure.

    A token that was made for a fortnight is not announced a month before.
    """
    left, life = ends_at - now, ends_at - granted_at
    passed = [days for days in ANNOUNCED if left <= timedelta(days=days) <= life]
    if left <= timedelta() or not passed or (announced is not None and min(passed) >= announced):
        return None
    return min(passed)


def _ending(session: Session, now: datetime) -> list[tuple[Grant, int]]:
    pasted = sa.select(Grant).where(Grant.kind == GrantKind.LONG_LIVED, Grant.expires_at.is_not(None))
    found = []
    for grant in session.scalars(pasted):
        assert grant.expires_at is not None
        days = announcement(ends_at=grant.expires_at, granted_at=grant.granted_at, announced=grant.announced, now=now)
        if days is not None:
            found.append((grant, days))
    return found


def _announce(session: Session, now: datetime) -> Iterator[Change]:
    """Each once: whoever else is at it finds it done."""
    for grant, days in _ending(session, now):
        mine = sa.and_(
            Grant.id == grant.id,
            Grant.announced.is_(None) if grant.announced is None else Grant.announced == grant.announced,
        )
        if changed_rows(session.execute(sa.update(Grant).where(mine).values(announced=days))) != 1:
            continue
        assert grant.expires_at is not None
        for connection in grants.users(session, grant.id):
            left = max((grant.expires_at - now).days, 0)
            said = f"the token ends on {grant.expires_at:%d %B %Y} ({left} days left): make a new one, then admin connect {grant.vendor} {connection}"
            yield Change("ends", connection, f"{grant.vendor} grant", said)
