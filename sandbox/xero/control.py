"""What people do in Xero's own pages, and what a test changes behind the scenes; mounted at /_sandbox/xero.

Names as in the books: lower case with underscores. Where there are several organisations, `?tenant=` says which.
"""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from sandbox.kit import Kit
from sandbox.xero import books, contacts, people
from sandbox.xero.act import Act
from sandbox.xero.desk import Refused, asked, held_of, refuse
from sandbox.xero.invoices import Outcome
from sandbox.xero.organisation import Organisation
from sandbox.xero.portal import add_portal
from sandbox.xero.records import Contact
from sandbox.xero.state import State
from sandbox.xero.wire import Asked, BadPost


def control_blueprint(state: State, kit: Kit) -> Blueprint:
    part = Blueprint("xero", __name__)
    part.register_error_handler(Refused, refuse)
    part.register_error_handler(BadPost, lambda error: refuse(Refused(str(error))))
    _invoices(part, state)
    _contacts(part, state)
    add_portal(part, state, kit)
    return part


# --- invoices ------------------------------------------------------------------------------------------------------------


def _shown(held: Organisation, invoice_id: str) -> ResponseReturnValue:
    return jsonify(books.invoice(held, people.find_invoice(held, invoice_id)))


def _kept(held: Organisation, outcome: Outcome) -> ResponseReturnValue:
    if outcome.errors:
        raise Refused(*outcome.errors)
    return _shown(held, outcome.record.id)


def _invoices(part: Blueprint, state: State) -> None:
    def on_one(rule: str, do: people.Action) -> None:
        def view(id_or_number: str) -> ResponseReturnValue:
            with state.lock:
                held = held_of(state)
                record = people.find_invoice(held, id_or_number)
                outcome = do(state.act(held, decimals=4), record, asked())
                return _shown(held, record.id) if outcome is None else _kept(held, outcome)

        part.add_url_rule(f"/invoices/<id_or_number>/{rule}", f"invoice_{rule}", view, methods=["POST"])

    @part.post("/invoices")
    def raise_one() -> ResponseReturnValue:
        with state.lock:
            held = held_of(state)
            return _kept(held, people.raise_invoice(state.act(held, decimals=4), asked()))

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
                people.pay(state.act(held), people.find_invoice(held, each), {})
            return jsonify(paid=len(wanted))

    for rule, do in people.ACTIONS.items():
        on_one(rule, do)


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
            return _planned(act, contacts.plan_put(act, Asked(people.contact_fields(asked()))))

    @part.patch("/contacts/<contact_id>")
    def change_contact(contact_id: str) -> ResponseReturnValue:
        with state.lock:
            act = state.act(held_of(state))
            found = _contact(act.held, contact_id)
            return _planned(act, contacts.plan_post(act, Asked(people.contact_fields(asked())), found.id))

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
