"""Contacts and companies, in Kommo's shapes (kommo.md 7). Pure."""

from collections.abc import Callable, Iterable
from typing import Any
from zoneinfo import ZoneInfo

from integrations.exact_json import Json
from integrations.kommo.entities import Address, Client, ClientDraft, ClientEntity, FieldValue, find_field
from integrations.kommo.values import parse_fields, write_contact_line, write_fields

# The parts of a smart address, by enum_id and by enum_code (kommo.md 5.6).
ADDRESS_PARTS = {
    "1": "line1",
    "2": "line2",
    "3": "city",
    "4": "region",
    "5": "postal_code",
    "6": "country",
    "address_line_1": "line1",
    "address_line_2": "line2",
    "city": "city",
    "state": "region",
    "zip": "postal_code",
    "country": "country",
}


def client_parser(entity: ClientEntity) -> Callable[[Any], Client]:
    """The parser for contacts, or for companies: what they say of themselves is the same."""

    def parse(said: Any) -> Client:
        fields = parse_fields(said.get("custom_fields_values"))
        return Client(
            entity=entity,
            id=int(said["id"]),
            name=str(said.get("name") or "").strip(),
            email=_first(fields, "EMAIL"),
            phone=_first(fields, "PHONE"),
            first_name=str(said.get("first_name") or "").strip(),
            last_name=str(said.get("last_name") or "").strip(),
            address=parse_address(fields),
            is_deleted=bool(said.get("is_deleted")),
            fields=fields,
        )

    return parse


def _first(fields: tuple[FieldValue, ...], code: str) -> str:
    """The first of several addresses or numbers that is not blank."""
    found = find_field(fields, code)
    texts = (str(value.get("value") or "").strip() for value in found.values) if found else ()
    return next((text for text in texts if text), "")


def parse_address(fields: Iterable[FieldValue]) -> Address:
    """A smart address that is filled in, else a plain text field with the code ADDRESS."""
    for field in fields:
        if field.kind == "smart_address" and (address := _smart(field)):
            return address
    plain = next((field.text for field in fields if field.code == "ADDRESS"), "")
    lines = [line.strip(" ,") for line in plain.splitlines() if line.strip(" ,")]
    return Address(line1=lines[0], line2=", ".join(lines[1:])) if lines else Address()


def _smart(field: FieldValue) -> Address:
    parts: dict[str, str] = {}
    for value in field.values:
        keys = (str(value.get("enum_code") or "").lower(), str(value.get("enum_id")))
        part = next((ADDRESS_PARTS[key] for key in keys if key in ADDRESS_PARTS), None)
        if part is not None:
            parts[part] = str(value.get("value") or "").strip()
    return Address(**parts)


def write_client(draft: ClientDraft, zone: ZoneInfo) -> Json:
    """A contact or company to be made."""
    lines = [
        write_contact_line(code, value) for code, value in (("EMAIL", draft.email), ("PHONE", draft.phone)) if value
    ]
    values = lines + write_fields(draft.fields, zone)
    return {"name": draft.name} | ({"custom_fields_values": values} if values else {})
