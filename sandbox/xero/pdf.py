"""An invoice on paper: a real PDF file with number, client, lines and total, made once for each version of the invoice."""

import io
import threading
from collections import OrderedDict

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from sandbox.xero.organisation import Organisation
from sandbox.xero.records import Contact, Invoice

LEFT, RIGHT, TOP, STEP = 50, 545, 780, 16
KEPT = 500  # files, some two kilobytes each


class Press:
    """Prints invoices, and remembers what it printed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._printed: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    def print(self, held: Organisation, invoice: Invoice) -> bytes:
        contact = held.contacts.get(invoice.contact_id)
        key = (invoice.id, invoice.version, contact and (contact.id, contact.updated_at))
        with self._lock:
            if key in self._printed:
                self._printed.move_to_end(key)
                return self._printed[key]
        content = draw(held, invoice, contact)
        with self._lock:
            self._printed[key] = content
            if len(self._printed) > KEPT:
                self._printed.popitem(last=False)
        return content


def draw(held: Organisation, invoice: Invoice, contact: Contact | None) -> bytes:
    """The same invoice gives the same bytes."""
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4, invariant=1)
    canvas.setTitle(invoice.number)
    canvas.setAuthor(held.profile.name)
    at = _head(canvas, held, invoice, contact)
    for line in invoice.lines:
        if at < 60:
            canvas.showPage()
            at = TOP
        canvas.setFont("Helvetica", 9)
        canvas.drawString(LEFT, at, line.description[:80])
        if line.line_amount is not None and line.quantity is not None:
            canvas.drawRightString(440, at, f"{line.quantity.normalize():f} x {line.unit_amount:f}")
            canvas.drawRightString(RIGHT, at, f"{line.line_amount:,.2f}")
        at -= STEP
    _sums(canvas, invoice, at - STEP)
    canvas.showPage()
    canvas.save()
    return target.getvalue()


def _head(canvas: Canvas, held: Organisation, invoice: Invoice, contact: Contact | None) -> int:
    canvas.setFont("Helvetica-Bold", 18)
    canvas.drawString(LEFT, TOP, "TAX INVOICE" if invoice.status not in ("DRAFT", "SUBMITTED") else "DRAFT INVOICE")
    canvas.setFont("Helvetica", 10)
    rows = [
        contact.name if contact else "",
        f"Invoice number {invoice.number}",
        f"Reference {invoice.reference}" if invoice.reference else "",
        f"Invoice date {invoice.issued_on:%d %b %Y}",
        f"Due date {invoice.due_on:%d %b %Y}" if invoice.due_on else "",
        f"From {held.profile.name}",
    ]
    at = TOP - 2 * STEP
    for row in filter(None, rows):
        canvas.drawString(LEFT, at, row)
        at -= STEP
    return at - STEP


def _sums(canvas: Canvas, invoice: Invoice, at: int) -> None:
    rows = (("Subtotal", invoice.subtotal), ("Tax", invoice.total_tax), (f"Total {invoice.currency}", invoice.total))
    for name, amount in rows:
        canvas.drawRightString(440, at, name)
        canvas.drawRightString(RIGHT, at, f"{amount:,.2f}")
        at -= STEP
