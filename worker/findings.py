"""Findings: what a look at both systems told, a line each, with its mend; and the refusal of what an operator asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum


class NotDone(Exception):
    """What an operator asked for was not done; its text is for that person: a line a reason, each with its mend."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons = reasons

    def __str__(self) -> str:
        return "\n".join(self.reasons)


class Grade(StrEnum):
    """How good it is."""

    OK = "ok"
    NOTE = "note"  # works, but a person should know
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One precondition: what it is about, how it stands, and what to do where it does not."""

    about: str
    grade: Grade
    said: str
    mend: str = ""

    @property
    def sentence(self) -> str:
        """What is said and what to do, in one line."""
        return f"{self.said}: {self.mend}" if self.mend else self.said


def ok(about: str, said: str) -> Finding:
    """It stands."""
    return Finding(about, Grade.OK, said)


def note(about: str, said: str, mend: str = "") -> Finding:
    """It works, but a person should know."""
    return Finding(about, Grade.NOTE, said, mend)


def failed(about: str, said: str, mend: str = "") -> Finding:
    """It does not stand."""
    return Finding(about, Grade.FAILED, said, mend)


def failures(found: Iterable[Finding]) -> list[Finding]:
    """Those that do not stand."""
    return [one for one in found if one.grade is Grade.FAILED]


def nearest(word: str, known: Iterable[str]) -> str:
    """A question for the known word that was probably meant; all of them where none is near."""
    folded = {one.casefold(): one for one in known}
    if not folded:
        return "there are none"
    if near := get_close_matches(word.casefold(), folded, n=1):
        return f'did you mean "{folded[near[0]]}"?'
    return "there are " + ", ".join(f'"{one}"' for one in folded.values())
