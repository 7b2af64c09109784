"""Looking whether all is as it must be, without being asked: the checks once an hour, and what fails is remembered and told."""

from collections.abc import Iterable
from datetime import timedelta

import sqlalchemy as sa

from worker import checks, notices, watching
from worker.checks import Checked
from worker.cursors import Cursor, Side
from worker.database import changed_rows
from worker.findings import Grade
from worker.notices import NOBODYS, Key, Look
from worker.workshop import Workshop

# A look makes some ten calls a connection; whoever is at it for longer has died.
LOOKING = timedelta(minutes=5)

# Whether a vendor lets us in, and whether it answers: what else is about that vendor follows from them.
GRANTS = ("kommo grant", "xero grant")
SYSTEMS = ("kommo account", "xero organisation")


def look(workshop: Workshop) -> None:
    """Check everything, remember what fails, and have the operator told of what is new; nothing where somebody else is at it."""
    every = timedelta(seconds=workshop.settings.timing.check_seconds)
    if not _take(workshop, every):
        return
    seen = seen_by(checks.check(workshop), list(workshop.connections))
    now = workshop.now()
    with workshop.database.begin() as session:
        changes = notices.remember(session, seen, now=now)
        notices.forget(session, list(workshop.connections), now=now)
        notices.tell(session, changes, watching.channels(workshop.settings), now=now)
        session.merge(Cursor(connection=NOBODYS, side=Side.CHECKED, read_until=now, busy_until=None))


def _take(workshop: Workshop, every: timedelta) -> bool:
    now = workshop.now()
    with workshop.database.begin() as session:
        if not watching.is_due(session, now=now, every=every):
            return False
        if session.get(Cursor, (NOBODYS, Side.CHECKED.value)) is None:
            session.add(Cursor(connection=NOBODYS, side=Side.CHECKED, read_until=watching.NEVER))
            session.flush()
        free = sa.or_(Cursor.busy_until.is_(None), Cursor.busy_until <= now)
        mine = sa.and_(Cursor.connection == NOBODYS, Cursor.side == Side.CHECKED, free)
        return changed_rows(session.execute(sa.update(Cursor).where(mine).values(busy_until=now + LOOKING))) == 1


def seen_by(found: Iterable[Checked], connections: Iterable[str]) -> Look:
    """What the checks tell. A vendor that does not let us in fails once, and not in everything that could not be looked at. Pure."""
    told = list(found)
    keys = {(one.connection or NOBODYS, one.about) for one in told if one.grade is Grade.FAILED}
    failing: dict[Key, str] = {}
    for one in told:
        key = (one.connection or NOBODYS, one.about)
        if one.grade is not Grade.FAILED or _follows_from(key, keys):
            continue
        sentence = f"{one.said}: {one.mend}" if one.mend else one.said
        failing[key] = f"{failing[key]}; {sentence}" if key in failing else sentence
    passing = {(one.connection or NOBODYS, one.about) for one in told} - keys
    partly = {name for name, about in keys if about in GRANTS or about in SYSTEMS}
    looked = {one.connection for one in told if one.connection}
    whole = {name for name in connections if name in looked and name not in partly} | {NOBODYS}
    return Look(failing, passing, whole)


def _follows_from(key: Key, failing: set[Key]) -> bool:
    name, about = key
    vendor = about.partition(" ")[0]
    return about not in GRANTS and (name, f"{vendor} grant") in failing
