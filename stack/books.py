"""What the sandbox's books say, in the words of the demo: the only place that knows their shape."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Deal:
    """A lead as Kommo holds it. `fields` by code or name, as they are shown."""

    id: int
    name: str
    price: Decimal
    stage: str
    fields: Mapping[str, str]
    notes: tuple[str, ...]
    files: tuple[str, ...]
    clients: int

    @property
    def number(self) -> str:
        return self.fields.get("XERO_INVOICE_NUMBER", "")

    @property
    def status(self) -> str:
        return self.fields.get("XERO_INVOICE_STATUS", "")

    @property
    def message(self) -> str:
        return self.fields.get("XERO_SYNC_MESSAGE", "")

    @property
    def total(self) -> Decimal | None:
        return amount(self.fields.get("XERO_INVOICE_TOTAL"))

    @property
    def due(self) -> Decimal | None:
        return amount(self.fields.get("XERO_AMOUNT_DUE"))


@dataclass(frozen=True, slots=True)
class Invoice:
    """A sales invoice as Xero holds it."""

    id: str
    number: str
    contact: str
    url: str
    status: str
    currency: str
    net: Decimal
    total: Decimal
    due: Decimal
    is_by_app: bool

    def is_for(self, lead_id: int) -> bool:
        """Whether it carries the mark of this deal."""
        return self.url.endswith(f"/leads/detail/{lead_id}")


@dataclass(frozen=True, slots=True)
class Books:
    """Both vendors' books at one moment."""

    deals: Mapping[int, Deal]
    invoices: tuple[Invoice, ...]
    complaints: Mapping[str, int]
    """What Xero's simulation counted that no client should do."""

    def deal_with(self, number: str) -> Deal | None:
        """The deal that shows this invoice's number."""
        return next((deal for deal in self.deals.values() if number and deal.number == number), None)

    def invoices_for(self, lead_id: int) -> list[Invoice]:
        """Those that count: a deleted or voided one is no invoice."""
        return [one for one in self.invoices if one.is_for(lead_id) and one.status not in ("DELETED", "VOIDED")]


def read(books: Json) -> Books:
    """From what the control plane answers."""
    deals = [_deal(lead) for lead in books["kommo"]["leads"] if not lead["is_deleted"]]
    xero = books["xero"]
    return Books(
        {deal.id: deal for deal in deals}, tuple(_invoice(one) for one in xero["invoices"]), xero["complaints"]
    )


def amount(shown: object) -> Decimal | None:
    """A number as the books show it; nothing where there is none."""
    try:
        return Decimal(str(shown).replace(",", ""))
    except InvalidOperation:
        return None


def _deal(lead: Json) -> Deal:
    return Deal(
        id=int(lead["id"]),
        name=str(lead["name"]),
        price=Decimal(lead["price"] or 0),
        stage=str(lead["stage"]),
        fields={str(key): str(value) for key, value in lead["fields"].items() if value is not None},
        notes=tuple(str(note["text"]) for note in lead["notes"]),
        files=tuple(str(file["name"]) for file in lead["files"]),
        clients=len(lead["contacts"]) + bool(lead["company"]),
    )


def _invoice(one: Json) -> Invoice:
    return Invoice(
        id=str(one["id"]),
        number=str(one["number"] or ""),
        contact=str(one["contact"]["name"]),
        url=str(one["url"] or ""),
        status=str(one["status"]),
        currency=str(one["currency"]),
        net=Decimal(one["subtotal"]),
        total=Decimal(one["total"]),
        due=Decimal(one["amount_due"]),
        is_by_app=bool(one["created_by_app"]),
    )
