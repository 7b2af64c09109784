"""`python -m stack demo` and `python -m stack run`."""

import signal
import sys
from types import FrameType

import click
from rich.console import Console

from stack.demo import demo
from stack.redis import NoRedis
from stack.run import run

WIDTH = 140
"""Columns of what is written to a file or a build's log, where nobody says how wide it is."""

COMMANDS = {"demo": demo, "run": run}


def as_interrupt(_number: int, _frame: FrameType | None) -> None:
    """A plain kill stops everything in order, as Ctrl-C does."""
    raise KeyboardInterrupt


@click.command()
@click.argument("what", type=click.Choice(sorted(COMMANDS)))
def main(what: str) -> None:
    """Starts the whole product on this machine against the sandbox: `demo` plays the main job and ends, `run` stays up."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, as_interrupt)
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    try:
        sys.exit(COMMANDS[what](console))
    except NoRedis as none:
        console.print(str(none), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("stopped")
        sys.exit(130)


if __name__ == "__main__":
    main()
