"""`reconcile`: compares both systems now, and records what no webhook brought."""

from collections import Counter
from datetime import datetime

import click

from admin.completion import connection_names
from admin.door import as_json, opened
from admin.moments import Moment
from admin.screen import tell, tell_json
from worker import reconciling
from worker.connecting import connection_named
from worker.jobs import Kind
from worker.reconciling import Found

MISSED = {
    Kind.CREATE_INVOICE: ("deal without its invoice", "deals without their invoices"),
    Kind.SYNC_STATUS: ("deal that shows something old", "deals that show something old"),
    Kind.CREATE_DEAL: ("invoice without its deal", "invoices without their deals"),
    Kind.ATTACH_INVOICE: ("deal without its PDF", "deals without their PDFs"),
}


@click.command()
@click.argument("name", shell_complete=connection_names)
@click.option(
    "--since", type=Moment(), metavar="WHEN", help="From then on, all open invoices included: 2h, 3d, 2026-09-14."
)
@click.option("--dry-run", is_flag=True, help="Only say what is missing.")
@as_json
def reconcile(name: str, *, since: datetime | None, dry_run: bool, is_json: bool) -> None:
    """Compare both systems of NAME, and repair what no webhook brought."""
    with opened("worker", "web") as workshop:
        connection_named(workshop, name)
        found = reconciling.reconcile(workshop, name, since=since, dry_run=dry_run)
    if is_json:
        tell_json(_document(found, dry_run=dry_run))
    elif found is None:
        tell("Somebody else reconciles it just now: its jobs are recorded in a moment.")
    else:
        _tell(found, dry_run=dry_run)


def _document(found: Found | None, *, dry_run: bool) -> dict[str, object]:
    if found is None:
        return {"busy": True}
    jobs = Counter(wish.kind.value for wish in found.wanted)
    subjects = sorted(wish.subject for wish in found.wanted)
    return {
        "busy": False,
        "dry_run": dry_run,
        "agree": found.agree,
        "waiting": found.waiting,
        "jobs": jobs,
        "subjects": subjects,
        "webhook": found.hook,
    }


def _tell(found: Found, *, dry_run: bool) -> None:
    tell(f"{found.agree} {'deal agrees' if found.agree == 1 else 'deals agree'} with what has changed in Xero.")
    if found.waiting:
        told = (
            "1 deal waits for what its message asks"
            if found.waiting == 1
            else f"{found.waiting} deals wait for what their messages ask"
        )
        tell(f"{told} for: {'would be asked about' if dry_run else 'asked about'} again.")
    missed = {kind: found.count(kind) for kind in MISSED}
    missed[Kind.CREATE_INVOICE] -= found.waiting
    if not any(missed.values()):
        tell("Nothing is missing.")
    for kind, (one, many) in MISSED.items():
        if count := missed[kind]:
            tell(f"{count} {one if count == 1 else many}: {'would be repaired' if dry_run else 'being repaired'}.")
    if found.hook:
        tell(f"Kommo's webhook: {found.hook.value}.")
