"""One attempt: claim, hand over to the kind's handler under a lease, settle, ring for what comes next."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import structlog

from integrations.errors import Broken, CallError, LeaseLost, OutcomeUnknown, Unauthorised
from integrations.wire import CallRecord
from worker import choosing, claims, moving
from worker.claims import Claim, Claimed
from worker.handlers import HANDLERS, MOST, PRIORITIES
from worker.jobs import Kind
from worker.lease import Lease, boot_seconds
from worker.settings import SettingsError
from worker.vault import LostKey
from worker.verdicts import (
    FIRST_WAIT,
    NOBODYS_FAULT,
    RECONNECT_WAIT,
    Failed,
    Verdict,
    Wait,
    capped,
    describe,
    verdict_on,
)
from worker.workshop import NotSetUp, Workshop
from worker.wrote import Wrote

log = structlog.get_logger()

Story = list[CallRecord | Wrote]  # what an attempt did, in order


def attempt(workshop: Workshop, kind: Kind, job_id: int) -> None:
    """Work on the job that was rung for, or on one whose connection has waited longer, and on its due siblings; then ring for what is left."""
    chosen = choosing.choose(workshop.database, kind, job_id, now=workshop.now(), worker=workshop.worker)
    if chosen is None:
        return
    since = boot_seconds()
    length = timedelta(seconds=workshop.settings.timing.lease_seconds)
    claim = claims.claim(
        workshop.database, chosen.job_id, now=workshop.now(), lease=length, most=MOST[kind], worker=workshop.worker.name
    )
    if claim is None:
        return
    story: Story = []
    every = timedelta(seconds=workshop.settings.timing.renew_seconds)
    with Lease(workshop.database, claim.holder, since=since, length=length, every=every, now=workshop.now) as lease:
        told = _handle(workshop, claim, lease, story)
        verdicts = {job.id: capped(told[job.id], job.attempts) for job in claim.jobs if job.id in told}
        rings = claims.settle(
            workshop.database, claim, verdicts, now=workshop.now(), calls=[_written(step) for step in story]
        )
    _tell(claim, verdicts, calls=sum(isinstance(step, CallRecord) for step in story))
    more = choosing.after(workshop.database, kind, job_id, now=workshop.now(), worker=workshop.worker)
    workshop.ring([*rings, *(ring for ring in more if ring not in rings)])


def _handle(workshop: Workshop, claim: Claim, lease: Lease, story: Story) -> Mapping[int, Verdict]:
    try:
        world = workshop.world(
            claim.connection,
            priority=PRIORITIES[claim.kind],
            fence=lease.is_held,
            on_call=story.append,
            on_write=story.append,
            holder=claim.holder,
        )
        told = HANDLERS[claim.kind](claim.jobs, world)
        return {job.id: _own(workshop, claim, job, told[job.id]) for job in claim.jobs if job.id in told}
    except LeaseLost:
        log.warning("lease_lost", kind=claim.kind, jobs=[job.id for job in claim.jobs])
        return {}  # somebody else has them: there is nothing to settle
    except LostKey as error:  # perhaps only until this process is restarted with the new ones
        return {job.id: Wait(RECONNECT_WAIT, str(error), counts=False) for job in claim.jobs}
    except (NotSetUp, SettingsError) as error:
        return {job.id: Failed(str(error)) for job in claim.jobs}
    except Exception as error:  # noqa: BLE001  (whatever a handler raises becomes a verdict)
        _log_error(workshop, claim, claim.jobs, error)
        return {job.id: _judge(workshop, claim, job.attempts, error) for job in claim.jobs}


def _own(workshop: Workshop, claim: Claim, job: Claimed, told: Verdict | CallError) -> Verdict:
    """A handler's word on one job: an error that this job met by itself tells against nobody else."""
    if not isinstance(told, CallError):
        return told
    _log_error(workshop, claim, [job], told)
    return verdict_on(told, job.attempts, quiet=workshop.settings.timing.quiet_seconds)


def _judge(workshop: Workshop, claim: Claim, attempts: int, error: Exception) -> Verdict:
    quiet = workshop.settings.timing.quiet_seconds
    if len(claim.jobs) > 1 and isinstance(error, Broken) and attempts == 0:
        return Wait(
            FIRST_WAIT, describe(error)
        )  # a gateway's hiccup, most likely: all of them at once again, in as few calls
    if len(claim.jobs) > 1 and not isinstance(error, NOBODYS_FAULT):
        # One of them may be at fault and not the others: each goes on by itself, and nobody's attempts are spent.
        unknown = isinstance(error, OutcomeUnknown)
        why = f"failed with {len(claim.jobs) - 1} others, each is tried alone: {describe(error)}"
        return Wait(quiet if unknown else 0, why, counts=False, hard=unknown, alone=True)
    return verdict_on(error, attempts, quiet=quiet)


def _log_error(workshop: Workshop, claim: Claim, jobs: Sequence[Claimed], error: Exception) -> None:
    if isinstance(error, Unauthorised):
        workshop.tokens(error.vendor, claim.connection).refused(error.reason, error.call)
    if isinstance(error, CallError):
        moving.follow(workshop, claim.connection, error)
    expected = isinstance(error, NOBODYS_FAULT)
    log.log(
        20 if expected else 40, "attempt_broke", kind=claim.kind, connection=claim.connection,
        jobs=[job.id for job in jobs], error=type(error).__name__, exc_info=None if expected else error,
    )  # fmt: skip


def _written(step: CallRecord | Wrote) -> dict[str, Any]:
    return {**asdict(step), "at": step.at.isoformat()}


def _tell(claim: Claim, verdicts: Mapping[int, Verdict], *, calls: int) -> None:
    for job in claim.jobs:
        verdict = verdicts.get(job.id)
        log.info(
            "attempt_ended", job=job.id, kind=claim.kind, connection=claim.connection, attempt=job.attempts + 1,
            verdict=type(verdict).__name__.lower() if verdict else "lost", calls=calls, batch=len(claim.jobs),
        )  # fmt: skip
