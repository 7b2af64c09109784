"""What tells an invoice, a client or a page that is ours: marks that we leave in Xero, and read back. Pure."""

import re
from collections.abc import Collection
from string import Formatter

from integrations.kommo.entities import ClientEntity, Lead
from worker.wording import cut, plain

# Xero's limit (xero.md 4.3).
REFERENCE_LENGTH = 255
PLACEHOLDERS = frozenset({"lead_id", "lead_name"})

_DEAL_PAGE = re.compile(r"https?://([a-z0-9-]+)\.kommo\.com/leads/detail/(\d{1,18})/?(?:[?#].*)?", re.IGNORECASE)
_SINGULAR: dict[ClientEntity, str] = {"contacts": "contact", "companies": "company"}


def deal_url(subdomain: str, lead_id: int) -> str:
    """The deal's page in Kommo: the mark that stands in `Url` of an invoice of ours."""
    return f"https://{subdomain}.kommo.com/leads/detail/{lead_id}"


def marked_lead(url: str, subdomains: Collection[str]) -> int | None:
    """The lead whose page this is, if it belongs to one of the subdomains that the account has or had."""
    found = _DEAL_PAGE.fullmatch(url.strip())
    if found is None or found[1].lower() not in {subdomain.lower() for subdomain in subdomains}:
        return None
    return int(found[2])


def invoice_page(invoice_id: str) -> str:
    """The invoice's page in Xero, which costs no call."""
    return f"https://go.xero.com/AccountsReceivable/View.aspx?InvoiceID={invoice_id}"


def contact_number(account_id: int, entity: ClientEntity, client_id: int) -> str:
    """The mark on a Xero contact that we made (its ContactNumber, at most 50 characters: xero.md 6.2)."""
    return f"{account_mark(account_id)}{_SINGULAR[entity]}:{client_id}"


def account_mark(account_id: int) -> str:
    """What the marks of all contacts begin with that we made for this account's clients."""
    return f"kommo:{account_id}:"


def check_reference(template: str) -> None:
    """Refuse a reference template that can't be filled in: ValueError with the mend."""
    for _, name, spec, conversion in _parts(template):
        if name is not None and (name not in PLACEHOLDERS or spec or conversion):
            raise ValueError(
                f"{{{name}}} can't be filled in: write {{lead_id}} or {{lead_name}}, with nothing else in the braces"
            )


def reference(template: str, lead: Lead) -> str:
    """The invoice's Reference for this lead: one printable line of at most 255 characters."""
    values = {"lead_id": str(lead.id), "lead_name": lead.name}
    text = "".join(literal + values.get(name or "", "") for literal, name, _, _ in _parts(template))
    return cut(plain(text), REFERENCE_LENGTH)


def _parts(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"the reference {template!r} can't be read: {error}") from None
