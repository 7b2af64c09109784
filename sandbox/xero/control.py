"""What people do in Xero's own pages, and what a test changes behind the scenes; mounted at /_sandbox/xero.

Names as in the books: lower case with underscores. Where there are several organisations, `?tenant=` says which.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from sandbox.kit import Kit
from sandbox.xero import books, contacts, payments
from sandbox.xero.act import Act, new_id
from sandbox.xero.arithmetic import ZERO
from sandbox.xero.desk import Refused, amount_of, asked, day_of, held_of, refuse
from sandbox.xero.invoices import Outcome, create, update
from sandbox.xero.organisation import Organisation
from sandbox.xero.portal import add_portal
from sandbox.xero.records import Contact, Invoice
from sandbox.xero.state import State
from sandbox.xero.wire import Asked, BadPost

# what the control plane calls differently from the API
API_NAMES = {
    "currency": "currencycode", "lines": "lineitems", "number": "invoicenumber", "lineamounts": "lineamounttypes",
    "price": "unitamount",
}  # fmt: skip
CONTACT_NAMES = {"email": "emailaddress", "number": "contactnumber", "id": "contactid"}
NAMED = {"contact": CONTACT_NAMES}


def control_blueprint(state: State, kit: Kit) -> Blueprint:
    part = Blueprint("xero", __name__)
    part.register_error_handler(Refused, refuse)
    part.register_error_handler(BadPost, lambda error: refuse(Refused(str(error))))
    _invoices(part, state)
    _contacts(part, state)
    add_portal(part, state, kit)
    return part


def _api(value: Any, names: dict[str, str] | None = None) -> Any:
    """The control plane's names as the API's, in lower case."""
    if isinstance(value, list):
        return [_api(each) for each in value]
    if not isinstance(value, dict):
        return value
    names = API_NAMES if names is None else names
    plain = {name.replace("_", "").lower(): each for name, each in value.items()}
    return {names.get(name, name): _api(each, NAMED.get(name)) for name, each in plain.items()}


# --- invoices ------------------------------------------------------------------------------------------------------------


def _invoice(held: Organisation, id_or_number: str) -> Invoice:
    found = held.invoices.get(id_or_number.lower()) or next(iter(held.invoices.numbered(id_or_number)), None)
    if found is None:
        raise Refused(f"no invoice {id_or_number}", status=404)
    return found


def _shown(held: Organisation, invoice_id: str) -> ResponseReturnValue:
    return jsonify(books.invoice(held, _invoice(held, invoice_id)))


def _kept(held: Organisation, outcome: Outcome) -> ResponseReturnValue:
    if outcome.errors:
        raise Refused(*outcome.errors)
    return _shown(held, outcome.record.id)


def raise_invoice(act: Act, wanted: dict[str, Any]) -> Outcome:
    """An invoice made by hand: approved and due in two weeks unless it says otherwise, its lines on account 200."""
    fields = {"type": "ACCREC", "status": "AUTHORISED", **_api(wanted)}
    fields["contact"] = _chosen_contact(act, wanted.get("contact"))
    issued_on = day_of(fields.get("date")) or act.today
    fields.setdefault("duedate", (issued_on + timedelta(days=14)).isoformat())
    fields.setdefault("lineitems", [{"description": "Work", "quantity": "1", "unitamount": "100.00"}])
    for line in fields["lineitems"]:
        has_amount = {"unitamount", "lineamount", "quantity"} & line.keys()
        if has_amount and "itemcode" not in line:
            line.setdefault("accountcode", "200")
    return create(act, Asked(fields))


def _chosen_contact(act: Act, wanted: object) -> dict[str, Any]:
    """People choose a contact from the list by name, or add one; choosing edits nothing."""
    if isinstance(wanted, str):
        return {"contactid": wanted}
    named = _contact_fields(wanted if isinstance(wanted, dict) else {"name": "Acme Ltd"})
    found = act.held.contacts.active_named(str(named.get("name", "")))
    return {"contactid": found.id} if found else named


def _contact_fields(wanted: dict[str, Any]) -> dict[str, Any]:
    """A contact as the API has it; `phone` is the main one."""
    fields: dict[str, Any] = _api(wanted, CONTACT_NAMES)
    phone = fields.pop("phone", None)
    return fields | ({"phones": [{"phonetype": "DEFAULT", "phonenumber": phone}]} if phone else {})


def _invoices(part: Blueprint, state: State) -> None:
    def on_one(rule: str, do: Callable[[Act, Invoice, dict[str, Any]], Outcome | None]) -> None:
        def view(id_or_number: str) -> ResponseReturnValue:
            with state.lock:
                held = held_of(state)
                record = _invoice(held, id_or_number)
                outcome = do(state.act(held, decimals=4), record, asked())
                return _shown(held, record.id) if outcome is None else _kept(held, outcome)

        part.add_url_rule(f"/invoices/<id_or_number>/{rule}", f"invoice_{rule}", view, methods=["POST"])

    @part.post("/invoices")
    def raise_one() -> ResponseReturnValue:
        with state.lock:
            held = held_of(state)
            return _kept(held, raise_invoice(state.act(held, decimals=4), asked()))

    @part.get("/invoices/<id_or_number>")
    def show_invoice(id_or_number: str) -> ResponseReturnValue:
        with state.lock:
            return _shown(held_of(state), id_or_number)

    @part.post("/payments")
    def pay_many() -> ResponseReturnValue:
        with state.lock:
            held = held_of(state)
            wanted = asked()["invoices"]
            for each in wanted:
                _pay(state.act(held), _invoice(held, each), {})
            return jsonify(paid=len(wanted))

    def move(status: str) -> Callable[[Act, Invoice, dict[str, Any]], Outcome]:
        return lambda act, record, _wanted: update(act, record, Asked({"status": status}))

    on_one("approve", move("AUTHORISED"))
    on_one("submit", move("SUBMITTED"))
    on_one("void", move("VOIDED"))
    on_one("delete", move("DELETED"))
    on_one("edit", _edit)
    on_one("copy", _copy)
    on_one("pay", _pay)
    on_one("unpay", _unpay)
    on_one("credit", _credit)
    on_one("uncredit", _uncredit)


def _edit(act: Act, record: Invoice, wanted: dict[str, Any]) -> Outcome:
    fields = _api(wanted)
    if "contact" in wanted:
        fields["contact"] = _chosen_contact(act, wanted["contact"])
    return update(act, record, Asked(fields))


def _copy(act: Act, record: Invoice, _wanted: dict[str, Any]) -> Outcome:
    """Copy to a new draft: reference and address come along, the app that made it does not."""
    copied = replace(
        record,
        id=new_id(),
        number=act.held.next_number("INV"),
        status="DRAFT",
        updated_at=act.now,
        amount_paid=ZERO,
        amount_credited=ZERO,
        fully_paid_on=None,
        sent_to_contact=False,
        history=(),
        attachments=(),
        created_by=None,
        version=1,
    )
    act.held.invoices.put(copied)
    act.tell("INVOICE", "CREATE", copied.id)
    return Outcome(copied)


def _pay(act: Act, record: Invoice, wanted: dict[str, Any]) -> None:
    fields = {
        "invoice": {"invoiceid": record.id},
        "account": {"code": wanted.get("account", "090")},
        "amount": amount_of(wanted["amount"]) if wanted.get("amount") is not None else record.outstanding,
        "date": wanted.get("date"),
        "reference": wanted.get("reference"),
    }
    paid = payments.pay(act, Asked(fields))
    if paid.errors:
        raise Refused(*paid.errors)


def _unpay(act: Act, record: Invoice, wanted: dict[str, Any]) -> None:
    """The payment that is named, else the last one."""
    standing = act.held.payments.standing(record.id)
    found = [each for each in standing if wanted.get("payment") in (None, each.id)]
    if not found:
        raise Refused("no payment to take back", status=404)
    payments.unpay(act, found[-1])


def _credit(act: Act, record: Invoice, wanted: dict[str, Any]) -> None:
    """A credit note over the amount, without tax, used on the invoice at once."""
    amount = amount_of(wanted["amount"]) if wanted.get("amount") is not None else record.outstanding
    line = {"description": "Credit", "quantity": 1, "unitamount": amount, "accountcode": "200", "taxtype": "NONE"}
    fields = {
        "type": "ACCRECCREDIT",
        "status": "AUTHORISED",
        "contact": {"contactid": record.contact_id},
        "currencycode": record.currency,
        "lineitems": [line],
    }
    made = create(act, Asked(fields), kinds=("ACCRECCREDIT",))
    if made.errors:
        raise Refused(*made.errors)
    used = payments.allocate(act, made.record, Asked({"invoice": {"invoiceid": record.id}, "amount": amount}))
    if used.errors:
        raise Refused(*used.errors)


def _uncredit(act: Act, record: Invoice, wanted: dict[str, Any]) -> None:
    allocated = act.held.allocated(record.id)
    if not allocated:
        raise Refused("no credit to take back", status=404)
    payments.take_back(act, allocated[-1])


# --- contacts ------------------------------------------------------------------------------------------------------------


def _contact(held: Organisation, contact_id: str) -> Contact:
    found = held.contacts.get(contact_id.lower()) or held.contacts.active_named(contact_id)
    if found is None:
        raise Refused(f"no contact {contact_id}", status=404)
    return found


def _planned(act: Act, plan: contacts.Plan) -> ResponseReturnValue:
    if plan.errors:
        raise Refused(*plan.errors)
    return jsonify(books.contact(act.held, contacts.keep(act, plan)))


def _contacts(part: Blueprint, state: State) -> None:
    @part.post("/contacts")
    def add_contact() -> ResponseReturnValue:
        with state.lock:
            act = state.act(held_of(state))
            return _planned(act, contacts.plan_put(act, Asked(_contact_fields(asked()))))

    @part.patch("/contacts/<contact_id>")
    def change_contact(contact_id: str) -> ResponseReturnValue:
        with state.lock:
            act = state.act(held_of(state))
            found = _contact(act.held, contact_id)
            return _planned(act, contacts.plan_post(act, Asked(_contact_fields(asked())), found.id))

    @part.post("/contacts/<contact_id>/archive")
    def archive(contact_id: str) -> ResponseReturnValue:
        with state.lock:
            act = state.act(held_of(state))
            return jsonify(books.contact(act.held, contacts.archive(act, _contact(act.held, contact_id))))

    @part.post("/contacts/<contact_id>/merge")
    def merge(contact_id: str) -> ResponseReturnValue:
        with state.lock:
            act = state.act(held_of(state))
            into = _contact(act.held, str(asked()["into"]))
            contacts.merge(act, _contact(act.held, contact_id), into)
            return jsonify(books.contact(act.held, _contact(act.held, into.id)))
