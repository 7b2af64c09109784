"""How every command comes in and goes out: settings are read once, and an operator's mistake gets a message instead of a stack trace."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from worker import mends, settings
from worker.settings import Process
from worker.workshop import Workshop

# A secret that is given as this is read from standard input, so that no shell's history keeps it.
STDIN = "-"

# What a shell expects of a program that was stopped with Ctrl-C: 128 and the signal's number.
INTERRUPTED = 130


class Careful(click.Group):
    """Turns every error that an operator can mend into its message, on standard error, and exit status 1."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the command line. Ctrl-C meanwhile is no refusal, which is what Click would make of it."""
        try:
            return super().make_context(*args, **kwargs)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except Exception as error:
            message = mends.explain(error)
            if message is None:
                raise
            click.echo(message, err=True)
            ctx.exit(1)


class Id(click.types.IntParamType):
    """The number of a job or of a deal, as long as a database can hold one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        found = super().convert(value, param, ctx)
        if abs(found) >= 2**63:
            self.fail(f"{found} is too long for an id", param, ctx)
        return found


@contextmanager
def opened(*needs: Process) -> Iterator[Workshop]:
    """The workshop, with settings that have all of `needs`."""
    workshop = Workshop(settings.load(needs=needs))
    try:
        yield workshop
    finally:
        workshop.close()


def secret(given: str) -> str:
    """What was given, or the line on standard input."""
    return (sys.stdin.readline() if given == STDIN else given).strip()


as_json = click.option("--json", "is_json", is_flag=True, help="One JSON document, for programs.")
