"""Notices: what fails is remembered from the look that saw it first to the one that finds it mended, and told to the operator once.

What is to be told is written down with it, in the same commit, and sent afterwards (worker/telling.py): a mail server that is away delays a
message and loses none.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from worker.database import Base, BigId, UtcTime, changed_rows

STANDING = sa.text("ended_at IS NULL")

# What is over within this was a vendor's hiccup, or our own burst: nobody is told of it.
CONFIRMED_AFTER = timedelta(seconds=50)
# What is mended is kept for whoever asks what last quarter was like.
KEPT = timedelta(days=90)

# Of what is about the installation.
NOBODYS = ""

Key = tuple[str, str]
"""A connection's name (or NOBODYS), and what it is about."""


class Notice(Base):
    """One thing that fails, or failed; at most one that stands for a connection and what it is about."""

    __tablename__ = "notices"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    connection: Mapped[str] = mapped_column(sa.Text)  # empty for what is about the installation
    about: Mapped[str] = mapped_column(sa.Text)
    sentence: Mapped[str] = mapped_column(sa.Text)
    confirmed: Mapped[bool]  # seen twice, or sure at once: what passes within a minute is told to nobody
    since: Mapped[datetime] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)

    __table_args__ = (
        sa.Index("uq_notices_standing", "connection", "about", unique=True, sqlite_where=STANDING, postgresql_where=STANDING),
    )  # fmt: skip

    @property
    def key(self) -> Key:
        """What it is about, and whose."""
        return self.connection, self.about


class Message(Base):
    """One message to the operator over one channel, until it is sent."""

    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    channel: Mapped[str] = mapped_column(sa.Text)  # mail, webhook
    subject: Mapped[str] = mapped_column(sa.Text)
    changes: Mapped[list[dict[str, str]]] = mapped_column(sa.JSON)
    written_at: Mapped[datetime] = mapped_column(UtcTime)
    due_at: Mapped[datetime] = mapped_column(UtcTime, index=True)  # later with every try, and while somebody sends it
    tries: Mapped[int] = mapped_column(default=0)


@dataclass(frozen=True, slots=True)
class Change:
    """What is new for the operator: something fails, is mended, or comes to its end."""

    state: Literal["failed", "mended", "ends"]
    connection: str
    about: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a look saw: what fails and why, what is as it must be, and which connections it saw the whole of.

    `sure`: nothing of it can pass by itself, so that one look is enough.
    """

    failing: Mapping[Key, str]
    passing: Collection[Key]
    whole: Collection[str] = ()
    sure: bool = False

    def is_over(self, key: Key) -> bool:
        """Whether what failed before no longer does: what was not looked at tells nothing."""
        return key not in self.failing and (key in self.passing or key[0] in self.whole)


def standing(session: Session) -> list[Notice]:
    """What fails now, as far as it is sure, the oldest first."""
    found = sa.select(Notice).where(Notice.ended_at.is_(None), Notice.confirmed.is_(True))
    return list(session.scalars(found.order_by(Notice.since, Notice.id)))


def has_doubts(session: Session, *, now: datetime) -> bool:
    """Whether something was seen to fail once that is to be looked at again."""
    doubtful = sa.and_(Notice.ended_at.is_(None), Notice.confirmed.is_(False), Notice.since <= now - CONFIRMED_AFTER)
    return session.scalar(sa.select(Notice.id).where(doubtful).limit(1)) is not None


def remember(session: Session, look: Look, *, now: datetime) -> list[Change]:
    """Write down what a look saw, and answer what of it the operator does not know yet. Whoever else looks at the same time answers nothing."""
    there = session.scalars(sa.select(Notice).where(Notice.ended_at.is_(None))).all()
    known = {notice.key: notice for notice in there}
    changes = []
    for key, sentence in sorted(look.failing.items()):
        if _is_news(session, known.get(key), key, sentence, look, now):
            changes.append(Change("failed", *key, sentence))
    for key, notice in sorted(known.items()):
        # a doubt that the next look does not share is none, whatever it looked at
        is_over = look.is_over(key) or not (notice.confirmed or look.sure or key in look.failing)
        if is_over and _end(session, notice, now):
            changes.append(Change("mended", *key, notice.sentence))
    session.execute(sa.delete(Notice).where(Notice.ended_at < now - KEPT))
    return changes


def forget(session: Session, connections: Collection[str], *, now: datetime) -> None:
    """End what stands of connections that are no longer there: it is neither mended nor anybody's concern."""
    gone = sa.and_(Notice.ended_at.is_(None), Notice.connection.not_in([*connections, NOBODYS]))
    session.execute(sa.update(Notice).where(gone).values(ended_at=now))


def tell(session: Session, changes: Sequence[Change], channels: Collection[str], *, now: datetime) -> None:
    """Write one message a channel of all that is new, to be sent."""
    if not changes:
        return
    written = [
        {"state": one.state, "connection": one.connection, "about": one.about, "sentence": one.sentence}
        for one in changes
    ]
    for channel in channels:
        message = Message(channel=channel, subject=subject(changes), changes=written, written_at=now, due_at=now)
        session.add(message)


def subject(changes: Sequence[Change]) -> str:
    """What a message is called: whose connections it is about, and how many things of what sort."""
    names = sorted({one.connection for one in changes if one.connection})
    whose = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "bridge"
    words = {"failed": "failing", "ends": "ending soon", "mended": "mended"}
    counts = {state: sum(one.state == state for one in changes) for state in words}
    return f"{whose}: " + ", ".join(f"{number} {words[state]}" for state, number in counts.items() if number)


def _is_news(session: Session, notice: Notice | None, key: Key, sentence: str, look: Look, now: datetime) -> bool:
    if notice is None:
        return _begin(session, key, sentence, look, now) and look.sure
    notice.sentence = sentence
    if notice.confirmed or not (look.sure or now - notice.since >= CONFIRMED_AFTER):
        return False
    mine = sa.and_(Notice.id == notice.id, Notice.confirmed.is_(False), Notice.ended_at.is_(None))
    return changed_rows(session.execute(sa.update(Notice).where(mine).values(confirmed=True))) == 1


def _begin(session: Session, key: Key, sentence: str, look: Look, now: datetime) -> bool:
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    row = {"connection": key[0], "about": key[1], "sentence": sentence, "confirmed": look.sure, "since": now}
    made = insert(Notice).values(row).on_conflict_do_nothing().returning(Notice.id)
    return session.scalar(made) is not None


def _end(session: Session, notice: Notice, now: datetime) -> bool:
    """Whether it has ended just now and the operator knew of it."""
    mine = sa.and_(Notice.id == notice.id, Notice.ended_at.is_(None))
    if not notice.confirmed:
        session.execute(sa.delete(Notice).where(mine, Notice.confirmed.is_(False)))
        return False
    return changed_rows(session.execute(sa.update(Notice).where(mine).values(ended_at=now))) == 1
