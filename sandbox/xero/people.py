"""What people do in Xero's own pages: they choose a contact by name, raise, approve, edit and pay.

Names as in the books: lower case with underscores. Each raises `Refused` for what Xero would not let a person do.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from sandbox.xero import payments
from sandbox.xero.act import Act, new_id
from sandbox.xero.arithmetic import ZERO
from sandbox.xero.desk import Refused, amount_of, day_of
from sandbox.xero.invoices import Outcome, create, update
from sandbox.xero.organisation import Organisation
from sandbox.xero.records import Invoice
from sandbox.xero.wire import Asked

# what the control plane calls differently from the API
API_NAMES = {
    "currency": "currencycode", "lines": "lineitems", "number": "invoicenumber", "lineamounts": "lineamounttypes",
    "price": "unitamount",
}  # fmt: skip
CONTACT_NAMES = {"email": "emailaddress", "number": "contactnumber", "id": "contactid"}
NAMED = {"contact": CONTACT_NAMES}

# until an invoice is due that does not say when
TERMS = timedelta(days=14)


def as_api(value: Any, names: dict[str, str] | None = None) -> Any:
    """The control plane's names as the API's, in lower case."""
    if isinstance(value, list):
        return [as_api(each) for each in value]
    if not isinstance(value, dict):
        return value
    names = API_NAMES if names is None else names
    plain = {name.replace("_", "").lower(): each for name, each in value.items()}
    return {names.get(name, name): as_api(each, NAMED.get(name)) for name, each in plain.items()}


def find_invoice(held: Organisation, id_or_number: str) -> Invoice:
    found = held.invoices.get(id_or_number.lower()) or next(iter(held.invoices.numbered(id_or_number)), None)
    if found is None:
        raise Refused(f"no invoice {id_or_number}", status=404)
    return found


def raise_invoice(act: Act, wanted: dict[str, Any]) -> Outcome:
    """An invoice made by hand: approved and due in two weeks unless it says otherwise, its lines on account 200."""
    fields = {"type": "ACCREC", "status": "AUTHORISED", **as_api(wanted)}
    fields["contact"] = chosen_contact(act, wanted.get("contact"))
    issued_on = day_of(fields.get("date")) or act.today
    if "duedate" not in fields:
        if issued_on > date.max - TERMS:
            raise Refused(f"of an invoice of {issued_on} no day is left to be due on")
        fields["duedate"] = (issued_on + TERMS).isoformat()
    fields.setdefault("lineitems", [{"description": "Work", "quantity": "1", "unitamount": "100.00"}])
    for line in fields["lineitems"]:
        has_amount = {"unitamount", "lineamount", "quantity"} & line.keys()
        if has_amount and "itemcode" not in line:
            line.setdefault("accountcode", "200")
    return create(act, Asked(fields))


def chosen_contact(act: Act, wanted: object) -> dict[str, Any]:
    """People choose a contact from the list by name, or add one; choosing edits nothing."""
    if isinstance(wanted, str):
        return {"contactid": wanted}
    named = contact_fields(wanted if isinstance(wanted, dict) else {"name": "Acme Ltd"})
    found = act.held.contacts.active_named(str(named.get("name", "")))
    return {"contactid": found.id} if found else named


def contact_fields(wanted: dict[str, Any]) -> dict[str, Any]:
    """A contact as the API has it; `phone` is the main one."""
    fields: dict[str, Any] = as_api(wanted, CONTACT_NAMES)
    phone = fields.pop("phone", None)
    return fields | ({"phones": [{"phonetype": "DEFAULT", "phonenumber": phone}]} if phone else {})


def edit(act: Act, record: Invoice, wanted: dict[str, Any]) -> Outcome:
    fields = as_api(wanted)
    if "contact" in wanted:
        fields["contact"] = chosen_contact(act, wanted["contact"])
    return update(act, record, Asked(fields))


def copy(act: Act, record: Invoice, _wanted: dict[str, Any]) -> Outcome:
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


def pay(act: Act, record: Invoice, wanted: dict[str, Any]) -> None:
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


def unpay(act: Act, record: Invoice, wanted: dict[str, Any]) -> None:
    """The payment that is named, else the last one."""
    standing = act.held.payments.standing(record.id)
    found = [each for each in standing if wanted.get("payment") in (None, each.id)]
    if not found:
        raise Refused("no payment to take back", status=404)
    payments.unpay(act, found[-1])


def credit(act: Act, record: Invoice, wanted: dict[str, Any]) -> None:
    """A credit note over the amount, without tax, used on the invoice at once."""
    amount = amount_of(wanted["amount"]) if wanted.get("amount") is not None else record.outstanding
    if record.status != "AUTHORISED" or not ZERO < amount <= record.outstanding:
        raise Refused("only what is due on an approved invoice can be credited")  # before a note is made for nothing
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


def uncredit(act: Act, record: Invoice, wanted: dict[str, Any]) -> None:
    allocated = act.held.allocated(record.id)
    if not allocated:
        raise Refused("no credit to take back", status=404)
    payments.take_back(act, allocated[-1])


def _move(status: str) -> "Action":
    return lambda act, record, _wanted: update(act, record, Asked({"status": status}))


# what can be done to an invoice, with what was typed; None where only its amounts or status change
Action = Callable[[Act, Invoice, dict[str, Any]], Outcome | None]
ACTIONS: dict[str, Action] = {
    "approve": _move("AUTHORISED"),
    "submit": _move("SUBMITTED"),
    "void": _move("VOIDED"),
    "delete": _move("DELETED"),
    "edit": edit,
    "copy": copy,
    "pay": pay,
    "unpay": unpay,
    "credit": credit,
    "uncredit": uncredit,
}
