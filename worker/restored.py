"""Whether the database came back from a backup: then no create is known to be the first, and each looks before it sends.

Redis remembers how many sends there were. If the ledger has fewer, it was restored; it says so itself from then on, until a reconciliation that
found no invoice missing has run. If Redis was emptied too, the deals' own fields and the invoices' marks are still there to be recognised.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from redis import Redis, RedisError
from sqlalchemy.orm import Session

from integrations.kommo.entities import Lead
from integrations.kommo.values import file
from worker import cursors
from worker.cursors import Cursor, Side
from worker.database import Database
from worker.jobs import Job, Kind, State
from worker.sends import Send

KEY = "bridge:sends"


def remember(redis: Redis, send_id: int) -> None:
    """A send was written down. Redis may be down: then it knows of earlier ones."""
    try:
        redis.zadd(KEY, {"highest": send_id}, gt=True)
    except RedisError:
        return


def look_since(database: Database, redis: Redis, connection: str, *, now: datetime) -> datetime | None:
    """From when on a create must look for what the ledger may have forgotten; None where it has forgotten nothing."""
    known = highest_known(redis)
    with database.begin() as session:
        if not is_restored(session, known, connection, now=now):
            return None
        return cursors.positions(session, connection).get(Side.RESTORED, now)


def traces(lead: Lead | None, *, before: datetime) -> dict[str, Any]:
    """What a link is told of a deal that was shown its invoice before the ledger forgot both: that there may be a note, and which file there is.

    `before` is so long ago that the note is looked for at once, before another one is written.
    """
    found = file(lead.field("XERO_INVOICE_PDF")) if lead else None
    named = {"file_uuid": found.uuid, "file_version": found.version_uuid} if found else {}
    return {"note_sent_at": before, **named}


def is_restored(session: Session, known: int, connection: str, *, now: datetime) -> bool:
    """Whether creates of this connection must look first; a restore is written down as soon as it is noticed.

    `known` is the highest send that Redis knows of.
    """
    if Side.RESTORED in cursors.positions(session, connection):
        return True
    highest = session.scalar(sa.select(sa.func.max(Send.id))) or 0
    if known <= highest:
        return False
    marked = set(session.scalars(sa.select(Cursor.connection).where(Cursor.side == Side.RESTORED)))
    names = set(session.scalars(sa.select(Cursor.connection).distinct())) | {connection}
    for name in names - marked:
        since = cursors.positions(session, name).get(Side.XERO, now)
        session.add(Cursor(connection=name, side=Side.RESTORED, read_until=since))
    return True


def reconciled(session: Session, connection: str) -> int | None:
    """No invoice was missing: what the ledger had forgotten, it knows again. Where it had been restored, the number to count from.

    What an earlier reconciliation found missing is known again only when its jobs have run.
    """
    if Side.RESTORED not in cursors.positions(session, connection):
        return None
    live = sa.select(Job.id).where(
        Job.connection == connection, Job.kind == Kind.CREATE_DEAL, Job.state.in_((State.QUEUED, State.RUNNING))
    )
    if session.scalar(live.limit(1)) is not None:
        return None
    session.execute(sa.delete(Cursor).where(Cursor.connection == connection, Cursor.side == Side.RESTORED))
    return session.scalar(sa.select(sa.func.max(Send.id))) or 0


def count_from(redis: Redis, highest: int) -> None:
    """Count from what the ledger has."""
    try:
        redis.zadd(KEY, {"highest": highest})
    except RedisError:
        return


def highest_known(redis: Redis) -> int:
    try:
        known = redis.zscore(KEY, "highest")
    except RedisError:
        return 0
    return int(known or 0)
