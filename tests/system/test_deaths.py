"""Deaths, with the periods that everybody runs with: children, workers, a housekeeper, a worker that stood still and comes back, and a deployment.

Only the quiet period is shorter than by default, since all that it does is to wait. Whatever dies, the vendors' books have one of each afterwards; how long
that took is printed, and is within what is promised: other work goes on 15 s after a death at most, a job that died inside a create 15 s after its quiet
period. To that comes what a deal takes without any death, which is measured each time: on a machine that is busy with other things it takes longer.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stack.children import Children
from tests.system import ways as ways_of_working
from tests.system.points import Call, Ground, Point, Way, discover, open_ground, stand_at

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

QUIET = 10.0
PROMPT = 15.0
"""Seconds, as promised with a lease of 10 and a sweep every 2."""

SETTINGS = {"BRIDGE_QUIET_SECONDS": f"{QUIET:g}", "CELERY_WORKER_CONCURRENCY": "12", "WEB_CONCURRENCY": "1"}
WORKERS = ("worker.1", "worker.2")

READING = Point(Call("kommo", "GET", "/api/v4/leads", 1), "before")
CREATING = Point(Call("xero", "PUT", "/api.xro/2.0/Invoices", 1), "after")

Subjects = dict[str, tuple[Way, Any]]


@pytest.fixture(scope="module")
def stage(children: Children, ground_folder: Path, ground: dict[str, str]) -> Iterator[Ground]:
    kinds = {"web": 1, "worker": 2, "beat": 2}
    with open_ground(children, ground_folder, kinds=kinds, settings=SETTINGS, told=ground) as opened:
        print(f"\nthe quiet period is {QUIET:g} s here, all other periods are as by default")
        yield opened


@pytest.fixture(scope="module")
def ways(stage: Ground) -> Mapping[str, Way]:
    return ways_of_working.ways(stage)


@dataclass
class Undisturbed:
    """A way of working, and the seconds that it took a moment ago, undisturbed."""

    way: Way
    seconds: float


@pytest.fixture
def usual(stage: Ground, ways: Mapping[str, Way]) -> Undisturbed:
    """A deal of a client whom both know; nothing is held, and everybody is there."""
    stage.let_go()
    for name in stage.product.processes.dead():
        stage.product.processes.restart(name)
    stage.product.processes.wait_ready()
    known = ways["create_invoice, known client"]
    took = whole_after(new_work(known), time.monotonic())
    return Undisturbed(known, took["new work"])


def two_on_their_way(stage: Ground, way: Way, until: Callable[..., Any]) -> Subjects:
    """One job stands inside a create, another in a read."""
    creating = way, stand_at(stage, way, CREATING, until)
    reading = way, stand_at(stage, way, READING, until)
    return {"inside a create": creating, "other work": reading}


def new_work(way: Way) -> Subjects:
    """An event that comes just now."""
    subject = way.begin()
    way.start(subject)
    return {"new work": (way, subject)}


def whole_after(subjects: Subjects, since: float, *, timeout: float = 60) -> dict[str, float]:
    """Seconds until each of them is as it must be."""
    took: dict[str, float] = {}
    while len(took) < len(subjects):
        for name, (way, subject) in subjects.items():
            if name not in took and not way.wrong(subject):
                took[name] = time.monotonic() - since
        if time.monotonic() - since > timeout:
            wrong = {name: way.wrong(subject) for name, (way, subject) in subjects.items() if name not in took}
            pytest.fail(f"after {timeout:g} s {wrong}")
        time.sleep(0.05)
    return took


def tell(what: str, took: Mapping[str, float]) -> None:
    print(f"{what}: " + ", ".join(f"{name} whole after {seconds:.1f} s" for name, seconds in sorted(took.items())))


def children_of(pid: int) -> list[int]:
    """The processes that this one has forked."""
    told = Path(f"/proc/{pid}/task/{pid}/children")
    if not told.exists():
        pytest.skip("this system does not tell a process's children in /proc")
    return [int(child) for child in told.read_text().split()]


def kill_children(stage: Ground) -> None:
    """Those that work; their main processes live."""
    for name in WORKERS:
        for pid in children_of(stage.product.processes[name].child.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    stage.let_go()


def assert_prompt(took: Mapping[str, float], usual: Undisturbed, *, late: float = 0.0) -> None:
    """As promised; `late` seconds passed before anybody was there to work."""
    print(f"(undisturbed {usual.seconds:.1f} s)")
    allowed = {"inside a create": QUIET + PROMPT, "other work": PROMPT, "new work": PROMPT}
    assert [name for name, seconds in took.items() if seconds > late + allowed[name] + usual.seconds] == []


def test_children_are_killed(stage: Ground, usual: Undisturbed, until: Callable[..., Any]):
    subjects = two_on_their_way(stage, usual.way, until)
    killed = time.monotonic()
    kill_children(stage)
    took = whole_after(subjects | new_work(usual.way), killed)
    tell("children killed", took)
    assert_prompt(took, usual)
    assert stage.product.processes.dead() == []


def test_every_worker_is_killed_with_all_its_children(stage: Ground, usual: Undisturbed, until: Callable[..., Any]):
    processes = stage.product.processes
    subjects = two_on_their_way(stage, usual.way, until)
    killed = time.monotonic()
    for name in WORKERS:
        processes.kill(name)
    stage.let_go()
    subjects |= new_work(usual.way)
    for name in WORKERS:
        processes.restart(name)
    processes.wait_ready(*WORKERS)
    ready = time.monotonic() - killed
    took = whole_after(subjects, killed)
    tell(f"all workers killed, the new ones ready after {ready:.1f} s", took)
    assert_prompt(took, usual, late=ready)


def test_a_housekeeper_is_killed_and_the_other_goes_on(stage: Ground, usual: Undisturbed, until: Callable[..., Any]):
    """It alone takes back what dead children held."""
    stage.product.processes.kill("beat.1")
    subjects = two_on_their_way(stage, usual.way, until)
    killed = time.monotonic()
    kill_children(stage)
    took = whole_after(subjects, killed)
    tell("a housekeeper and children killed", took)
    assert_prompt(took, usual)


def test_both_housekeepers_are_killed_and_what_is_rung_for_goes_on(stage: Ground, usual: Undisturbed):
    """Without a sweep rings alone must do; the first housekeeper that comes back finds the rest."""
    for name in ("beat.1", "beat.2"):
        stage.product.processes.kill(name)
    took = whole_after(new_work(usual.way), time.monotonic())
    tell("no housekeeper", took)
    assert took["new work"] <= usual.seconds + PROMPT


# Where a worker stands still: in each read and after each write, and with the create not even begun at Xero.
STILL = (
    READING,
    Point(Call("xero", "PUT", "/api.xro/2.0/Invoices", 1), "before"),
    CREATING,
    Point(Call("kommo", "PATCH", "/api/v4/leads", 1), "after"),
    Point(Call("kommo", "POST", "/api/v4/leads/notes", 1), "after"),
    Point(Call("xero", "GET", "/api.xro/2.0/Invoices/*", 1), "before"),
    Point(Call("drive", "POST", "/v1.0/sessions", 1), "after"),
    Point(Call("drive", "POST", "/upload/*", 1), "after"),
    Point(Call("kommo", "PUT", "/api/v4/leads/*/files", 1), "after"),
    Point(Call("kommo", "PATCH", "/api/v4/leads", 2), "after"),
)


def test_a_worker_that_stood_still_past_its_lease_comes_back_after_its_successor(
    stage: Ground, usual: Undisturbed, until: Callable[..., Any]
):
    """In mid-call, at ten places at once; it is thawed, with its answers, when all its jobs have been done by somebody else."""
    processes = stage.product.processes
    processes.kill("worker.2")
    discovered = {(call.vendor, call.method, call.number) for call in discover(stage, usual.way)}
    assert discovered >= {(point.call.vendor, point.call.method, point.call.number) for point in STILL}
    subjects: Subjects = {
        f"{point.when} {point.call}": (usual.way, stand_at(stage, usual.way, point, until)) for point in STILL
    }
    processes.freeze("worker.1")
    frozen = time.monotonic()
    processes.restart("worker.2")
    took = whole_after(subjects, frozen, timeout=90)
    print(
        f"frozen at {len(STILL)} places: done by the successor after {min(took.values()):.1f} to {max(took.values()):.1f} s"
    )
    for held in stage.product.sandbox.get("held"):
        stage.product.sandbox.post(f"held/{held['id']}/release")
    processes.thaw("worker.1")
    books = stage.product.books
    late = subjects.pop(f"before {STILL[1].call}")[1]
    until(
        lambda: len([one for one in books().invoices if one.is_for(late)]) == 2, 20
    )  # its create takes effect only now
    until(lambda: len(books().invoices_for(late)) == 1, 30)  # and is voided
    stage.wait_idle()
    assert {name: wrong for name, (way, subject) in subjects.items() if (wrong := way.wrong(subject))} == {}
    deal, (invoice,) = books().deals[late], books().invoices_for(late)
    assert (deal.number, deal.status, len(deal.notes), len(deal.files)) == (invoice.number, "Awaiting payment", 1, 1)
    assert processes.dead() == []


def stopped_meanwhile(stage: Ground, meanwhile: Callable[[], None]) -> float:
    """Seconds that the workers took to end when they were asked to, as a deployment does."""
    processes = stage.product.processes
    asked = time.monotonic()
    stopping = threading.Thread(target=processes.stop, args=WORKERS)
    stopping.start()
    meanwhile()
    stopping.join()
    return time.monotonic() - asked


def test_a_deployment_lets_a_job_end_but_does_not_wait_for_ever(
    stage: Ground, usual: Undisturbed, until: Callable[..., Any]
):
    """What is answered within the grace is done; what is not goes on with the new workers, as after a death."""
    processes, sandbox = stage.product.processes, stage.product.sandbox
    subjects = two_on_their_way(stage, usual.way, until)
    answered = subjects.pop("inside a create")[1]

    def answer_one() -> None:
        # Celery says it as soon as it takes no more
        until(lambda: all("hutdown" in processes[name].child.output() for name in WORKERS), 30)
        for held in sandbox.get("held"):
            if held["call"].startswith(CREATING.call.method):
                sandbox.post(f"held/{held['id']}/release")

    took = stopped_meanwhile(stage, answer_one)
    assert stage.product.books().deals[answered].number
    stage.let_go()
    ended = time.monotonic()
    for name in WORKERS:
        processes.restart(name)
    processes.wait_ready(*WORKERS)
    ready = time.monotonic() - ended
    again = whole_after(subjects | {"new work": (usual.way, answered)}, ended)
    tell(f"deployed: the workers ended after {took:.1f} s, the new ones were ready after {ready:.1f} s", again)
    assert took < 30 + usual.seconds
    assert_prompt(again, usual, late=ready)
    assert "died" not in processes.admin(("trace", "--lead", str(answered), "--json"))[0]


def test_after_all_that_the_echoes_find_nothing_to_do(stage: Ground, usual: Undisturbed):
    """Nothing lost, nothing doubled, and no job that waits for a person."""
    stage.hooks.give_back()
    stage.product.settle(120)
    deals = [deal for deal in stage.product.books().deals.values() if deal.name.startswith("Deal ")]
    assert [deal.id for deal in deals if (len(deal.notes), len(deal.files)) != (1, 1)] == []
    assert [deal.id for deal in deals if len(stage.product.books().invoices_for(deal.id)) != 1] == []
    assert [one for one in stage.product.processes.status()["jobs"] if one["state"] == "failed"] == []
