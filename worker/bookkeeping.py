"""Whether a connection's rules fit the books in Xero: account, tax, currencies, lock dates, and the mark. Pure."""

from collections.abc import Iterator
from datetime import date

from integrations.kommo.entities import Account as KommoAccount
from worker import marks
from worker.connections import Connection
from worker.findings import Finding, failed, nearest, note, ok
from worker.invoicing import Books, find_rate

# Ledger accounts that sales are booked on (xero.md 7.4).
REVENUE = frozenset({"REVENUE", "SALES", "OTHERINCOME"})

# As many as fit into a sentence.
MOST = 10


def findings(connection: Connection, books: Books, account: KommoAccount | None) -> list[Finding]:
    """How each of them stands; what hangs on the Kommo account is left out where that is not known."""
    return [
        _account(connection, books),
        _tax(connection, books),
        *([_currency(connection, books, account.currency)] if account else []),
        *_marks(connection, account.subdomain if account else connection.kommo_subdomain),
    ]


def _account(connection: Connection, books: Books) -> Finding:
    code = connection.invoice.account_code
    account = books.accounts.get(code)
    if account is None:
        usable = [f"{one.code} {one.name}" for one in books.accounts.values() if one.is_active and one.kind in REVENUE]
        return failed("account_code", f'Xero has no account "{code}"', f"choose of {', '.join(usable[:MOST])}")
    if not account.is_active:
        return failed(
            "account_code", f'the account {code} "{account.name}" is archived', "restore it in Xero, or choose another"
        )
    if account.kind not in REVENUE:
        said = f'the account {code} "{account.name}" is of the kind {account.kind}'
        return failed("account_code", said, "choose one that sales are booked on")
    return ok("account_code", f'{code} "{account.name}"')


def _tax(connection: Connection, books: Books) -> Finding:
    wanted = connection.invoice.tax_type
    if connection.invoice.line_amounts == "NoTax":
        return ok("tax_type", "no tax")
    if wanted is None:
        return ok("tax_type", "the account's own")
    rate = find_rate(wanted, books)
    if rate is None:
        usable = [one.tax_type for one in books.tax_rates.values() if one.is_active and one.for_revenue]
        return failed("tax_type", f'Xero has no tax rate "{wanted}" that sales can use', nearest(wanted, usable))
    return ok("tax_type", f'{rate.tax_type} "{rate.name}"')


def _currency(connection: Connection, books: Books, kommo_currency: str) -> Finding:
    enabled = ", ".join(sorted(books.currencies))
    said = f"the books are in {books.base_currency}, enabled are {enabled}"
    if kommo_currency in books.currencies:
        return ok("currencies", f"{said}; Kommo counts in {kommo_currency}")
    mend = f"add {kommo_currency} in Xero, Settings, Currencies"
    if connection.invoice.currency_field is None:
        return failed(
            "currencies", f"{said}, but deals are in Kommo's {kommo_currency}", f"{mend}, or name a currency_field"
        )
    return note(
        "currencies", f"{said}; a deal whose field is empty counts in {kommo_currency} and gets no invoice", mend
    )


def lock(books: Books, *, today: date) -> Finding:
    """Whether an invoice of today can be booked: what is locked now may be open when a deal comes, so `setup` does not ask."""
    if books.lock_date is None:
        return ok("lock dates", "none")
    if today <= books.lock_date:
        said = f"Xero is locked until {books.lock_date}, which is not over"
        return failed("lock dates", said, "open the period in Xero, Settings, Lock dates")
    return ok("lock dates", f"locked until {books.lock_date}")


def _marks(connection: Connection, subdomain: str) -> Iterator[Finding]:
    """Our mark is the deal's address, and Xero refuses an address with its own name in it (xero.md 4.3)."""
    if "xero" in subdomain.lower():
        said = f'Xero refuses addresses with "xero" in them, and every deal\'s has: {subdomain}.kommo.com'
        yield failed("subdomain", said, "have Kommo rename the account")
    try:
        marks.check_reference(connection.invoice.reference)
    except ValueError as error:
        yield failed("reference", str(error))
