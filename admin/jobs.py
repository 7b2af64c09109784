"""`jobs`: which there are, what one is about, the failed ones again, and taking one back."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import click

from admin.completion import connection_names
from admin.door import Id, as_json, opened
from admin.listing import deal, invoice, tell_causes, tell_jobs
from admin.moments import Moment
from admin.screen import span, tell, tell_fact, tell_json, when
from admin.stories import tell_entries
from worker import replays, traces
from worker.causes import causes
from worker.connecting import connection_named
from worker.jobs import Kind, State
from worker.replays import Answer, Filter, Outcome
from worker.views import JobView
from worker.views import view as views_of
from worker.wording import plain
from worker.workshop import Workshop

# What fits on a screen or two, and more than there ever are.
MOST, ALL = 50, 10**9

COUNTED = {
    Outcome.QUEUED: "queued again",
    Outcome.TWIN: "served by another job's run",
    Outcome.CANCELLED: "cancelled",
    Outcome.REFUSED: "refused",
}


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which jobs are meant."""
    for option in (
        click.option(
            "--since", type=Moment(), metavar="WHEN", help="Touched since: 2h, 3d, 2026-09-14, 2026-09-14T08:00."
        ),
        click.option("--error", metavar="TEXT", help="With this in their sentence."),
        click.option("--connection", metavar="NAME", shell_complete=connection_names, help="Of this connection."),
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
    "--limit", type=click.IntRange(1, ALL), default=MOST, show_default=True, help="At most so many, the newest."
)
@as_json
def list_jobs(*, limit: int, is_json: bool, **wanted: Any) -> None:
    """The jobs, the newest first."""
    meant = _filter(**wanted)
    with opened() as workshop, workshop.database.reading() as session:
        now = workshop.now()
        views = views_of(session, replays.find(session, meant, most=limit), now=now)
        failures = replays.sentences(session, meant) if meant.state is State.FAILED and not is_json else []
        _check_name(workshop, meant.connection, is_known=bool(views))
    if is_json:
        tell_json(views)
        return
    tell_jobs(views, now=now)
    _tell_how_many(views, limit)
    tell_causes(causes(failures), _words(**wanted), meant.error)


def _check_name(workshop: Workshop, name: str | None, *, is_known: bool) -> None:
    """A connection that was taken out of the file may still have jobs; a name that nobody knows is a slip, and told as one."""
    if name is not None and not is_known:
        connection_named(workshop, name)


def _tell_how_many(views: Sequence[JobView], limit: int) -> None:
    if not views:
        tell("No job is meant by that.")
        return
    jobs_ = "1 job" if len(views) == 1 else f"{len(views)} jobs"
    many = f"{jobs_}." if len(views) < limit else f"The newest {limit}; --limit shows more."
    tell(f"{many} jobs show JOB tells one whole, with links to both systems.")


def _words(**wanted: Any) -> list[str]:
    """The filters but the state and the error, as they were typed: what is listed is what is replayed."""
    words = [(f"--{name}", wanted[name]) for name in ("kind", "connection") if wanted[name]]
    if wanted["since"]:
        words.append(("--since", wanted["since"].replace(tzinfo=None).isoformat(timespec="seconds")))
    return [word for pair in words for word in pair]


@jobs.command()
@click.argument("job", type=Id())
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
    for name, value in _facts(view, workshop.now()):
        if value:
            tell_fact(name, value)
    tell("")
    tell_entries(story.entries, is_of_one=True)


def _facts(view: JobView, now: datetime) -> list[tuple[str, str | None]]:
    again = f"{when(view.next_at)} UTC, in {span(view.next_at - now)}" if view.next_at and view.next_at > now else None
    return [
        ("deal", deal(view)),
        ("", view.deal_page),
        ("invoice", invoice(view)),
        ("", view.invoice_page),
        ("said", plain(view.sentence or "")),
        ("to do", view.to_do),
        ("again", again),
        ("failures", f"{view.failures} in a row" if view.failures else None),
        ("recorded", f"{when(view.recorded_at)} UTC"),
        ("ended", f"{when(view.ended_at)} UTC" if view.ended_at else None),
    ]


@jobs.command()
@click.argument("ids", metavar="[JOB]...", type=Id(), nargs=-1)
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
    are_named = bool(ids)
    with opened() as workshop:
        if not are_named:
            with workshop.database.reading() as session:
                ids = tuple(job.id for job in reversed(replays.find(session, _filter(**wanted))))
            _check_name(workshop, wanted["connection"], is_known=bool(ids))
        if dry_run:
            with workshop.database.reading() as session:
                answers = replays.preview(session, ids, now=workshop.now())
        else:
            answers, rings = replays.replay(workshop.database, ids, now=workshop.now())
            workshop.ring(rings)
    _tell_answers(ctx, answers, dry_run=dry_run, are_named=are_named)


@jobs.command()
@click.argument("ids", metavar="JOB...", type=Id(), nargs=-1, required=True)
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


def _tell_answers(
    ctx: click.Context, answers: Sequence[Answer], *, dry_run: bool = False, are_named: bool = True
) -> None:
    """Each on its line, refusals on standard error; exit status 1 if there is one.

    Of jobs that a filter meant, some may have been done while they were looked for: that is no failure.
    """
    for answer in answers:
        if answer.outcome is Outcome.REFUSED:
            click.echo(answer.sentence, err=True)
        else:
            tell(answer.sentence)
    if len(answers) > 1:
        count = Counter(answer.outcome for answer in answers)
        would = " would be" if dry_run else ""
        told = ", ".join(f"{count[one]}{would} {COUNTED[one]}" for one in Outcome if count[one])
        tell(f"{len(answers)} jobs: {told}.{' Nothing was changed: this was a dry run.' if dry_run else ''}")
    if not answers:
        tell("No job is meant by that.")
    ctx.exit(1 if are_named and any(answer.outcome is Outcome.REFUSED for answer in answers) else 0)
