"""`make demo`: plays the main job against the sandbox, and fails unless everything that should be in the books is there."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from stack import books, scenes
from stack.books import Books
from stack.children import NotReady, until
from stack.processes import ROOT
from stack.redis import find
from stack.sandbox import Sandbox, SandboxRefused
from stack.screen import Progress, calls_table, deals_table
from stack.trial import trial

PATIENCE = 25.0
"""Seconds that a scene's effects may take to show: what is slower than that is broken, even on a busy machine."""

KINDS = {"web": 1, "worker": 1, "beat": 1}


@dataclass(frozen=True, slots=True)
class Played:
    """One scene: how long it took, what it cost, and what was missing."""

    title: str
    seconds: float
    calls: dict[str, int]
    missing: tuple[str, ...]


def demo(console: Console) -> int:
    """The exit status: 0 if everything expected is in the books."""
    find(os.environ)  # says at once, and before anything is made, that there is no Redis
    started = time.monotonic()
    (ROOT / "var").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=ROOT / "var"))
    with Progress(console) as progress:
        try:
            with trial(folder, say=progress.say, kinds=KINDS) as running:
                progress.say(f"up, with {running.redis_origin}")
                played = list(play_all(scenes.Play(running.sandbox, running.processes.jobs_left), progress))
                final = books.read(running.sandbox.books())
        except (NotReady, SandboxRefused) as failure:
            progress.fail(str(failure))
            console.print(f"The logs are in {folder / 'logs'}")
            return 1
    console.print(deals_table(final), calls_table(played))
    return report(console, played, folder, time.monotonic() - started)


def report(console: Console, played: list[Played], folder: Path, seconds: float) -> int:
    """The last lines: that all is there, or what is not."""
    missing = [f"{one.title}: {sentence}" for one in played for sentence in one.missing]
    for sentence in missing:
        console.print(f"[red]missing[/] {sentence}")
    if missing:
        console.print(f"{len(missing)} of the expected things are missing. The logs are in {folder / 'logs'}")
        return 1
    console.print(
        f"[green]Everything is in both books[/], after {seconds:.0f} s. `make run` leaves it up to play with."
    )
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def play_all(play: scenes.Play, progress: Progress) -> Iterator[Played]:
    """Each scene in turn; one that fails does not keep the others from being played."""
    for scene in scenes.SCENES:
        title = scene.__doc__ or scene.__name__
        progress.begin(title)
        before, started = play.sandbox.mark(), time.monotonic()
        missing = tuple(play_one(scene, play))
        played = Played(title, time.monotonic() - started, scenes.count(play.sandbox, before), missing)
        progress.end(title, played.seconds, missing)
        yield played


def play_one(scene: scenes.Scene, play: scenes.Play, patience: float = PATIENCE) -> Iterator[str]:
    """What is missing at the end of a scene; it ends where something is."""
    try:
        for look in scene(play):
            missing = wait_for(look, play.sandbox, patience)
            yield from missing
            if missing:
                return
    except (KeyError, LookupError) as lost:
        yield f"an earlier scene left no {lost}"
    except (NotReady, SandboxRefused) as refused:
        yield str(refused)


def wait_for(look: scenes.Look, sandbox: Sandbox, patience: float) -> list[str]:
    """Reads the books until everything is there or `patience` is at its end; what is then missing."""
    missing: list[str] = []

    def nothing_is_missing() -> bool:
        missing[:] = [sentence for sentence, is_so in look(read(sandbox)).items() if not is_so]
        return not missing

    try:
        until(nothing_is_missing, patience, pause=0.1)
    except NotReady:
        return missing
    return []


def read(sandbox: Sandbox) -> Books:
    """Both books, now."""
    return books.read(sandbox.books())
