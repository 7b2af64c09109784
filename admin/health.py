"""`check` and `status`: whether everything is as it must be, and how the service is doing."""

import click
from rich.text import Text

from admin.door import as_json, opened
from admin.screen import STYLES, console, table, tell, tell_json
from worker import budgets, checks, overview
from worker.budgets import Budget
from worker.checks import Checked
from worker.findings import Grade
from worker.overview import GrantView, Overview


@click.command()
@click.argument("name", required=False)
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
    """One screen: jobs, webhooks, budgets, grants, and whether anybody works."""
    with opened() as workshop:
        seen = overview.look(workshop)
    if is_json:
        tell_json(seen)
        return
    table("Jobs", ("kind", "state", "jobs"), [(one.kind, one.state, one.jobs) for one in seen.jobs])
    tell(f"{_waiting(seen)} {_canary(seen)}\n")
    table("Grants", ("connection", "vendor", "kind", "left", "refused"), [_grant(one) for one in seen.grants])
    table("Budgets", ("account", "calls left"), [(one.key, _left(one)) for one in seen.budgets])
    told = [sentence for one in seen.budgets for sentence in budgets.sentences(one, now=seen.at)]
    tell("".join(f"{sentence}\n" for sentence in told))
    table(
        "Webhooks",
        ("connection", "from", "last heard (UTC)"),
        [(one.connection, one.source, one.at or "never") for one in seen.heard],
    )
    tell(
        f"{seen.not_understood} webhooks were not understood."
        if seen.not_understood
        else "All webhooks were understood."
    )
    rows = [(one.delivery_id, one.source, one.received_at, one.problem) for one in seen.problems]
    table("", ("delivery", "from", "received (UTC)", "why"), rows)


def _waiting(seen: Overview) -> str:
    if not seen.jobs:
        return "No jobs yet."
    if seen.oldest_due is None:
        return "No job waits for a worker."
    return f"The oldest job that waits for a worker is due for {(seen.at - seen.oldest_due).total_seconds():.0f} s."


def _canary(seen: Overview) -> str:
    if seen.canary_at is None:
        return "No worker has heard a ring yet."
    late = ": start worker and beat" if seen.is_canary_late else ""
    return f"A worker heard a ring {(seen.at - seen.canary_at).total_seconds():.0f} s ago{late}."


def _grant(one: GrantView) -> tuple[object, ...]:
    left = "renewed by itself" if one.days_left is None else f"{one.days_left} days"
    return one.connection, one.vendor, one.kind, left, one.refusal


def _left(one: Budget) -> str:
    if one.left is None:
        return one.problem or ""
    return ", ".join(f"{name} {number:,}" for name, number in one.left.items())
