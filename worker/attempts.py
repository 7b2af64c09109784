"""Attempts: the story of a job, each try with its verdict and its calls.

Those that were one batch made their calls together: the first of them holds them, and the others name it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.orm.attributes import set_committed_value

from worker.database import Base, BigId, UtcTime

TOLD = sa.text("told_in IS NOT NULL")


class Attempt(Base):
    """One try of one job. `calls` hold method, path, status, ms and the vendor's request id: no bodies, no tokens, no personal data."""

    __tablename__ = "attempts"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    job_id: Mapped[int] = mapped_column(BigId, index=True)
    started_at: Mapped[datetime | None] = mapped_column(UtcTime)
    ended_at: Mapped[datetime] = mapped_column(UtcTime)
    verdict: Mapped[str] = mapped_column(sa.Text)  # done, wait, failed, died
    sentence: Mapped[str] = mapped_column(sa.Text)
    batch: Mapped[int] = mapped_column(default=1)
    calls: Mapped[list[dict[str, Any]]] = mapped_column(sa.JSON)
    told_in: Mapped[int | None] = mapped_column(BigId)  # the attempt of the same batch that holds the calls of all

    __table_args__ = (
        sa.Index("ix_attempts_told_in", "told_in", sqlite_where=TOLD, postgresql_where=TOLD),
    )  # fmt: skip


_INSERT = sa.insert(Attempt)
_FIRST = _INSERT.returning(Attempt.id)


def write_down(session: Session, tries: Sequence[Mapping[str, Any]], calls: Sequence[Mapping[str, Any]]) -> None:
    """Write down the tries of one batch (each the columns of its row), with the calls that they made together."""
    first, *others = tries
    holder = session.scalar(_FIRST, {**first, "calls": list(calls), "told_in": None})
    if others:
        told_in = holder if calls else None
        session.connection().execute(_INSERT, [{**one, "calls": [], "told_in": told_in} for one in others])


def story(session: Session, job_ids: Sequence[int]) -> list[Attempt]:
    """All tries of these jobs, oldest first, each with the calls that it made or shared."""
    tries = list(session.scalars(sa.select(Attempt).where(Attempt.job_id.in_(job_ids)).order_by(Attempt.id)))
    named = {one.told_in for one in tries if one.told_in is not None}
    rows = session.execute(sa.select(Attempt.id, Attempt.calls).where(Attempt.id.in_(named))) if named else ()
    calls = {row.id: row.calls for row in rows}
    for one in tries:
        if one.told_in is not None:
            set_committed_value(one, "calls", calls.get(one.told_in, []))
    return tries
