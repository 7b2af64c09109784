"""`trace`: the whole story of one deal or invoice, in the order of time."""

from collections.abc import Iterable

import click

from admin.door import as_json, opened
from admin.screen import table, tell, tell_json
from worker import traces
from worker.traces import Entry, LinkView


@click.command()
@click.option("--lead", type=int, metavar="ID", help="The deal's id in Kommo.")
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
    number = " ".join(part for part in (link.number, link.invoice_page) if part)
    tell(f"{link.connection}: deal {link.deal_page or link.lead_id or 'not made yet'}", style="bold")
    tell(f"  invoice  {number or 'none yet'}")
    for name, value in (("status", link.status), ("waits", link.waits_for), ("file", link.file)):
        if value:
            tell(f"  {name:<8} {value}")


def tell_entries(entries: Iterable[Entry]) -> None:
    """What happened, a line each."""
    rows = [(f"{entry.at:%Y-%m-%d %H:%M:%S.%f}"[:-3], entry.what, _of(entry), entry.text) for entry in entries]
    table("", ("when (UTC)", "what", "of", "told"), rows)


def _of(entry: Entry) -> str:
    if entry.job_id is not None:
        return f"job {entry.job_id}"
    return f"delivery {entry.delivery_id}" if entry.delivery_id is not None else ""
