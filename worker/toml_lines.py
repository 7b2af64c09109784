"""On which line of a TOML file a key stands: the standard parser does not say, and a person who mends a file asks first."""

import re
from collections import Counter

Place = tuple[str | int, ...]

# strings that may go on over lines; all other strings, so that what is in them is not taken for a comment; comments
_LONG = ('"""', "'''")
_ASIDE = re.compile(
    r'"""(?:\\.|[^\\])*?"""' + r"|'''.*?'''" + r'|"(?:\\.|[^"\\\n])*"' + r"|'[^'\n]*'|#[^\n]*",
    re.DOTALL,
)
_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*$")
_KEY = re.compile(r"""^\s*((?:"[^"]*"|'[^']*'|[\w.-])+(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")
_STEP = re.compile(r""""([^"]*)"|'([^']*)'|([\w-]+)""")


class Lines:
    """Maps places, as ("connection", 0, "invoice", "status"), to lines counted from 1. The text must be valid TOML."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Place, int] = {(): 1}
        self._repeats: Counter[Place] = Counter()
        table: Place = ()
        for number, line in enumerate(_plain(text).split("\n"), start=1):
            if header := _HEADER.match(line):
                table = self._enter(_steps(header[2]), number if header[1] == "[[" else None)
                self._lines.setdefault(table, number)
            elif key := _KEY.match(line):
                self._keep((*table, *_steps(key[1])), len(table), number)

    def of(self, place: Place) -> int:
        """The line of the key there, or of the table around it where the key is absent."""
        return next(self._lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in self._lines)

    def _enter(self, steps: list[str], repeat: int | None) -> Place:
        """The place of a table's header: a step that names a list of tables stands for its last one. `repeat`: the line of `[[`."""
        place: Place = ()
        for step in steps[:-1]:
            place = self._latest((*place, step))
        place = (*place, steps[-1])
        if repeat:
            self._lines.setdefault(place, repeat)
            self._repeats[place] += 1
        return self._latest(place)

    def _latest(self, place: Place) -> Place:
        return (*place, self._repeats[place] - 1) if place in self._repeats else place

    def _keep(self, place: Place, known: int, number: int) -> None:
        for end in range(known + 1, len(place) + 1):
            self._lines.setdefault(place[:end], number)


def _steps(dotted: str) -> list[str]:
    return [a or b or c for a, b, c in _STEP.findall(dotted)]


def _plain(text: str) -> str:
    """The text without its comments and long strings, which may hold anything; every line keeps its number."""
    return _ASIDE.sub(
        lambda found: "\n" * found[0].count("\n") if found[0][:3] in _LONG or found[0][0] == "#" else found[0], text
    )
