"""`jobs`: which there are, what one is about, the failed ones again, and taking one back."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import click

from admin.door import as_json, opened
from admin.moments import Moment
from admin.screen import console, table, tell, tell_json, when
from admin.stories import tell_entries
from worker import replays, traces
from worker.jobs import Kind, State
from worker.replays import Answer, Filter, JobView, Outcome

# What fits on a screen or two.
MOST = 50


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which jobs are meant."""
    for option in (
        click.option(
            "--since", type=Moment(), metavar="WHEN", help="Touched since: 2h, 3d, 2026-09-14, 2026-09-14T08:00."
        ),
        click.option("--error", metavar="TEXT", help="With this in their sentence."),
        click.option("--connection", metavar="NAME", help="Of this connection."),
        click.option("--kind", type=click.Choice([kind.value for kind in Kind]), help="Of this kind."),
    ):
        command = option(command)
    return command


@click.group()
def jobs() -> None:
    """What is to be done, what was done, and what needs a person."""


@jobs.command("list")
@click.option("--state", type=click.Choice([state.value for state in State]), help="In this state.")
@filters
@click.option(
    "--limit", type=click.IntRange(min=1), default=MOST, show_default=True, help="At most so many, the newest."
)
@as_json
def list_jobs(*, limit: int, is_json: bool, **wanted: Any) -> None:
    """The jobs, the newest first."""
    with opened() as workshop, workshop.database.reading() as session:
        found = replays.find(session, _filter(**wanted), most=limit)
        views = replays.view(session, found, now=workshop.now())
    if is_json:
        tell_json(views)
        return
    columns = ("job", "kind", "connection", "deal", "invoice", "state", "recorded (UTC)", "next (UTC)", "what")
    table("", columns, [_row(view) for view in views])
    tell(f"{len(views)} jobs." if len(views) < limit else f"The newest {limit}; --limit shows more.")


def _row(view: JobView) -> tuple[object, ...]:
    invoice = view.invoice_number or view.invoice_id
    return (
        view.id, view.kind, view.connection, view.lead_id, invoice, view.state, view.recorded_at, view.next_at, view.sentence
    )  # fmt: skip


@jobs.command()
@click.argument("job", type=int)
@as_json
def show(job: int, *, is_json: bool) -> None:
    """One job: what it is about, what became of it, what to do, and every attempt."""
    with opened() as workshop:
        story = traces.of_job(workshop.database, job, now=workshop.now())
    if is_json:
        tell_json(story)
        return
    view = story.job
    tell(f"Job {view.id}: {view.kind} of {view.connection}, {view.state}", style="bold")
    for name, value in _facts(view):
        if value is not None:
            tell(f"  {name:<10} {when(value) + ' UTC' if isinstance(value, datetime) else value}")
    console().print()
    tell_entries(story.entries)


def _facts(view: JobView) -> list[tuple[str, object]]:
    failures = f"{view.failures} in a row" if view.failures else None
    number = " ".join(part for part in (view.invoice_number, view.invoice_page) if part) or None
    return [
        ("deal", view.deal_page or view.lead_id), ("invoice", number), ("said", view.sentence), ("to do", view.to_do),
        ("failures", failures), ("recorded", view.recorded_at), ("started", view.started_at), ("ended", view.ended_at),
        ("next", view.next_at),
    ]  # fmt: skip


@jobs.command()
@click.argument("ids", metavar="[JOB]...", type=int, nargs=-1)
@click.option(
    "--state",
    type=click.Choice(sorted(state.value for state in replays.REPLAYABLE)),
    help="All in this state that the filters mean.",
)
@filters
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_context
def replay(ctx: click.Context, /, ids: tuple[int, ...], *, dry_run: bool, **wanted: Any) -> None:
    """Do failed or cancelled jobs again: the JOBs, or with --state all that the filters mean."""
    if bool(ids) == bool(wanted["state"]) or (ids and any(wanted.values())):
        raise click.UsageError("Name the jobs, or name a --state with filters.")
    with opened() as workshop:
        if not ids:
            with workshop.database.reading() as session:
                ids = tuple(job.id for job in reversed(replays.find(session, _filter(**wanted))))
        if dry_run:
            with workshop.database.reading() as session:
                answers = replays.preview(session, ids, now=workshop.now())
        else:
            answers, rings = replays.replay(workshop.database, ids, now=workshop.now())
            workshop.ring(rings)
    _tell_answers(ctx, answers)


@jobs.command()
@click.argument("ids", metavar="JOB...", type=int, nargs=-1, required=True)
@click.pass_context
def cancel(ctx: click.Context, ids: tuple[int, ...]) -> None:
    """Take queued or failed jobs back. One that runs is refused: what it has sent can't be called back."""
    with opened() as workshop:
        answers = replays.cancel(workshop.database, ids, now=workshop.now())
    _tell_answers(ctx, answers)


def _filter(**wanted: Any) -> Filter:
    state, kind = wanted["state"], wanted["kind"]
    return Filter(
        state=State(state) if state else None, kind=Kind(kind) if kind else None, connection=wanted["connection"],
        error=wanted["error"], since=wanted["since"],
    )  # fmt: skip


def _tell_answers(ctx: click.Context, answers: Sequence[Answer]) -> None:
    """Each on its line, refusals on standard error; exit status 1 if there is one."""
    for answer in answers:
        if answer.outcome is Outcome.REFUSED:
            click.echo(answer.sentence, err=True)
        else:
            tell(answer.sentence)
    if not answers:
        tell("No job is meant by that.")
    ctx.exit(1 if any(answer.outcome is Outcome.REFUSED for answer in answers) else 0)
