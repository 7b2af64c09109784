"""attach_invoice: the invoice's PDF, on its deal; a changed invoice becomes a new version of the same file.

The file's uuid and version are stored after the last part and before attaching: a crash costs an orphan in the drive, never a second file on
the deal, and attaching twice does nothing. A PDF is a call of its own; the field that names the file is written on many deals at once.
"""

import re
from collections.abc import Mapping, Sequence

from integrations.errors import CallError, Missing
from integrations.kommo.entities import FileRef, LeadChange
from worker import links
from worker.claims import Claimed
from worker.handlers.singly import one_by_one
from worker.links import Link
from worker.showing import gone
from worker.verdicts import Done, Verdict
from worker.world import World
from worker.writing import write

Told = dict[int, Verdict | CallError]

# Seconds that a PDF in hand waits for a turn at Kommo: without one it would be fetched again, a call of Xero's day and minute each time.
IN_HAND = 10.0


def handle(jobs: Sequence[Claimed], world: World) -> Told:
    """Attach each job's PDF; a verdict for each, or the error that it met."""
    with world.database.reading() as session:
        known = links.find_invoices(
            session, world.route.tenant_id, [job.invoice.invoice_id for job in jobs if job.invoice]
        )
    found = one_by_one(jobs, lambda job: _attach(world, job, known))
    attached = {job_id: link for job_id, link in found.items() if isinstance(link, Link)}
    told: Told = {job_id: word for job_id, word in found.items() if not isinstance(word, Link)}
    return told | _name_files(world, attached)


def _attach(world: World, job: Claimed, known: Mapping[str, Link]) -> Link | Verdict:
    """The link of a deal that has the file now, so that only the field is missing; else the verdict."""
    assert job.invoice is not None
    link = known.get(job.invoice.invoice_id)
    if link is None or link.lead_id is None or link.pdf_wanted is None or link.gone:
        return Done("no deal shows this invoice")
    if link.pdf_shown == link.pdf_wanted:
        return Done("the deal has this version already")
    if link.pdf_stored != link.pdf_wanted:
        _store(world, link)
    assert link.file_uuid is not None
    try:
        world.kommo.attach_file(link.lead_id, link.file_uuid)
    except Missing:
        return gone(world, link)
    return link


def _store(world: World, link: Link) -> None:
    """From Xero into Kommo's drive."""
    wanted = link.pdf_wanted
    content = world.xero.pdf(link.invoice_id or "")
    name = _file_name(link)
    stored = world.kommo.drive(patience=IN_HAND).upload(
        world.facts.kommo.drive_url, name=name, content=content, mime="application/pdf", file_uuid=link.file_uuid
    )
    _update(
        world, link, file_uuid=stored.uuid, file_version=stored.version_uuid, file_name=name, file_size=len(content), pdf_stored=wanted
    )  # fmt: skip


def _name_files(world: World, attached: Mapping[int, Link]) -> Told:
    """Write the field that names the file, on all these deals."""
    try:
        written = write(world, [LeadChange(id=link.lead_id or 0, fields=_field(link)) for link in attached.values()])
    except CallError as error:
        return dict.fromkeys(attached, error)
    told: Told = {}
    for job_id, link in attached.items():
        if refused := written.refused.get(link.lead_id or 0):
            told[job_id] = refused
        elif link.lead_id in written.ids:
            _update(world, link, pdf_shown=link.pdf_stored)
            told[job_id] = Done(f"{link.file_name} is on the deal")
        else:
            told[job_id] = gone(world, link)
    return told


def _field(link: Link) -> dict[int | str, FileRef]:
    file = FileRef(link.file_uuid or "", link.file_version or "", link.file_name or "", link.file_size or 0)
    return {"XERO_INVOICE_PDF": file}


def _update(world: World, link: Link, **values: str | int | None) -> None:
    with world.begin() as session:
        links.change(session, link, **values)


def _file_name(link: Link) -> str:
    """The invoice's number as a file's name: numbers may hold slashes, names of files may not."""
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', link.number or 'invoice').strip('-.') or 'invoice'}.pdf"
