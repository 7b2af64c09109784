"""Contacts, the organisation and its settings, in Xero's shapes (xero.md 1.5, 6, 7). Pure."""

from typing import Any

from integrations.xero.entities import Account, Contact, Organisation, TaxRate, Tenant, Terms
from integrations.xero.notation import amount, calendar_day, zone_name


def parse_contact(said: Any) -> Contact:
    """A contact; only single reads and pages tell what it was merged into."""
    return Contact(
        id=str(said["ContactID"]).lower(),
        name=str(said.get("Name") or ""),
        number=str(said.get("ContactNumber") or ""),
        account_number=str(said.get("AccountNumber") or ""),
        email=str(said.get("EmailAddress") or ""),
        phone=_phone(said.get("Phones") or ()),
        first_name=str(said.get("FirstName") or ""),
        last_name=str(said.get("LastName") or ""),
        is_active=said.get("ContactStatus", "ACTIVE") == "ACTIVE",
        tax_number=str(said.get("TaxNumber") or ""),
        terms=_terms((said.get("PaymentTerms") or {}).get("Sales") or {}),
        merged_to=str(said.get("MergedToContactID") or "").lower(),
    )


def _phone(phones: Any) -> str:
    """The usual number, else a mobile one; Xero gives all kinds in any order, most of them empty."""
    numbers = {phone.get("PhoneType"): _number(phone) for phone in phones}
    return next((numbers[kind] for kind in ("DEFAULT", "MOBILE", "DDI") if numbers.get(kind)), "")


def _number(phone: Any) -> str:
    parts = (phone.get(part) for part in ("PhoneCountryCode", "PhoneAreaCode", "PhoneNumber"))
    return " ".join(str(part).strip() for part in parts if part)


def _terms(said: Any) -> Terms | None:
    kind, day = said.get("Type"), said.get("Day")
    return Terms(day=int(day), kind=str(kind)) if kind and day is not None else None


def parse_tenant(said: Any) -> Tenant:
    """An organisation that the grant reaches; its name may be missing."""
    return Tenant(
        connection_id=str(said["id"]),
        tenant_id=str(said["tenantId"]),
        kind=str(said["tenantType"]),
        name=str(said.get("tenantName") or ""),
        event_id=str(said.get("authEventId") or ""),
    )


def parse_organisation(said: Any) -> Organisation:
    """The books."""
    return Organisation(
        id=str(said["OrganisationID"]),
        name=str(said.get("Name") or ""),
        base_currency=str(said["BaseCurrency"]),
        country=str(said.get("CountryCode") or ""),
        timezone=zone_name(str(said.get("Timezone") or "")),
        short_code=str(said.get("ShortCode") or ""),
        is_demo=bool(said.get("IsDemoCompany")),
        plan=str(said.get("Class") or ""),
        period_lock_date=calendar_day(said.get("PeriodLockDate")),
        year_lock_date=calendar_day(said.get("EndOfYearLockDate")),
    )


def parse_account(said: Any) -> Account:
    """A ledger account; a bank account may have no code."""
    return Account(
        code=str(said.get("Code") or ""),
        name=str(said.get("Name") or ""),
        is_active=said.get("Status") == "ACTIVE",
        kind=str(said.get("Type") or ""),
        tax_type=str(said.get("TaxType") or ""),
    )


def parse_tax_rate(said: Any) -> TaxRate:
    """A tax rate: what it comes to in all, with its parts compounded."""
    effective = said.get("EffectiveRate")
    return TaxRate(
        tax_type=str(said["TaxType"]),
        name=str(said.get("Name") or ""),
        rate=amount(said.get("DisplayTaxRate") if effective is None else effective),
        is_active=said.get("Status") == "ACTIVE",
        for_revenue=bool(said.get("CanApplyToRevenue")),
    )
