"""Sections as Markdown, and the page that they stand in, each between its own markers. Pure."""

import re
from collections.abc import Iterable

from tests.benchmarks.figures import Row, Section, Table


def markdown(section: Section, stands_on: str) -> str:
    """A section without its heading's markers."""
    parts = [f"## {section.title}", section.notes]
    if section.checks:
        rows = tuple(check.row for check in section.checks)
        parts.append(grid(Table("Must show", ("Must show", "measured", "wanted", ""), rows)))
    parts += [f"![{alt}]({name})" for name, alt in charts(section)]
    parts += [f"**{table.title}**\n\n{grid(table)}" for table in section.tables]
    parts.append(f"_{stands_on}_")
    return "\n\n".join(parts)


def charts(section: Section) -> list[tuple[str, str]]:
    """The names of its charts, with the words for those who can't see them."""
    return [(name, section.title) for name in section.charts]


def grid(table: Table) -> str:
    """A table in Markdown."""
    lines = [table.columns, tuple("---:" if index else "---" for index, _ in enumerate(table.columns)), *table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def plain(table: Table) -> str:
    """A table for a terminal."""
    rows: list[Row] = [table.columns, *table.rows]
    widths = [max(len(row[index]) for row in rows) for index in range(len(table.columns))]
    lines = [
        "  ".join(cell.ljust(width) if not index else cell.rjust(width) for index, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]  # fmt: skip
    return "\n".join([table.title, "", *(f"  {line.rstrip()}" for line in lines)])


def put(page: str, name: str, text: str) -> str:
    """The page with this text between the markers of that name; they are added at the end where there are none."""
    begin, end = f"<!-- measured: {name} -->", f"<!-- end of {name} -->"
    block = f"{begin}\n{text}\n{end}"
    if begin in page:
        return re.sub(re.escape(begin) + r".*?" + re.escape(end), lambda _: block, page, flags=re.DOTALL)
    return f"{page.rstrip()}\n\n{block}\n"


def verdicts(sections: Iterable[Section]) -> tuple[int, int]:
    """How many checks passed, of how many."""
    checks = [check for section in sections for check in section.checks]
    return sum(check.passes for check in checks), len(checks)
