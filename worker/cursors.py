"""Cursors: how far reconciliation has read each side. A cursor moves in the very commit that records the jobs its reading found."""

from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from worker.database import Base, UtcTime

# Who reconciles keeps the others away, call by call: whoever has made none for so much longer than a call may take has died.
MARGIN = timedelta(seconds=5)


class Side(StrEnum):
    """What a cursor counts by: that side's own clock, never ours."""

    KOMMO = "kommo"
    XERO = "xero"
    OPEN_LINKS = "open_links"  # when the links of open invoices were last read one by one
    BEGAN = "began"  # when the connection was first set up: what happened before makes nothing
    FINISHED = "finished"  # when both systems were last compared to the end, by our own clock
    CHECKED = "checked"  # of no connection: when everything was last looked at, by our own clock
    RESTORED = "restored"  # Xero's cursor when it was noticed that the database came back from a backup; there only until that is mended


class Cursor(Base):
    """One side of one connection."""

    __tablename__ = "cursors"

    connection: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    side: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    read_until: Mapped[datetime] = mapped_column(UtcTime)
    busy_until: Mapped[datetime | None] = mapped_column(
        UtcTime
    )  # by the side Kommo's: one reconciliation of a connection at a time


def begin(session: Session, connection: str, *, now: datetime) -> None:
    """Begin here, unless it has begun: what happened before the first setup makes nothing."""
    known = {cursor.side for cursor in _all(session, connection)}
    sides = (Side.KOMMO, Side.XERO, Side.OPEN_LINKS, Side.BEGAN)
    session.add_all(Cursor(connection=connection, side=side, read_until=now) for side in sides if side not in known)
    session.flush()


def positions(session: Session, connection: str) -> dict[Side, datetime]:
    """Where each side stands."""
    return {Side(cursor.side): cursor.read_until for cursor in _all(session, connection)}


def move(session: Session, connection: str, side: Side, to: datetime) -> None:
    """Move forward; a cursor never goes back."""
    mine = sa.and_(Cursor.connection == connection, Cursor.side == side, Cursor.read_until < to)
    session.execute(sa.update(Cursor).where(mine).values(read_until=to))


def finish(session: Session, connection: str, *, now: datetime) -> None:
    """Both systems have been compared to the end."""
    session.merge(Cursor(connection=connection, side=Side.FINISHED, read_until=now))


def is_due(session: Session, connection: str, *, now: datetime, every: timedelta) -> bool:
    """Whether the last whole comparison is as long ago as that."""
    finished = session.get(Cursor, (connection, Side.FINISHED.value))
    return finished is None or finished.read_until + every <= now


def keep(session: Session, connection: str, *, now: datetime, silence: timedelta) -> None:
    """Go on being the one who reconciles this connection, although a call may take so long."""
    mine = sa.and_(Cursor.connection == connection, Cursor.side == Side.KOMMO, Cursor.busy_until.is_not(None))
    session.execute(sa.update(Cursor).where(mine).values(busy_until=now + silence + MARGIN))


def take(session: Session, connection: str, *, now: datetime, silence: timedelta) -> bool:
    """Become the one who reconciles this connection; False if somebody else does, who may be silent for so long."""
    free = sa.or_(Cursor.busy_until.is_(None), Cursor.busy_until < now)
    mine = sa.and_(Cursor.connection == connection, Cursor.side == Side.KOMMO, free)
    result = session.execute(sa.update(Cursor).where(mine).values(busy_until=now + silence + MARGIN))
    assert isinstance(result, sa.CursorResult)
    return result.rowcount == 1


def release(session: Session, connection: str) -> None:
    """Let others reconcile it."""
    mine = sa.and_(Cursor.connection == connection, Cursor.side == Side.KOMMO)
    session.execute(sa.update(Cursor).where(mine).values(busy_until=None))


def _all(session: Session, connection: str) -> list[Cursor]:
    return list(session.scalars(sa.select(Cursor).where(Cursor.connection == connection)))
