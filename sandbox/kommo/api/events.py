"""The log of events, newest first (kommo.md 11.3)."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Blueprint, Response

from sandbox.kommo import show
from sandbox.kommo.nouns import SINGULAR, Event
from sandbox.kommo.problems import Refused
from sandbox.kommo.query import Query
from sandbox.kommo.state import State
from sandbox.kommo.wire import hal, nothing, page_of, query

MOST_NAMED = 10
VALUES = ("value_after", "value_before")


def blueprint(state: State) -> Blueprint:
    part = Blueprint("events", __name__, url_prefix="/events")

    @part.get("")
    def find() -> Response:
        asked = query()
        with state.lock:
            return page_of(_find(state, asked), lambda one: show.event(state, one), "events", "events")

    @part.get("/<event_id>")
    def get(event_id: str) -> Response:
        with state.lock:
            found = next((one for one in state.events if one.id == event_id), None)
            return hal(show.event(state, found)) if found else nothing()

    return part


def _find(state: State, asked: Query) -> Iterator[Event]:
    """Walks back from the newest, and stops where `created_at` ends."""
    since = (asked.span("filter", "created_at") or (0, 0))[0]
    tests = _tests(asked)
    for event in _newest_first(state, asked):
        if event.created_at < since:
            return
        if all(test(event) for test in tests):
            yield event


def _newest_first(state: State, asked: Query) -> Iterable[Event]:
    """Of the entities that are named, else of all. Ids sort by time."""
    ids = asked.ids("filter", "entity_id")
    if ids is None:
        return reversed(state.events)
    named = {(kind, entity_id) for kind in SINGULAR for entity_id in ids}
    return sorted(
        (event for key in named for event in state.events_of.get(key, ())), key=lambda event: event.id, reverse=True
    )


def _tests(asked: Query) -> list[Callable[[Event], bool]]:
    tests: list[Callable[[Event], bool]] = []
    types, kinds, ids, authors = (
        asked.texts("filter", "type"),
        asked.texts("filter", "entity"),
        asked.ids("filter", "entity_id"),
        asked.ids("filter", "created_by"),
    )
    if types is not None:
        tests.append(lambda event: event.type in types)
    if kinds is not None:
        tests.append(lambda event: SINGULAR[event.kind] in kinds)
    if ids is not None:
        if len(ids) > MOST_NAMED or len(kinds or []) != 1:
            raise Refused(400, "Request validation failed")
        tests.append(lambda event: event.entity_id in ids)
    if authors is not None:
        tests.append(lambda event: event.created_by in authors)
    span = asked.span("filter", "created_at")
    if span is not None:
        tests.append(lambda event: span[0] <= event.created_at <= span[1])
    return tests + [test for name in VALUES if (test := _stage_test(asked, name))]


def _stage_test(asked: Query, name: str) -> Callable[[Event], bool] | None:
    stages = asked.at("filter", name, "leads_statuses")
    if not isinstance(stages, dict):
        return None
    wanted = {
        (str(one.get("pipeline_id")), str(one.get("status_id"))) for one in stages.values() if isinstance(one, dict)
    }

    def found(event: Event) -> bool:
        values: list[dict[str, Any]] = event.after if name == "value_after" else event.before
        statuses = [value["lead_status"] for value in values if "lead_status" in value]
        return any((str(status["pipeline_id"]), str(status["id"])) in wanted for status in statuses)

    return found
