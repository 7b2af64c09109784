"""Leads (kommo.md 5)."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import chain
from typing import Any

from flask import Blueprint, Response

from sandbox.kommo import reading, show
from sandbox.kommo.changes import Change, new_entity_facts
from sandbox.kommo.nouns import Lead
from sandbox.kommo.problems import FieldRefused, Refused, validation
from sandbox.kommo.query import Query
from sandbox.kommo.state import State
from sandbox.kommo.wire import actor, each, hal, link, nothing, page_of, query, request_id, sent_many, sent_one, written


def blueprint(state: State) -> Blueprint:
    part = Blueprint("leads", __name__)

    @part.get("/leads")
    def find() -> Response:
        asked = query()
        with state.lock:
            rows = in_order(find_leads(state, asked), asked)
            return page_of(rows, lambda one: show.lead(state, one, asked.extras), "leads", "leads")

    @part.get("/leads/<int:lead_id>")
    def get(lead_id: int) -> Response:
        with state.lock:
            found = state.lead(lead_id)
            return hal(show.lead(state, found, query().extras)) if found else nothing()

    @part.post("/leads")
    def create() -> Response:
        items = sent_many()
        with state.change(actor(state)) as change:
            drafts = each(items, lambda item: draft(state, item, change))
            made = [change.add_lead(one) for one in drafts]
        rows = [
            {"id": one.id, "request_id": request_id(item, index), "_links": link(f"leads/{one.id}")}
            for index, (item, one) in enumerate(zip(items, made, strict=True))
        ]
        return written(rows, "leads", "leads")

    @part.patch("/leads")
    def update_many() -> Response:
        items = sent_many()
        with state.change(actor(state)) as change:
            planned = [one for one in each(items, lambda item: plan(state, item)) if one is not None]
            for lead, write in planned:
                write(change, lead)
        return written([_updated(lead) for lead, _ in planned], "leads", "leads")

    @part.patch("/leads/<int:lead_id>")
    def update_one(lead_id: int) -> Response:
        item = sent_one() | {"id": lead_id}
        with state.change(actor(state)) as change:
            if state.lead(lead_id) is None:
                raise Refused(404)
            lead, write = next(one for one in each([item], lambda item: plan(state, item)) if one is not None)
            write(change, lead)
        shown = _updated(lead)
        return hal(shown) if state.switches["single_patch_leads"] == "root" else written([shown], "leads", "leads")

    return part


def _updated(lead: Lead) -> dict[str, Any]:
    return {"id": lead.id, "updated_at": lead.updated_at, "_links": link(f"leads/{lead.id}")}


Write = Callable[[Change, Lead], None]


def plan(state: State, item: dict[str, Any]) -> tuple[Lead, Write] | None:
    """What an element of a PATCH will do; None for a lead that is not there, if the switch leaves such out."""
    lead = state.lead(reading.number(item, "id") or 0)
    if lead is None:
        if state.switches["unknown_id_in_batch"] == "omit":
            return None
        raise FieldRefused("NotSupportedChoice", "id", "The value you selected is not a valid choice.")
    plain: dict[str, Any] = {}
    if "name" in item:
        plain["name"] = reading.text(item, "name")
    for name in ("responsible_user_id",):
        found = reading.user(state, item, name, robot=False)
        if found is not None:
            plain[name] = found
    found_tags = reading.tags(state, item, lead.tags)
    if found_tags is not None:
        plain["tags"] = found_tags
    if "loss_reason_id" in item:
        plain["loss_reason_id"] = reading.number(item, "loss_reason_id")
    wanted: dict[str, Any] = {
        "plain": plain,
        "stage": reading.stage(state, item, lead.stage),
        "price": reading.price(state, item),
        "fields": reading.field_values(state, "leads", item),
        "updated_by": reading.user(state, item, "updated_by"),
    }
    return lead, lambda change, one: change.update_lead(one, **wanted)


def draft(state: State, item: dict[str, Any], change: Change) -> Lead:
    main = reading.main_pipeline(state)
    stage = reading.stage(state, item, None) or (main.id, main.first_stage.id)
    contacts = reading.linked_ids(state, item, "contacts")
    companies = reading.linked_ids(state, item, "companies")
    facts = new_entity_facts(state, "leads", change)
    for name in ("responsible_user_id", "created_by", "updated_by"):
        facts[name] = _first(reading.user(state, item, name), facts[name])
    for name in ("created_at", "updated_at"):
        facts[name] = reading.number(item, name, facts[name])
    return Lead(
        **facts,
        name=reading.text(item, "name"),
        price=reading.price(state, item) or Decimal(0),
        pipeline_id=stage[0],
        status_id=stage[1],
        loss_reason_id=reading.number(item, "loss_reason_id"),
        fields={field_id: found for field_id, found in reading.field_values(state, "leads", item).items() if found},
        tags=reading.tags(state, item, []) or [],
        contacts=[contact_id for contact_id, _ in contacts],
        main_contact_id=next(
            (contact_id for contact_id, main in contacts if main), contacts[0][0] if contacts else None
        ),
        company_id=companies[0][0] if companies else None,
    )


def _first(found: int | None, default: int) -> int:
    return default if found is None else found


# finding


def find_leads(state: State, asked: Query) -> Iterator[Lead]:
    """Starts from ids or stages where they are asked for, so that only a search walks over all leads."""
    tests = _tests(state, asked)
    return (lead for lead in _candidates(state, asked) if all(test(lead) for test in tests))


def _candidates(state: State, asked: Query) -> Iterable[Lead]:
    ids = asked.ids("filter", "id")
    if ids is not None:
        return (state.leads[lead_id] for lead_id in sorted(set(ids)) if lead_id in state.leads)
    stages = asked.at("filter", "statuses")
    if isinstance(stages, dict):
        keys = [_stage_key(one) for one in stages.values()]
        return (
            state.leads[lead_id] for lead_id in chain.from_iterable(sorted(state.in_stage.get(key, ())) for key in keys)
        )
    return state.leads.values()


def _stage_key(one: Any) -> tuple[int, int]:
    try:
        return int(one["pipeline_id"]), int(one["status_id"])
    except (KeyError, TypeError, ValueError):
        raise validation({"0": [FieldRefused("FieldMissing", "filter.statuses", "This field is missing.")]}) from None


def _tests(state: State, asked: Query) -> list[Callable[[Lead], bool]]:
    only_deleted = "only_deleted" in asked.extras
    tests: list[Callable[[Lead], bool]] = [lambda lead: lead.is_deleted == only_deleted]
    for name in ("pipeline_id", "created_by", "updated_by", "responsible_user_id", "price"):
        ids = asked.ids("filter", name)
        if ids is not None:
            tests.append(_is_one_of(name, set(ids)))
    for name in ("created_at", "updated_at", "closed_at"):
        span = asked.span("filter", name)
        if span is not None:
            tests.append(_is_within(name, span))
    names = asked.names("filter", "name")
    if names is not None:
        tests.append(lambda lead: lead.name in names)
    if asked.search:
        tests.append(search(state, asked.search))
    return tests


def _is_one_of(name: str, ids: set[int]) -> Callable[[Any], bool]:
    return lambda one: getattr(one, name) in ids


def _is_within(name: str, span: tuple[int, int]) -> Callable[[Any], bool]:
    return lambda one: span[0] <= (getattr(one, name) or -1) <= span[1]


def search(state: State, wanted: str) -> Callable[[Any], bool]:
    """A substring of the name or of any filled-in field; what is too new is not yet found."""
    lag = state.clock.lasts(float(state.switches["search_lag_s"]))
    newest = state.clock.stamp() - lag
    digits = "".join(letter for letter in wanted if letter.isdigit())

    def found(one: Any) -> bool:
        if lag and one.created_at > newest:
            return False
        content = show.searchable(one)
        # phones are found however they are written
        is_phone = len(digits) >= 7 and digits == wanted.lstrip("+").replace(" ", "").replace("-", "")
        return wanted in content or (is_phone and digits in "".join(letter for letter in content if letter.isdigit()))

    return found


def in_order(rows: Iterable[Any], asked: Query) -> Iterable[Any]:
    """By id where no order is asked for."""
    wanted = asked.at("order")
    if not isinstance(wanted, dict) or not wanted:
        return rows
    name, direction = next(iter(wanted.items()))
    if name not in ("created_at", "updated_at", "id"):
        raise Refused(400, "Request validation failed")
    return sorted(rows, key=lambda one: (getattr(one, name), one.id), reverse=direction == "desc")
