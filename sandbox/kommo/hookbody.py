"""The bodies of webhooks, byte for byte: forms with PHP's brackets, in the old v2 model (kommo.md 4.3, 4.4, 4.9). Pure."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus
from zoneinfo import ZoneInfo

from sandbox.kommo.nouns import ELEMENT_TYPE, Account, Client, Entity, FieldDef, Lead, Note, User
from sandbox.kommo.values import plain, v2

Fields = dict[int, FieldDef]


def encode(content: dict[str, Any]) -> bytes:
    """As PHP's http_build_query does: every value a string, nulls left out, spaces as plus signs."""
    return "&".join(f"{_quote(name)}={_quote(value)}" for name, value in _pairs("", content)).encode("ascii")


@lru_cache(maxsize=50_000)
def _quote(text: str) -> str:
    """Names come again and again, and so do most values."""
    return quote_plus(text, safe="").replace("~", "%7E")


def _pairs(name: str, content: Any) -> Iterator[tuple[str, str]]:
    match content:
        case None:
            return
        case dict():
            for key, value in content.items():
                yield from _pairs(f"{name}[{key}]" if name else str(key), value)
        case list():
            for index, value in enumerate(content):
                yield from _pairs(f"{name}[{index}]", value)
        case bool():
            yield name, str(int(content))
        case Decimal():
            yield name, plain(content)
        case _:
            yield name, str(content)


def account_body(
    account: Account, groups: dict[str, dict[str, list[Any]]], *, last: bool = False, domain: str | None = None
) -> bytes:
    """An account webhook: `groups` as {"leads": {"status": [entry, ...]}}. The account block comes first, in older captures last."""
    block = {
        "account": {
            "subdomain": account.subdomain,
            "id": account.id,
            "_links": {"self": f"https://{account.subdomain}.{domain or account.domain}"},
        }
    }
    return encode(groups | block if last else block | groups)


def stage_body(account: Account, lead: Lead, was: tuple[int, int] | None) -> bytes:
    """The short form of the Digital Pipeline. `was` is the (pipeline, stage) before; None for a lead that was made on the stage."""
    entry = {"id": lead.id, "status_id": lead.status_id, "pipeline_id": lead.pipeline_id}
    if was is not None:
        entry |= {"old_status_id": was[1], "old_pipeline_id": was[0]}
    action = "add" if was is None else "status"
    return encode({"leads": {action: [entry]}, "account": {"id": account.id, "subdomain": account.subdomain}})


def lead_entry(
    lead: Lead,
    fields: Fields,
    account: Account,
    *,
    modified_by: int,
    old_status_id: int | None = None,
    old_responsible_user_id: int | None = None,
    minor_units: bool = False,
) -> dict[str, Any]:
    return {
        "id": lead.id,
        "name": lead.name,
        "status_id": lead.status_id,
        "old_status_id": old_status_id,
        "price": int(lead.price),
        "price_with_minor_units": lead.price if minor_units else None,
        "responsible_user_id": lead.responsible_user_id,
        "last_modified": lead.updated_at,
        "modified_user_id": modified_by,
        "created_user_id": lead.created_by,
        "date_create": lead.created_at,
        "pipeline_id": lead.pipeline_id,
        "tags": [{"id": tag["id"], "name": tag["name"]} for tag in lead.tags] or None,
        "account_id": account.id,
        "custom_fields": _custom_fields(lead, fields, account),
        "old_responsible_user_id": old_responsible_user_id,
        "created_at": lead.created_at,
        "updated_at": lead.updated_at,
    }


def client_entry(
    client: Client, fields: Fields, account: Account, *, modified_by: int, old_responsible_user_id: int | None = None
) -> dict[str, Any]:
    """Companies come under "contacts" too: `type` tells them apart."""
    return {
        "id": client.id,
        "name": client.name,
        "responsible_user_id": client.responsible_user_id,
        "date_create": client.created_at,
        "last_modified": client.updated_at,
        "created_user_id": client.created_by,
        "modified_user_id": modified_by,
        "account_id": account.id,
        "custom_fields": _custom_fields(client, fields, account),
        "linked_leads_id": {lead_id: {"ID": lead_id} for lead_id in sorted(client.leads)} or None,
        "old_responsible_user_id": old_responsible_user_id,
        "created_at": client.created_at,
        "updated_at": client.updated_at,
        "type": "company" if client.kind == "companies" else "contact",
    }


def deleted_lead_entry(lead: Lead) -> dict[str, Any]:
    return {"id": lead.id, "status_id": lead.status_id, "pipeline_id": lead.pipeline_id}


def deleted_client_entry(client: Client) -> dict[str, Any]:
    return {"id": client.id, "type": "company" if client.kind == "companies" else "contact"}


def note_entry(note: Note, account: Account, author: User) -> dict[str, Any]:
    """`attachement` is Kommo's own spelling; the `date_` texts are local, the epochs are not (kommo.md 4.4)."""
    zone = ZoneInfo(account.timezone)
    is_file = note.note_type == "attachment"
    params = note.params
    attached = (
        f"drive/{params.get('file_uuid')}/{params.get('version_uuid')}/{params.get('file_name')}" if is_file else ""
    )
    source = {"event_source": {"id": author.id, "author_name": author.name, "type": 1}}
    entry: dict[str, Any] = {
        "note": {
            "text": params.get("file_name" if is_file else "text", ""),
            "attachement": attached,
            "date_create": f"{datetime.fromtimestamp(note.created_at, zone):%Y-%m-%d %H:%M:%S}",
            "note_type": NOTE_TYPES.get(note.note_type, 4),
            "element_type": ELEMENT_TYPE[note.kind],
            "element_id": note.entity_id,
            "catalog_id": 0,
            "group_id": 0,
            "timestamp_x": f"{datetime.fromtimestamp(note.updated_at, zone):%Y-%m-%d %H:%M:%S}",
            "account_id": account.id,
            "metadata": json.dumps(source, separators=(",", ":")),
            "created_by": note.created_by,
            "modified_by": note.updated_by,
            "main_user_id": note.responsible_user_id,
            "id": note.id,
            "created_at": note.created_at,
            "updated_at": note.updated_at,
        }
    }
    if note.kind != "leads":
        entry["type"] = "company" if note.kind == "companies" else "contact"
    return entry


# the two that the sheet names, and the old API's number for service messages
NOTE_TYPES = {"common": 4, "attachment": 5, "service_message": 25, "extended_service_message": 25}


def _custom_fields(entity: Entity, fields: Fields, account: Account) -> list[dict[str, Any]] | None:
    zone = ZoneInfo(account.timezone)
    filled: Iterable[dict[str, Any]] = (
        v2(fields[field_id], values, zone)
        for field_id, values in entity.fields.items()
        if field_id in fields and values
    )
    return list(filled) or None
