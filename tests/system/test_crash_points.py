"""A worker is killed at each of its calls to a vendor, once before the call took effect and once after: both books are then as if nothing had happened.

Each way of working is played once undisturbed, which tells its calls. Then each of them is held at the sandbox's barrier while its worker is killed with
kill -9, main process and children; the call that nobody waits for any more is cut off, the same line of the Procfile is started again, and the books are
read. One worker has several children, so that one kill and one start serve several points.

CRASH_POINTS=all (or LONG=yes) walks through every point; else some are left out, always the same ones, and the output says how many.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
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

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

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


@dataclass
class Walk:
    """How far it went, by way: points walked through, and points known."""

    ground: Ground
    walked: dict[str, tuple[int, int]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def walk(children: Children, ground_folder: Path, ground: dict[str, str]) -> Iterator[Walk]:
    kinds = {"web": 1, "worker": 1, "beat": 1}
    with open_ground(children, ground_folder, kinds=kinds, settings=PERIODS | CONCURRENCY, told=ground) as opened:
        walk = Walk(opened)
        yield walk
        walked, known = (sum(numbers[n] for numbers in walk.walked.values()) for n in (0, 1))
        print(f"\nwalked through {walked} crash points of {known} in {len(walk.walked)} ways")


@pytest.fixture(scope="module")
def ways(walk: Walk) -> dict[str, Way]:
    return ways_of_working.ways(walk.ground)


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


def go(walk: Walk, way: Way, until: Callable[..., Any]) -> None:
    """Through the way's points."""
    ground = walk.ground
    ground.let_go()
    calls = discover(ground, way)
    points = points_of(way, calls)
    chosen = thin(points)
    slowest = 0.0
    for group in grouped(chosen):
        subjects = [stand_at(ground, way, point, until) for point in group]
        killed = time.monotonic()
        kill_and_start(ground)
        for point, subject in zip(group, subjects, strict=True):
            try:
                settle(way, subject)
            except pytest.fail.Exception as failure:
                pytest.fail(f"killed {point.when} {point.call}: {failure}")
        slowest = max(slowest, time.monotonic() - killed)
        ground.subjects += [(way, subject) for subject in subjects]
    walk.walked[way.name] = len(chosen), len(points)
    print(
        f"{way.name}: walked through {len(chosen)} of {len(points)} crash points, whole again {slowest:.1f} s after a kill at most"
    )


@pytest.mark.parametrize(
    "name",
    [
        "create_invoice, new client",
        "create_invoice, known client",
        "create_invoice, three at once",
        "create_invoice, no client",
        "attach_invoice",
        "sync_status",
        "create_deal, new clients",
    ],
)
def test_a_worker_that_dies_at_any_call_leaves_one_of_each(
    name: str, walk: Walk, ways: dict[str, Way], until: Callable[..., Any]
):
    go(walk, ways[name], until)


def test_the_echoes_of_all_that_find_nothing_to_do(walk: Walk):
    """Both vendors' own webhooks, which were held back till now, come at last, all at once."""
    ground = walk.ground
    ground.hooks.give_back()
    try:
        ground.product.settle(120)
    except NotReady as late:
        pytest.fail(f"{late}: {ground.product.processes.admin(('jobs', 'list', '--json', '--state', 'queued'))}")
    wrong = [sentence for way, subject in ground.subjects for sentence in way.wrong(subject)]
    assert wrong == []
    assert [one for one in ground.product.processes.status()["jobs"] if one["state"] == "failed"] == []
