"""Where an accountant's question is answered: what invoice a deal gets, or what is missing for one. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from integrations.kommo.entities import Client, Lead
from integrations.xero.entities import (
    Account,
    ContactDraft,
    Invoice,
    InvoiceDraft,
    LineAmounts,
    Organisation,
    TaxRate,
    Terms,
)
from worker.clients import clean_name
from worker.lines import Booking, Catalogue, Listed, list_lines
from worker.marks import reference
from worker.questions import Kind, Mend, Question
from worker.rounding import Totals, totals
from worker.standing import StageRef
from worker.terms import due_on
from worker.wording import day, money, paragraphs, plain, quoted


@dataclass(frozen=True, slots=True)
class Rules:
    """What a connection says about its invoices and deals, with the ids of what it names in Kommo."""

    account_code: str
    triggers: frozenset[StageRef]
    status: Literal["DRAFT", "SUBMITTED", "AUTHORISED"] = "AUTHORISED"
    tax_type: str | None = None
    line_amounts: LineAmounts = "Exclusive"
    due_days: int = 14
    reference: str = "Deal {lead_id}"
    currency_field: int | None = None
    description_field: int | None = None
    tax_field: int | None = None
    deal_amount: Literal["total", "net"] = "total"


@dataclass(frozen=True, slots=True)
class Books:
    """What Xero knows and an invoice must fit: accounts by code, tax rates by type. `timezone` is an IANA name."""

    base_currency: str
    currencies: frozenset[str]
    accounts: Mapping[str, Account]
    tax_rates: Mapping[str, TaxRate]
    timezone: str
    lock_date: date | None = None

    @classmethod
    def of(
        cls,
        organisation: Organisation,
        *,
        currencies: Iterable[str],
        accounts: Iterable[Account],
        tax_rates: Iterable[TaxRate],
    ) -> "Books":
        """The books as the organisation's own answers tell; the later of its two lock dates counts."""
        locks = [lock for lock in (organisation.period_lock_date, organisation.year_lock_date) if lock]
        return cls(
            base_currency=organisation.base_currency,
            currencies=frozenset(currencies) | {organisation.base_currency},
            accounts={account.code: account for account in accounts if account.code},
            tax_rates={rate.tax_type: rate for rate in tax_rates},
            timezone=organisation.timezone,
            lock_date=max(locks, default=None),
        )

    def day(self, at: datetime) -> date:
        """The organisation's calendar day at that instant."""
        return at.astimezone(ZoneInfo(self.timezone)).date()

    @property
    def rates(self) -> dict[str, Decimal]:
        """Tax rates in per cent, by type."""
        return {rate.tax_type: rate.rate for rate in self.tax_rates.values()}


@dataclass(frozen=True, slots=True)
class Drafted:
    """An invoice to be made. `remarks` belong on the deal; `expected` is what Xero's totals must be, None if its tax is unknown."""

    draft: InvoiceDraft
    remarks: tuple[str, ...]
    expected: Totals | None


@dataclass(frozen=True, slots=True)
class _Content:
    """All of an invoice that does not depend on who is who in Xero."""

    currency: str
    listed: Listed


def ask(
    lead: Lead,
    client: Client | None,
    products: Catalogue,
    *,
    rules: Rules,
    books: Books,
    kommo_currency: str,
    entered_on: date,
) -> Question | None:
    """What is missing for an invoice, if anything: asked before a call is spent on the client."""
    found = _judge(
        lead, client, products, rules=rules, books=books, kommo_currency=kommo_currency, entered_on=entered_on
    )
    return found if isinstance(found, Question) else None


def draft(
    lead: Lead,
    client: Client | None,
    products: Catalogue,
    *,
    contact: str | ContactDraft,
    rules: Rules,
    books: Books,
    kommo_currency: str,
    entered_on: date,
    terms: Terms | None,
    deal_url: str,
) -> Drafted | Question:
    """The deal's invoice, dated the day on which it entered the stage, or the first thing that is missing for it.

    `contact` is the client's id in Xero, or the one to be made; `terms` are the Xero contact's own, which win over the rules.
    """
    found = _judge(
        lead, client, products, rules=rules, books=books, kommo_currency=kommo_currency, entered_on=entered_on
    )
    if isinstance(found, Question):
        return found
    made = InvoiceDraft(
        contact=contact,
        issued_on=entered_on,
        due_on=due_on(entered_on, terms=terms, due_days=rules.due_days),
        currency=found.currency,
        status=rules.status,
        line_amounts=rules.line_amounts,
        lines=found.listed.lines,
        reference=reference(rules.reference, lead),
        url=deal_url,
    )
    return Drafted(made, found.listed.remarks, totals(made, books.rates))


def total_remark(expected: Totals | None, invoice: Invoice) -> str | None:
    """The sentence for a deal whose invoice came out at another total than it was drafted with (xero.md 4.9)."""
    if expected is None or expected.total == invoice.total:
        return None
    return (
        f"The invoice in Xero comes to {money(invoice.total, invoice.currency)}, "
        f"the deal to {money(expected.total, invoice.currency)}. Check the tax and the rounding in Xero, please."
    )


def currency_of(lead: Lead, *, rules: Rules, kommo_currency: str) -> str:
    """The deal's currency in capitals, as its field says, else the Kommo account's. It may be nonsense: people type it."""
    said = lead.text(rules.currency_field) if rules.currency_field is not None else ""
    return plain(said or kommo_currency).upper()


def _judge(
    lead: Lead,
    client: Client | None,
    products: Catalogue,
    *,
    rules: Rules,
    books: Books,
    kommo_currency: str,
    entered_on: date,
) -> _Content | Question:
    currency = currency_of(lead, rules=rules, kommo_currency=kommo_currency)
    question = _client_question(client) or _currency_question(currency, books)
    if question:
        return question
    tax_type = _tax_type(lead, rules, books)
    if isinstance(tax_type, Question):
        return tax_type
    listed = list_lines(
        lead,
        products,
        booking=Booking(rules.account_code, tax_type, currency),
        description=_description(lead, rules),
    )
    if isinstance(listed, Question):
        return listed
    return _account_question(rules, books) or _lock_question(entered_on, books) or _Content(currency, listed)


def _client_question(client: Client | None) -> Question | None:
    if client is None:
        sentence = "The deal has no client. Link a company or a contact to it, and the invoice follows."
        return Question(Kind.NO_CLIENT, Mend.LEAD, sentence)
    if not clean_name(client.name):
        sentence = "The deal's client has no name. Give the client a name, and the invoice follows."
        return Question(Kind.NO_CLIENT_NAME, Mend.CLIENT, sentence)
    return None


def _currency_question(currency: str, books: Books) -> Question | None:
    if not re.fullmatch(r"[A-Z]{3}", currency):
        sentence = f"{quoted(currency)} is not a currency code. Write one of three letters on the deal, such as {books.base_currency}."
        return Question(Kind.CURRENCY_UNKNOWN, Mend.LEAD, sentence)
    if currency not in books.currencies and currency != books.base_currency:
        sentence = f"Xero does not have the currency {currency}. Add it in Xero, or change the currency on the deal."
        return Question(Kind.CURRENCY_NOT_ENABLED, Mend.BOOKS, sentence)
    return None


def _account_question(rules: Rules, books: Books) -> Question | None:
    code = rules.account_code
    account = books.accounts.get(code)
    if account is None:
        sentence = f"Xero has no account {quoted(code)}. Add it in Xero, or choose another for this connection."
        return Question(Kind.ACCOUNT_UNKNOWN, Mend.BOOKS, sentence)
    if not account.is_active:
        sentence = (
            f"The account {quoted(code)} is archived in Xero. Restore it there, or choose another for this connection."
        )
        return Question(Kind.ACCOUNT_ARCHIVED, Mend.BOOKS, sentence)
    if account.kind == "BANK":
        sentence = (
            f"The account {quoted(code)} is a bank account in Xero. Choose a revenue account for this connection."
        )
        return Question(Kind.ACCOUNT_UNSUITABLE, Mend.BOOKS, sentence)
    return None


def _lock_question(entered_on: date, books: Books) -> Question | None:
    if books.lock_date is None or entered_on > books.lock_date:
        return None
    sentence = (
        f"The invoice would be dated {day(entered_on)}, but Xero is locked until {day(books.lock_date)}. "
        "Open the period in Xero, or raise the invoice by hand."
    )
    return Question(Kind.LOCKED_PERIOD, Mend.BOOKS, sentence)


def _tax_type(lead: Lead, rules: Rules, books: Books) -> str | Question | None:
    """The tax type to be sent. The account's own is sent too where it is usable: then the total is known before."""
    if rules.line_amounts == "NoTax":
        return "NONE"
    said = plain(lead.text(rules.tax_field)) if rules.tax_field is not None else ""
    wanted = said or rules.tax_type or ""
    if not wanted:
        account = books.accounts.get(rules.account_code)
        rate = find_rate(account.tax_type, books) if account and account.tax_type else None
        return rate.tax_type if rate else None
    found = find_rate(wanted, books)
    if found is None:
        where = "on the deal" if said else "for this connection"
        sentence = (
            f"Xero has no tax rate {quoted(wanted)} that sales can use. Choose another {where}, or add it in Xero."
        )
        return Question(Kind.TAX_UNKNOWN, Mend.LEAD if said else Mend.BOOKS, sentence)
    return found.tax_type


def find_rate(wanted: str, books: Books) -> TaxRate | None:
    """A usable rate by its type, else by the name that people see (xero.md 7.3)."""
    usable = [rate for rate in books.tax_rates.values() if rate.is_active and rate.for_revenue]
    by_type = (rate for rate in usable if rate.tax_type.casefold() == wanted.casefold())
    by_name = (rate for rate in usable if plain(rate.name).casefold() == wanted.casefold())
    return next(by_type, None) or next(by_name, None)


def _description(lead: Lead, rules: Rules) -> str:
    said = lead.text(rules.description_field) if rules.description_field is not None else ""
    return paragraphs(said) or plain(lead.name) or f"Deal {lead.id}"
