"""A worker is killed at each of its calls to a vendor, once before the call took effect and once after: both books are then as if nothing had happened.

Each way of working is played once undisturbed, which tells its calls. Then each of them is held at the sandbox's barrier while its worker is killed with
kill -9, main process and children; the call that nobody waits for any more is cut off, the same line of the Procfile is started again, and the books are
read. One worker has several children, so that one kill and one start serve several points, of whatever ways.

CRASH_POINTS=all (or LONG=yes) walks through every point; else some are left out, always the same ones, and the output says how many.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from stack.children import Children, NotReady
from tests.system import ways as ways_of_working
from tests.system.points import (
    CONCURRENCY,
    Ground,
    Point,
    Way,
    discover,
    grouped,
    open_ground,
    points_of,
    settle,
    stand_at,
)

pytestmark = [pytest.mark.system, pytest.mark.timeout(3600)]

# Shrunk so that nobody waits: but a lease must outlast a moment in which the machine is busy with others.
PERIODS = {
    "BRIDGE_LEASE_SECONDS": "2",
    "BRIDGE_RENEW_SECONDS": "0.5",
    "BRIDGE_SWEEP_SECONDS": "0.5",
    "BRIDGE_QUIET_SECONDS": "3",
    # points are held one after the other, and the first must not give up before the last is there
    "BRIDGE_READ_TIMEOUT_SECONDS": "60",
    "BRIDGE_RECONCILE_SECONDS": "3600",
}

# Of the points of each way, how many `make test` walks through at least; those around its writes come before all others.
THINNED = 6
ALL = os.environ.get("CRASH_POINTS") == "all" or os.environ.get("LONG") == "yes"


@pytest.fixture(scope="module")
def opened(children: Children, ground_folder: Path, ground: dict[str, str]) -> Iterator[Ground]:
    kinds = {"web": 1, "worker": 1, "beat": 1}
    with open_ground(children, ground_folder, kinds=kinds, settings=PERIODS | CONCURRENCY, told=ground) as opened:
        yield opened


@pytest.fixture(scope="module")
def ways(opened: Ground) -> dict[str, Way]:
    return ways_of_working.ways(opened)


@pytest.fixture(scope="module")
def known(opened: Ground, ways: dict[str, Way]) -> dict[str, list[Point]]:
    """Every point of each way."""
    opened.let_go()
    return {name: points_of(way, discover(opened, way)) for name, way in ways.items()}


def thin(points: Sequence[Point]) -> list[Point]:
    """All of them, or some that lie evenly spread: those around a write before all others."""
    if ALL or len(points) <= THINNED:
        return list(points)
    writes = [point for point in points if point.call.method != "GET"]
    reads = [point for point in points if point.call.method == "GET"]
    left = max(THINNED - len(writes), 1)
    return writes + reads[:: max(len(reads) // left, 1)][:left]


def kill_and_start(ground: Ground) -> None:
    """Main process and children, at once; what they asked for is cut off."""
    ground.product.processes.kill("worker.1")
    ground.let_go()
    ground.product.processes.restart("worker.1")


def die_and_settle(ground: Ground, group: Sequence[tuple[Way, Point]], until: Callable[..., Any]) -> list[str]:
    """What was not whole again after a kill at these points."""
    subjects = [stand_at(ground, way, point, until) for way, point in group]
    killed = time.monotonic()
    kill_and_start(ground)
    failures: list[str] = []
    for (way, point), subject in zip(group, subjects, strict=True):
        try:
            settle(way, subject)
        except pytest.fail.Exception as failure:
            failures.append(f"killed {point.when} {point.call}: {failure}")
    ground.subjects += [(way, subject) for (way, _), subject in zip(group, subjects, strict=True)]
    print(f"{len(group)} deaths, whole again after {time.monotonic() - killed:.1f} s")
    return failures


def test_a_worker_that_dies_at_any_call_leaves_one_of_each(
    opened: Ground, ways: dict[str, Way], known: dict[str, list[Point]], until: Callable[..., Any]
):
    chosen = {name: thin(points) for name, points in known.items()}
    stops = [(ways[name], point) for name, points in chosen.items() for point in points]
    failures = [failure for group in grouped(stops) for failure in die_and_settle(opened, group, until)]
    for name, points in known.items():
        print(f"{name}: walked through {len(chosen[name])} of {len(points)} crash points")
    print(f"in all {len(stops)} of {sum(map(len, known.values()))} in {len(known)} ways")
    assert failures == []


def test_the_echoes_of_all_that_find_nothing_to_do(opened: Ground):
    """Both vendors' own webhooks, which were held back till now, come at last, all at once."""
    opened.hooks.give_back()
    try:
        opened.product.settle(120)
    except NotReady as late:
        pytest.fail(f"{late}: {opened.product.processes.admin(('jobs', 'list', '--json', '--state', 'queued'))}")
    wrong = [sentence for way, subject in opened.subjects for sentence in way.wrong(subject)]
    assert wrong == []
    assert [one for one in opened.product.processes.status()["jobs"] if one["state"] == "failed"] == []
