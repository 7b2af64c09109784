"""Xero's own pages, as far as people need them: the list of sales invoices, and one invoice. What is done here is done by a person."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, abort, request, url_for

from sandbox.pages.paper import NotAllowed, amount, back, changed, go, show, typed
from sandbox.xero import people
from sandbox.xero.desk import Refused
from sandbox.xero.folding import fold
from sandbox.xero.organisation import Organisation
from sandbox.xero.records import Contact, Invoice, Line
from sandbox.xero.state import State
from sandbox.xero.wire import BadPost

MOST = 100  # invoices on the list; older ones are counted only
MOST_CONTACTS = 500  # to choose from
SPARE_LINES = 3  # empty ones on a form
REFUSALS = (Refused, BadPost)

# as Xero's own pages name them
STATUSES = {
    "DRAFT": "Draft",
    "SUBMITTED": "Awaiting approval",
    "AUTHORISED": "Awaiting payment",
    "PAID": "Paid",
    "VOIDED": "Voided",
    "DELETED": "Deleted",
}
KIND_OF_AMOUNTS = {"Exclusive": "Tax exclusive", "Inclusive": "Tax inclusive", "NoTax": "No tax"}
DONE = {
    "approve": "Approved.",
    "submit": "Submitted for approval.",
    "void": "Voided.",
    "delete": "Deleted.",
    "pay": "The payment is booked.",
    "unpay": "The payment is taken back.",
    "credit": "A credit note is made and used on the invoice.",
    "uncredit": "The credit is taken back; its note stays.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """An invoice as the list shows it."""

    invoice: Invoice
    contact: str
    status: str
    due: Any
    is_overdue: bool
    maker: str


def pages(state: State) -> Blueprint:
    part = Blueprint("xero", __name__)
    _list(part, state)
    _new(part, state)
    _invoice(part, state)
    _changes(part, state)
    _webhook(part, state)
    return part


def _held(state: State) -> Organisation:
    """The organisation that is looked at: `?tenant=`, else the first."""
    found = state.organisations.get(request.values.get("tenant", ""))
    return found or state.first_organisation()


def _address(held: Organisation, state: State, page: str, **more: Any) -> str:
    """Names the organisation only where there are several."""
    if len(state.organisations) > 1:
        more["tenant"] = held.profile.id
    return url_for(f"xero.{page}", **more)


def _row(state: State, held: Organisation, one: Invoice) -> Row:
    owner = held.contacts.get(one.contact_id)
    due = one.total * 0 if one.is_dead else one.outstanding
    is_overdue = one.status == "AUTHORISED" and one.due_on is not None and one.due_on < state.act(held).today
    return Row(one, owner.name if owner else "", _status(one), due, is_overdue, _maker(state, one))


def _status(one: Invoice) -> str:
    if one.status == "AUTHORISED" and one.has_allocations:
        return "Partly paid"
    if one.status == "PAID" and not one.amount_paid and one.amount_credited:
        return "Credited"
    return STATUSES.get(one.status, one.status)


def _maker(state: State, one: Invoice) -> str:
    if one.created_by is None:
        return "person"
    return state.apps[one.created_by].name if one.created_by in state.apps else "an app"


# --- the list ------------------------------------------------------------------------------------------------------------


def _list(part: Blueprint, state: State) -> None:
    @part.get("/")
    def invoices() -> Response:
        with state.lock:
            held = _held(state)
            everything = [one for one in held.invoices if one.kind == "ACCREC"]
            status, sought = request.args.get("status", ""), request.args.get("q", "").strip()
            found = [one for one in everything if status in ("", one.status) and _is_sought(held, one, sought)]
            newest = sorted(found, key=lambda one: one.updated_at, reverse=True)
            counts = {name: sum(one.status == name for one in everything) for name in STATUSES}
            return show(
                "xero/invoices.html",
                held=held,
                organisations=list(state.organisations.values()),
                several=len(state.organisations) > 1,
                rows=[_row(state, held, one) for one in newest[:MOST]],
                count=len(found),
                counts=counts,
                all_count=len(everything),
                statuses=STATUSES,
                chosen=status,
                sought=sought,
                most=MOST,
            )


def _is_sought(held: Organisation, one: Invoice, sought: str) -> bool:
    owner = held.contacts.get(one.contact_id)
    texts = (one.number, one.reference, owner.name if owner else "")
    return not sought or any(fold(sought) in fold(text) for text in texts)


# --- a new invoice -------------------------------------------------------------------------------------------------------


def _new(part: Blueprint, state: State) -> None:
    def form(status: int = 200, refusal: str = "") -> Response:
        with state.lock:
            held = _held(state)
            today = state.act(held).today
            return show(
                "xero/new.html",
                status,
                refusal=refusal,
                held=held,
                several=len(state.organisations) > 1,
                today=today,
                due=today + timedelta(days=14),
                contacts=_contacts(held),
                choices=_choices(held),
                rows=range(SPARE_LINES),
                typed=request.form,
            )

    @part.get("/invoices/new")
    def new() -> Response:
        return form()

    @part.post("/invoices/new")
    def raise_one() -> Response:
        try:
            with state.lock:
                held = _held(state)
                outcome = people.raise_invoice(state.act(held, decimals=4), _typed_invoice())
                if outcome.errors:
                    raise Refused(*outcome.errors)
        except (NotAllowed, *REFUSALS) as refusal:
            return form(400, "; ".join(map(str, refusal.args)))
        record = outcome.record
        return go(_address(held, state, "invoice", invoice_id=record.id), f"{record.number} is made.")


def _contacts(held: Organisation) -> list[Contact]:
    found = [one for one in held.contacts if one.status == "ACTIVE"]
    return sorted(found[-MOST_CONTACTS:], key=lambda one: fold(one.name))


def _choices(held: Organisation) -> dict[str, Any]:
    return {
        "currencies": [(code, code) for code in held.currencies],
        "accounts": [one for one in held.account_codes.values() if one.can_be_invoiced and one.status == "ACTIVE"],
        "banks": [one for one in held.account_codes.values() if one.can_be_paid_into and one.status == "ACTIVE"],
        "taxes": [one for one in held.tax_rates.values() if one.for_revenue],
        "kinds": KIND_OF_AMOUNTS,
    }


def _typed_invoice() -> dict[str, Any]:
    contact = typed("contact_name")
    if not contact:
        raise NotAllowed("an invoice needs a contact")
    wanted: dict[str, Any] = {
        "contact": {"name": contact} | ({"email": typed("contact_email")} if typed("contact_email") else {}),
        "status": typed("status") or "AUTHORISED",
        "currency": typed("currency"),
        "line_amount_types": typed("line_amounts") or "Exclusive",
        "lines": _typed_lines(),
    }
    for name in ("date", "due_date", "reference", "number"):
        if typed(name):
            wanted[name] = typed(name)
    if not wanted["lines"]:
        raise NotAllowed("an invoice needs a line")
    return wanted


def _typed_lines() -> list[dict[str, Any]]:
    """Those with any text or price; a known line keeps what the form does not show."""
    lines = []
    for row in range(200):
        if f"description_{row}" not in request.form:
            break
        if not typed(f"description_{row}") and not typed(f"price_{row}"):
            continue
        line: dict[str, Any] = {"description": typed(f"description_{row}")}
        if typed(f"price_{row}"):
            line |= {
                "quantity": str(amount(typed(f"quantity_{row}") or "1", "the quantity")),
                "unit_amount": str(amount(typed(f"price_{row}"), "the price")),
                "account_code": typed(f"account_{row}") or "200",
            }
        if typed(f"tax_{row}"):
            line["tax_type"] = typed(f"tax_{row}")
        if typed(f"line_{row}"):
            line["line_item_id"] = typed(f"line_{row}")
        lines.append(line)
    return lines


# --- one invoice ---------------------------------------------------------------------------------------------------------


def _found(state: State, invoice_id: str) -> tuple[Organisation, Invoice]:
    """Ids name invoices of any organisation; numbers those of the one that is looked at."""
    for held in state.organisations.values():
        by_id = held.invoices.get(invoice_id.lower())
        if by_id is not None:
            return held, by_id
    held = _held(state)
    try:
        return held, people.find_invoice(held, invoice_id)
    except Refused:
        abort(404, f"There is no invoice {invoice_id}.")


def _invoice(part: Blueprint, state: State) -> None:
    @part.get("/invoices/<invoice_id>")
    def invoice(invoice_id: str) -> Response:
        with state.lock:
            held, record = _found(state, invoice_id)
            allocated = held.allocated(record.id)
            return show(
                "xero/invoice.html",
                held=held,
                row=_row(state, held, record),
                contact=held.contacts.get(record.contact_id),
                contacts=_contacts(held),
                choices=_choices(held),
                lines=[*record.lines, *(Line("") for _ in range(SPARE_LINES))],
                kinds=KIND_OF_AMOUNTS,
                payments=held.payments.standing(record.id),
                accounts=held.accounts,
                credits=[(each, held.credit_notes.get(each.credit_note_id)) for each in allocated],
                deal=_deal(record.url),
                can=_possible(record),
                today=state.act(held).today,
                home=_address(held, state, "invoices"),
            )

    @part.get("/invoices/<invoice_id>/<name>.pdf")
    def pdf(invoice_id: str, name: str) -> Response:
        with state.lock:
            held, record = _found(state, invoice_id)
        answer = Response(state.press.print(held, record), content_type="application/pdf")
        answer.headers["Content-Disposition"] = "inline"
        answer.headers["Cache-Control"] = "no-store"
        return answer


def _deal(url: str) -> str:
    """Where a deal's address at Kommo leads to within the sandbox."""
    found = re.search(r"/leads/detail/(\d+)", url)
    return f"/kommo/leads/{found[1]}" if found else ""


def _possible(record: Invoice) -> set[str]:
    """What Xero's page would offer; the rest is refused when it is tried."""
    is_open = record.status == "AUTHORISED"
    possible = {"copy"}
    if record.status in ("DRAFT", "SUBMITTED"):
        possible |= {"approve", "delete", "edit"} | ({"submit"} if record.status == "DRAFT" else set())
    if is_open:
        possible |= {"edit"} | ({"pay", "credit"} if record.outstanding > 0 else set())
        possible |= set() if record.has_allocations else {"void"}
    return possible


def _home(invoice_id: str, **_more: Any) -> str:
    return url_for("xero.invoice", invoice_id=invoice_id)


def _changes(part: Blueprint, state: State) -> None:
    @part.post("/invoices/<invoice_id>/<any(approve, submit, void, delete, pay, unpay, credit, uncredit):action>")
    @back(_home, *REFUSALS)
    def change(invoice_id: str, action: str) -> Response:
        _act(state, invoice_id, action, _typed_action(action))
        return go(_home(invoice_id), DONE[action])

    @part.post("/invoices/<invoice_id>/edit")
    @back(_home, *REFUSALS)
    def edit(invoice_id: str) -> Response:
        wanted = _typed_changes(state, invoice_id)
        if wanted:
            _act(state, invoice_id, "edit", wanted)
        return go(_home(invoice_id), "Saved." if wanted else "Nothing was changed.")

    @part.post("/invoices/<invoice_id>/copy")
    @back(_home, *REFUSALS)
    def copy(invoice_id: str) -> Response:
        made = _act(state, invoice_id, "copy", {})
        return go(_home(made.id), f"{made.number} is a copy, as a draft: reference and address came along.")


def _act(state: State, invoice_id: str, action: str, wanted: dict[str, Any]) -> Invoice:
    """Raises Refused with what the books have against it."""
    with state.lock:
        held, record = _found(state, invoice_id)
        outcome = people.ACTIONS[action](state.act(held, decimals=4), record, wanted)
        if outcome is not None and outcome.errors:
            raise Refused(*outcome.errors)
        return outcome.record if outcome is not None else record


def _typed_action(action: str) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if action in ("pay", "credit"):
        wanted["amount"] = str(amount(typed("amount"))) if typed("amount") else None
    if action == "pay":
        wanted |= {name: typed(name) for name in ("account", "date", "reference") if typed(name)}
    if action == "unpay" and typed("payment"):
        wanted["payment"] = typed("payment")
    return wanted


def _typed_changes(state: State, invoice_id: str) -> dict[str, Any]:
    """Only what was changed by hand."""
    names = {"date": "date", "due_date": "due_date", "reference": "reference", "currency": "currency",
             "line_amounts": "line_amount_types"}  # fmt: skip
    wanted: dict[str, Any] = {api: typed(name) for name, api in names.items() if changed(name) is not None}
    if changed("contact_name"):
        wanted["contact"] = {"name": typed("contact_name")}
    lines = _typed_lines()
    with state.lock:
        _, record = _found(state, invoice_id)
    if "description_0" in request.form and not _are_same(lines, record.lines):
        wanted["lines"] = lines
    return wanted


def _are_same(typed_lines: list[dict[str, Any]], lines: tuple[Line, ...]) -> bool:
    def key(one: dict[str, Any]) -> tuple[Any, ...]:
        numbers = [amount(one[name]) if name in one else None for name in ("quantity", "unit_amount")]
        texts = [one.get(name, "") for name in ("line_item_id", "description", "account_code", "tax_type")]
        return (*numbers, *texts)

    present = [
        (one.quantity, one.unit_amount, one.id, one.description, one.account_code, one.tax_type) for one in lines
    ]
    return [key(one) for one in typed_lines] == present


# --- the developer's portal ----------------------------------------------------------------------------------------------


def _webhook(part: Blueprint, state: State) -> None:
    @part.post("/webhook/intent")
    def prove() -> Response:
        """Sends the intent to receive again, which switches a disabled webhook on."""
        client = next((one for one in state.apps if (state.hooks_of(one).shown().get("url") == typed("url"))), None)
        if client is None:
            return go(url_for("traffic.traffic"), "There is no such webhook.", is_bad=True)
        verdict = state.hooks_of(client).prove()
        said = "The receiver passed." if verdict["ok"] else f"The receiver failed: {'; '.join(verdict['reasons'])}."
        return go(url_for("traffic.traffic"), said, is_bad=not verdict["ok"])
