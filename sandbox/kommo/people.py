"""What people do in Kommo's own pages: they name pipelines, stages, fields and clients, and type what a person types."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from sandbox.kommo.changes import Actor, Change, new_entity_facts
from sandbox.kommo.nouns import Client, EntityKind, FieldDef, Lead, Note, Pipeline, ProductLink, Values
from sandbox.kommo.problems import FieldRefused
from sandbox.kommo.reading import know_file, main_pipeline
from sandbox.kommo.seed import PRODUCTS_ID, SALES_ID, add_product
from sandbox.kommo.state import State
from sandbox.kommo.values import from_people, read_values

PERSON = Actor(user_id=SALES_ID, by_api=False)


class NotThere(LookupError):
    """A name or id that the account does not have."""


def find_lead(state: State, lead_id: int, *, deleted: bool = False) -> Lead:
    found = state.leads.get(lead_id)
    if found is None or (found.is_deleted and not deleted):
        raise NotThere(f"no lead {lead_id}")
    return found


def find_client(state: State, kind: str, client_id: int) -> Client:
    found = state.clients(kind).get(client_id)
    if found is None or found.is_deleted:
        raise NotThere(f"none of the {kind} is {client_id}")
    return found


def find_pipeline(state: State, named: Any, default: Pipeline) -> Pipeline:
    if named is None:
        return default
    found = next((one for one in state.pipelines.values() if named in (one.id, one.name)), None)
    if found is None:
        raise NotThere(f"no pipeline {named!r}")
    return found


def find_stage(pipeline: Pipeline, named: Any) -> tuple[int, int]:
    if named is None:
        return pipeline.id, pipeline.first_stage.id
    found = next((one for one in pipeline.stages.values() if named in (one.id, one.name)), None)
    if found is None:
        raise NotThere(f"no stage {named!r} in {pipeline.name!r}")
    return pipeline.id, found.id


def find_field(state: State, entity: str, named: str) -> FieldDef:
    found = state.fields.find(entity, named)
    if found is None:
        raise NotThere(f"no field {named!r} on {entity}")
    return found


def typed_fields(state: State, entity: str, typed: dict[str, Any]) -> dict[int, Values]:
    """Values by the fields' names, codes or ids; None or an empty text clears."""
    found: dict[int, Values] = {}
    for named, value in typed.items():
        definition = find_field(state, entity, named)
        given = from_people(definition, value, state.zone)
        try:
            found[definition.id] = read_values(definition, given, state.zone, lambda file: know_file(state, file))
        except FieldRefused as fault:
            raise NotThere(f"{named}: {fault.detail}") from fault
    return found


def add_lead(state: State, typed: dict[str, Any], change: Change) -> Lead:
    """With its contact, company and products, which are made where they are described rather than named by id."""
    pipeline = find_pipeline(state, typed.get("pipeline"), main_pipeline(state))
    stage = find_stage(pipeline, typed.get("stage"))
    fields = typed_fields(state, "leads", typed.get("fields") or {})
    contact = _client(state, "contacts", typed.get("contact"), change)
    company = _client(state, "companies", typed.get("company"), change)
    lead = Lead(
        **new_entity_facts(state, "leads", change),
        name=typed.get("name", ""),
        pipeline_id=stage[0],
        status_id=stage[1],
        fields={field_id: values for field_id, values in fields.items() if values},
        contacts=[contact.id] if contact else [],
        main_contact_id=contact.id if contact else None,
        company_id=company.id if company else None,
    )
    if contact is not None and company is not None and contact.company_id is None:
        change.employ(contact, company)
    for one in typed.get("products") or []:
        change.link_product(lead, product_link(state, one))
    lead.is_price_computed = typed.get("price") is None and bool(lead.products)
    lead.price = state.products_total(lead) if lead.is_price_computed else Decimal(str(typed.get("price") or 0))
    return change.add_lead(lead)


def _client(state: State, kind: EntityKind, typed: Any, change: Change) -> Client | None:
    if typed is None:
        return None
    return find_client(state, kind, typed) if isinstance(typed, int) else add_client(state, kind, typed, change)


def add_client(state: State, kind: EntityKind, typed: dict[str, Any], change: Change) -> Client:
    name = str(typed.get("name") or "")
    client = Client(**new_entity_facts(state, kind, change), name=name, first_name=name if kind == "contacts" else "")
    client.fields = {field_id: values for field_id, values in client_fields(state, kind, typed).items() if values}
    return change.add_client(client)


def client_fields(state: State, kind: EntityKind, typed: dict[str, Any]) -> dict[int, Values]:
    """`email`, `phone` and `address` are short for their fields."""
    short = {
        code: typed[name]
        for name, code in (("email", "EMAIL"), ("phone", "PHONE"), ("address", "ADDRESS"))
        if name in typed
    }
    return typed_fields(state, kind, short | (typed.get("fields") or {}))


def product_link(state: State, typed: dict[str, Any]) -> ProductLink:
    """A product by id, or by name and price: made if there is none like it."""
    quantity = Decimal(str(typed.get("quantity", 1)))
    elements = state.elements.get(PRODUCTS_ID, {})
    if "id" in typed:
        if typed["id"] not in elements:
            raise NotThere(f"no product {typed['id']}")
        return ProductLink(PRODUCTS_ID, typed["id"], quantity)
    price = Decimal(str(typed["price"])) if "price" in typed else None
    for one in elements.values():
        if one.name == typed["name"] and (price is None or state.element_price(PRODUCTS_ID, one.id) == price):
            return ProductLink(PRODUCTS_ID, one.id, quantity)
    made = add_product(
        state, typed["name"], price or Decimal(0), sku=typed.get("sku", ""), description=typed.get("description", "")
    )
    return ProductLink(PRODUCTS_ID, made.id, quantity)


def update_lead(state: State, lead: Lead, typed: dict[str, Any], change: Change) -> None:
    stage = None
    if "pipeline" in typed or "stage" in typed:
        pipeline = find_pipeline(state, typed.get("pipeline"), state.pipelines[lead.pipeline_id])
        stage = find_stage(pipeline, typed.get("stage"))
    names = {"name": "name", "responsible": "responsible_user_id"}
    plain_values = {attribute: typed[name] for name, attribute in names.items() if name in typed}
    fields = typed_fields(state, "leads", typed.get("fields") or {})
    link_clients(state, lead, typed, change)
    for one in typed.get("products") or []:
        change.link_product(lead, product_link(state, one))
    price = Decimal(str(typed["price"])) if typed.get("price") is not None else None
    if price is None and lead.is_price_computed and typed.get("products"):
        price = state.products_total(lead)
    change.update_lead(lead, plain=plain_values, stage=stage, price=price, fields=fields)


def link_clients(state: State, lead: Lead, typed: dict[str, Any], change: Change) -> None:
    contact = _client(state, "contacts", typed.get("contact"), change)
    company = _client(state, "companies", typed.get("company"), change)
    if contact is not None:
        change.link_contact(lead, contact, main=bool(typed.get("main", True)))
    if company is not None:
        change.link_company(lead, company)


def update_client(state: State, client: Client, typed: dict[str, Any], change: Change) -> None:
    names: dict[str, Any] = {}
    if "name" in typed:
        names = {"name": typed["name"]} | (
            {"first_name": typed["name"], "last_name": ""} if client.kind == "contacts" else {}
        )
    change.update_client(client, plain=names, fields=client_fields(state, client.kind, typed))


def copy_lead(state: State, lead: Lead, change: Change) -> Lead:
    """Everything of the card but its feed and files: the fields of our making too, which is what makes copies dangerous."""
    facts = new_entity_facts(state, "leads", change)
    copied = replace(
        lead,
        **facts,
        fields=dict(lead.fields),
        tags=list(lead.tags),
        files={},
        notes=[],
        contacts=list(lead.contacts),
        products={key: replace(link) for key, link in lead.products.items()},
    )
    return change.add_lead(copied)


def add_note(state: State, lead: Lead, text: str, change: Change) -> Note:
    by = change.actor.user_id
    note = Note(
        state.next_id(),
        "leads",
        lead.id,
        "common",
        {"text": text},
        by,
        by,
        change.now,
        change.now,
        lead.responsible_user_id,
    )
    return change.add_note(note)
