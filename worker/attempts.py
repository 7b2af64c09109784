"""Attempts: the story of a job, each try with its verdict and its calls."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from worker.database import Base, BigId, UtcTime


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


def story(session: Session, job_ids: Sequence[int]) -> list[Attempt]:
    """All tries of these jobs, oldest first."""
    return list(session.scalars(sa.select(Attempt).where(Attempt.job_id.in_(job_ids)).order_by(Attempt.id)))
