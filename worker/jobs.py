"""Jobs: what is to be done, and how it is written down.

A repeated event is no second job: at most one `queued` row stands for a connection, a kind and a subject. An event that comes while its job runs
makes it run once more; one that meets a job in backoff pulls it to now and gives it its attempts back. At most one job about one lead and
one about one invoice runs at a time; the indexes below guarantee it, not the code.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from worker.database import Base, BigId, Transaction, UtcTime


class Kind(StrEnum):
    """What a job does: also the name of its Celery task and of its queue."""

    CREATE_INVOICE = "create_invoice"
    ATTACH_INVOICE = "attach_invoice"
    SYNC_STATUS = "sync_status"
    CREATE_DEAL = "create_deal"


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"  # due now or later
    RUNNING = "running"  # a worker holds its lease
    DONE = "done"
    FAILED = "failed"  # a person must act
    CANCELLED = "cancelled"  # a person took it back


@dataclass(frozen=True, slots=True)
class LeadRef:
    """A lead, whatever connection speaks of it."""

    account_id: int
    lead_id: int

    def __str__(self) -> str:
        return f"{self.account_id}:{self.lead_id}"

    @classmethod
    def parse(cls, text: str) -> "LeadRef":
        """From what `str` makes of one."""
        account, lead = text.split(":")
        return cls(int(account), int(lead))


@dataclass(frozen=True, slots=True)
class InvoiceRef:
    """An invoice, whatever connection speaks of it."""

    tenant_id: str
    invoice_id: str

    def __str__(self) -> str:
        return f"{self.tenant_id}:{self.invoice_id}"

    @classmethod
    def parse(cls, text: str) -> "InvoiceRef":
        """From what `str` makes of one."""
        tenant, invoice = text.split(":")
        return cls(tenant, invoice)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job that somebody asks for. Its subject is the lead where it makes an invoice, else the invoice."""

    connection: str
    kind: Kind
    lead: LeadRef | None = None
    invoice: InvoiceRef | None = None
    delivery_id: int | None = None
    entered_at: datetime | None = None  # when the deal entered the stage, if that is what was told
    due_at: datetime | None = None  # later than now, for what is in no hurry

    @property
    def subject(self) -> str:
        """What the job is about, for the index that keeps repeated events one job."""
        if self.kind is Kind.CREATE_INVOICE:
            return f"lead:{self.lead}"
        return f"invoice:{self.invoice}"

    @property
    def slot(self) -> tuple[str, str, str]:
        """What at most one queued job may stand for."""
        return self.connection, self.kind, self.subject


# Of our own writes Xero tells us too. Such an echo waits for the others of its ten seconds, and all of them share a read.
ECHO = 10


def echo_due(now: datetime) -> datetime:
    """When an echo of our own write is to be looked at: at the next full ten seconds, as every other echo."""
    return datetime.fromtimestamp((now.timestamp() // ECHO + 1) * ECHO, now.tzinfo)


QUEUED = sa.text("state = 'queued'")


class Job(Base):
    """One thing to do, with what it is about, when it is due and who holds it."""

    __tablename__ = "jobs"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    connection: Mapped[str] = mapped_column(sa.Text)
    kind: Mapped[str] = mapped_column(sa.Text)
    subject: Mapped[str] = mapped_column(sa.Text)
    lead: Mapped[str | None] = mapped_column(sa.Text)  # "account:lead"
    invoice: Mapped[str | None] = mapped_column(sa.Text)  # "tenant:invoice", as soon as it is known
    state: Mapped[str] = mapped_column(sa.Text)
    due_at: Mapped[datetime] = mapped_column(UtcTime)
    not_before: Mapped[datetime | None] = mapped_column(
        UtcTime
    )  # a vendor's Retry-After: no event pulls the job before it
    rung_at: Mapped[datetime | None] = mapped_column(UtcTime)
    attempts: Mapped[int] = mapped_column(default=0)  # failures since the last event; waiting for a turn is none
    deaths: Mapped[int] = mapped_column(default=0)  # workers that died on this job alone
    died_at: Mapped[datetime | None] = mapped_column(UtcTime)  # when the last of them lost its lease
    alone: Mapped[bool] = mapped_column(default=False)  # died in a batch: runs by itself until it has ended
    holder: Mapped[str | None] = mapped_column(sa.Text)  # the fence: only this claim may settle
    batch: Mapped[int] = mapped_column(default=0)  # how many were claimed together
    leased_until: Mapped[datetime | None] = mapped_column(UtcTime)
    sentence: Mapped[str | None] = mapped_column(sa.Text)  # the last word on it, for people
    delivery_id: Mapped[int | None] = mapped_column(BigId)  # the last delivery that asked for it
    entered_at: Mapped[datetime | None] = mapped_column(
        UtcTime
    )  # when the deal entered the stage, as far as an event told
    recorded_at: Mapped[datetime] = mapped_column(UtcTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)

    __table_args__ = (
        # a repeated event is no second job
        sa.Index("uq_jobs_queued", "connection", "kind", "subject", unique=True, sqlite_where=QUEUED, postgresql_where=QUEUED),
        # one job about one lead, and one about one invoice, at a time
        sa.Index(
            "uq_jobs_running_lead", "lead", unique=True,
            sqlite_where=sa.text("state = 'running' AND lead IS NOT NULL"),
            postgresql_where=sa.text("state = 'running' AND lead IS NOT NULL"),
        ),
        sa.Index(
            "uq_jobs_running_invoice", "invoice", unique=True,
            sqlite_where=sa.text("state = 'running' AND invoice IS NOT NULL"),
            postgresql_where=sa.text("state = 'running' AND invoice IS NOT NULL"),
        ),
        # the sweep's and the claim's way to what is due, however many jobs are done
        sa.Index("ix_jobs_due", "due_at", sqlite_where=QUEUED, postgresql_where=QUEUED),
        sa.Index("ix_jobs_siblings", "connection", "kind", "due_at", sqlite_where=QUEUED, postgresql_where=QUEUED),
        # a claim's way to what it holds; not by the lease's end, or each renewal would write all indexes of its rows
        sa.Index(
            "ix_jobs_held", "holder",
            sqlite_where=sa.text("state = 'running'"), postgresql_where=sa.text("state = 'running'"),
        ),
        sa.Index(
            "ix_jobs_failed", "connection", "kind", "subject",
            sqlite_where=sa.text("state = 'failed'"), postgresql_where=sa.text("state = 'failed'"),
        ),
        # how many have ended, and which since when, without reading them
        sa.Index(
            "ix_jobs_ended", "state", "kind", "ended_at",
            sqlite_where=sa.text("ended_at IS NOT NULL"), postgresql_where=sa.text("ended_at IS NOT NULL"),
        ),
        # what there is about a subject, and what of it still waits, however much about it is done
        sa.Index("ix_jobs_lead_state", "lead", "state"),
        sa.Index("ix_jobs_invoice_state", "invoice", "state"),
    )  # fmt: skip


def record(session: Session, wanted: Iterable[Wanted], *, now: datetime) -> list[int]:
    """Write down what is wanted and answer the queued jobs' ids, one for each different wish.

    A job that is queued already is pulled to `now`, or to when the wish is due (never past a vendor's Retry-After), and gets its attempts back.
    """
    return [ring.job_id for ring in record_rings(session, wanted, now=now)]


def record_rings(transaction: Transaction, wanted: Iterable[Wanted], *, now: datetime) -> list["Ring"]:
    """The same, and answer what to ring for instead: in one statement, which receiving a webhook waits for."""
    rows = _rows(wanted, now)
    if not rows:
        return []
    bind = transaction.get_bind() if isinstance(transaction, Session) else transaction
    return [ring_of(row) for row in transaction.execute(_UPSERT[bind.dialect.name], rows)]


def _rows(wanted: Iterable[Wanted], now: datetime) -> list[dict[str, Any]]:
    """One row for each slot of the queue, in one order for everybody, so that no two writers wait for each other."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for wish in sorted(wanted, key=lambda wish: wish.slot):
        row = {
            "connection": wish.connection, "kind": wish.kind.value, "subject": wish.subject, "recorded_at": now,
            "due_at": wish.due_at or now, "entered_at": wish.entered_at, "lead": _text(wish.lead),
            "invoice": _text(wish.invoice), "delivery_id": wish.delivery_id,
        }  # fmt: skip
        known = rows.setdefault(wish.slot, row)
        known.update((name, value) for name, value in row.items() if known[name] is None)
        known["due_at"] = min(known["due_at"], row["due_at"])
        known["delivery_id"] = wish.delivery_id or known["delivery_id"]
    return list(rows.values())


def _upsert(insert: Any) -> Any:
    """Written once: building it takes longer than running it."""
    table = Job.metadata.tables[Job.__tablename__]
    none: sa.ColumnElement[int] = sa.literal_column("0")
    statement = insert(table).values(
        state=sa.literal_column(f"'{State.QUEUED}'"), attempts=none, deaths=none, batch=none, alone=sa.false()
    )
    new = statement.excluded
    earliest = sa.case((Job.not_before > new.due_at, Job.not_before), else_=new.due_at)
    upsert = statement.on_conflict_do_update(
        index_elements=[Job.connection, Job.kind, Job.subject],
        index_where=QUEUED,
        set_={
            "due_at": sa.case((Job.due_at > earliest, earliest), else_=Job.due_at),
            "rung_at": sa.null(),
            "attempts": none,
            "entered_at": sa.func.coalesce(Job.entered_at, new.entered_at),
            "lead": sa.func.coalesce(Job.lead, new.lead),
            "invoice": sa.func.coalesce(Job.invoice, new.invoice),
            "delivery_id": sa.func.coalesce(new.delivery_id, Job.delivery_id),
        },
    )
    return upsert.returning(Job.id, Job.kind, Job.lead, Job.invoice)


_UPSERT = {"sqlite": _upsert(sqlite.insert), "postgresql": _upsert(postgresql.insert)}


def _text(ref: LeadRef | InvoiceRef | None) -> str | None:
    return None if ref is None else str(ref)


@dataclass(frozen=True, slots=True)
class Ring:
    """A bell for one job: its id is all that Celery carries; `about` is for whoever reads Flower."""

    job_id: int
    kind: Kind
    about: str


def rings_for(session: Session, ids: Sequence[int]) -> list[Ring]:
    """What to ring for these jobs."""
    rows = session.execute(sa.select(Job.id, Job.kind, Job.lead, Job.invoice).where(Job.id.in_(ids)).order_by(Job.id))
    return [ring_of(row) for row in rows]


def ring_of(row: Any) -> Ring:
    """What to ring for a row with a job's id, kind, lead and invoice; named by their own ids, for Flower cuts what is long."""
    about = [f"{name} {ref.rpartition(':')[2]}" for name, ref in (("lead", row.lead), ("invoice", row.invoice)) if ref]
    return Ring(row.id, Kind(row.kind), ", ".join(about))


def busy(other: Any) -> sa.ColumnElement[bool]:
    """Whether a running job is about the same lead or invoice as the row `other`."""
    running = sa.orm.aliased(Job)
    runs = sa.and_(is_in(State.RUNNING, running), running.id != other.id)
    same_lead = sa.exists().where(runs, running.lead == other.lead)
    same_invoice = sa.exists().where(runs, running.invoice == other.invoice)
    return sa.or_(same_lead, same_invoice)


def is_in(state: State, job: Any = Job) -> sa.ColumnElement[bool]:
    """Whether a job is in this state, as a literal: a plan made for any state could not use the index of this one."""
    stands: sa.ColumnElement[bool] = job.state == sa.literal_column(f"'{state}'")
    return stands
