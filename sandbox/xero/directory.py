"""The calls about contacts and settings (xero.md 6, 7)."""

from urllib.parse import unquote

from sandbox.kit import Answer
from sandbox.xero import contacts, listing, shapes
from sandbox.xero.act import Act
from sandbox.xero.answers import Call, envelope, invalid, missing, plain_error
from sandbox.xero.arithmetic import ZERO
from sandbox.xero.contacts import Plan, Planning
from sandbox.xero.records import Contact
from sandbox.xero.shapes import Shape, Verdict
from sandbox.xero.wire import Asked, elements

ACTIONS = (
    "CreateApprovedInvoice", "CreateDraftInvoice", "CreateApprovedBill", "CreateDraftBill", "CreateRepeatingInvoice",
    "CreateRepeatingBill", "AttachFilesIntoInvoice", "UseMulticurrency", "CreateInvoicePayment", "CreateDraftQuote",
    "CreateSentQuote", "CreateDraftPurchaseOrder", "CreateApprovedPurchaseOrder",
)  # fmt: skip


# --- contacts ------------------------------------------------------------------------------------------------------------


def find(call: Call, id_or_number: str) -> Contact | None:
    register = call.held.contacts
    return register.get(id_or_number.lower()) or register.numbered(unquote(id_or_number))


def list_contacts(call: Call) -> Answer:
    found = listing.contacts(call, call.held.contacts)
    whole = found.is_paged and not call.flag("summaryonly")
    shown = [_listed(call, each, whole=whole) for each in found.records]
    return envelope(call, {"Contacts": shown}, pagination=found.pagination)


def _listed(call: Call, record: Contact, *, whole: bool) -> Shape:
    return shapes.contact(record, whole=whole, balances=_balances(call, record) if whole else None)


def get_contact(call: Call, id_or_number: str) -> Answer:
    record = find(call, id_or_number)
    if record is None:
        return missing()
    return envelope(call, {"Contacts": [_listed(call, record, whole=True)]})


def _balances(call: Call, record: Contact) -> Shape | None:
    """What is open and overdue; the merged contact's pointer is shown with it."""
    open_ones = [
        invoice
        for invoice in call.held.invoices.many(call.held.invoices.by_contact.ids(record.id))
        if invoice.status == "AUTHORISED" and invoice.kind == "ACCREC"
    ]
    today = call.act.today
    overdue = sum((each.outstanding for each in open_ones if each.due_on and each.due_on < today), ZERO)
    outstanding = sum((each.outstanding for each in open_ones), ZERO)
    return {"AccountsReceivable": {"Outstanding": outstanding, "Overdue": overdue}}


def put_contacts(call: Call) -> Answer:
    return _write(call, elements(call.body, "Contacts"), contacts.plan_put)


def post_contacts(call: Call) -> Answer:
    return _write(call, elements(call.body, "Contacts"), contacts.plan_post)


def post_contact(call: Call, id_or_number: str) -> Answer:
    record = find(call, id_or_number)
    if record is None:
        return missing()
    asked = elements(call.body, "Contacts")[:1]
    return _write(call, asked, lambda act, each: contacts.plan_post(act, each, record.id))


def _write(call: Call, asked: list[Asked], planning: Planning) -> Answer:
    if not asked:
        return plain_error(call, 13, "NoDataProcessedException", "No data has been processed for this endpoint.")
    act = call.act
    results = [_written(act, each, planning) for each in asked]
    shown = not call.summarizes
    refused = [_refused(plan, each, shown=shown) for each, plan, record in results if record is None]
    if call.summarizes and refused:
        return invalid(call, refused)
    written = [
        _refused(plan, each, shown=shown)
        if record is None
        else {**shapes.contact(record), **Verdict(shown=shown).keys()}
        for each, plan, record in results
    ]
    return envelope(call, {"Contacts": written})


def _written(act: Act, asked: Asked, planning: Planning) -> tuple[Asked, Plan, Contact | None]:
    plan = planning(act, asked)
    return asked, plan, None if plan.errors else contacts.keep(act, plan)


def _refused(plan: Plan, asked: Asked, *, shown: bool) -> Shape:
    return shapes.refused_contact(plan.record, plan.errors, sent_customer=asked.flag("iscustomer"), shown=shown)


# --- settings ------------------------------------------------------------------------------------------------------------


def organisation(call: Call) -> Answer:
    return envelope(call, {"Organisations": [shapes.organisation(call.held.profile)]})


def actions(call: Call) -> Answer:
    refused = {"CreateApprovedInvoice"} if call.state.switches["approval_limit_reached"] else set()
    if len(call.held.currencies) == 1:
        refused.add("UseMulticurrency")
    shown = [{"Name": name, "Status": "NOT-ALLOWED" if name in refused else "ALLOWED"} for name in ACTIONS]
    return envelope(call, {"Actions": shown})


def currencies(call: Call) -> Answer:
    shown = [{"Code": code, "Description": name} for code, name in call.held.currencies.items()]
    return envelope(call, {"Currencies": shown})


def put_currency(call: Call) -> Answer:
    asked = elements(call.body, "Currencies")[0]
    code = (asked.text("code") or "").upper()
    call.held.currencies.setdefault(code, asked.text("description") or code)
    return envelope(call, {"Currencies": [{"Code": code, "Description": call.held.currencies[code]}]})


def accounts(call: Call) -> Answer:
    return envelope(
        call, {"Accounts": [shapes.account(each, call.held.profile) for each in call.held.accounts.values()]}
    )


def account(call: Call, code_or_id: str) -> Answer:
    found = call.held.accounts.get(code_or_id.lower())
    return missing() if found is None else envelope(call, {"Accounts": [shapes.account(found, call.held.profile)]})


def tax_rates(call: Call) -> Answer:
    return envelope(call, {"TaxRates": [shapes.tax_rate(each) for each in call.held.tax_rates.values()]})


def items(call: Call) -> Answer:
    shown = [shapes.item(each, decimals=call.decimals) for each in call.held.items.values()]
    return envelope(call, {"Items": shown})


def item(call: Call, id_or_code: str) -> Answer:
    for each in call.held.items.values():
        if unquote(id_or_code) in (each.code, each.id):
            return envelope(call, {"Items": [shapes.item(each, decimals=call.decimals)]})
    return missing()


def tracking_categories(call: Call) -> Answer:
    return envelope(call, {"TrackingCategories": [shapes.tracking(each) for each in call.held.tracking]})


def branding_themes(call: Call) -> Answer:
    return envelope(call, {"BrandingThemes": [shapes.theme(each) for each in call.held.themes]})
