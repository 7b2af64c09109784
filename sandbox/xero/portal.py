"""The rest of the control plane: the organisation's settings, the apps' access, the developer's portal, the machine room."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.kit import Kit
from sandbox.xero.access import add_access
from sandbox.xero.act import new_id
from sandbox.xero.desk import Refused, asked, day_of, held_of
from sandbox.xero.events import Event, Webhooks
from sandbox.xero.seed import WEBHOOK_KEY, open_organisation
from sandbox.xero.state import State


def add_portal(part: Blueprint, state: State, kit: Kit) -> None:
    _organisation(part, state)
    _settings(part, state)
    _organisations(part, state)
    add_access(part, state, kit)
    _webhook(part, state)
    _events(part, state)
    _vendor(part, state, kit)


def _organisation(part: Blueprint, state: State) -> None:
    @part.patch("/organisation")
    def change_organisation() -> ResponseReturnValue:
        with state.lock:
            held, wanted = held_of(state), asked()
            changes: dict[str, Any] = {
                name: day_of(each) if name.endswith("_date") else each for name, each in wanted.items()
            }
            if changes.get("sales_terms"):
                changes["sales_terms"] = tuple(changes["sales_terms"])
            try:
                held.profile = replace(held.profile, **changes)
            except TypeError as error:
                raise Refused(str(error)) from None
            return jsonify(id=held.profile.id, changed=sorted(changes))


def _settings(part: Blueprint, state: State) -> None:
    @part.post("/currencies")
    def subscribe() -> ResponseReturnValue:
        code = str(asked()["code"]).upper()
        with state.lock:
            held_of(state).currencies[code] = code
        return jsonify(code=code)

    @part.delete("/currencies/<code>")
    def unsubscribe(code: str) -> ResponseReturnValue:
        with state.lock:
            held_of(state).currencies.pop(code.upper(), None)
        return "", 204

    @part.patch("/accounts/<code>")
    def change_account(code: str) -> ResponseReturnValue:
        with state.lock:
            held = held_of(state)
            if code not in held.account_codes:
                raise Refused(f"no account {code}", status=404)
            held.add_account(replace(held.account_codes[code], **asked()))
        return jsonify(code=code)


def _organisations(part: Blueprint, state: State) -> None:
    @part.post("/organisations")
    def open_another() -> ResponseReturnValue:
        """Another organisation: of an app that is there (`client_id`), else of an app of its own."""
        wanted = asked()
        with state.lock:
            tenant_id = str(wanted.get("tenant_id") or new_id())
            base = str(wanted.get("base_currency", "NZD"))
            open_organisation(state, name=str(wanted["name"]), tenant_id=tenant_id, base_currency=base)
            client = str(wanted.get("client_id") or new_id().replace("-", "").upper())
            app = state.apps.get(client) or state.add_app(client, new_id(), str(wanted["name"]))
            app.connect(tenant_id, state.kit.clock.now())
        return jsonify(tenant_id=tenant_id, client_id=client, client_secret=app.secret)


def _hooks(state: State) -> Webhooks:
    """Of the app that is asked about, else of the first."""
    client = request.args.get("client_id") or next(iter(state.apps))
    if client not in state.apps:
        raise Refused(f"no app {client}", status=404)
    return state.hooks_of(client)


def _webhook(part: Blueprint, state: State) -> None:
    @part.post("/webhook")
    def set_target() -> ResponseReturnValue:
        """Sets the address and proves it; the answer is the portal's verdict."""
        wanted = asked()
        hooks = _hooks(state)
        hooks.set_target(str(wanted["url"]), str(wanted.get("key", WEBHOOK_KEY)))
        return jsonify(hooks.prove())

    @part.post("/webhook/intent")
    def prove_again() -> ResponseReturnValue:
        hooks = _hooks(state)
        if hooks.target is None:
            raise Refused("no webhook is set up", status=404)
        return jsonify(hooks.prove())

    @part.get("/webhook")
    def show_target() -> ResponseReturnValue:
        return jsonify(_hooks(state).shown())

    @part.delete("/webhook")
    def remove_target() -> ResponseReturnValue:
        _hooks(state).clear()
        return "", 204


def _events(part: Blueprint, state: State) -> None:
    @part.post("/events")
    def fire() -> ResponseReturnValue:
        """An event out of nothing: of an unknown category, about an unknown resource, from an unknown tenant."""
        wanted = asked()
        tenant = str(wanted.get("tenant_id") or held_of(state).profile.id)
        event = Event(
            tenant,
            str(wanted.get("category", "INVOICE")),
            str(wanted.get("kind", "UPDATE")),
            str(wanted.get("resource_id") or new_id()),
            state.kit.clock.now(),
        )
        _hooks(state).add(event, always=True)
        return jsonify(resource_id=event.resource_id)


def _vendor(part: Blueprint, state: State, kit: Kit) -> None:
    @part.post("/limits/day")
    def spend_day() -> ResponseReturnValue:
        """Leaves so many calls of the day to an app."""
        wanted = asked()
        client = str(wanted.get("client_id") or next(iter(state.apps)))
        with state.lock:
            tenant = held_of(state).profile.id
            state.limiter.spend_day(client, tenant, left=int(wanted["left"]), now=kit.clock.ticks())
        return jsonify(left=int(wanted["left"]))
