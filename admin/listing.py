"""How jobs are listed: a line for each, with its sentence behind it where that fits and below it where it does not."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rich.console import Console
from rich.padding import Padding
from rich.style import Style
from rich.text import Text

from admin.screen import STYLES, WIDE, console, span, tell
from worker.causes import Cause
from worker.views import JobView
from worker.wording import plain

HEADS = ("job", "state", "kind", "connection", "deal", "invoice", "when (UTC)")

# A deal's name has the room that is left, within these.
SHORTEST_NAME, LONGEST_NAME = 12, 40

GAP, INDENT = 2, 4

# Rarer causes are seen when these are mended.
MOST_CAUSES = 5


def tell_jobs(views: Sequence[JobView], *, now: datetime) -> None:
    """The jobs, a line or two each. Names are links to both systems where the terminal can show such."""
    if not views:
        return
    screen = console()
    is_one = len({view.connection for view in views}) == 1
    heads = [head for head in HEADS if head != "connection" or not is_one]
    rows = [_cells(view, now) for view in views]
    widths = _widths(heads, rows, screen.width)
    screen.print(_line({head: Text(head, style="dim") for head in heads}, widths), soft_wrap=True)
    for view, row in zip(views, rows, strict=True):
        _tell_one(screen, _line(row, widths), Text(sentence(view, now)))
    tell("")


def _tell_one(screen: Console, line: Text, said: Text) -> None:
    if screen.width >= WIDE or len(line) + GAP + len(said) <= screen.width:
        line.append(" " * GAP).append_text(said)
        said = Text()
    line.rstrip()
    screen.print(line, soft_wrap=True)
    if said:
        screen.print(Padding(said, (0, 0, 0, INDENT), expand=False))


def _cells(view: JobView, now: datetime) -> dict[str, Text]:
    return {
        "job": Text(str(view.id)),
        "state": Text(view.state, style=STYLES.get(view.state, "")),
        "kind": Text(view.kind),
        "connection": Text(view.connection),
        "deal": _link(deal(view), view.deal_page),
        "invoice": _link(invoice(view), view.invoice_page),
        "when (UTC)": Text(_day(view.ended_at or view.started_at or view.recorded_at, now)),
    }


def deal(view: JobView) -> str:
    """The deal by its name, or by its id where Kommo never named it to us."""
    return view.deal_name or (f"deal {view.lead_id}" if view.lead_id is not None else "-")


def invoice(view: JobView) -> str:
    """The invoice by its number, or by how its id begins."""
    return view.invoice_number or (f"{view.invoice_id[:8]}…" if view.invoice_id else "-")


def sentence(view: JobView, now: datetime) -> str:
    """What was last said of the job, and when it is tried again."""
    said = plain(view.sentence or "")
    if view.next_at is None:
        return said
    again = f"again in {span(view.next_at - now)}" if view.next_at > now else "due"
    if view.failures:
        again += f", after {view.failures} failure{'s' if view.failures > 1 else ''}"
    return f"{said} ({again})" if said else again


def _link(text: str, page: str | None) -> Text:
    return Text(text, style=Style(link=page) if page else "")


def _day(at: datetime, now: datetime) -> str:
    return f"{at:%d %b %H:%M}" if (now - at).days < 300 else f"{at:%d %b %Y}"


def _widths(heads: Sequence[str], rows: Iterable[Mapping[str, Text]], most: int) -> dict[str, int]:
    widths = {head: len(head) for head in heads}
    for row in rows:
        widths |= {head: max(width, row[head].cell_len) for head, width in widths.items()}
    others = sum(widths.values()) - widths["deal"] + GAP * (len(widths) - 1)
    room = max(min(most - others, LONGEST_NAME), SHORTEST_NAME)
    return widths | {"deal": min(widths["deal"], room)}


def _line(cells: Mapping[str, Text], widths: Mapping[str, int]) -> Text:
    line = Text()
    for head, width in widths.items():
        cell = cells[head].copy()
        cell.truncate(width, overflow="ellipsis", pad=True)
        line.append_text(cell).append(" " * GAP)
    line.right_crop(GAP)
    return line


def tell_causes(causes: Sequence[Cause], words: Sequence[str], error: str | None = None) -> None:
    """Why jobs failed, the most frequent cause first, each with the command that does them again; `words` are the other filters.

    Where an `error` was asked for there is one command, by that: no cause's own words would mean just what is listed.
    """
    for cause in causes[:MOST_CAUSES]:
        tell(f"{cause.jobs} like this: {plain(cause.sentence)}", style="bold")
        if not error:
            besides = f", with {cause.besides} more that say it too" if cause.besides else ""
            tell(f"    when that is mended{besides}: {_replay(words, cause.text)}")
    if len(causes) > MOST_CAUSES:
        tell(f"and {len(causes) - MOST_CAUSES} more causes.")
    if causes and error:
        tell(f"    when all of that is mended: {_replay(words, error)}")


def _replay(words: Sequence[str], text: str) -> str:
    return f"{shlex.join(['jobs', 'replay', '--state', 'failed', *words, '--error', text])} --dry-run"
