"""What a person sees while the stack runs: one line a step, and tables at the end."""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.status import Status
from rich.table import Table

from stack.books import Books, Deal


class Step(Protocol):
    """A scene that was played."""

    @property
    def title(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def calls(self) -> dict[str, int]: ...
    @property
    def missing(self) -> tuple[str, ...]: ...


class Progress:
    """Steps as they are taken: a moving line on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = Status("", console=console)
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def say(self, what: str) -> None:
        """A step of the start or the end."""
        self._status.update(what)
        self._console.print(f"[dim]{time.monotonic() - self._started:5.1f} s  {what}[/]", highlight=False)

    def begin(self, title: str) -> None:
        self._status.update(title)

    def end(self, title: str, seconds: float, missing: tuple[str, ...]) -> None:
        """A scene's line, with what it lacks."""
        mark = "[red]✗[/]" if missing else "[green]✓[/]"
        self._console.print(
            f"{time.monotonic() - self._started:5.1f} s  {mark} {title} ({seconds:.1f} s)", highlight=False
        )
        for sentence in missing:
            self._console.print(f"           missing: {sentence}", highlight=False)

    def fail(self, why: str) -> None:
        self._status.stop()
        self._console.print(why, style="red", markup=False, highlight=False, soft_wrap=True)


def deals_table(books: Books) -> Table:
    """Every deal with what Xero has for it, from the books."""
    table = Table(title="Read back from the books of both systems", title_justify="left")
    for name in ("Deal", "Stage", "Invoice", "Client", "Total", "Due", "Status", "PDF", "Notes"):
        table.add_column(name, justify="right" if name in ("Total", "Due", "PDF", "Notes") else "left")
    for deal in books.deals.values():
        if deal.number or deal.message:
            table.add_row(*_cells(books, deal))
    return table


def _cells(books: Books, deal: Deal) -> Iterable[str]:
    invoice = next((one for one in books.invoices if one.number == deal.number), None)
    yield from (deal.name, deal.stage, deal.number or "none")
    yield from (invoice.contact, f"{invoice.total} {invoice.currency}", f"{invoice.due}") if invoice else ("", "", "")
    yield from (deal.status or deal.message, str(len(deal.files)), str(len(deal.notes)))


def calls_table(played: Iterable[Step]) -> Table:
    """What each scene took and cost."""
    table = Table(title="What it took", title_justify="left")
    table.add_column("Scene")
    for name in ("Seconds", "Calls to Xero", "to Kommo", "to its drive"):
        table.add_column(name, justify="right")
    for one in played:
        row = (f"{one.seconds:.1f}", *(str(one.calls[vendor]) for vendor in ("xero", "kommo", "drive")))
        table.add_row(one.title, *row, style="red" if one.missing else None)
    return table
