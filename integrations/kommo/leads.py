"""Leads and their products, in Kommo's shapes (kommo.md 5, 8). Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from integrations.exact_json import Json
from integrations.kommo.dialect import instant, members
from integrations.kommo.entities import Event, FieldValue, Lead, LeadChange, LeadDraft, LeadProduct, Product, find_field
from integrations.kommo.values import number, parse_fields, write_fields

PRICE_KINDS = frozenset({"price", "numeric", "monetary"})


def parse_lead(said: Any) -> Lead:
    """A lead of a list or by itself; contacts and products are there only where they were asked for (`with`)."""
    embedded = said.get("_embedded") or {}
    contacts = embedded.get("contacts") or []
    companies = embedded.get("companies") or []
    exact = said.get("price_with_minor_units")
    return Lead(
        id=int(said["id"]),
        name=str(said.get("name") or ""),
        price=Decimal(str(exact if exact is not None else said.get("price") or 0)),
        price_is_exact=exact is not None,
        pipeline_id=int(said["pipeline_id"]),
        status_id=int(said["status_id"]),
        created_at=instant(said["created_at"]),
        updated_at=instant(said["updated_at"]),
        is_deleted=bool(said.get("is_deleted")),
        main_contact_id=_main(contacts),
        contact_ids=tuple(int(contact["id"]) for contact in contacts),
        company_id=int(companies[0]["id"]) if companies else None,
        products=tuple(_lead_product(element) for element in embedded.get("catalog_elements") or ()),
        fields=parse_fields(said.get("custom_fields_values")),
    )


def _main(contacts: list[dict[str, Any]]) -> int | None:
    """The main contact; where none is said to be, the first."""
    main = next((contact for contact in contacts if contact.get("is_main")), contacts[0] if contacts else None)
    return int(main["id"]) if main else None


def _lead_product(element: dict[str, Any]) -> LeadProduct:
    """What the link says stands in `metadata`, or flat on the element: both are documented (kommo.md 5.2)."""
    said = {**element, **(element.get("metadata") or {})}
    quantity = said.get("quantity")
    price_field = said.get("price_id")
    return LeadProduct(
        catalog_id=int(said["catalog_id"]),
        element_id=int(element["id"]),
        quantity=Decimal(1) if quantity is None else Decimal(str(quantity)),
        price_field_id=int(price_field) if price_field else None,
    )


def parse_product(said: Any) -> Product:
    """An element of a products list (kommo.md 8.2)."""
    fields = parse_fields(said.get("custom_fields_values"))
    prices = {field.field_id: price for field in fields if (price := _price(field)) is not None}
    return Product(
        id=int(said["id"]),
        catalog_id=int(said["catalog_id"]),
        name=str(said.get("name") or ""),
        price=number(find_field(fields, "PRICE")),
        prices=prices,
        sku=_text(fields, "SKU"),
        description=_text(fields, "DESCRIPTION"),
        unit=_text(fields, "UNIT"),
        is_deleted=bool(said.get("is_deleted")),
    )


def _price(field: FieldValue) -> Decimal | None:
    return number(field) if field.kind in PRICE_KINDS else None


def _text(fields: tuple[FieldValue, ...], code: str) -> str:
    found = find_field(fields, code)
    return found.text if found else ""


def write_draft(draft: LeadDraft, zone: ZoneInfo) -> Json:
    """A deal to be made, with everything in one request. A price may have minor units (kommo.md 5.5)."""
    embedded: dict[str, Json] = {}
    if draft.contact_id is not None:
        embedded["contacts"] = [{"id": draft.contact_id, "is_main": True}]
    if draft.company_id is not None:
        embedded["companies"] = [{"id": draft.company_id}]
    body: dict[str, Json] = {
        "name": draft.name,
        "price": draft.price,
        "pipeline_id": draft.pipeline_id,
        "status_id": draft.status_id,
    }
    if draft.fields:
        body["custom_fields_values"] = write_fields(draft.fields, zone)
    return body | ({"_embedded": embedded} if embedded else {})


def write_change(change: LeadChange, zone: ZoneInfo) -> Json:
    """Only what is named: last writer wins, so that a whole lead would undo what others wrote (kommo.md 5.7)."""
    named: dict[str, Json] = {
        "name": change.name,
        "price": change.price,
        "pipeline_id": change.pipeline_id,
        "status_id": change.status_id,
        "custom_fields_values": write_fields(change.fields, zone) or None,
    }
    return {"id": change.id} | {key: value for key, value in named.items() if value is not None}


def parse_event(said: Any) -> Event:
    """An entry of the log; those of a stage say which was entered and which was left (kommo.md 11.3)."""
    entered, left = _stage_of(said.get("value_after")), _stage_of(said.get("value_before"))
    return Event(
        id=str(said["id"]),
        kind=str(said["type"]),
        lead_id=int(said["entity_id"]),
        at=instant(said["created_at"]),
        pipeline_id=int(entered["pipeline_id"]) if "pipeline_id" in entered else None,
        status_id=int(entered["id"]) if "id" in entered else None,
        left_pipeline_id=int(left["pipeline_id"]) if "pipeline_id" in left else None,
        left_status_id=int(left["id"]) if "id" in left else None,
    )


def _stage_of(values: Sequence[Any] | None) -> Mapping[str, Any]:
    stages = (entry["lead_status"] for entry in values or () if isinstance(entry, dict) and "lead_status" in entry)
    return next(stages, {})


def parse_ids(said: Any, name: str) -> list[int]:
    """The ids that a write gave back, in its order."""
    return [int(member["id"]) for member in members(said, name)]
