"""`check` and `status`: whether everything is as it must be, and how the service is doing."""

import click
from rich.text import Text

from admin.completion import connection_names
from admin.door import as_json, opened
from admin.overview import tell_overview
from admin.screen import STYLES, console, tell, tell_json
from worker import checks, overview
from worker.checks import Checked
from worker.findings import Grade


@click.command()
@click.argument("name", required=False, shell_complete=connection_names)
@as_json
@click.pass_context
def check(ctx: click.Context, name: str | None, *, is_json: bool) -> None:
    """Look at every precondition, of all connections or of NAME, and say what mends it. Exit status 1 if any fails."""
    with opened("web", "worker") as workshop:
        found = []
        for one in checks.check(workshop, name):
            found.append(one)
            if not is_json:
                _tell(one)
    failed = sum(one.grade is Grade.FAILED for one in found)
    if is_json:
        tell_json(found)
    else:
        tell(f"{failed} of {len(found)} fail." if failed else "All is as it must be.", style="bold")
    ctx.exit(1 if failed else 0)


def _tell(one: Checked) -> None:
    line = Text(f"{one.grade.value:<7}", style=STYLES[one.grade.value])
    line.append(f"{one.connection or '-':<10} {one.about:<18} {one.said}", style="default")
    line.append(f": {one.mend}" if one.mend else "", style="default")
    console().print(line, soft_wrap=True)


@click.command()
@as_json
def status(*, is_json: bool) -> None:
    """One screen: what needs a person, jobs, grants, webhooks, budgets, and whether anybody works."""
    with opened() as workshop:
        seen = overview.look(workshop)
    if is_json:
        tell_json(seen)
        return
    tell_overview(seen)
