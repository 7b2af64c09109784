"""The account as a person would see it: names instead of ids, selects as text, days as ISO days, numbers as strings."""

from typing import Any

from sandbox.kommo.nouns import Client, Element, Entity, Lead, StoredFile, Values
from sandbox.kommo.state import State
from sandbox.kommo.values import for_people, plain


def books(state: State) -> dict[str, Any]:
    with state.lock:
        return {
            "account": {
                "id": state.account.id,
                "subdomain": state.account.subdomain,
                "currency": state.account.currency,
            },
            "leads": [lead(state, one) for one in state.leads.values()],
            "contacts": [client(state, one) for one in state.contacts.values()],
            "companies": [client(state, one) for one in state.companies.values()],
            "products": [product(state, one) for elements in state.elements.values() for one in elements.values()],
            "files": [stored_file(one) for one in state.files.values()],
            "fields": [
                {
                    "entity": entity,
                    "id": one.id,
                    "name": one.name,
                    "code": one.code,
                    "type": one.type,
                    "is_api_only": one.is_api_only,
                }
                for entity in ("leads", "contacts", "companies")
                for one in state.fields.of(entity).values()
            ],
            "token_requests": [one.shown() for one in state.grants.requests],
            "refresh_tokens": state.grants.shown(),
            "webhooks": [
                {"destination": one.destination, "settings": one.settings, "disabled": one.disabled}
                for one in state.dispatcher.webhooks.values()
            ],
        }


def lead(state: State, one: Lead) -> dict[str, Any]:
    pipeline = state.pipelines[one.pipeline_id]
    stage = pipeline.stages.get(one.status_id)
    return {
        "id": one.id,
        "name": one.name,
        "price": plain(one.price),
        "pipeline": pipeline.name,
        "stage": stage.name if stage else None,
        "pipeline_id": one.pipeline_id,
        "status_id": one.status_id,
        "is_deleted": one.is_deleted,
        "merged_into": one.merged_into,
        "created_by": one.created_by,
        "updated_by": one.updated_by,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "contacts": sorted(one.contacts, key=lambda contact_id: contact_id != one.main_contact_id),
        "company": one.company_id,
        "products": [
            {
                "id": link.element_id,
                "name": state.elements[link.catalog_id][link.element_id].name,
                "price": plain(state.element_price(link.catalog_id, link.element_id)),
                "quantity": plain(link.quantity),
            }
            for link in one.products.values()
        ],
        "tags": [tag["name"] for tag in one.tags],
    } | _card(state, one)


def client(state: State, one: Client) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "first_name": one.first_name,
        "last_name": one.last_name,
        "is_deleted": one.is_deleted,
        "created_by": one.created_by,
        "company": one.company_id,
        "leads": sorted(one.leads),
    } | _card(state, one)


def _card(state: State, one: Entity) -> dict[str, Any]:
    return {
        "fields": _fields(state, one.kind, one.fields),
        "notes": [
            {
                "id": note.id,
                "type": note.note_type,
                "text": note.params.get("text", note.params.get("file_name", "")),
                "by": note.created_by,
            }
            for note in one.notes
        ],
        "files": [stored_file(state.files[file_uuid]) for file_uuid in one.files if file_uuid in state.files],
    }


def product(state: State, one: Element) -> dict[str, Any]:
    shown = {"id": one.id, "catalog_id": one.catalog_id, "name": one.name, "is_deleted": one.is_deleted}
    return shown | {"fields": _fields(state, f"catalogs/{one.catalog_id}", one.fields)}


def stored_file(one: StoredFile) -> dict[str, Any]:
    return {
        "uuid": one.uuid,
        "name": one.name,
        "size": one.size,
        "mime": one.mime,
        "versions": len(one.versions),
        "is_trashed": one.is_trashed,
    }


def _fields(state: State, entity: str, filled: dict[int, Values]) -> dict[str, Any]:
    """By code where there is one, else by name."""
    fields = state.fields.of(entity)
    return {
        fields[field_id].code or fields[field_id].name: for_people(fields[field_id], found, state.zone)
        for field_id, found in filled.items()
        if field_id in fields and found
    }
