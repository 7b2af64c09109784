"""Xero's API by verbs: each asks in the fewest calls that there are, and answers in our words."""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import quote

from integrations.answer import Answer, Effect
from integrations.errors import Missing, OutcomeUnknown, Rejected
from integrations.exact_json import Json
from integrations.turns import Priority
from integrations.walking import onwards
from integrations.wire import Wire
from integrations.xero import contacts, dialect, limits, notation
from integrations.xero.dialect import count_invoices, parse_invoice, parse_result, parse_results
from integrations.xero.entities import (
    Account,
    Contact,
    Created,
    Invoice,
    InvoiceStatus,
    Organisation,
    Refused,
    TaxRate,
    Tenant,
)

T = TypeVar("T")

ACCOUNTING = "/api.xro/2.0"
ORGANISATION = "ORGANISATION"  # a grant may also reach a practice (xero.md 1.5)
IDS = 40  # as many as an address holds (xero.md 2.1)
# Pages with lines: large enough that a day's changes are one call, small enough that an answer is a second's work.
PAGE = 250
LARGEST_PAGE = 1000  # contacts have no lines, and are small
JSON = {"Accept": "application/json"}  # XML without it (xero.md 4.1)

Query = list[tuple[str, str | int]]


class Xero:
    """One organisation. Errors are those of integrations.errors; what is absent is None, or absent from the answer."""

    def __init__(self, wire: Wire, *, base_url: str, tenant_id: str, priority: Priority = Priority.NEW) -> None:
        self.tenant_id = tenant_id
        self.heard_at: datetime | None = None  # the last answer's time, by Xero's clock
        self._wire = wire
        self._base_url = base_url.rstrip("/")
        self._priority = priority

    def at(self, priority: Priority) -> "Xero":
        """The same organisation, for calls of another class."""
        return Xero(self._wire, base_url=self._base_url, tenant_id=self.tenant_id, priority=priority)

    def tenants(self) -> list[Tenant]:
        """The organisations that the grant reaches, in no order that means anything (xero.md 1.5)."""
        answer = self._send("GET", "/connections", JSON, write=False, effect="none")
        return answer.parse(
            lambda said: [parsed for each in said if (parsed := contacts.parse_tenant(each)).kind == ORGANISATION]
        )

    def organisation(self) -> Organisation:
        """The organisation itself."""
        return self._get("/Organisation").parse(lambda said: contacts.parse_organisation(said["Organisations"][0]))

    def currencies(self) -> frozenset[str]:
        """The codes of the currencies that are enabled."""
        return frozenset(self._all("/Currencies", "Currencies", lambda said: str(said["Code"])))

    def accounts(self) -> list[Account]:
        """The ledger accounts, archived ones too."""
        return self._all("/Accounts", "Accounts", contacts.parse_account)

    def tax_rates(self) -> list[TaxRate]:
        """The tax rates, deleted ones too."""
        return self._all("/TaxRates", "TaxRates", contacts.parse_tax_rate)

    def contact(self, id_or_number: str) -> Contact | None:
        """A contact by its id or by our own mark; archived ones too."""
        try:
            answer = self._get(f"/Contacts/{quote(id_or_number, safe='')}")
        except Missing:
            return None
        return answer.parse(lambda said: contacts.parse_contact(said["Contacts"][0]))

    def contacts(self, ids: Iterable[str]) -> dict[str, Contact]:
        """The contacts, by id; archived and merged ones too."""
        found: dict[str, Contact] = {}
        for batch in _batches(sorted(set(ids)), IDS):
            query: Query = [("IDs", ",".join(batch)), ("includeArchived", "true"), ("page", 1)]
            said = self._all("/Contacts", "Contacts", contacts.parse_contact, query)
            found |= {contact.id: contact for contact in said}
        return found

    def contacts_named(self, name: str) -> list[Contact]:
        """Active contacts of that name, whatever its case and accents (xero.md 6.1)."""
        return self._contacts_where("Name", name)

    def contacts_marked(self, mark: str, *, pages: int = 1) -> tuple[list[Contact], bool]:
        """Contacts whose number (or name) holds this, archived and merged ones too, from at most so many pages; and whether these are all."""
        found: list[Contact] = []
        for number in range(1, pages + 1):
            which: Query = [("page", number), ("pageSize", LARGEST_PAGE)]
            query: Query = [("searchTerm", mark), ("includeArchived", "true"), *which]
            some = self._all("/Contacts", "Contacts", contacts.parse_contact, query)
            found += some
            if len(some) < LARGEST_PAGE:
                return found, True
        return found, False

    def create_invoices(self, body: bytes, *, idempotency_key: str) -> list[Created | Refused]:
        """Make the invoices of `body` (see `invoice_body`); what became of each, in order.

        OutcomeUnknown: any of them may have been made. Rejected: none was, the request itself was refused.
        """
        sent = count_invoices(body)
        query: Query = [("summarizeErrors", "false"), ("unitdp", 4)]
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key}
        try:
            answer = self._accounting("PUT", "/Invoices", effect="create", query=query, headers=headers, content=body)
        except Rejected as error:
            return _summarised(error, sent)
        return answer.parse(lambda said: parse_results(said, sent=sent))

    def invoice(self, invoice_id: str) -> Invoice | None:
        """One invoice with its lines."""
        try:
            answer = self._get(f"/Invoices/{quote(invoice_id, safe='')}", [("unitdp", 4)])
        except Missing:
            return None
        return answer.parse(lambda said: parse_invoice(said["Invoices"][0]))

    def invoices(self, ids: Iterable[str]) -> dict[str, Invoice]:
        """The invoices with their lines, by id; ask for one that is missing by itself before taking it for gone."""
        found: dict[str, Invoice] = {}
        for batch in _batches(sorted(set(ids)), IDS):
            query: Query = [("IDs", ",".join(batch)), ("page", 1), ("unitdp", 4)]
            said = self._all("/Invoices", "Invoices", parse_invoice, query)
            found |= {invoice.id: invoice for invoice in said}
        return found

    def invoices_made_by_us(self, since: datetime) -> list[Invoice]:
        """What our app made and was changed since, in any status, voided and deleted too."""
        return self._changed(since, [("createdByMyApp", "true")])

    def made_by_us(self, ids: Iterable[str]) -> set[str]:
        """Which of these invoices our app made."""
        return {
            invoice_id
            for batch in _batches(sorted(set(ids)), IDS)
            for invoice_id in self._all(
                "/Invoices",
                "Invoices",
                lambda said: str(said["InvoiceID"]).lower(),
                [("IDs", ",".join(batch)), ("createdByMyApp", "true"), ("summaryOnly", "true"), ("page", 1)],
            )
        }

    def invoices_changed(self, since: datetime) -> list[Invoice]:
        """Sales invoices that were changed since, by Xero's clock; some changes of due dates are missed (xero.md 4.10)."""
        return self._changed(since, [("where", 'Type=="ACCREC"')])

    def pdf(self, invoice_id: str) -> bytes:
        """The invoice as people see it. Broken where what came is no PDF (xero.md 5.1)."""
        path = f"/Invoices/{quote(invoice_id, safe='')}"
        answer = self._accounting("GET", path, effect="none", headers={"Accept": "application/pdf"})
        if answer.media_type != "application/pdf" or not answer.content.startswith(b"%PDF"):
            raise answer.nonsense(f"{answer.media_type or 'an untyped body'} where a PDF was due")
        return answer.content

    def online_link(self, invoice_id: str) -> str | None:
        """The page where the client sees the invoice; None where it has none, as drafts don't."""
        try:
            answer = self._get(f"/Invoices/{quote(invoice_id, safe='')}/OnlineInvoice")
        except (Missing, Rejected):
            return None
        return answer.parse(_online_link)

    def withdraw(self, invoice: Invoice) -> Invoice:
        """Void an approved invoice, or delete one that is not (xero.md 4.7); Rejected where payments or credits are allocated to it."""
        invoice_id = invoice.id
        approved = invoice.status not in (InvoiceStatus.DRAFT, InvoiceStatus.SUBMITTED)
        wanted = InvoiceStatus.VOIDED if approved else InvoiceStatus.DELETED
        # as it is described; alone, without the list, it is taken too (xero.md 4.1)
        body = {"Invoices": [{"InvoiceID": invoice_id, "Status": wanted.value}]}
        path = f"/Invoices/{quote(invoice_id, safe='')}"
        answer = self._accounting("POST", path, effect="same", json_body=body)
        result = answer.parse(lambda said: parse_result(said["Invoices"][0]))
        if isinstance(result, Refused):
            raise Rejected(answer.vendor, answer.call, messages=result.messages, status=answer.status)
        return result.invoice

    def _contacts_where(self, field: str, value: str) -> list[Contact]:
        query: Query = [("where", f"{field}=={notation.quoted(value)}"), ("page", 1)]
        return self._all("/Contacts", "Contacts", contacts.parse_contact, query)

    def _changed(self, since: datetime, query: Query) -> list[Invoice]:
        """In the order of changes; of one that changes during the walk the later state counts."""
        ordered: Query = [*query, ("order", "UpdatedDateUTC ASC"), ("unitdp", 4), ("pageSize", PAGE)]
        found: dict[str, Invoice] = {}
        page, more = 1, True
        while more:
            headers = {"If-Modified-Since": notation.modified_since(since)}
            some, pages = self._get("/Invoices", [*ordered, ("page", page)], headers).parse(_page)
            found |= {invoice.id: invoice for invoice in some}
            more = page < pages
            since, page = onwards(since, page, _seconds(some))
        return list(found.values())

    def _all(self, path: str, name: str, parse: Callable[[Any], T], query: Query | None = None) -> list[T]:
        return self._get(path, query).parse(lambda said: [parse(member) for member in said[name]])

    def _get(self, path: str, query: Query | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        return self._accounting("GET", path, effect="none", query=query, headers=headers)

    def _accounting(
        self,
        method: str,
        path: str,
        *,
        effect: Effect,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        json_body: Json = None,
        content: bytes | None = None,
    ) -> Answer:
        return self._send(
            method,
            f"{ACCOUNTING}{path}",
            {**JSON, "xero-tenant-id": self.tenant_id, **(headers or {})},
            write=effect != "none",
            effect=effect,
            query=query,
            json_body=json_body,
            content=content,
        )

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        write: bool,
        effect: Effect,
        query: Query | None = None,
        json_body: Json = None,
        content: bytes | None = None,
    ) -> Answer:
        answer = self._wire.send(
            method,
            f"{self._base_url}{path}",
            headers=headers,
            params=query or (),
            json_body=json_body,
            content=content,
            write=write,
            effect=effect,
            priority=self._priority,
            meaning=dialect.meaning,
            limits=limits.heard,
            shown=path,
        )
        self.heard_at = answer.at or self.heard_at
        return answer


def _summarised(error: Rejected, sent: int) -> list[Created | Refused]:
    """A refusal by element, though we ask for none: then those it does not name may have been made (xero.md 4.6)."""
    named = {element for element in error.elements if element is not None}
    if not named:
        raise error
    if len(named) < sent:
        raise OutcomeUnknown(error.vendor, error.call, f"of {sent} only {len(named)} refused", status=error.status)
    said = list(zip(error.elements, error.messages, strict=True))
    return [Refused(tuple(message for element, message in said if element == index)) for index in range(sent)]


def _page(said: Any) -> tuple[list[Invoice], float]:
    """A page's invoices, and how many pages there are; where Xero does not say, a page that is not full is the last."""
    some = [parse_invoice(member) for member in said["Invoices"]]
    pages = (said.get("pagination") or {}).get("pageCount")
    if pages is not None:
        return some, float(pages)
    return some, math.inf if len(some) >= PAGE else 0.0


def _seconds(some: list[Invoice]) -> list[datetime]:
    """When they were changed; none where it is not said of each."""
    times = [invoice.updated_at.replace(microsecond=0) for invoice in some if invoice.updated_at]
    return times if len(times) == len(some) else []


def _online_link(said: Any) -> str | None:
    links = said.get("OnlineInvoices") or ()
    return str(links[0].get("OnlineInvoiceUrl") or "") or None if links else None


def _batches(all_of_them: Iterable[T], size: int) -> Iterable[list[T]]:
    left = iter(all_of_them)
    while batch := list(islice(left, size)):
        yield batch
