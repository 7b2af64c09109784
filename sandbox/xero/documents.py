"""The calls about documents: invoices with their PDF, link, mail, files and notes; payments; credit notes."""

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import unquote

from sandbox.kit import Answer, note
from sandbox.xero import listing, payments, shapes
from sandbox.xero.act import Act, new_id
from sandbox.xero.answers import (
    Call,
    envelope,
    invalid,
    missing,
    no_content,
    plain_error,
)
from sandbox.xero.invoices import Outcome, create, update, upsert
from sandbox.xero.records import NO_ID, Attachment, Invoice, Note
from sandbox.xero.shapes import Shape, Verdict, View
from sandbox.xero.wire import Asked, Ready, elements

UNKNOWN_DOCUMENT = "The document with the supplied id was not found for this endpoint."
FORBIDDEN_IN_NAMES = set('<>:"/\\|?*\0+')
LARGEST_FILE, MOST_FILES = 10 * 1024 * 1024, 10
Writing = Callable[[Act, Asked], Outcome]


# --- invoices ------------------------------------------------------------------------------------------------------------


def find(call: Call, id_or_number: str) -> Invoice | None:
    register = call.held.invoices
    return register.get(id_or_number.lower()) or next(iter(register.numbered(unquote(id_or_number))), None)


def list_invoices(call: Call) -> Answer:
    found = listing.invoices(call, call.held.invoices)
    if not found.is_paged and call.query.keys() <= {"order", "where"} and not call.modified_since:
        call.state.complain("a listing of all invoices")
    view = View.SUMMARY if call.flag("summaryonly") else View.PAGED if found.is_paged else View.UNPAGED
    shown = [_listed(call, record, view) for record in found.records]
    return envelope(call, {"Invoices": shown}, pagination=found.pagination)


def _listed(call: Call, record: Invoice, view: View) -> Ready:
    """From the cache where neither the invoice nor its contact has changed since."""
    contact = call.held.contacts.get(record.contact_id)
    key, now = (record.id, view, call.decimals), (record, contact)
    cached = call.state.rendered.get(key)
    if cached is None or cached[0] is not record or cached[1] is not contact:
        ready = Ready(shapes.invoice(call.held, record, view, decimals=call.decimals))
        cached = call.state.rendered[key] = (*now, ready)
    return cached[2]


def get_invoice(call: Call, id_or_number: str) -> Answer:
    record = find(call, id_or_number)
    if record is None:
        return missing()
    if "application/pdf" in call.accept.lower():
        return _pdf(call, record)
    shown = shapes.invoice(call.held, record, View.SINGLE, decimals=call.decimals)
    return envelope(call, {"Invoices": [shown]})


def _pdf(call: Call, record: Invoice) -> Answer:
    """No Content-Disposition (xero.md 5.1)."""
    is_refused = record.status in ("DRAFT", "SUBMITTED") and call.state.switches["draft_pdf"] == "refused"
    if record.kind != "ACCREC" or is_refused:
        return missing()
    return Answer(200, [("Content-Type", "application/pdf")], call.state.press.print(call.held, record))


def put_invoices(call: Call) -> Answer:
    _must_summarize(call)
    return _write(call, elements(call.body, "Invoices"), create)


def post_invoices(call: Call) -> Answer:
    asked = elements(call.body, "Invoices")
    _must_summarize(call)
    if any(not each.has("invoiceid") for each in asked):
        call.state.complain("POST used to create invoices")
    return _write(call, asked, upsert)


def post_invoice(call: Call, id_or_number: str) -> Answer:
    record = find(call, id_or_number)
    if record is None:
        return missing()
    asked = elements(call.body, "Invoices")[:1]
    if asked and asked[0].text("status") in ("VOIDED", "DELETED") and asked[0].has("lineitems"):
        call.state.complain("LineItems sent with a change of status")
    return _write(call, asked, lambda act, each: update(act, record, each))


def _write(call: Call, asked: list[Asked], writing: Writing) -> Answer:
    """Each element by itself; the good ones stand whatever the bad ones are (xero.md 4.6)."""
    if not asked:
        return plain_error(call, 13, "NoDataProcessedException", "No data has been processed for this endpoint.")
    _watch(call, asked)
    act = call.act
    outcomes = [writing(act, each) for each in asked]
    note().effect = "refused" if all(outcome.errors for outcome in outcomes) else "taken"
    if any(outcome.is_missing for outcome in outcomes) and call.state.switches["unknown_contact"] == "missing":
        return missing()
    if call.summarizes and any(outcome.errors for outcome in outcomes):
        return invalid(call, [_written(call, outcome, shown=False) for outcome in outcomes if outcome.errors])
    shown = not call.summarizes
    return envelope(call, {"Invoices": [_written(call, outcome, shown=shown) for outcome in outcomes]})


def _written(call: Call, outcome: Outcome, *, shown: bool) -> Shape:
    if outcome.errors:
        return shapes.refused_invoice(outcome.record, outcome.errors, call.held, shown=shown, decimals=call.decimals)
    shape = shapes.invoice(call.held, outcome.record, View.WRITTEN, decimals=call.decimals)
    return {**shape, **Verdict(warnings=outcome.warnings, shown=shown).keys()}


def _must_summarize(call: Call) -> None:
    """Where it is described: for many documents. A write to one of them has no such parameter in Xero's description."""
    if "summarizeerrors" not in call.query:
        call.state.complain("a write without summarizeErrors")


def _watch(call: Call, asked: list[Asked]) -> None:
    """Notes what a careful client does not do."""
    if len(asked) > 50:
        call.state.complain("more than 50 documents in a write")
    lines = [line for each in asked for line in each.parts("lineitems") or []]
    if any(line.has("discountrate") and line.has("discountamount") for line in lines):
        call.state.complain("DiscountRate sent with DiscountAmount")


def online_invoice(call: Call, invoice_id: str) -> Answer:
    """By id only, and not for drafts (xero.md 5.2); how a draft is refused is not known."""
    record = call.held.invoices.get(invoice_id.lower())
    if record is None:
        return missing()
    if record.kind != "ACCREC" or record.status in ("DRAFT", "SUBMITTED", "DELETED"):
        return invalid(call, [_refusal("The invoice has no online invoice in its present status.")])
    address = f"https://in.xero.com/{record.id.replace('-', '')}"
    return envelope(call, {"OnlineInvoices": [{"OnlineInvoiceUrl": address}]})


def _refusal(*texts: str) -> Shape:
    return {"HasErrors": True, "ValidationErrors": shapes.messages(texts)}


def email(call: Call, invoice_id: str) -> Answer:
    """204; demo organisations may send none (xero.md 5.3)."""
    record = call.held.invoices.get(invoice_id.lower())
    if record is None:
        return missing()
    contact = call.held.contacts.get(record.contact_id)
    if call.held.profile.is_demo:
        return invalid(call, [_refusal("The daily email limit has been reached.")])
    if record.kind != "ACCREC" or record.status not in ("SUBMITTED", "AUTHORISED", "PAID"):
        return invalid(call, [_refusal("Invoice not of valid status to be emailed.")])
    if contact is None or not contact.email:
        return invalid(call, [_refusal("The contact has no email address.")])
    act = call.act
    sent = replace(record, sent_to_contact=True, updated_at=act.now, version=record.version + 1)
    call.held.invoices.put(sent)
    act.tell("INVOICE", "UPDATE", record.id)
    return no_content()


def get_history(call: Call, document_id: str) -> Answer:
    record = call.held.invoices.get(document_id.lower())
    if record is None:
        return invalid(call, [_refusal(UNKNOWN_DOCUMENT)])
    return envelope(call, {"HistoryRecords": [shapes.note(each) for each in reversed(record.history)]})


def put_history(call: Call, document_id: str) -> Answer:
    """Notes are no news to webhooks, and do not change the document's UpdatedDateUTC."""
    record = call.held.invoices.get(document_id.lower())
    if record is None:
        return invalid(call, [_refusal(UNKNOWN_DOCUMENT)])
    texts = [each.text("details") or "" for each in elements(call.body, "HistoryRecords")]
    if any(not 0 < len(text) <= 2500 for text in texts):
        return invalid(call, [_refusal("Details must be between 1 and 2500 characters.")])
    added = tuple(Note(call.act.now, text) for text in texts)
    call.held.invoices.put(replace(record, history=record.history + added))
    return envelope(call, {"HistoryRecords": [shapes.note(each, written=True) for each in added]})


def list_attachments(call: Call, invoice_id: str) -> Answer:
    record = call.held.invoices.get(invoice_id.lower())
    if record is None:
        return missing()
    return envelope(call, {"Attachments": [shapes.attachment(record, file, "") for file in record.attachments]})


def get_attachment(call: Call, invoice_id: str, name: str) -> Answer:
    record = call.held.invoices.get(invoice_id.lower())
    for file in record.attachments if record else ():
        if unquote(name) in (file.id, file.name):
            return Answer(200, [("Content-Type", file.mime)], file.content)
    return missing()


def put_attachment(call: Call, invoice_id: str, name: str) -> Answer:
    """The same name overwrites (xero.md 5.4)."""
    record, name = call.held.invoices.get(invoice_id.lower()), unquote(name)
    if record is None:
        return missing()
    if FORBIDDEN_IN_NAMES & set(name):
        return invalid(call, [_refusal("The file name contains characters that are not allowed.")])
    if len(call.body) > LARGEST_FILE:
        return invalid(call, [_refusal("The file is too large.")])
    others = tuple(file for file in record.attachments if file.name != name)
    if len(others) >= MOST_FILES:
        return invalid(call, [_refusal("No more than 10 attachments are allowed.")])
    mime = call.content_type or "application/octet-stream"
    file = Attachment(new_id(), name, mime, call.body, call.query.get("includeonline", "").lower() == "true")
    act = call.act
    call.held.invoices.put(replace(record, attachments=(*others, file), updated_at=act.now, version=record.version + 1))
    act.tell("INVOICE", "UPDATE", record.id)
    return envelope(call, {"Attachments": [shapes.attachment(record, file, "", online="includeonline" in call.query)]})


# --- payments ------------------------------------------------------------------------------------------------------------


def list_payments(call: Call) -> Answer:
    found = listing.payments(call, call.held.payments)
    shown = [shapes.payment(call.held, each, whole_invoice=False) for each in found.records]
    return envelope(call, {"Payments": shown}, pagination=found.pagination)


def get_payment(call: Call, payment_id: str) -> Answer:
    found = call.held.payments.get(payment_id.lower())
    return missing() if found is None else envelope(call, {"Payments": [shapes.payment(call.held, found)]})


def write_payments(call: Call) -> Answer:
    asked = elements(call.body, "Payments")
    if not asked:
        return plain_error(call, 13, "NoDataProcessedException", "No data has been processed for this endpoint.")
    act = call.act
    return _paid(call, [(each, payments.pay(act, each)) for each in asked])


def post_payment(call: Call, payment_id: str) -> Answer:
    """Payments can't be edited, only deleted (xero.md 5.6)."""
    found = call.held.payments.get(payment_id.lower())
    if found is None:
        return missing()
    asked = elements(call.body, "Payments")[:1]
    if not asked or (asked[0].text("status") or "").upper() != "DELETED":
        refused = payments.Paid(found, (payments.NOT_MODIFIABLE,))
        return _paid(call, [(Asked({}), refused)])
    return _paid(call, [(asked[0], payments.unpay(call.act, found))])


def _paid(call: Call, results: list[tuple[Asked, payments.Paid]]) -> Answer:
    refused = [(asked, result) for asked, result in results if result.errors]
    if call.summarizes and refused:
        return invalid(call, [_refused_payment(asked, result, shown=False) for asked, result in refused])
    shown = []
    for asked, result in results:
        if result.errors or result.payment is None:
            shown.append(_refused_payment(asked, result, shown=True))
        else:
            verdict = Verdict(shown=not call.summarizes).keys()
            shown.append({**shapes.payment(call.held, result.payment), **verdict})
    return envelope(call, {"Payments": shown})


def _refused_payment(asked: Asked, result: payments.Paid, *, shown: bool) -> Shape:
    return {
        "PaymentID": result.payment.id if result.payment else NO_ID,
        "Amount": asked.number("amount"),
        "Reference": asked.text("reference"),
        "HasAccount": False,
        "HasValidationErrors": True,
        **Verdict(result.errors, shown=shown).keys(),
    }


# --- credit notes --------------------------------------------------------------------------------------------------------


def find_note(call: Call, id_or_number: str) -> Invoice | None:
    register = call.held.credit_notes
    found = register.get(id_or_number.lower())
    return found or next(iter(register.numbered(unquote(id_or_number), "ACCRECCREDIT")), None)


def list_notes(call: Call) -> Answer:
    found = listing.invoices(call, call.held.credit_notes)
    shown = [
        shapes.credit_note(call.held, each, decimals=call.decimals, with_lines=found.is_paged) for each in found.records
    ]
    return envelope(call, {"CreditNotes": shown}, pagination=found.pagination)


def get_note(call: Call, id_or_number: str) -> Answer:
    found = find_note(call, id_or_number)
    if found is None:
        return missing()
    return envelope(call, {"CreditNotes": [shapes.credit_note(call.held, found, decimals=call.decimals)]})


def put_notes(call: Call) -> Answer:
    asked = elements(call.body, "CreditNotes")
    return _write_notes(call, asked, lambda act, each: create(act, each, kinds=("ACCRECCREDIT",)))


def post_note(call: Call, id_or_number: str) -> Answer:
    found = find_note(call, id_or_number)
    if found is None:
        return missing()
    return _write_notes(call, elements(call.body, "CreditNotes")[:1], lambda act, each: update(act, found, each))


def _write_notes(call: Call, asked: list[Asked], writing: Writing) -> Answer:
    act = call.act
    outcomes = [writing(act, each) for each in asked]
    shown = not call.summarizes
    refused = [_refused_note(outcome, shown=shown) for outcome in outcomes if outcome.errors]
    if call.summarizes and refused:
        return invalid(call, refused)
    written = []
    for outcome in outcomes:
        if outcome.errors:
            written.append(_refused_note(outcome, shown=shown))
        else:
            shape = shapes.credit_note(call.held, outcome.record, decimals=call.decimals)
            written.append({**shape, **Verdict(shown=shown).keys()})
    return envelope(call, {"CreditNotes": written})


def _refused_note(outcome: Outcome, *, shown: bool) -> Shape:
    return {
        "CreditNoteID": outcome.record.id,
        "CreditNoteNumber": outcome.record.number or None,
        "Type": outcome.record.kind,
        "Status": outcome.record.status,
        "Total": outcome.record.total,
        "HasErrors": True,
        **Verdict(outcome.errors, shown=shown).keys(),
    }


def put_allocations(call: Call, note_id: str) -> Answer:
    if call.held.credit_notes.get(note_id.lower()) is None:
        return invalid(call, [_refusal(payments.NO_NOTE)])
    results = []
    for each in elements(call.body, "Allocations"):
        note = call.held.credit_notes.get(note_id.lower())
        assert note is not None
        results.append(payments.allocate(call.act, note, each))
    refused = [_refusal(*result.errors) for result in results if result.errors]
    if refused:
        return invalid(call, refused)
    return envelope(
        call, {"Allocations": [shapes.allocation(call.held, each.allocation) for each in results if each.allocation]}
    )


def delete_allocation(call: Call, note_id: str, allocation_id: str) -> Answer:
    found = call.held.allocations.get(allocation_id.lower())
    if found is None or found.credit_note_id != note_id.lower():
        return missing()
    payments.take_back(call.act, found)
    made_on = shapes.allocation(call.held, found)["Date"]
    return envelope(
        call,
        {
            "AllocationId": found.id,
            "Date": made_on,
            "Invoice": {"InvoiceID": found.invoice_id},
            "IsDeleted": True,
        },
    )
