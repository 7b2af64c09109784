"""`python -m tests.system.chaos N=2000 SEED=1 FAULTS=all DATABASE=postgres`: one run; exit status 0 only if nothing was found."""

import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.status import Status

from stack.children import NotReady
from stack.processes import ROOT
from tests.servers import Absent
from tests.system.chaos import catalogue, report
from tests.system.chaos.attack import NotAtRest, Wanted, attack

USUAL = {"N": "200", "SEED": "1", "FAULTS": "all", "DATABASE": "postgres", "RECORD": ""}
# Runs of this size and above go into the page unless RECORD=no.
RECORDED = 2000
PAGE = ROOT / "docs" / "reliability.md"
WIDTH = 160


class Wrong(Exception):
    """An argument that can't be meant."""


def read(words: list[str]) -> dict[str, str]:
    """NAME=value, each of those there are at most once; an empty value means the usual one."""
    given = dict(USUAL)
    for word in words:
        name, found, value = word.partition("=")
        if not found or name not in USUAL:
            raise Wrong(f"{word}: there are {', '.join(USUAL)}, each as NAME=value")
        given[name] = value or USUAL[name]
    return given


def wanted(given: Mapping[str, str]) -> Wanted:
    """What is asked for, with a new folder."""
    if not given["N"].isdecimal() or not given["SEED"].isdecimal():
        raise Wrong("N and SEED are whole numbers")
    if given["DATABASE"] not in ("postgres", "sqlite"):
        raise Wrong("DATABASE is postgres or sqlite")
    try:
        faults = tuple(catalogue.choose(given["FAULTS"]))
    except ValueError as stranger:
        raise Wrong(str(stranger)) from None
    return Wanted(int(given["N"]), int(given["SEED"]), faults, given["DATABASE"], folder())


def folder() -> Path:
    """A short path that PostgreSQL's own user may enter."""
    (ROOT / "var").mkdir(exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="chaos-", dir=ROOT / "var"))
    made.chmod(0o711)
    return made


def as_interrupt(_number: int, _frame: FrameType | None) -> None:
    """A plain kill ends everything in order, as Ctrl-C does."""
    raise KeyboardInterrupt


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, as_interrupt)
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    try:
        given = read(sys.argv[1:])
        run = wanted(given)
    except Wrong as wrong:
        console.print(str(wrong), style="red")
        return 2
    with Status("", console=console) as status:
        doing: dict[str, str] = {}

        def told(what: str, done: int, planned: int) -> None:
            doing[what] = f"{done}/{planned}" if planned else str(done)
            status.update(", ".join(f"{what} {count}" for what, count in doing.items()))

        try:
            outcome = attack(run, say=lambda line: console.print(line, style="dim", highlight=False), told=told)
        except (NotReady, NotAtRest, Absent) as failure:
            status.stop()
            console.print(f"{type(failure).__name__}: {failure}", style="red", markup=False, soft_wrap=True)
            console.print(f"What there is of it is in {run.folder}")
            return 1
    report.show(console, outcome)
    if given["RECORD"] == "yes" or (run.deals >= RECORDED and given["RECORD"] != "no"):
        with suppress(FileNotFoundError):
            report.record(PAGE, outcome)
            console.print(f"written into {PAGE.relative_to(ROOT)}")
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
