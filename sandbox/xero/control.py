"""What people do in Xero's own pages, and what a test changes behind the scenes; mounted at /_sandbox/xero.

Names as in the books: lower case with underscores. Where there are several organisations, `?tenant=` says which.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.kit import Kit
from sandbox.xero import books, contacts, payments
from sandbox.xero.act import Act, new_id
from sandbox.xero.arithmetic import ZERO
from sandbox.xero.events import Event, Webhooks
from sandbox.xero.invoices import Outcome, create, update
from sandbox.xero.organisation import Organisation
from sandbox.xero.records import Contact, Invoice
from sandbox.xero.seed import WEBHOOK_KEY, open_organisation
from sandbox.xero.state import State
from sandbox.xero.wire import Asked, BadPost

# what the control plane calls differently from the API
API_NAMES = {
    "currency": "currencycode", "lines": "lineitems", "number": "invoicenumber", "lineamounts": "lineamounttypes",
    "price": "unitamount",
}  # fmt: skip
CONTACT_NAMES = {"email": "emailaddress", "number": "contactnumber", "id": "contactid"}
NAMED = {"contact": CONTACT_NAMES}


class Refused(Exception):
    """What the books do not allow, or what is not there."""

    def __init__(self, *errors: str, status: int = 400) -> None:
        super().__init__(*errors)
        self.errors = errors
        self.status = status


def control_blueprint(state: State, kit: Kit) -> Blueprint:
    part = Blueprint("xero", __name__)
    part.register_error_handler(Refused, _refuse)
    part.register_error_handler(BadPost, lambda error: _refuse(Refused(str(error))))
    _invoices(part, state)
    _contacts(part, state)
    _organisation(part, state)
    _webhook(part, state)
    _vendor(part, state, kit)
    return part


def _refuse(refused: Refused) -> ResponseReturnValue:
    return jsonify(error="; ".join(refused.errors), errors=list(refused.errors)), refused.status


def _asked() -> dict[str, Any]:
    found = json.loads(request.get_data() or b"{}", parse_float=Decimal)
    if not isinstance(found, dict):
        raise Refused("the body is a JSON object")
    return found


def _held(state: State) -> Organisation:
    tenant = request.args.get("tenant")
    held = state.organisations.get(tenant) if tenant else state.first_organisation()
    if held is None:
        raise Refused(f"no organisation {tenant}", status=404)
    return held


def _api(value: Any, names: dict[str, str] | None = None) -> Any:
    """The control plane's names as the API's, in lower case."""
    if isinstance(value, list):
        return [_api(each) for each in value]
    if not isinstance(value, dict):
        return value
    names = API_NAMES if names is None else names
    plain = {name.replace("_", "").lower(): each for name, each in value.items()}
    return {names.get(name, name): _api(each, NAMED.get(name)) for name, each in plain.items()}


def _amount(value: object) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise Refused(f"{value!r} is no amount") from None


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value)) if value else None
    except ValueError:
        raise Refused(f"{value!r} is no date: YYYY-MM-DD") from None


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
    asked = {"type": "ACCREC", "status": "AUTHORISED", **_api(wanted)}
    asked["contact"] = _chosen_contact(act, wanted.get("contact"))
    issued_on = _day(asked.get("date")) or act.today
    asked.setdefault("duedate", (issued_on + timedelta(days=14)).isoformat())
    asked.setdefault("lineitems", [{"description": "Work", "quantity": "1", "unitamount": "100.00"}])
    for line in asked["lineitems"]:
        has_amount = {"unitamount", "lineamount", "quantity"} & line.keys()
        if has_amount and "itemcode" not in line:
            line.setdefault("accountcode", "200")
    return create(act, Asked(asked))


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
                held = _held(state)
                record = _invoice(held, id_or_number)
                outcome = do(state.act(held, decimals=4), record, _asked())
                return _shown(held, record.id) if outcome is None else _kept(held, outcome)

        part.add_url_rule(f"/invoices/<id_or_number>/{rule}", f"invoice_{rule}", view, methods=["POST"])

    @part.post("/invoices")
    def raise_one() -> ResponseReturnValue:
        with state.lock:
            held = _held(state)
            return _kept(held, raise_invoice(state.act(held, decimals=4), _asked()))

    @part.get("/invoices/<id_or_number>")
    def show_invoice(id_or_number: str) -> ResponseReturnValue:
        with state.lock:
            return _shown(_held(state), id_or_number)

    @part.post("/payments")
    def pay_many() -> ResponseReturnValue:
        with state.lock:
            held = _held(state)
            wanted = _asked()["invoices"]
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
    asked = _api(wanted)
    if "contact" in wanted:
        asked["contact"] = _chosen_contact(act, wanted["contact"])
    return update(act, record, Asked(asked))


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
    asked = {
        "invoice": {"invoiceid": record.id},
        "account": {"code": wanted.get("account", "090")},
        "amount": _amount(wanted["amount"]) if wanted.get("amount") is not None else record.outstanding,
        "date": wanted.get("date"),
        "reference": wanted.get("reference"),
    }
    paid = payments.pay(act, Asked(asked))
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
    amount = _amount(wanted["amount"]) if wanted.get("amount") is not None else record.outstanding
    line = {"description": "Credit", "quantity": 1, "unitamount": amount, "accountcode": "200", "taxtype": "NONE"}
    asked = {
        "type": "ACCRECCREDIT",
        "status": "AUTHORISED",
        "contact": {"contactid": record.contact_id},
        "currencycode": record.currency,
        "lineitems": [line],
    }
    made = create(act, Asked(asked), kinds=("ACCRECCREDIT",))
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
            act = state.act(_held(state))
            return _planned(act, contacts.plan_put(act, Asked(_contact_fields(_asked()))))

    @part.patch("/contacts/<contact_id>")
    def change_contact(contact_id: str) -> ResponseReturnValue:
        with state.lock:
            act = state.act(_held(state))
            found = _contact(act.held, contact_id)
            return _planned(act, contacts.plan_post(act, Asked(_contact_fields(_asked())), found.id))

    @part.post("/contacts/<contact_id>/archive")
    def archive(contact_id: str) -> ResponseReturnValue:
        with state.lock:
            act = state.act(_held(state))
            return jsonify(books.contact(act.held, contacts.archive(act, _contact(act.held, contact_id))))

    @part.post("/contacts/<contact_id>/merge")
    def merge(contact_id: str) -> ResponseReturnValue:
        with state.lock:
            act = state.act(_held(state))
            into = _contact(act.held, str(_asked()["into"]))
            contacts.merge(act, _contact(act.held, contact_id), into)
            return jsonify(books.contact(act.held, _contact(act.held, into.id)))


# --- the organisation ----------------------------------------------------------------------------------------------------


def _organisation(part: Blueprint, state: State) -> None:
    @part.patch("/organisation")
    def change_organisation() -> ResponseReturnValue:
        with state.lock:
            held, wanted = _held(state), _asked()
            changes: dict[str, Any] = {
                name: _day(each) if name.endswith("_date") else each for name, each in wanted.items()
            }
            if changes.get("sales_terms"):
                changes["sales_terms"] = tuple(changes["sales_terms"])
            try:
                held.profile = replace(held.profile, **changes)
            except TypeError as error:
                raise Refused(str(error)) from None
            return jsonify(id=held.profile.id, changed=sorted(changes))

    @part.post("/currencies")
    def subscribe() -> ResponseReturnValue:
        code = str(_asked()["code"]).upper()
        with state.lock:
            _held(state).currencies[code] = code
        return jsonify(code=code)

    @part.delete("/currencies/<code>")
    def unsubscribe(code: str) -> ResponseReturnValue:
        with state.lock:
            _held(state).currencies.pop(code.upper(), None)
        return "", 204

    @part.patch("/accounts/<code>")
    def change_account(code: str) -> ResponseReturnValue:
        with state.lock:
            held = _held(state)
            if code not in held.account_codes:
                raise Refused(f"no account {code}", status=404)
            held.add_account(replace(held.account_codes[code], **_asked()))
        return jsonify(code=code)

    @part.post("/disconnect")
    def disconnect() -> ResponseReturnValue:
        """A person takes the app's access away: no webhook says so (xero.md 1.9)."""
        with state.lock:
            held = _held(state)
            for app in state.apps.values():
                app.connections.pop(held.profile.id, None)
        return jsonify(tenant_id=held.profile.id)

    @part.post("/connect")
    def connect() -> ResponseReturnValue:
        with state.lock:
            held = _held(state)
            client = _asked().get("client_id") or next(iter(state.apps))
            state.apps[client].connect(held.profile.id, state.kit.clock.now())
        return jsonify(tenant_id=held.profile.id)

    @part.post("/organisations")
    def open_another() -> ResponseReturnValue:
        """Another organisation: of an app that is there (`client_id`), else of an app of its own."""
        wanted = _asked()
        with state.lock:
            tenant_id = str(wanted.get("tenant_id") or new_id())
            base = str(wanted.get("base_currency", "NZD"))
            open_organisation(state, name=str(wanted["name"]), tenant_id=tenant_id, base_currency=base)
            client = str(wanted.get("client_id") or new_id().replace("-", "").upper())
            app = state.apps.get(client) or state.add_app(client, new_id(), str(wanted["name"]))
            app.connect(tenant_id, state.kit.clock.now())
        return jsonify(tenant_id=tenant_id, client_id=client, client_secret=app.secret)


# --- the developer's portal, and the machine room ------------------------------------------------------------------------


def _webhook(part: Blueprint, state: State) -> None:
    def hooks_of() -> Webhooks:
        client = request.args.get("client_id") or next(iter(state.apps))
        if client not in state.apps:
            raise Refused(f"no app {client}", status=404)
        return state.hooks_of(client)

    @part.post("/webhook")
    def set_target() -> ResponseReturnValue:
        """Sets the address and proves it; the answer is the portal's verdict."""
        wanted = _asked()
        hooks = hooks_of()
        hooks.set_target(str(wanted["url"]), str(wanted.get("key", WEBHOOK_KEY)))
        return jsonify(hooks.prove())

    @part.post("/webhook/intent")
    def prove_again() -> ResponseReturnValue:
        hooks = hooks_of()
        if hooks.target is None:
            raise Refused("no webhook is set up", status=404)
        return jsonify(hooks.prove())

    @part.get("/webhook")
    def show_target() -> ResponseReturnValue:
        return jsonify(hooks_of().shown())

    @part.delete("/webhook")
    def remove_target() -> ResponseReturnValue:
        hooks_of().clear()
        return "", 204

    @part.post("/events")
    def fire() -> ResponseReturnValue:
        """An event out of nothing: of an unknown category, about an unknown resource, from an unknown tenant."""
        wanted = _asked()
        tenant = str(wanted.get("tenant_id") or _held(state).profile.id)
        event = Event(
            tenant,
            str(wanted.get("category", "INVOICE")),
            str(wanted.get("kind", "UPDATE")),
            str(wanted.get("resource_id") or new_id()),
            state.kit.clock.now(),
        )
        hooks_of().add(event, always=True)
        return jsonify(resource_id=event.resource_id)


def _vendor(part: Blueprint, state: State, kit: Kit) -> None:
    @part.post("/tokens/expire")
    def expire() -> ResponseReturnValue:
        with state.lock:
            state.tokens.expire_all(kit.clock.now())
        return "", 204

    @part.post("/limits/day")
    def spend_day() -> ResponseReturnValue:
        """Leaves so many calls of the day to an app."""
        wanted = _asked()
        client = str(wanted.get("client_id") or next(iter(state.apps)))
        with state.lock:
            tenant = _held(state).profile.id
            state.limiter.spend_day(client, tenant, left=int(wanted["left"]), now=kit.clock.ticks())
        return jsonify(left=int(wanted["left"]))
