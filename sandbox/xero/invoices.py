"""The rules of invoices and credit notes: defaults, validation, sums and the status machine (xero.md 4.1 to 4.9, 8.5).

A write is judged on a copy. Only when nothing is wrong with it are the contact and the document kept and the events fired.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from sandbox.xero import contacts
from sandbox.xero.act import Act, lock_errors, new_id
from sandbox.xero.arithmetic import Amounts, Disagreement, LineSum, sum_line, tax_of, total
from sandbox.xero.organisation import Invoices
from sandbox.xero.records import NO_ID, Contact, Invoice, Item, Line
from sandbox.xero.wire import Asked

NOT_MODIFIABLE = "Invoice not of valid status for modification"
HAS_ALLOCATIONS = "This document cannot be edited as it has a payment or credit note allocated to it."
STATUS_WITH_ALLOCATIONS = (
    "The status {status} cannot be applied to the invoice because it has payments or credit notes allocated to it."
)
ACCOUNT_ARCHIVED = (
    "Account code '{code}' has been archived, or has been deleted. Each line item must reference a valid account."
)
NOT_UNIQUE = "Invoice # must be unique."
NOT_FOUND = "An existing Invoice with the specified InvoiceID could not be found"
SENT_ON_DRAFT = "Only AUTHORISED invoices may have SentToContact updated."
LINE_AMOUNTS = {"exclusive": "Exclusive", "inclusive": "Inclusive", "notax": "NoTax"}
CATEGORIES = {"ACCREC": "INVOICE", "ACCPAY": "INVOICE", "ACCRECCREDIT": "CREDITNOTE"}
MOVES = {
    "": ("DRAFT", "SUBMITTED", "AUTHORISED"),
    "DRAFT": ("DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"),
    "SUBMITTED": ("SUBMITTED", "DRAFT", "AUTHORISED", "DELETED"),
    "AUTHORISED": ("AUTHORISED", "VOIDED"),
    "PAID": ("PAID",),
}
# the fields of a line that make its amount anew
AMOUNT_FIELDS = {"quantity", "unitamount", "lineamount", "discountrate", "discountamount"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one element. With errors, `record` is the echo of what was asked, and nothing was kept."""

    record: Invoice
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    is_missing: bool = False


def create(act: Act, asked: Asked, *, kinds: tuple[str, ...] = ("ACCREC", "ACCPAY")) -> Outcome:
    """PUT: makes a new document, whatever ids were sent."""
    kind = (asked.text("type") or "").upper()
    blank = Invoice(id=NO_ID, kind=kind, number="", contact_id="", updated_at=act.now, issued_on=act.today, status="")
    blank = replace(
        blank,
        currency=act.held.profile.base_currency,
        branding_theme_id=act.held.default_theme(),
        created_by=act.client,
    )
    if kind not in kinds:
        named = replace(blank, number=_number_of(asked) or "", status="DRAFT")
        return Outcome(named, (f"{_word(kinds[0])} not of valid type for creation",))
    return _write(act, blank, asked)


def upsert(act: Act, asked: Asked) -> Outcome:
    """POST without an id in the path: edits the invoice that has the id or the number, else makes one (xero.md 4.1)."""
    invoice_id = asked.uuid("invoiceid")
    if invoice_id:
        found = act.held.invoices.get(invoice_id)
        if found is None:
            blank = Invoice(invoice_id, "ACCREC", "", "", act.now, act.today)
            return Outcome(blank, (NOT_FOUND,), is_missing=True)
        return update(act, found, asked)
    number = asked.text("invoicenumber")
    same = act.held.invoices.numbered(number) if number and (asked.text("type") or "").upper() != "ACCPAY" else []
    return update(act, same[0], asked) if same else create(act, asked)


def update(act: Act, found: Invoice, asked: Asked) -> Outcome:
    """Edits a document or moves its status."""
    return _write(act, found, asked)


def _write(act: Act, before: Invoice, asked: Asked) -> Outcome:
    is_new = before.id == NO_ID
    after, errors = _filled(act, before, asked)
    errors += _status_errors(before, after)
    if not is_new and not errors:
        errors += lock_errors(act, before.issued_on) + _paid_errors(act, before, after, asked)
    plan, contact_errors = _plan_contact(act, before, asked)
    errors += contact_errors
    if plan is not None:
        after = replace(after, contact_id=plan.record.id)
        after = _with_terms(act, after, plan.record, asked)
    if after.status not in ("VOIDED", "DELETED"):
        errors += _document_errors(act, before, after, asked)
    if errors:
        shown = replace(after, number=_number_of(asked) or "")
        return Outcome(shown, tuple(dict.fromkeys(errors)), is_missing=plan is not None and plan.is_missing)
    return _keep(act, before, after, plan, asked)


def _keep(act: Act, before: Invoice, after: Invoice, plan: contacts.Plan | None, asked: Asked) -> Outcome:
    is_new = before.id == NO_ID
    if plan is not None:
        after = replace(after, contact_id=contacts.keep(act, plan).id)
    warnings: tuple[str, ...] = ()
    if asked.flag("senttocontact") and after.status not in ("AUTHORISED", "PAID"):
        after, warnings = replace(after, sent_to_contact=before.sent_to_contact), (SENT_ON_DRAFT,)
    if is_new:
        sequence = "CN" if after.kind == "ACCRECCREDIT" else "INV"
        number = after.number or (act.held.next_number(sequence) if after.kind != "ACCPAY" else "")
        after = replace(after, id=new_id(), number=number)
    if after.status == "AUTHORISED" and not after.total and act.switches["zero_total_is_paid"]:
        after = replace(after, status="PAID", fully_paid_on=after.issued_on)
    after = replace(after, updated_at=act.now, version=before.version + 1)
    register_of(act, after).put(after)
    contacts.mark_used(act, after.contact_id, after.kind)
    act.tell(CATEGORIES[after.kind], "CREATE" if is_new else "UPDATE", after.id)
    return Outcome(after, warnings=warnings)


def register_of(act: Act, record: Invoice) -> Invoices:
    return act.held.credit_notes if record.kind == "ACCRECCREDIT" else act.held.invoices


# --- what was sent, laid over what is there ------------------------------------------------------------------------------


def _filled(act: Act, before: Invoice, asked: Asked) -> tuple[Invoice, list[str]]:
    after = replace(before, **_plain_fields(before, asked))
    after = replace(after, rate=_rate(act, before, after, asked))
    lines, errors = _lines(act, before, after, asked)
    sums = [
        LineSum(each.quantity, each.unit_amount, each.line_amount, each.tax_amount, each.discount) for each in lines
    ]
    totals = total(sums, line_amounts=after.line_amounts)
    after = replace(
        after,
        lines=tuple(lines),
        subtotal=totals.subtotal,
        total_tax=totals.tax,
        total=totals.total,
        total_discount=totals.discount,
    )
    return after, errors


def _plain_fields(before: Invoice, asked: Asked) -> Mapping[str, Any]:
    sent: dict[str, Any] = {
        "number": _number_of(asked),
        "reference": asked.text("reference"),
        "url": asked.text("url"),
        "issued_on": asked.day("date"),
        "due_on": asked.day("duedate"),
        "expected_payment_date": asked.day("expectedpaymentdate"),
        "currency": (asked.text("currencycode") or "").upper() or None,
        "status": (asked.text("status") or "").upper() or None,
        "branding_theme_id": asked.uuid("brandingthemeid"),
        "sent_to_contact": asked.flag("senttocontact"),
    }
    if asked.has("lineamounttypes"):
        sent["line_amounts"] = LINE_AMOUNTS.get((asked.text("lineamounttypes") or "").lower(), "")
    if not before.status and not sent["status"]:
        sent["status"] = "DRAFT"
    return {name: value for name, value in sent.items() if value is not None}


def _number_of(asked: Asked) -> str | None:
    return asked.text("invoicenumber") or asked.text("creditnotenumber")


def _rate(act: Act, before: Invoice, after: Invoice, asked: Asked) -> Decimal:
    """Foreign units for one of the base currency: as sent, else the day's."""
    profile = act.held.profile
    if after.currency == profile.base_currency:
        return Decimal(1)
    sent = asked.number("currencyrate")
    if sent:
        return sent
    return (
        before.rate
        if before.currency == after.currency and before.status
        else dict(profile.rates).get(after.currency, Decimal(1))
    )


def _lines(act: Act, before: Invoice, after: Invoice, asked: Asked) -> tuple[list[Line], list[str]]:
    """Known ids update, others add, what is not sent is dropped; without the key all lines stay (xero.md 4.4)."""
    sent = asked.parts("lineitems")
    errors: list[str] = []
    if sent is None:
        if before.line_amounts == after.line_amounts:
            return list(before.lines), errors
        return [_taxed(act, each, after.line_amounts) for each in before.lines], errors
    known = {each.id: each for each in before.lines}
    made = []
    for each in sent:
        old = known.get(each.uuid("lineitemid") or "") or Line(id=new_id())
        made.append(_line(act, old, each, after.line_amounts, errors))
    return made, errors


def _line(act: Act, old: Line, asked: Asked, line_amounts: str, errors: list[str]) -> Line:
    line = replace(old, **_line_fields(act, asked))
    item = act.held.items.get(line.item_code)
    if line.item_code and item is None:
        errors.append(f"Item code '{line.item_code}' is not valid")
    line = _with_defaults(act, line, item, asked)
    if line.discount_rate is not None and line.discount_amount is not None:
        errors.append("Only one of DiscountRate and DiscountAmount may be specified on a line item.")
        line = replace(line, discount_amount=None)
    tracking, tracking_errors = _tracking(act, asked)
    errors += tracking_errors
    if tracking is not None:
        line = replace(line, tracking=tracking)
    if old.line_amount is not None and not asked.names & AMOUNT_FIELDS:
        return _taxed(act, line, line_amounts)
    return _summed(act, line, asked, line_amounts, errors)


def _line_fields(act: Act, asked: Asked) -> Mapping[str, Any]:
    sent: dict[str, Any] = {
        "description": asked.text("description"),
        "quantity": asked.number("quantity"),
        "unit_amount": asked.number("unitamount"),
        "account_code": asked.text("accountcode"),
        "tax_type": asked.text("taxtype"),
        "item_code": asked.text("itemcode"),
        "discount_rate": asked.number("discountrate"),
        "discount_amount": asked.number("discountamount"),
    }
    account = act.held.accounts.get(asked.uuid("accountid") or "")
    if account is not None and not sent["account_code"]:
        sent["account_code"] = account.code
    tax = asked.number("taxamount")
    if tax is not None:
        sent |= {"tax_amount": tax, "tax_given": True}
    return {name: value for name, value in sent.items() if value is not None}


def _with_defaults(act: Act, line: Line, item: Item | None, asked: Asked) -> Line:
    """What an item fills in, then the account's own tax."""
    if item is not None:
        has_price = line.unit_amount is not None or asked.has("lineamount")
        line = replace(
            line,
            description=line.description or item.description,
            unit_amount=line.unit_amount if has_price else item.unit_price,
            account_code=line.account_code or item.account_code,
            tax_type=line.tax_type or item.tax_type,
        )
    account = act.held.account_codes.get(line.account_code)
    if account is not None and not line.tax_type:
        line = replace(line, tax_type=account.tax_type)
    return line


def _rate_of(act: Act, line: Line) -> Decimal:
    rate = act.held.tax_rates.get(line.tax_type)
    return rate.rate if rate else Decimal(0)


def _taxed(act: Act, line: Line, line_amounts: str) -> Line:
    """A line whose amount stands, with its tax made anew."""
    if line.line_amount is None or (line.tax_given and line_amounts != "NoTax"):
        return line
    tax = tax_of(line.line_amount, _rate_of(act, line), line_amounts)
    return replace(line, tax_amount=tax, tax_type=_tax_type(line, line_amounts))


def _summed(act: Act, line: Line, asked: Asked, line_amounts: str, errors: list[str]) -> Line:
    line_amount = asked.number("lineamount")
    is_replaced = line_amount is not None and not asked.has("unitamount")
    amounts = Amounts(
        quantity=line.quantity,
        unit_amount=None if is_replaced else line.unit_amount,
        line_amount=line_amount,
        discount_rate=line.discount_rate,
        discount_amount=line.discount_amount,
        tax_rate=_rate_of(act, line),
        tax_amount=line.tax_amount if line.tax_given else None,
    )
    # a price that was kept before stays as it is; one that comes now is rounded first (xero.md 4.9)
    decimals = act.decimals if asked.has("unitamount") or line.line_amount is None else 4
    try:
        sums = sum_line(amounts, line_amounts=line_amounts, decimals=decimals)
    except Disagreement as contradiction:
        errors.append(str(contradiction))
        return line
    return replace(
        line,
        quantity=sums.quantity,
        unit_amount=sums.unit_amount,
        line_amount=sums.line_amount,
        tax_amount=sums.tax_amount,
        discount=sums.discount,
        tax_type=_tax_type(line, line_amounts),
    )


def _tax_type(line: Line, line_amounts: str) -> str:
    return "NONE" if line_amounts == "NoTax" and line.tax_type else line.tax_type


def _tracking(act: Act, asked: Asked) -> tuple[tuple[tuple[str, str], ...] | None, list[str]]:
    """By names or ids. What is unknown is dropped or refused: reports differ (xero.md 7.6)."""
    sent = asked.parts("tracking")
    if sent is None:
        return None, []
    found, errors = [], []
    for each in sent[:2]:
        pair = _tracked(act, each)
        if pair is not None:
            found.append(pair)
        elif act.switches["unknown_tracking"] == "refuse":
            errors.append("The tracking category or option specified is not valid.")
    return tuple(found), errors


def _tracked(act: Act, asked: Asked) -> tuple[str, str] | None:
    for category in act.held.tracking:
        if asked.uuid("trackingcategoryid") == category.id or asked.text("name") == category.name:
            for option_id, name in category.options:
                if asked.uuid("trackingoptionid") == option_id or asked.text("option") == name:
                    return category.id, option_id
    return None


# --- what is wrong with it -----------------------------------------------------------------------------------------------


def _word(kind: str) -> str:
    return "Credit note" if kind == "ACCRECCREDIT" else "Invoice"


def _status_errors(before: Invoice, after: Invoice) -> list[str]:
    if before.is_dead:
        return [NOT_MODIFIABLE]
    if after.status not in ("DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED"):
        return [f"{_word(after.kind)} status must be valid."]
    if before.has_allocations and after.status not in (before.status, "PAID", "DELETED"):
        return [STATUS_WITH_ALLOCATIONS.format(status=after.status)]
    if after.status not in MOVES[before.status]:
        return [NOT_MODIFIABLE if before.status else f"{_word(after.kind)} not of valid status for creation"]
    return []


def _paid_errors(act: Act, before: Invoice, after: Invoice, asked: Asked) -> list[str]:
    """Once something was paid, the sums, the date, the currency and the tax stand (xero.md 4.7)."""
    if not before.has_allocations:
        return []
    whole = [(doc.issued_on, doc.currency, doc.line_amounts, doc.total, len(doc.lines)) for doc in (before, after)]
    lines = [
        [(each.quantity, each.unit_amount, each.line_amount, each.tax_type, each.tax_amount) for each in doc.lines]
        for doc in (before, after)
    ]
    contact = asked.part("contact")
    has_new_contact = contact is not None and contact.uuid("contactid") not in (None, before.contact_id)
    if whole[0] != whole[1] or lines[0] != lines[1] or (has_new_contact and before.amount_credited):
        return [HAS_ALLOCATIONS]
    return []


def _plan_contact(act: Act, before: Invoice, asked: Asked) -> tuple[contacts.Plan | None, list[str]]:
    contact = asked.part("contact")
    if contact is None:
        return None, [] if before.contact_id else ["A Contact must be specified for this type of transaction"]
    if contact.names == {"contactid"} and contact.uuid("contactid") == before.contact_id:
        return None, []
    plan = contacts.plan_inline(act, contact)
    return plan, list(plan.errors)


def _with_terms(act: Act, after: Invoice, contact: Contact, asked: Asked) -> Invoice:
    """The due date from the contact's terms, or the organisation's, where none was sent."""
    terms = contact.sales_terms or act.held.profile.sales_terms
    if after.due_on is not None or asked.has("duedate") or terms is None or after.kind == "ACCRECCREDIT":
        return after
    return replace(after, due_on=due_date(after.issued_on, *terms))


def due_date(issued_on: date, day: int, kind: str) -> date:
    """Payment terms as a date (xero.md 6.2)."""
    first = issued_on.replace(day=1)
    next_month = (first + timedelta(days=32)).replace(day=1)
    if kind == "DAYSAFTERBILLDATE":
        return issued_on + timedelta(days=day)
    if kind == "DAYSAFTERBILLMONTH":
        return next_month - timedelta(days=1) + timedelta(days=day)
    month = first if kind == "OFCURRENTMONTH" else next_month
    last = (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return month.replace(day=min(max(day, 1), last.day))


def _document_errors(act: Act, before: Invoice, after: Invoice, asked: Asked) -> list[str]:
    held = act.held
    errors = lock_errors(act, after.issued_on) if not before.status or after.issued_on != before.issued_on else []
    if not after.lines:
        errors.append("One or more line items must be specified")
    if not after.line_amounts:
        errors.append("Line amount types must be valid.")
    if after.currency not in held.currencies:
        errors.append(f"Organisation is not subscribed to currency {after.currency}")
    if after.total < 0:
        errors.append("The document total must be greater than or equal to zero.")
    if held.themes and after.branding_theme_id not in {theme.id for theme in held.themes}:
        errors.append("Branding theme must be valid.")
    errors += _text_errors(after, asked) + _number_errors(act, before, after)
    if after.status in ("AUTHORISED", "SUBMITTED", "PAID") and after.due_on is None and after.kind != "ACCRECCREDIT":
        errors.append("Due date must be specified for this type of transaction")
    if after.status == "AUTHORISED" and before.status != "AUTHORISED" and act.switches["approval_limit_reached"]:
        errors.append("You have reached the limit of invoices you can approve")
    for line in after.lines:
        errors += _line_errors(act, after, line)
    return errors


def _text_errors(after: Invoice, asked: Asked) -> list[str]:
    errors = []
    if len(after.reference) > 255:
        errors.append("The Reference must be 255 characters or fewer.")
    if asked.has("url") and after.url:
        parts = urlsplit(after.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            errors.append("Url must be a valid absolute URL.")
        elif "xero" in after.url.lower():
            errors.append("Url must not contain xero.")
    return errors


def _number_errors(act: Act, before: Invoice, after: Invoice) -> list[str]:
    if not after.number or after.number == before.number or after.kind == "ACCPAY":
        return []
    if len(after.number) > 255 or not (after.number.isascii() and after.number.isprintable()):
        return ["Invoice number must be 255 printable characters or fewer."]
    same = [other for other in register_of(act, after).numbered(after.number, after.kind) if other.id != before.id]
    if act.switches["dead_numbers"] == "reusable":
        same = [other for other in same if not other.is_dead]
    return [NOT_UNIQUE] if same else []


def _line_errors(act: Act, after: Invoice, line: Line) -> list[str]:
    errors = []
    if len(line.description) > 4000:
        errors.append("The description must be 4000 characters or fewer.")
    is_approved = after.status in ("AUTHORISED", "SUBMITTED", "PAID")
    if not line.description and is_approved:
        errors.append("Description cannot be empty.")
    if line.discount and after.kind != "ACCREC":
        errors.append("Discounts are not supported on this type of document.")
    if line.line_amount is None:
        return errors
    if line.account_code or is_approved:
        errors += _account_errors(act, line)
    return errors


def _account_errors(act: Act, line: Line) -> list[str]:
    account = act.held.account_codes.get(line.account_code)
    if account is None or not account.can_be_invoiced:
        return [f"Account code '{line.account_code}' is not a valid code for this document."]
    if account.status != "ACTIVE":
        return [ACCOUNT_ARCHIVED.format(code=line.account_code)]
    rate = act.held.tax_rates.get(line.tax_type)
    if rate is None or rate.status != "ACTIVE":
        return ["Tax rate must be valid."]
    fits = rate.for_revenue if account.account_class == "REVENUE" else rate.for_expenses or rate.rate == 0
    if not fits:
        return [f"The TaxType code '{line.tax_type}' cannot be used with account code '{line.account_code}'."]
    return []
