"""The table, for a person at a terminal and for docs/reliability.md."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.system.chaos.attack import Outcome
from tests.system.chaos.catalogue import BY_NAME
from tests.system.chaos.ground import DAY_LIMIT, KINDS, PERIODS
from tests.system.chaos.tally import Blamed

COLUMNS = ("Fault", "Injected", "Between commit and answer", "Survived", "Lost", "Doubled", "Wrong")
BEGIN = "<!-- results: written by make chaos, never by hand -->"
END = "<!-- end of results -->"
NONE_YET = "No long run has been recorded yet."
# What a terminal shows of a long list; the files have all of it.
SHOWN = 40


def cells(outcome: Outcome) -> Iterator[tuple[str, ...]]:
    """The table's lines, the total last."""
    for row in outcome.rows:
        between = str(row.between) if row.fault.between else "-"
        yield (
            row.fault.title, str(row.injected), between, str(row.survived), str(row.lost), str(row.doubled), str(row.wrong)
        )  # fmt: skip
    for name, why in outcome.absent.items():
        yield (BY_NAME[name].title, why, "", "", "", "", "")
    kinds = [one.finding.kind for one in outcome.blamed]
    yield (
        "all of them", str(sum(row.injected for row in outcome.rows)), str(sum(row.between for row in outcome.rows)),
        str(sum(row.survived for row in outcome.rows)), *(str(kinds.count(kind)) for kind in ("lost", "doubled", "wrong")),
    )  # fmt: skip


def facts(outcome: Outcome) -> list[str]:
    """What else there is to know, a line each."""
    wanted, demand = outcome.wanted, outcome.wanted.demand
    made = ", ".join(f"{count} {what}" for what, count in outcome.people.items())
    return [
        f"commit {outcome.commit}, {datetime.now(UTC):%Y-%m-%d}; {outcome.seconds:.0f} s in all, at rest {outcome.at_rest:.0f} s after the last fault",
        ", ".join(f"{count} {kind}" for kind, count in KINDS.items()) + f"; {wanted.database}; seed {wanted.seed}",
        " ".join(f"{name.removeprefix('BRIDGE_')}={value}" for name, value in PERIODS.items())
        + f"; calls that Xero takes a day: {DAY_LIMIT}",
        f"asked of each fault: {demand.least} strikes, {demand.between} of them between a commit and its answer where that can be",
        f"people: {made}",
        f"jobs: {_listed(outcome.jobs)}; calls: {_listed(outcome.calls)}; refused for too many: {_listed(outcome.refusals) or 'none'}",
        f"failed with a sentence, then replayed: {len(outcome.sentences)}; made twice, the second voided by ourselves: {len(outcome.voided_doubles)}",
    ]


def _listed(counts: object) -> str:
    assert isinstance(counts, dict)
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def show(console: Console, outcome: Outcome) -> None:
    """The table and the findings at a terminal."""
    table = Table(title=f"make chaos {outcome.wanted.name}", title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "Fault" else "right")
    lacking = {row.fault.title for row in outcome.rows if row.lacking or row.harm}
    for line in cells(outcome):
        table.add_row(*line, style="red" if line[0] in lacking else None)
    console.print(table)
    said = [
        *((fact, None) for fact in facts(outcome)),
        *((f"failed: {sentence}", None) for sentence in outcome.sentences[:SHOWN]),
        *((f"note: {remark}", None) for remark in outcome.remarks[:SHOWN]),
        *((f"not enough: {lack}", "red") for lack in outcome.lacking),
        *((_told(one), "red") for one in outcome.blamed[:SHOWN]),
    ]
    for text, style in said:
        console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)
    if outcome.blamed:
        console.print(f"{len(outcome.blamed)} findings, each with its story in {outcome.wanted.folder}", style="red")
    if outcome.ok:
        console.print("[green]Nothing lost, nothing doubled, nothing wrong.[/]")


def _told(one: Blamed) -> str:
    about = one.finding
    faults = ", ".join(sorted({strike.fault for strike in one.strikes})) or "none that we know of"
    return (
        f"{about.kind}: deal {about.lead_id}, invoice {about.number or about.invoice_id}: {about.sentence} [{faults}]"
    )


def markdown(outcome: Outcome) -> str:
    """The run as a section of the page."""
    lines = [f"### `make chaos {outcome.wanted.name}`", ""]
    lines += [f"- {line}" for line in facts(outcome)]
    lines += ["", f"| {' | '.join(COLUMNS)} |", f"| --- |{' ---: |' * (len(COLUMNS) - 1)}"]
    lines += [f"| {' | '.join(line)} |" for line in cells(outcome)]
    if outcome.blamed or outcome.lacking:
        lines += ["", "This run failed:", ""]
        lines += [f"- {one.finding.kind}: {one.finding.sentence}" for one in outcome.blamed[:SHOWN]]
        lines += [f"- {line}" for line in outcome.lacking]
    return "\n".join(lines)


def record(page: Path, outcome: Outcome) -> None:
    """Puts the run into the page, in the place of an earlier one with the same arguments. All else on the page stays."""
    text = page.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    old, _, tail = rest.partition(END)
    sections = [one.strip() for one in re.split(r"(?m)^(?=### )", old) if one.strip().startswith("### ")]
    new = markdown(outcome)
    sections = [one for one in sections if one.splitlines()[0] != new.splitlines()[0]]
    sections = sorted([*sections, new], key=lambda one: one.splitlines()[0])
    page.write_text(f"{head}{BEGIN}\n\n" + "\n\n".join(sections) + f"\n\n{END}{tail}", encoding="utf-8")
