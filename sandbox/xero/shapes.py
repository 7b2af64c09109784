"""Records as Xero shows them: which keys, in which order, with which digits (xero.md 4.5, 5.6, 5.7, 6.2, 7).

None means that a key is left out. Each kind of answer shows an invoice differently; `View` names them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from sandbox.xero.arithmetic import QUANTITY, ZERO, round_half_up, unit_step
from sandbox.xero.organisation import Organisation
from sandbox.xero.records import (
    ADDRESS_TYPES,
    NO_ID,
    PHONE_TYPES,
    Account,
    Address,
    Allocation,
    Attachment,
    Contact,
    Invoice,
    Item,
    Line,
    Note,
    Payment,
    Phone,
    Profile,
    TaxRate,
    Theme,
    Tracking,
)
from sandbox.xero.wire import bare_instant, calendar, calendar_string, instant, instant_string

Shape = dict[str, object]
RATE = Decimal("0.0000000001")  # currency rates have ten digits since 2025 (xero.md 4.2)


class View(Enum):
    """The columns of the table in xero.md 4.5, and `summaryOnly`."""

    WRITTEN = "written"
    SINGLE = "single"
    PAGED = "paged"
    UNPAGED = "unpaged"
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a write says about an element under `summarizeErrors=false`; `shown` is off where it is not asked for."""

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    shown: bool = True

    def keys(self) -> Shape:
        status = "ERROR" if self.errors else "WARNING" if self.warnings else "OK"
        return {
            "StatusAttributeString": status if self.shown else None,
            "ValidationErrors": messages(self.errors) if self.errors else None,
            "Warnings": messages(self.warnings) if self.warnings else None,
        }


def messages(texts: tuple[str, ...]) -> list[Shape]:
    return [{"Message": text} for text in texts]


# --- invoices ------------------------------------------------------------------------------------------------------------


def invoice(held: Organisation, record: Invoice, view: View, *, decimals: int = 2) -> Shape:
    """One invoice for one kind of answer."""
    listed = view in (View.PAGED, View.UNPAGED)
    summary = view is View.SUMMARY
    payments = [nested_payment(record, paid) for paid in held.payments.standing(record.id)]
    credited = [nested_credit(held, given) for given in held.allocated(record.id)]
    written, single = view is View.WRITTEN, view is View.SINGLE
    return {
        "Type": record.kind,
        "InvoiceID": record.id,
        "InvoiceNumber": record.number,
        "Reference": record.reference if record.kind == "ACCREC" else None,
        "Url": record.url or None,
        "Payments": None if written or summary or (single and not payments) else payments,
        "CreditNotes": None if written or (single and not credited) else credited,
        "Prepayments": [],
        "Overpayments": [],
        "AmountDue": _amount_due(record, view),
        "AmountPaid": record.amount_paid,
        "AmountCredited": None if written else record.amount_credited,
        "SentToContact": record.sent_to_contact,
        "ExpectedPaymentDate": calendar(record.expected_payment_date) if record.expected_payment_date else None,
        "CurrencyRate": round_half_up(record.rate, RATE),
        "IsDiscounted": bool(record.total_discount),
        "TotalDiscount": record.total_discount or None,
        "HasAttachments": None if written or summary else bool(record.attachments),
        "InvoiceAddresses": [] if listed or summary else None,
        "HasErrors": False,
        "Attachments": [attachment(record, file, "") for file in record.attachments] if single else None,
        "InvoicePaymentServices": [],
        "UpdatedDateUTCString": instant_string(record.updated_at),
        "Contact": _contact_of(held, record, view),
        "DateString": calendar_string(record.issued_on),
        "Date": calendar(record.issued_on),
        "DueDateString": calendar_string(record.due_on) if record.due_on else None,
        "DueDate": calendar(record.due_on) if record.due_on else None,
        "BrandingThemeID": record.branding_theme_id or None,
        "Status": record.status,
        "LineAmountTypes": record.line_amounts,
        "LineItems": _lines(held, record, view, decimals),
        "SubTotal": record.subtotal,
        "TotalTax": record.total_tax,
        "Total": record.total,
        "UpdatedDateUTC": instant(record.updated_at),
        "CurrencyCode": record.currency,
        "FullyPaidOnDate": calendar(record.fully_paid_on) if record.fully_paid_on else None,
    }


def _amount_due(record: Invoice, view: View) -> Decimal:
    """The answer to a void still shows the total as due; afterwards a dead invoice has nothing due (xero.md 4.7)."""
    return ZERO if record.is_dead and view is not View.WRITTEN else record.outstanding


def _contact_of(held: Organisation, record: Invoice, view: View) -> Shape:
    found = held.contacts.get(record.contact_id)
    if found is None:
        return {"ContactID": record.contact_id}
    if view in (View.WRITTEN, View.SINGLE):
        return contact(found)
    if view is View.UNPAGED:
        return {"ContactID": found.id, "Name": found.name}
    return {"ContactID": found.id, "Name": found.name, **_empty_contact()}


def _empty_contact() -> Shape:
    return {"Addresses": [], "Phones": [], "ContactGroups": [], "ContactPersons": [], "HasValidationErrors": False}


def _lines(held: Organisation, record: Invoice, view: View, decimals: int) -> list[Shape] | None:
    if view is View.SUMMARY:
        return None
    if view is View.UNPAGED:
        return []
    return [line(held, each, decimals=decimals, judged=view is not View.PAGED) for each in record.lines]


def line(held: Organisation, record: Line, *, decimals: int, judged: bool) -> Shape:
    account = held.account_codes.get(record.account_code)
    item = held.items.get(record.item_code)
    return {
        "ItemCode": record.item_code or None,
        "Description": record.description,
        "UnitAmount": None if record.unit_amount is None else round_half_up(record.unit_amount, unit_step(decimals)),
        "TaxType": record.tax_type or None,
        "TaxAmount": record.tax_amount,
        "LineAmount": record.line_amount,
        "AccountCode": record.account_code or None,
        "Item": {"ItemID": item.id, "Name": item.name, "Code": item.code} if item else None,
        "Tracking": [_tracked(held, *each) for each in record.tracking],
        "Quantity": None if record.quantity is None else round_half_up(record.quantity, QUANTITY),
        "DiscountRate": record.discount_rate,
        "DiscountAmount": record.discount_amount,
        "LineItemID": record.id,
        "AccountID": account.id if account else None,
        "ValidationErrors": [] if judged else None,
    }


def _tracked(held: Organisation, category_id: str, option_id: str) -> Shape:
    category = next(each for each in held.tracking if each.id == category_id)
    return {
        "Name": category.name,
        "Option": dict(category.options)[option_id],
        "TrackingCategoryID": category_id,
        "TrackingOptionID": option_id,
    }


def refused_invoice(
    asked: Invoice, errors: tuple[str, ...], held: Organisation, *, shown: bool, decimals: int = 2
) -> Shape:
    """The echo of what was asked (xero.md 4.6): no number unless one was sent, never the state that stands."""
    zero_contact = {"ContactID": asked.contact_id or NO_ID, **_empty_contact(), "ValidationErrors": []}
    return {
        "Type": asked.kind,
        "InvoiceID": asked.id,
        "InvoiceNumber": asked.number or None,
        "Reference": asked.reference or None,
        "Url": asked.url or None,
        "Payments": [],
        "CreditNotes": [],
        "Prepayments": [],
        "Overpayments": [],
        "IsDiscounted": bool(asked.total_discount),
        "InvoiceAddresses": [],
        "HasErrors": True,
        "InvoicePaymentServices": [],
        "Contact": zero_contact,
        "DateString": calendar_string(asked.issued_on),
        "Date": calendar(asked.issued_on),
        "DueDateString": calendar_string(asked.due_on) if asked.due_on else None,
        "DueDate": calendar(asked.due_on) if asked.due_on else None,
        "Status": asked.status,
        "LineAmountTypes": asked.line_amounts,
        "LineItems": [line(held, each, decimals=decimals, judged=True) for each in asked.lines],
        "SubTotal": asked.subtotal,
        "TotalTax": asked.total_tax,
        "Total": asked.total,
        "CurrencyCode": asked.currency or None,
        **Verdict(errors, shown=shown).keys(),
    }


def nested_payment(owner: Invoice, paid: Payment) -> Shape:
    return {
        "PaymentID": paid.id,
        "Date": calendar(paid.paid_on),
        "Amount": paid.amount,
        "Reference": paid.reference or None,
        "CurrencyRate": round_half_up(paid.rate, RATE),
        "HasAccount": False,
        "HasValidationErrors": False,
    }


def nested_credit(held: Organisation, given: Allocation) -> Shape:
    note = held.credit_notes.get(given.credit_note_id)
    assert note is not None
    return {
        "CreditNoteID": note.id,
        "CreditNoteNumber": note.number,
        "ID": note.id,
        "HasErrors": False,
        "AppliedAmount": given.amount,
        "DateString": calendar_string(note.issued_on),
        "Date": calendar(note.issued_on),
        "LineItems": [],
        "Total": note.total,
    }


def credit_note(held: Organisation, record: Invoice, *, decimals: int = 2, with_lines: bool = True) -> Shape:
    return {
        "CreditNoteID": record.id,
        "CreditNoteNumber": record.number,
        "Payments": [],
        "ID": record.id,
        "HasErrors": False,
        "CurrencyRate": round_half_up(record.rate, RATE),
        "Type": record.kind,
        "Reference": record.reference,
        "RemainingCredit": record.total - record.amount_credited,
        "Allocations": [allocation(held, given) for given in held.allocated(record.id)],
        "HasAttachments": False,
        "Contact": contact(found) if (found := held.contacts.get(record.contact_id)) else None,
        "DateString": calendar_string(record.issued_on),
        "Date": calendar(record.issued_on),
        "BrandingThemeID": record.branding_theme_id or None,
        "Status": record.status,
        "LineAmountTypes": record.line_amounts,
        "LineItems": [line(held, each, decimals=decimals, judged=True) for each in record.lines] if with_lines else [],
        "SubTotal": record.subtotal,
        "TotalTax": record.total_tax,
        "Total": record.total,
        "UpdatedDateUTC": instant(record.updated_at),
        "CurrencyCode": record.currency,
        "FullyPaidOnDate": calendar(record.fully_paid_on) if record.fully_paid_on else None,
    }


def allocation(held: Organisation, given: Allocation) -> Shape:
    invoice_id = {"InvoiceID": given.invoice_id}
    empties: Shape = {name: [] for name in ("Payments", "CreditNotes", "Prepayments", "Overpayments", "LineItems")}
    return {
        "AllocationID": given.id,
        "Amount": given.amount,
        "Date": calendar(given.made_on),
        "Invoice": {**invoice_id, **empties},
        "CreditNote": {"CreditNoteID": given.credit_note_id, "ID": given.credit_note_id, "LineItems": []},
        "ValidationErrors": [],
    }


def payment(held: Organisation, paid: Payment, *, whole_invoice: bool = True) -> Shape:
    account = held.accounts.get(paid.account_id)
    owner = held.invoices.get(paid.invoice_id)
    assert owner is not None
    return {
        "PaymentID": paid.id,
        "Date": calendar(paid.paid_on),
        "BankAmount": paid.amount,
        "Amount": paid.amount,
        "Reference": paid.reference or None,
        "CurrencyRate": round_half_up(paid.rate, RATE),
        "PaymentType": "ACCRECPAYMENT" if owner.kind == "ACCREC" else "ACCPAYPAYMENT",
        "Status": paid.status,
        "UpdatedDateUTC": instant(paid.updated_at),
        "UpdatedDateUTCString": instant_string(paid.updated_at),
        "HasAccount": account is not None,
        "IsReconciled": paid.is_reconciled,
        "Account": {"AccountID": account.id, "Code": account.code or None, "Name": account.name} if account else None,
        "Invoice": invoice(held, owner, View.SINGLE)
        if whole_invoice
        else {
            "Type": owner.kind,
            "InvoiceID": owner.id,
            "InvoiceNumber": owner.number,
            "Payments": [],
            "CreditNotes": [],
            "Prepayments": [],
            "Overpayments": [],
            "HasErrors": False,
            "Contact": {"ContactID": owner.contact_id, **_empty_contact()},
            "LineItems": [],
            "CurrencyCode": owner.currency,
        },
        "HasValidationErrors": False,
    }


def attachment(record: Invoice, file: Attachment, base: str, *, online: bool = True) -> Shape:
    return {
        "AttachmentID": file.id,
        "FileName": file.name,
        "Url": f"{base or 'https://api.xero.com'}/api.xro/2.0/Invoices/{record.id}/Attachments/{file.name}",
        "MimeType": file.mime,
        "ContentLength": len(file.content),
        "IncludeOnline": file.include_online if online else None,
    }


def note(record: Note, *, written: bool = False) -> Shape:
    at = {"DateUTCString": record.at.strftime("%Y-%m-%dT%H:%M:%S"), "DateUTC": bare_instant(record.at)}
    if written:
        return {**at, "Details": record.details, "ValidationErrors": []}
    return {"Changes": record.changes, **at, "User": record.user, "Details": record.details}


# --- contacts ------------------------------------------------------------------------------------------------------------


def contact(record: Contact, *, whole: bool = True, balances: Mapping[str, object] | None = None) -> Shape:
    """`whole` is off for the unpaged list and for `summaryOnly`, which are subsets (xero.md 6.1)."""
    return {
        "ContactID": record.id,
        "ContactNumber": record.number or None,
        "AccountNumber": record.account_number or None,
        "ContactStatus": record.status,
        "Name": record.name,
        "FirstName": record.first_name or None,
        "LastName": record.last_name or None,
        "CompanyNumber": record.company_number or None,
        "EmailAddress": record.email,
        "BankAccountDetails": "",
        "TaxNumber": record.tax_number or None,
        "Addresses": _addresses(record) if whole else None,
        "Phones": _phones(record),
        "UpdatedDateUTC": instant(record.updated_at),
        "ContactGroups": [] if whole else None,
        "IsSupplier": record.is_supplier if whole else None,
        "IsCustomer": record.is_customer if whole else None,
        "DefaultCurrency": record.default_currency or None,
        "SalesTrackingCategories": [] if whole else None,
        "PurchasesTrackingCategories": [] if whole else None,
        "PaymentTerms": _terms(record.sales_terms) if whole and record.sales_terms else None,
        "ContactPersons": _persons(record) if whole else None,
        "Balances": balances,
        "MergedToContactID": record.merged_to or None if balances is not None else None,
        "HasValidationErrors": False,
    }


def refused_contact(asked: Contact, errors: tuple[str, ...], *, sent_customer: bool | None, shown: bool) -> Shape:
    """The recorded echo of a contact that was not made (xero.md 6.3)."""
    phones = [{**_phone(kind, each), "ValidationErrors": []} for kind, each in asked.phones]
    return {
        "ContactID": asked.id,
        "ContactNumber": asked.number or None,
        "ContactStatus": asked.status if asked.status != "ACTIVE" else None,
        "Name": asked.name or None,
        "EmailAddress": asked.email or None,
        "Addresses": [{**_address(kind, each), "ValidationErrors": []} for kind, each in asked.addresses],
        "Phones": phones,
        "ContactGroups": [],
        "IsCustomer": sent_customer,
        "ContactPersons": _persons(asked),
        "HasValidationErrors": True,
        **Verdict(errors, shown=shown).keys(),
    }


def _addresses(record: Contact) -> list[Shape]:
    given = dict(record.addresses)
    return [_address(kind, given.get(kind, Address())) for kind in ADDRESS_TYPES]


def _address(kind: str, record: Address) -> Shape:
    return {
        "AddressType": kind,
        **dict(record.rest),
        "City": record.city,
        "Region": record.region,
        "PostalCode": record.postal_code,
        "Country": record.country,
    }


def _phones(record: Contact) -> list[Shape]:
    given = dict(record.phones)
    return [_phone(kind, given.get(kind, Phone())) for kind in PHONE_TYPES]


def _phone(kind: str, record: Phone) -> Shape:
    return {
        "PhoneType": kind,
        "PhoneNumber": record.number,
        "PhoneAreaCode": record.area,
        "PhoneCountryCode": record.country,
    }


def _persons(record: Contact) -> list[Shape]:
    return [
        {
            "FirstName": person.first_name or None,
            "LastName": person.last_name or None,
            "EmailAddress": person.email or None,
            "IncludeInEmails": person.include_in_emails,
        }
        for person in record.persons
    ]


def _terms(terms: tuple[int, str]) -> Shape:
    return {"Sales": {"Day": terms[0], "Type": terms[1]}}


# --- settings ------------------------------------------------------------------------------------------------------------


def organisation(profile: Profile) -> Shape:
    return {
        "Name": profile.name,
        "LegalName": profile.name,
        "PaysTax": True,
        "Version": profile.country,
        "OrganisationType": "COMPANY",
        "BaseCurrency": profile.base_currency,
        "CountryCode": profile.country,
        "IsDemoCompany": profile.is_demo,
        "OrganisationStatus": "ACTIVE",
        "FinancialYearEndDay": 31,
        "FinancialYearEndMonth": 3,
        "SalesTaxBasis": "ACCRUALS",
        "SalesTaxPeriod": "2MONTHLY",
        "DefaultSalesTax": "Remember previous",
        "DefaultPurchasesTax": "Remember previous",
        "PeriodLockDate": calendar(profile.period_lock_date) if profile.period_lock_date else None,
        "EndOfYearLockDate": calendar(profile.year_lock_date) if profile.year_lock_date else None,
        "CreatedDateUTC": bare_instant(profile.created_at),
        "OrganisationEntityType": "COMPANY",
        "Timezone": profile.timezone,
        "ShortCode": profile.short_code,
        "OrganisationID": profile.id,
        "Edition": "BUSINESS",
        "Class": profile.plan,
        "Addresses": [],
        "Phones": [],
        "ExternalLinks": [],
        "PaymentTerms": _terms(profile.sales_terms) if profile.sales_terms else {},
    }


def account(record: Account, profile: Profile) -> Shape:
    return {
        "AccountID": record.id,
        "Code": record.code or None,
        "Name": record.name,
        "Status": record.status,
        "Type": record.type,
        "TaxType": record.tax_type,
        "Class": record.account_class,
        "SystemAccount": record.system or None,
        "EnablePaymentsToAccount": record.takes_payments,
        "ShowInExpenseClaims": False,
        "BankAccountNumber": "" if record.type == "BANK" else None,
        "BankAccountType": "BANK" if record.type == "BANK" else "",
        "CurrencyCode": record.currency or profile.base_currency if record.type == "BANK" else None,
        "ReportingCode": record.account_class[:3],
        "HasAttachments": False,
        "UpdatedDateUTC": instant(profile.created_at),
        "AddToWatchlist": False,
    }


def tax_rate(record: TaxRate) -> Shape:
    rate = round_half_up(record.rate, QUANTITY)
    component = {"Name": "GST", "Rate": rate, "IsCompound": False, "IsNonRecoverable": False}
    return {
        "Name": record.name,
        "TaxType": record.tax_type,
        "ReportTaxType": record.report_type,
        "CanApplyToAssets": True,
        "CanApplyToEquity": True,
        "CanApplyToExpenses": record.for_expenses,
        "CanApplyToLiabilities": True,
        "CanApplyToRevenue": record.for_revenue,
        "DisplayTaxRate": rate,
        "EffectiveRate": rate,
        "Status": record.status,
        "TaxComponents": [component],
    }


def item(record: Item, *, decimals: int = 2) -> Shape:
    return {
        "ItemID": record.id,
        "Code": record.code,
        "Description": record.description,
        "UpdatedDateUTC": instant(record.updated_at),
        "PurchaseDetails": {},
        "SalesDetails": {
            "UnitPrice": round_half_up(record.unit_price, unit_step(decimals)),
            "AccountCode": record.account_code,
            "TaxType": record.tax_type,
        },
        "Name": record.name,
        "IsTrackedAsInventory": False,
        "IsSold": True,
        "IsPurchased": False,
    }


def tracking(record: Tracking) -> Shape:
    options = [
        {
            "TrackingOptionID": option_id,
            "Name": name,
            "Status": "ACTIVE",
            "HasValidationErrors": False,
            "IsDeleted": False,
            "IsArchived": False,
            "IsActive": True,
        }
        for option_id, name in record.options
    ]
    return {"Name": record.name, "Status": "ACTIVE", "TrackingCategoryID": record.id, "Options": options}


def theme(record: Theme) -> Shape:
    return {
        "BrandingThemeID": record.id,
        "Name": record.name,
        "Type": "INVOICE",
        "SortOrder": record.sort_order,
        "CreatedDateUTC": instant(record.created_at),
    }
