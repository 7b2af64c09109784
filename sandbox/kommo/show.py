"""How the API shows things (kommo.md 5.2, 6, 7, 8, 9, 11)."""

from typing import Any
from urllib.parse import quote

from sandbox.kommo import values
from sandbox.kommo.nouns import (
    SINGULAR,
    Catalog,
    Client,
    Element,
    Entity,
    Event,
    FieldDef,
    Group,
    Lead,
    Note,
    Pipeline,
    Stage,
    Values,
    Webhook,
)
from sandbox.kommo.state import State
from sandbox.kommo.wire import as_number, link


def _field_values(filled: dict[int, Values], fields: dict[int, FieldDef]) -> list[dict[str, Any]] | None:
    """None where nothing is filled in; fields that were deleted are gone."""
    return [values.v4(fields[field_id], found) for field_id, found in filled.items() if field_id in fields] or None


def lead(state: State, one: Lead, extras: set[str]) -> dict[str, Any]:
    account = state.account
    shown: dict[str, Any] = {
        "id": one.id,
        "name": one.name,
        "price": int(one.price),
        "responsible_user_id": one.responsible_user_id,
        "group_id": 0,
        "status_id": one.status_id,
        "pipeline_id": one.pipeline_id,
        "loss_reason_id": one.loss_reason_id,
        "created_by": one.created_by,
        "updated_by": one.updated_by,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "closed_at": one.closed_at,
        "closest_task_at": None,
        "is_deleted": one.is_deleted,
        "custom_fields_values": _field_values(one.fields, state.fields.of("leads")),
        "score": None,
        "account_id": account.id,
        "labor_cost": None,
        "is_price_computed": one.is_price_computed,
    }
    if state.switches["minor_units"]:
        shown["price_with_minor_units"] = as_number(one.price)
    if "source_id" in extras:
        shown["source_id"] = None
    shown["_links"] = link(f"leads/{one.id}?page=1&limit=50")
    shown["_embedded"] = _lead_embedded(state, one, extras)
    return shown


def _lead_embedded(state: State, one: Lead, extras: set[str]) -> dict[str, Any]:
    """Companies and tags always, the rest on demand."""
    company = state.entity("companies", one.company_id) if one.company_id else None
    embedded: dict[str, Any] = {
        "tags": one.tags,
        "companies": [{"id": company.id, "_links": link(f"companies/{company.id}")}] if company else [],
    }
    if "contacts" in extras:
        embedded["contacts"] = [
            {"id": contact_id, "is_main": contact_id == one.main_contact_id, "_links": link(f"contacts/{contact_id}")}
            for contact_id in one.contacts
            if state.entity("contacts", contact_id)
        ]
    if "catalog_elements" in extras:
        embedded["catalog_elements"] = [
            {
                "id": found.element_id,
                "metadata": {
                    "quantity": as_number(found.quantity),
                    "catalog_id": found.catalog_id,
                    "price_id": found.price_id,
                },
                "_links": link(f"catalogs/{found.catalog_id}/elements/{found.element_id}"),
            }
            for found in one.products.values()
        ]
    if "loss_reason" in extras:
        embedded["loss_reason"] = []
    return embedded


def client(state: State, one: Client, extras: set[str]) -> dict[str, Any]:
    is_contact = one.kind == "contacts"
    shown: dict[str, Any] = {"id": one.id, "name": one.name}
    if is_contact:
        shown |= {"first_name": one.first_name, "last_name": one.last_name}
    shown |= {
        "responsible_user_id": one.responsible_user_id,
        "group_id": 0,
        "created_by": one.created_by,
        "updated_by": one.updated_by,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "closest_task_at": None,
        "is_deleted": one.is_deleted,
    }
    if is_contact:
        shown["is_unsorted"] = False
    shown |= {
        "custom_fields_values": _field_values(one.fields, state.fields.of(one.kind)),
        "account_id": state.account.id,
        "_links": link(f"{one.kind}/{one.id}"),
        "_embedded": _client_embedded(state, one, extras),
    }
    return shown


def _client_embedded(state: State, one: Client, extras: set[str]) -> dict[str, Any]:
    embedded: dict[str, Any] = {"tags": one.tags}
    if one.kind == "contacts":
        found = [one.company_id] if one.company_id and state.entity("companies", one.company_id) else []
        embedded["companies"] = [{"id": company_id, "_links": link(f"companies/{company_id}")} for company_id in found]
    elif "contacts" in extras:
        embedded["contacts"] = [{"id": each, "_links": link(f"contacts/{each}")} for each in sorted(one.contacts)]
    if "leads" in extras:
        embedded["leads"] = [{"id": each, "_links": link(f"leads/{each}")} for each in sorted(one.leads)]
    if "catalog_elements" in extras:
        embedded["catalog_elements"] = []
    return embedded


def stage(state: State, pipeline_id: int, one: Stage) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "sort": one.sort,
        "is_editable": one.is_editable,
        "pipeline_id": pipeline_id,
        "color": one.color,
        "type": one.type,
        "account_id": state.account.id,
        "_links": link(f"leads/pipelines/{pipeline_id}/statuses/{one.id}"),
    }


def pipeline(state: State, one: Pipeline) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "sort": one.sort,
        "is_main": one.is_main,
        "is_unsorted_on": any(each.type == 1 for each in one.stages.values()),
        "is_archive": one.is_archive,
        "account_id": state.account.id,
        "_links": link(f"leads/pipelines/{one.id}"),
        "_embedded": {"statuses": [stage(state, one.id, each) for each in one.in_order]},
    }


def field(one: FieldDef) -> dict[str, Any]:
    options = [
        {"id": option.id, "value": option.value, "sort": option.sort} | ({"code": option.code} if option.code else {})
        for option in one.options
    ]
    return {
        "id": one.id,
        "name": one.name,
        "type": one.type,
        "sort": one.sort,
        "code": one.code,
        "settings": None,
        "is_predefined": one.is_predefined,
        "remind": one.remind,
        "is_api_only": one.is_api_only,
        "currency": one.currency,
        "entity_type": one.entity.split("/")[0],
        "is_deletable": not one.is_predefined,
        "is_computed": one.is_computed,
        "group_id": one.group_id,
        "enums": options or None,
        "required_statuses": one.required_statuses,
        "hidden_statuses": [],
        "chained_lists": None,
        "tracking_callback": None,
        "search_in": None,
        "_links": link(f"{one.entity}/custom_fields/{one.id}"),
    }


def group(state: State, one: Group) -> dict[str, Any]:
    members = [each.id for each in state.fields.of(one.entity).values() if (each.group_id or "default") == one.id]
    return {
        "id": one.id,
        "name": one.name,
        "is_predefined": one.is_predefined,
        "type": "custom_fields",
        "entity_type": one.entity,
        "sort": one.sort,
        "fields": members,
        "_links": link(f"{one.entity}/custom_fields/groups/{one.id}"),
    }


def note(state: State, one: Note) -> dict[str, Any]:
    params = one.params
    if one.note_type == "attachment":
        params = {
            "original_name": params.get("file_name"),
            "attachment": params.get("file_name"),
            "is_drive_attachment": True,
        } | params
    return {
        "id": one.id,
        "entity_id": one.entity_id,
        "created_by": one.created_by,
        "updated_by": one.updated_by,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "responsible_user_id": one.responsible_user_id,
        "group_id": 0,
        "note_type": one.note_type,
        "params": params,
        "account_id": state.account.id,
        "_links": link(f"{one.kind}/{one.entity_id}/notes/{one.id}"),
    }


def catalog(state: State, one: Catalog) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "created_by": one.created_by,
        "updated_by": one.created_by,
        "created_at": one.created_at,
        "updated_at": one.created_at,
        "sort": one.sort,
        "type": one.type,
        "can_add_elements": True,
        "can_show_in_cards": False,
        "can_link_multiple": True,
        "can_be_deleted": one.type == "regular",
        "sdk_widget_code": None,
        "account_id": state.account.id,
        "_links": link(f"catalogs/{one.id}"),
    }


def element(state: State, one: Element) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "created_by": one.created_by,
        "updated_by": one.updated_by,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "is_deleted": True if one.is_deleted else None,
        "custom_fields_values": _field_values(one.fields, state.fields.of(f"catalogs/{one.catalog_id}")),
        "catalog_id": one.catalog_id,
        "account_id": state.account.id,
        "_links": link(f"catalogs/{one.catalog_id}/elements/{one.id}"),
    }


def webhook(state: State, one: Webhook) -> dict[str, Any]:
    return {
        "id": one.id,
        "destination": one.destination,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "account_id": state.account.id,
        "created_by": one.created_by,
        "sort": one.sort,
        "disabled": one.disabled,
        "settings": one.settings,
    }


def event(state: State, one: Event) -> dict[str, Any]:
    return {
        "id": one.id,
        "type": one.type,
        "entity_id": one.entity_id,
        "entity_type": SINGULAR[one.kind],
        "created_by": one.created_by,
        "created_at": one.created_at,
        "value_after": one.after,
        "value_before": one.before,
        "account_id": state.account.id,
        "_links": link(f"events/{quote(one.id)}"),
        "_embedded": {"entity": {"id": one.entity_id}},
    }


def searchable(one: Entity | Element) -> str:
    """What `query` looks in: the name and every filled-in field, in lower case."""
    parts = [one.name, *(str(value["value"]) for found in one.fields.values() for value in found)]
    return "\n".join(parts).lower()
