"""attach_invoice: the invoice's PDF, on its deal; a changed invoice becomes a new version of the same file.

The file's uuid and version are stored after the last part and before attaching: a crash costs an orphan in the drive, never a second file on
the deal, and attaching twice does nothing.
"""

import re
from collections.abc import Sequence

from integrations.errors import Missing
from integrations.kommo.entities import FileRef, LeadChange
from worker import links
from worker.claims import Claimed
from worker.links import Link
from worker.showing import gone
from worker.verdicts import Done, Verdict
from worker.world import World
from worker.writing import write


def handle(jobs: Sequence[Claimed], world: World) -> dict[int, Verdict]:
    """Attach each job's PDF; a verdict for each."""
    return {job.id: _attach(world, job) for job in jobs}


def _attach(world: World, job: Claimed) -> Verdict:
    assert job.invoice is not None
    with world.database.reading() as session:
        link = links.find_invoices(session, world.route.tenant_id, [job.invoice.invoice_id]).get(job.invoice.invoice_id)
    if link is None or link.lead_id is None or link.pdf_wanted is None or link.gone:
        return Done("no deal shows this invoice")
    if link.pdf_shown == link.pdf_wanted:
        return Done("the deal has this version already")
    if link.pdf_stored != link.pdf_wanted:
        _store(world, link)
    return _put_on_deal(world, link)


def _store(world: World, link: Link) -> None:
    """From Xero into Kommo's drive."""
    wanted = link.pdf_wanted
    content = world.xero.pdf(link.invoice_id or "")
    name = _file_name(link)
    stored = world.kommo.upload(
        world.facts.kommo.drive_url, name=name, content=content, mime="application/pdf", file_uuid=link.file_uuid
    )
    _update(
        world, link, file_uuid=stored.uuid, file_version=stored.version_uuid, file_name=name, file_size=len(content), pdf_stored=wanted
    )  # fmt: skip


def _put_on_deal(world: World, link: Link) -> Verdict:
    assert link.file_uuid is not None
    assert link.lead_id is not None
    try:
        world.kommo.attach_file(link.lead_id, link.file_uuid)
    except Missing:
        return gone(world, link)
    file = FileRef(link.file_uuid, link.file_version or "", link.file_name or "", link.file_size or 0)
    written = write(world, [LeadChange(id=link.lead_id, fields={"XERO_INVOICE_PDF": file})])
    if link.lead_id not in written.ids:
        return gone(world, link)
    _update(world, link, pdf_shown=link.pdf_stored)
    return Done(f"{link.file_name} is on the deal")


def _update(world: World, link: Link, **values: str | int | None) -> None:
    with world.begin() as session:
        links.change(session, link, **values)


def _file_name(link: Link) -> str:
    """The invoice's number as a file's name: numbers may hold slashes, names of files may not."""
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', link.number or 'invoice').strip('-.') or 'invoice'}.pdf"
