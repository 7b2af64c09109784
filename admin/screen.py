"""What a person sees: tables and lines on standard output. What a program sees: one JSON document, and nothing else."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime

import click
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Where no terminal says how wide it is: a table's sentences stay whole in a file.
WIDE = 200

STYLES = {"ok": "green", "note": "yellow", "failed": "red", "running": "cyan", "cancelled": "dim", "died": "red"}


def console() -> Console:
    """Standard output as it is now."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDE, highlight=False, markup=False)


def tell(sentence: str, *, style: str = "") -> None:
    """A line for a person; it may be longer than the screen."""
    console().print(Text(sentence, style=style), soft_wrap=True)


def tell_json(told: object) -> None:
    """One document for a program. Times are ISO in UTC."""
    click.echo(to_json(told, indent=2).decode())


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for a person, with a line below it; or nothing where it has no rows."""
    shown = [[cell(value) for value in row] for row in rows]
    if not shown:
        return
    drawn = Table(
        *columns,
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=None,
        header_style="dim",
        pad_edge=False,
    )
    for row in shown:
        drawn.add_row(*row)
    console().print(drawn)
    tell("")


def cell(value: object) -> Text:
    """A value as it stands in a table: text never counts as markup."""
    match value:
        case None:
            return Text("")
        case datetime():
            return Text(when(value))
    return Text(str(value), style=STYLES.get(str(value), ""))


def when(value: datetime) -> str:
    """An instant for a person: UTC, to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S}"
