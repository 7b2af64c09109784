"""What a Kommo account holds."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

EntityKind = Literal["leads", "contacts", "companies"]
SINGULAR: dict[str, str] = {
    "leads": "lead",
    "contacts": "contact",
    "companies": "company",
    "catalogs": "catalog_element",
}
# what v2 calls the kinds of entity by number (kommo.md 4.4)
ELEMENT_TYPE: dict[str, int] = {"contacts": 1, "leads": 2, "companies": 3}

WON = 142
LOST = 143
INCOMING = 1  # a stage's type

# a field's values as the API reads them: [{"value": ..., "enum_id": ..., "enum_code": ...}]
Values = list[dict[str, Any]]


@dataclass(slots=True)
class User:
    id: int
    name: str
    email: str
    is_admin: bool = True
    is_active: bool = True


@dataclass(slots=True)
class Account:
    id: int
    subdomain: str
    name: str = "Acme Ltd"
    currency: str = "USD"
    currency_symbol: str = "$"
    country: str = "US"
    timezone: str = "Europe/London"
    domain: str = "kommo.com"
    created_at: int = 1739794993


@dataclass(slots=True)
class Stage:
    id: int
    name: str
    sort: int
    color: str = "#99ccff"
    type: int = 0
    is_editable: bool = True


@dataclass(slots=True)
class Pipeline:
    id: int
    name: str
    sort: int
    is_main: bool
    stages: dict[int, Stage]
    is_archive: bool = False

    @property
    def first_stage(self) -> Stage:
        """Where a new lead stands: the first after the incoming ones (kommo.md 5.4)."""
        return next(stage for stage in self.in_order if stage.type != INCOMING)

    @property
    def in_order(self) -> list[Stage]:
        return sorted(self.stages.values(), key=lambda stage: stage.sort)


@dataclass(slots=True)
class Option:
    id: int
    value: str
    sort: int
    code: str | None = None


@dataclass(slots=True)
class FieldDef:
    id: int
    entity: str  # "leads", "contacts", "companies" or "catalogs/{id}"
    name: str
    type: str
    code: str | None = None
    sort: int = 500
    group_id: str | None = None
    is_api_only: bool = False
    is_predefined: bool = False
    is_computed: bool = False
    currency: str | None = None
    options: list[Option] = field(default_factory=list)
    required_statuses: list[dict[str, int]] = field(default_factory=list)
    remind: str | None = None


@dataclass(slots=True)
class Group:
    id: str
    entity: str
    name: str
    sort: int
    is_predefined: bool = False


@dataclass(slots=True)
class Entity:
    id: int
    kind: EntityKind
    name: str
    responsible_user_id: int
    created_by: int
    updated_by: int
    created_at: int
    updated_at: int
    is_deleted: bool = False
    fields: dict[int, Values] = field(default_factory=dict)
    tags: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)  # the file's uuid: the attachment's id
    notes: list["Note"] = field(default_factory=list)


@dataclass(slots=True)
class ProductLink:
    """A product on a lead: the quantity stands here, the price on the product (kommo.md 8.3)."""

    catalog_id: int
    element_id: int
    quantity: Decimal
    price_id: int | None = None


@dataclass(slots=True)
class Lead(Entity):
    price: Decimal = Decimal(0)
    pipeline_id: int = 0
    status_id: int = 0
    loss_reason_id: int | None = None
    closed_at: int | None = None
    contacts: list[int] = field(default_factory=list)
    main_contact_id: int | None = None
    company_id: int | None = None
    products: dict[tuple[int, int], ProductLink] = field(default_factory=dict)
    is_price_computed: bool = False
    merged_into: int | None = None

    @property
    def stage(self) -> tuple[int, int]:
        return self.pipeline_id, self.status_id


@dataclass(slots=True)
class Client(Entity):
    """A contact or a company."""

    first_name: str = ""
    last_name: str = ""
    company_id: int | None = None  # of a contact
    leads: set[int] = field(default_factory=set)
    contacts: set[int] = field(default_factory=set)  # of a company


@dataclass(slots=True)
class Note:
    id: int
    kind: EntityKind
    entity_id: int
    note_type: str
    params: dict[str, Any]
    created_by: int
    updated_by: int
    created_at: int
    updated_at: int
    responsible_user_id: int


@dataclass(slots=True)
class Catalog:
    id: int
    name: str
    type: str
    sort: int
    created_at: int
    created_by: int


@dataclass(slots=True)
class Element:
    id: int
    catalog_id: int
    name: str
    created_by: int
    updated_by: int
    created_at: int
    updated_at: int
    is_deleted: bool = False
    fields: dict[int, Values] = field(default_factory=dict)


@dataclass(slots=True)
class Webhook:
    id: int
    destination: str
    settings: list[str]
    sort: int
    created_at: int
    updated_at: int
    created_by: int
    disabled: bool = False


@dataclass(slots=True)
class StageHook:
    """A Digital Pipeline "Send webhook" on a stage (kommo.md 4.9)."""

    pipeline_id: int
    status_id: int
    url: str


@dataclass(slots=True)
class Event:
    id: str
    type: str
    kind: str
    entity_id: int
    created_by: int
    created_at: int
    after: list[dict[str, Any]]
    before: list[dict[str, Any]]


@dataclass(slots=True)
class StoredFile:
    """A file in the drive. Only the newest version's content is kept."""

    uuid: str
    name: str  # with its extension
    mime: str
    content: bytes
    versions: list[tuple[str, int]]  # (version's uuid, size), the active one last
    created_at: int
    updated_at: int
    created_by: int
    is_trashed: bool = False

    @property
    def version_uuid(self) -> str:
        return self.versions[-1][0]

    @property
    def size(self) -> int:
        return self.versions[-1][1]
