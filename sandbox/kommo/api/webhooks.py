"""Subscriptions to webhooks (kommo.md 4.1): the destination is the key."""

from typing import Any

from flask import Blueprint, Response

from sandbox.kommo import show
from sandbox.kommo.dispatch import CODES, MOST_WEBHOOKS
from sandbox.kommo.problems import FieldRefused, Refused, missing, no_choice, validation
from sandbox.kommo.state import State
from sandbox.kommo.wire import grant, hal, need_admin, nothing, query, sent_one


def blueprint(state: State) -> Blueprint:
    part = Blueprint("webhooks", __name__, url_prefix="/webhooks")

    @part.before_request
    def need_plan() -> None:
        if state.switches["plan"] == "Base":
            raise Refused(state.switches["no_plan_status"])
        need_admin(state)

    @part.get("")
    def find() -> Response:
        destination = query().at("filter", "destination")
        with state.lock:
            rows = [
                show.webhook(state, one)
                for one in state.dispatcher.webhooks.values()
                if destination in (None, one.destination)
            ]
        return hal({"_total_items": len(rows), "_embedded": {"webhooks": rows}}) if rows else nothing()

    @part.post("")
    def subscribe() -> Response:
        item = sent_one()
        try:
            destination, codes = _read(item)
        except FieldRefused as fault:
            raise validation({"0": [fault]}) from fault
        with state.lock:
            hooks = state.dispatcher.webhooks
            if destination not in hooks and len(hooks) >= MOST_WEBHOOKS:
                raise Refused(422, "Webhooks limit exceeded")
            merge = state.switches["webhook_repost"] == "merge"
            made = state.dispatcher.subscribe(
                destination, codes, by=grant().user_id, sort=item.get("sort"), merge=merge
            )
            return hal(show.webhook(state, made), state.switches["webhook_post_status"])

    @part.delete("")
    def unsubscribe() -> Response:
        destination = sent_one().get("destination")
        with state.lock:
            if not state.dispatcher.unsubscribe(str(destination)):
                raise Refused(404)
        return nothing()

    return part


def _read(item: dict[str, Any]) -> tuple[str, list[str]]:
    destination, codes = item.get("destination"), item.get("settings")
    if not isinstance(destination, str) or not destination.startswith(("http://", "https://")):
        raise missing("destination") if not destination else no_choice("destination")
    if not isinstance(codes, list) or not codes:
        raise missing("settings")
    for index, code in enumerate(codes):
        if code not in CODES:
            raise no_choice(f"settings.{index}")
    return destination, codes
