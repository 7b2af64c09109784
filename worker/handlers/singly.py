"""One by one: for what has no bulk call, so that a bad one fails alone."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from integrations.errors import CallError, RateLimited
from worker.claims import Claimed
from worker.verdicts import NOBODYS_FAULT

Result = TypeVar("Result")


def one_by_one(jobs: Sequence[Claimed], work: Callable[[Claimed], Result]) -> dict[int, Result | CallError]:
    """What came of each job, by id, or the error that it met.

    After an error that is nobody's fault (no connection) the rest is not tried: it would meet the same, and is told so. Where it is
    a turn that is lacking, each of the rest asks for its own, which costs nothing: each is told another time to come back.
    """
    told: dict[int, Result | CallError] = {}
    for job in jobs:
        try:
            told[job.id] = work(job)
        except NOBODYS_FAULT as error:
            if not isinstance(error, RateLimited) or not error.in_line:
                return {other.id: error for other in jobs} | told
            told[job.id] = error
        except CallError as error:
            told[job.id] = error
    return told
