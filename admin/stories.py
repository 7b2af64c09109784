"""`trace`: the whole story of one deal or invoice, in the order of time."""

from collections.abc import Iterable
from itertools import groupby

import click

from admin.door import Id, as_json, opened
from admin.screen import table, tell, tell_fact, tell_json
from worker import traces
from worker.traces import Entry, LinkView


@click.command()
@click.option("--lead", type=Id(), metavar="ID", help="The deal's id in Kommo.")
@click.option("--invoice", metavar="ID_OR_NUMBER", help="The invoice's id in Xero, or its number.")
@as_json
def trace(*, lead: int | None, invoice: str | None, is_json: bool) -> None:
    """The whole story of one deal: webhooks, jobs, attempts, API calls, link."""
    if (lead is None) == (invoice is None):
        raise click.UsageError("Name the deal with --lead, or the invoice with --invoice.")
    with opened() as workshop:
        story = (
            traces.of_lead(workshop.database, lead)
            if lead is not None
            else traces.of_invoice(workshop.database, invoice or "")
        )
    if is_json:
        tell_json(story)
        return
    for link in story.links:
        _tell_link(link)
    tell_entries(story.entries)


def _tell_link(link: LinkView) -> None:
    tell(
        f"{link.connection}: {link.deal_name or f'deal {link.lead_id}' if link.lead_id else 'no deal yet'}",
        style="bold",
    )
    facts = [
        ("deal", link.deal_page),
        ("invoice", link.number or "none yet"),
        ("", link.invoice_page),
        ("status", link.status),
        ("waits", link.waits_for),
        ("file", link.file),
    ]
    for name, value in facts:
        if value:
            tell_fact(name, value)
    tell("")


def tell_entries(entries: Iterable[Entry], *, is_of_one: bool = False) -> None:
    """What happened, a line each, day by day; `is_of_one`: all of one job, which need not be named on each line."""
    for day, some in groupby(entries, key=lambda entry: f"{entry.at:%Y-%m-%d}"):
        heads = (f"{day} UTC", "what", *(() if is_of_one else ("job",)), "told")
        table("", heads, [_row(entry, is_of_one=is_of_one) for entry in some])


def _row(entry: Entry, *, is_of_one: bool) -> tuple[str, ...]:
    job = () if is_of_one else (str(entry.job_id or ""),)
    return f"{entry.at:%H:%M:%S.%f}"[:-3], entry.what, *job, entry.text
