"""What a person sees: tables and lines on standard output. What a program sees: one JSON document, and nothing else."""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import click
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.wording import plain

# Where no terminal says how wide it is, nor COLUMNS: a table's sentences stay whole in a file.
WIDE = 200

FACT_NAME = 10

STYLES = {"ok": "green", "note": "yellow", "failed": "red", "running": "cyan", "cancelled": "dim", "died": "red"}


def console() -> Console:
    """Standard output as it is now."""
    is_told = os.environ.get("COLUMNS", "").isdecimal() or sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_told else WIDE  # a width of none at all is passed over
    return Console(file=sys.stdout, width=width, highlight=False, markup=False)


def tell(sentence: str, *, style: str = "") -> None:
    """A line for a person; it may be longer than the screen."""
    console().print(Text(sentence, style=style), soft_wrap=True)


def tell_fact(name: str, value: str) -> None:
    """A named line, wrapped beside its name; an address stays whole, so that it can be clicked and copied."""
    screen, head = console(), Text(f"  {name:<{FACT_NAME}}", style="dim")
    if "://" in value or screen.width >= WIDE:
        screen.print(Text.assemble(head, Text(value)), soft_wrap=True)
        return
    for place, line in enumerate(Text(value).wrap(screen, max(screen.width - len(head), FACT_NAME))):
        screen.print(Text.assemble(Text(" " * len(head)) if place else head, line), soft_wrap=True)


def tell_json(told: object) -> None:
    """One document for a program. Times are ISO in UTC."""
    click.echo(to_json(told, indent=2).decode())


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: int = 0) -> None:
    """A table for a person, with a line below it; or nothing where it has no rows. The last columns may be `numbers`."""
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
    drawn.columns[-1].overflow = "fold"
    for column in drawn.columns[len(columns) - numbers :]:
        column.justify = "right"
    for row in shown:
        drawn.add_row(*row)
    console().print(drawn)
    tell("")


def cell(value: object) -> Text:
    """A value as it stands in a table: text never counts as markup, nor as an order to the terminal."""
    match value:
        case None:
            return Text("")
        case datetime():
            return Text(when(value))
    return Text(plain(str(value)), style=STYLES.get(str(value), ""))


def when(value: datetime) -> str:
    """An instant for a person: UTC, to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S}"


def span(length: timedelta) -> str:
    """How long, in the two greatest units: "3 s", "2 h 5 min", "4 d"."""
    seconds = max(round(length.total_seconds()), 0)
    parts = [
        (seconds // 86_400, "d"), (seconds // 3_600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")
    ]  # fmt: skip
    first = next((place for place, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number) or "0 s"


def ago(value: datetime | None, now: datetime) -> str:
    """When that was, as people say it."""
    return "never" if value is None else f"{span(now - value)} ago"
