"""Causes: sentences that differ in names and numbers only have one cause, and one mend. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# What differs from job to job: what is quoted, and every word with a digit in it. What nobody can type parts a sentence too.
_VARIES = re.compile(r'"[^"]*"|\S*\d\S*|[\x00-\x1f\x7f]+')

# So much of a sentence is easily copied into a command.
COPIED = 40


@dataclass(frozen=True, slots=True)
class Cause:
    """What so many jobs say, by the sentence of the first. `text` is a part of it that all of them have; `besides` are the jobs of other causes that have it too."""

    jobs: int
    sentence: str
    text: str
    besides: int = 0


def causes(sentences: Iterable[str]) -> list[Cause]:
    """The causes of these sentences, the most frequent first."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for sentence in sentences:
        groups.setdefault(_fixed(sentence), []).append(sentence)
    found = []
    for fixed, said in groups.items():
        others = [one for other, some in groups.items() if other != fixed for one in some]
        text = _text(fixed or (said[0],), others)
        found.append(Cause(len(said), said[0], text, sum(text.casefold() in other.casefold() for other in others)))
    return sorted(found, key=lambda cause: -cause.jobs)


def _fixed(sentence: str) -> tuple[str, ...]:
    return tuple(part for piece in _VARIES.split(sentence) if (part := piece.strip(" ,;:.()")))


def _text(fixed: Sequence[str], others: Sequence[str]) -> str:
    """The first part that is a cause's own, short if that will do."""
    parts = sorted(fixed, key=len, reverse=True)
    for part in (*map(_beginning, parts), *parts):
        if not any(part.casefold() in other.casefold() for other in others):
            return part
    return parts[0]


def _beginning(part: str) -> str:
    return part if len(part) <= COPIED else part[:COPIED].rpartition(" ")[0] or part[:COPIED]
