"""One by one: for what has no bulk call, so that a bad one fails alone."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from integrations.errors import CallError
from worker.claims import Claimed
from worker.verdicts import NOBODYS_FAULT

Result = TypeVar("Result")


def one_by_one(jobs: Sequence[Claimed], work: Callable[[Claimed], Result]) -> dict[int, Result | CallError]:
    """What came of each job, by id, or the error that it met.

    After an error that is nobody's fault (no turn, no connection) the rest is not tried: it would meet the same, and is told so.
    """
    told: dict[int, Result | CallError] = {}
    for job in jobs:
        try:
            told[job.id] = work(job)
        except NOBODYS_FAULT as error:
            return {other.id: error for other in jobs} | told
        except CallError as error:
            told[job.id] = error
    return told
