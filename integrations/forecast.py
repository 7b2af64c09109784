"""Whether a day's budget lasts, and how slowly the lower classes go on where it does not. Pure.

Turns of a sliding day come back one by one, each a day after it was given. So what will be left at some time is known but for
what is used until then, and that is taken to go on at the pace of the last hour.
"""

from dataclasses import dataclass

# The period is looked at in so many parts: hours of a day.
PARTS = 24
# Until a class has used this much of its share it is never slowed: a burst in the morning is no pace of a day.
EASY = 0.5


@dataclass(frozen=True, slots=True)
class Course:
    """How a long window stands: its limit, what is `used` of it, what of that in the last hour (`recent`).

    `returned` says how many of the used will have come back one hour from now, two hours from now, and so on, a whole period on.
    """

    limit: int
    used: int
    recent: int
    returned: tuple[int, ...]
    period: float

    @property
    def hour(self) -> float:
        """Seconds of one part."""
        return self.period / len(self.returned)

    @property
    def left(self) -> int:
        """What is left for the highest class."""
        return max(self.limit - self.used, 0)

    def share(self, reserve: float) -> int:
        """What a class may use that leaves this part of the limit to those above it."""
        return max(self.limit - int(self.limit * reserve), 1)


def gone_in(course: Course, *, reserve: float = 0.0) -> float | None:
    """Seconds until a class that leaves such a reserve finds nothing left, at the pace of the last hour; None: it lasts.

    To last means to last a whole period: by then all that is used now has come back.
    """
    share, level = course.share(reserve), course.used
    if level >= share:
        return 0.0
    for number, returned in enumerate(course.returned, start=1):
        next_level = course.used - returned + course.recent * number
        if next_level > share:
            return course.hour * (number - 1 + (share - level) / (next_level - level))
        level = next_level
    return None


def pace(course: Course, *, reserve: float) -> float:
    """Seconds between two turns of a lower class; 0: it is not slowed.

    The rule. Every class leaves a reserve of the day to those above it (`turns.RESERVES`), and stops there. So that a day that is
    too short does not end for it at noon, it slows before: where more than half of its share is used, and the rest would be gone
    before turns come back if the pace of the last hour went on, it gets its turns at even distances, so far apart that they last.
    The lowest class has the smallest share: back-fill slows first, then reconciliation, then PDFs. New invoices and deals, and
    statuses, are never slowed: what the others do not use is theirs in the evening.
    """
    share = course.share(reserve)
    if course.used < share * EASY or course.used >= share or gone_in(course, reserve=reserve) is None:
        return 0.0
    # the most an hour that does not meet the limit after any number of hours
    lasting = min((share - course.used + returned) / number for number, returned in enumerate(course.returned, start=1))
    return course.hour / lasting
