"""The memory of each process: its proportional share (PSS), so that pages which several share are counted once in the sum."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.figures import Section, Table
from tests.benchmarks.place import Place

PROC = Path("/proc")
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a part of the stack; `pss` in bytes."""

    part: str
    pid: int
    leads: bool
    pss: int


def pss_of(rollup: str) -> int:
    """The bytes in the text of a `smaps_rollup`. Pure."""
    found = re.search(r"^Pss:\s+(\d+) kB$", rollup, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def session_of(stat: str) -> int:
    """The session in the text of a `stat`, whose second field may hold anything. Pure."""
    return int(stat.rpartition(")")[2].split()[3])


def processes(leaders: Mapping[int, str], proc: Path = PROC) -> list[Process]:
    """Everybody in the sessions of these leaders, which are named; those that end meanwhile are left out."""
    found = []
    for folder in proc.glob("[0-9]*"):
        with suppress(OSError, ValueError):
            leader = session_of((folder / "stat").read_text(encoding="utf-8", errors="replace"))
            if leader in leaders:
                pss = pss_of((folder / "smaps_rollup").read_text(encoding="utf-8"))
                pid = int(folder.name)
                found.append(Process(leaders[leader], pid, pid == leader, pss))
    return sorted(found, key=lambda one: (one.part, not one.leads, one.pid))


def measure(place: Place) -> Section:
    """With Flower, which an operator would run too; after whatever was done before."""
    place.processes.wait_ready(*place.processes.start("flower"))
    leaders = {line.child.pid: name.partition(".")[0] for name, line in place.processes.lines.items()}
    leaders[place.redis.child.pid] = "redis"
    if place.database and place.database.child:
        leaders[place.database.child.pid] = "postgresql"
    found = processes(leaders)
    place.processes.stop(*place.processes.of("flower"))
    return report(found)


def report(found: Iterable[Process]) -> Section:
    """The section of the page. Pure."""
    all_of_them = list(found)
    rows = [(f"{one.part}: {'its first' if one.leads else 'a child'}", mib(one.pss)) for one in all_of_them]
    parts = dict.fromkeys(one.part for one in all_of_them)
    sums = [(f"{part} in all", mib(sum(one.pss for one in all_of_them if one.part == part))) for part in parts]
    whole = ("the whole stack", mib(sum(one.pss for one in all_of_them)))
    return Section(
        name="memory",
        title="Memory",
        notes="Proportional set size after the measurements before, of the processes that the Procfile starts on a small machine and what they stand on.",
        tables=(Table("By part", ("", "PSS"), (*sums, whole)), Table("By process", ("", "PSS"), tuple(rows))),
    )


def mib(size: int) -> str:
    """Bytes as people read them."""
    return f"{size / MIB:.0f} MiB"
