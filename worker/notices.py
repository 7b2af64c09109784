"""Notices: what fails is remembered from the look that saw it first to the one that finds it mended, and told to the operator once.

What is to be told is written down with it, in the same commit, and sent afterwards: a mail server that is away delays a message and loses none.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from worker.database import Base, BigId, UtcTime

STANDING = sa.text("ended_at IS NULL")


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
