"""`python -m tests.benchmarks ONLY=idle,burst SIZE=small DATABASE=sqlite`: measures, prints, and writes the page."""

import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from stack.children import NotReady
from stack.processes import ROOT
from tests.benchmarks import ack, burst, idle, ledger, memory, paper, payments, rival
from tests.benchmarks.figures import Section
from tests.benchmarks.place import Place, place
from tests.benchmarks.sizes import SIZES, Size
from tests.servers import Absent

USUAL = {"ONLY": "", "SIZE": "full", "DATABASE": "sqlite", "FACTOR": "", "DOCS": "", "KEEP": ""}
# In this order: each of the last four goes on where the one before it stopped, and the habit takes the product's place.
SHARED = ("burst", "payments", "memory", "habit")
NAMES = ("ack", "ledger", "idle", "rival", *SHARED)
DOCS = ROOT / "docs"


class Wrong(Exception):
    """An argument that can't be meant."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for."""

    only: tuple[str, ...]
    size: Size
    database: str
    docs: Path
    folder: Path
    keep: bool


def read(words: Sequence[str], folder: Path) -> Wanted:
    """NAME=value, each of those there are at most once. Small sizes are written beside what they were measured with, not into docs."""
    given = dict(USUAL)
    for word in words:
        name, found, value = word.partition("=")
        if not found or name not in USUAL:
            raise Wrong(f"{word}: there are {', '.join(USUAL)}, each as NAME=value")
        given[name] = value or USUAL[name]
    only = tuple(name for name in given["ONLY"].split(",") if name) or NAMES
    if strangers := set(only) - set(NAMES):
        raise Wrong(f"ONLY={','.join(sorted(strangers))}: there are {', '.join(NAMES)}")
    if given["SIZE"] not in SIZES or given["DATABASE"] not in ("sqlite", "postgres"):
        raise Wrong("SIZE is full or small, DATABASE is sqlite or postgres")
    size = SIZES[given["SIZE"]]
    if given["FACTOR"]:
        size = size.at(float(given["FACTOR"]))
    docs = Path(given["DOCS"]) if given["DOCS"] else DOCS if size.name == "full" else ROOT / "var" / "bench"
    return Wanted(only, size, given["DATABASE"], docs, folder, bool(given["KEEP"]))


class Bench:
    """Runs what is wanted. What several measurements can share is brought up once."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted, self._size = wanted, wanted.size
        self._started = time.monotonic()

    def run(self) -> Iterator[Section]:
        """The sections, as they are measured."""
        apart: dict[str, Callable[[], Iterable[Section]]] = {
            "ack": self.ack, "ledger": self.ledger, "idle": self.idle, "rival": self.rival,
        }  # fmt: skip
        for name, step in apart.items():
            if name in self._wanted.only:
                self.say(f"--- {name}")
                yield from step()
        if set(self._wanted.only) & set(SHARED):
            yield from self.shared()

    def ack(self) -> Iterable[Section]:
        """Nobody works the jobs off."""
        return [ack.measure(self._wanted.folder / "ack", self._size, self.say)]

    def ledger(self) -> Iterable[Section]:
        """Without any process of the product."""
        return [ledger.measure(self._wanted.folder / "ledger", self._size, self.say)]

    def idle(self) -> Iterable[Section]:
        """At the vendors' own pace: nothing is shrunk."""
        with self.place("idle", factor=1) as here:
            yield idle.measure(here, self._size)

    def rival(self) -> Iterable[Section]:
        """Two connections, at the vendors' own pace: our own work would weigh too much in a shrunk call."""
        with self.place("rival", factor=1, second=rival.SECOND) as here:
            yield rival.measure(here, self._size)

    def shared(self) -> Iterator[Section]:
        """On one product and one sandbox; the section of the burst comes twice, the second time with the habit beside it."""
        only, factor = self._wanted.only, self._size.factor
        with self.place("burst", factor=factor) as here:
            burst.pace(here, self._size)
            measured = []
            if "burst" in only:
                measured = burst.measure(here, self._size)
                yield burst.report(measured, factor=factor)
            if "payments" in only:
                self.say("--- payments")
                yield payments.measure(here, self._size)
            if "memory" in only:
                yield memory.measure(here)
            if "habit" in only:
                measured += burst.against_habit(here, self._size)
                yield burst.report(measured, factor=factor)

    def place(
        self, name: str, *, factor: float, second: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Place]:
        """A new one, in a folder of its own."""
        folder = self._wanted.folder / name
        return place(folder, factor=factor, say=self.say, database=self._wanted.database, second=second)

    def say(self, what: str) -> None:
        """A step, with the time."""
        print(f"{time.monotonic() - self._started:7.1f} s  {what}", flush=True)


@contextmanager
def own_folder(*, keep: bool) -> Iterator[Path]:
    """A short path that PostgreSQL's own user may enter."""
    (ROOT / "var").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT / "var"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def stands_on(wanted: Wanted) -> str:
    """What the figures were measured on."""
    return (
        f"size {wanted.size.name}, {wanted.database}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f} at the end, {time.strftime('%Y-%m-%d %H:%M')} UTC"
    )


def show(section: Section) -> None:
    """On the terminal."""
    print(f"\n{section.title}\n{section.notes}\n")
    for table in section.tables:
        print(paper.plain(table), end="\n\n")
    for check in section.checks:
        print("  ".join(check.row).replace("**", ""))
    print(flush=True)


def keep(section: Section, wanted: Wanted) -> None:
    """In the page, and its charts beside it."""
    wanted.docs.mkdir(parents=True, exist_ok=True)
    page = wanted.docs / "performance.md"
    text = page.read_text(encoding="utf-8") if page.exists() else "# Performance\n"
    page.write_text(paper.put(text, section.name, paper.markdown(section, stands_on(wanted))), encoding="utf-8")
    for name, drawing in section.charts.items():
        (wanted.docs / name).write_text(drawing, encoding="utf-8")


def as_interrupt(_number: int, _frame: FrameType | None) -> None:
    """A plain kill stops everything in order, as Ctrl-C does."""
    raise KeyboardInterrupt


def main() -> int:
    """Exit status 0: all that must be shown is shown; 1: something is not, or it could not be measured; 2: wrong usage."""
    signal.signal(signal.SIGTERM, as_interrupt)
    os.environ["TZ"] = "UTC"
    time.tzset()
    with own_folder(keep="KEEP=yes" in sys.argv) as folder:
        try:
            wanted = read(sys.argv[1:], folder)
        except Wrong as wrong:
            print(wrong, file=sys.stderr)
            return 2
        sections: dict[str, Section] = {}
        try:
            for section in Bench(wanted).run():
                show(section)
                keep(section, wanted)
                sections[section.name] = section
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130
        except (NotReady, Absent) as failure:
            print(f"could not be measured: {failure}", file=sys.stderr)
            return 1
    passed, of = paper.verdicts(sections.values())
    print(f"{passed} of {of} shown; written to {wanted.docs / 'performance.md'}")
    return 0 if passed == of else 1


if __name__ == "__main__":
    sys.exit(main())
