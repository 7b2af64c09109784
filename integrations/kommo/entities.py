"""Kommo's nouns in our words: frozen, free of HTTP, with money as Decimal and times as aware UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

ClientEntity = Literal["contacts", "companies"]
FieldEntity = Literal["leads", "contacts", "companies"]


@dataclass(frozen=True, slots=True)
class FieldValue:
    """One filled-in custom field as Kommo gave it (kommo.md 5.6)."""

    field_id: int
    code: str | None
    kind: str
    values: tuple[Mapping[str, Any], ...]

    @property
    def text(self) -> str:
        """The first value as text, stripped; empty where there is none."""
        first = self.values[0].get("value") if self.values else None
        return "" if first is None else str(first).strip()


@dataclass(frozen=True, slots=True)
class LeadProduct:
    """A product on a lead: the quantity stands on the link, the price on the product itself (kommo.md 8.3)."""

    catalog_id: int
    element_id: int
    quantity: Decimal
    price_field_id: int | None = None


@dataclass(frozen=True, slots=True)
class Lead:
    """A deal. `price_is_exact` tells whether Kommo gave minor units, or a price that it may have truncated (kommo.md 5.5)."""

    id: int
    name: str
    price: Decimal
    price_is_exact: bool
    pipeline_id: int
    status_id: int
    created_at: datetime
    updated_at: datetime
    is_deleted: bool = False
    main_contact_id: int | None = None
    contact_ids: tuple[int, ...] = ()
    company_id: int | None = None
    products: tuple[LeadProduct, ...] = ()
    fields: tuple[FieldValue, ...] = ()

    def field(self, ref: int | str) -> FieldValue | None:
        """The field with this id or code, if it is filled in."""
        return find_field(self.fields, ref)

    def text(self, ref: int | str) -> str:
        """The field's first value as text; empty where it is not filled in."""
        found = self.field(ref)
        return found.text if found else ""


def find_field(fields: tuple[FieldValue, ...], ref: int | str) -> FieldValue | None:
    """The field with this id or code, if it is filled in."""
    return next((value for value in fields if ref in (value.field_id, value.code)), None)


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address; every part may be empty."""

    line1: str = ""
    line2: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""

    def __bool__(self) -> bool:
        return any((self.line1, self.line2, self.city, self.region, self.postal_code, self.country))


@dataclass(frozen=True, slots=True)
class Client:
    """A contact or a company: whoever the invoice is for."""

    entity: ClientEntity
    id: int
    name: str
    email: str = ""
    phone: str = ""
    first_name: str = ""
    last_name: str = ""
    address: Address = Address()
    is_deleted: bool = False
    fields: tuple[FieldValue, ...] = ()

    def text(self, ref: int | str) -> str:
        """The field's first value as text; empty where it is not filled in."""
        found = find_field(self.fields, ref)
        return found.text if found else ""


@dataclass(frozen=True, slots=True)
class Product:
    """An element of a products list; `prices` by the id of the price field (kommo.md 8.2), `price` is the usual one."""

    id: int
    catalog_id: int
    name: str
    price: Decimal | None
    prices: Mapping[int, Decimal] = field(default_factory=dict)
    sku: str = ""
    description: str = ""
    unit: str = ""
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """A pipeline's stage. Won is 142 and lost 143 in every pipeline (kommo.md 6): only with its pipeline is an id unique."""

    pipeline_id: int
    id: int
    name: str
    sort: int


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline with its stages, in the order in which people see them."""

    id: int
    name: str
    is_main: bool
    is_archive: bool
    stages: tuple[Stage, ...]


WON = 142
LOST = 143


@dataclass(frozen=True, slots=True)
class Account:
    """The Kommo account; `timezone` is an IANA name, `drive_url` the host that files go to."""

    id: int
    name: str
    subdomain: str
    currency: str
    timezone: str
    drive_url: str


@dataclass(frozen=True, slots=True)
class Field:
    """A custom field's definition; `options` maps the text of a select's option to its id."""

    id: int
    name: str
    code: str | None
    kind: str
    is_api_only: bool = False
    group_id: str | None = None
    options: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FieldDraft:
    """A custom field to be made."""

    name: str
    code: str
    kind: str
    group_id: str | None = None
    is_api_only: bool = True
    sort: int = 500
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file in Kommo's drive, as a file field takes it (kommo.md 5.6, 10.4)."""

    uuid: str
    version_uuid: str
    name: str
    size: int


# None clears a field. A date is a day in the account's zone (kommo.md 5.6): the client knows that zone.
Value = str | Decimal | date | bool | FileRef | None


@dataclass(frozen=True, slots=True)
class LeadChange:
    """What to write on a lead; only what is named is touched. Keys of `fields` are ids or codes."""

    id: int
    fields: Mapping[int | str, Value] = field(default_factory=dict)
    name: str | None = None
    price: Decimal | None = None
    pipeline_id: int | None = None
    status_id: int | None = None


@dataclass(frozen=True, slots=True)
class LeadDraft:
    """A deal to be made, with its fields in the very request that makes it."""

    name: str
    price: Decimal
    pipeline_id: int
    status_id: int
    contact_id: int | None = None
    company_id: int | None = None
    fields: Mapping[int | str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClientDraft:
    """A contact or company to be made."""

    name: str
    email: str = ""
    phone: str = ""
    fields: Mapping[int | str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """A note in a lead's feed."""

    id: int
    lead_id: int
    kind: str
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Hook:
    """A registered webhook; `disabled` means that Kommo switched it off (kommo.md 4.5)."""

    destination: str
    settings: frozenset[str]
    disabled: bool


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of Kommo's event log; stage events carry the stage that the lead entered, and the one that it left (kommo.md 11.3)."""

    id: str
    kind: str
    lead_id: int
    at: datetime
    pipeline_id: int | None = None
    status_id: int | None = None
    left_pipeline_id: int | None = None
    left_status_id: int | None = None
