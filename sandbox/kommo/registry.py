"""What is registered at Kommo for an integration, and what people do to its access. Under /_sandbox/kommo.

Where it matters `client_id` says which integration; it is the one of the ready line, unless said otherwise.

GET|PATCH /integration          {"redirect_uri", "uninstall_url", "name", "scopes"}: scopes count from the next consent on
POST   /integration/secret      regenerates it, which revokes all that was granted; {"keep": true} keeps that
POST   /integration/uninstall   access is revoked, and the hook to `uninstall_url` says so; {"hook": false}: it never arrives
POST   /grants/expire           {"what": "access" (default), "refresh" or "all"}: of consents, now
POST   /grants/revoke           refresh and access tokens of consents, without a hook
DELETE /grants                  as if nobody had ever consented, the registration as at the start
GET    /secrets                 all secrets, codes and tokens that ever were, for a search through logs
"""

import secrets
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.kommo.grants import Integration
from sandbox.kommo.people import NotThere
from sandbox.kommo.state import State

CLIENT_ID = "e93a3c5a-0002-4000-8000-000000000002"
CLIENT_SECRET = "sandboxKommoSecret0123456789abcdefABCDEF0123456789abcdefABCDEF01"
REDIRECT_URI = "http://localhost:8001/oauth/kommo/callback"
NAME = "Kommo bridge"
DONE = ("", 204)


def register(state: State) -> None:
    """The integration as at the start, and beside it the one that the printed long-lived token belongs to."""
    private = Integration(state.client_uuid, "sandboxKommoPrivateSecret0123456789abcdef", "Private integration")
    state.grants.integrations |= {
        CLIENT_ID: Integration(CLIENT_ID, CLIENT_SECRET, NAME, REDIRECT_URI),
        private.client_id: private,
    }


class Uninstalls:
    """The hook that tells of revoked access: one GET, signed (kommo.md 2.6). Whether it is tried again is not documented."""

    def __init__(self, state: State) -> None:
        self._sender = state.kit.hooks.sender(
            "kommo",
            patience=lambda: float(state.switches["hook_timeout_s"]),
            ladder=lambda _delivery: None,
            method="GET",
        )

    def tell(self, integration: Integration, account_id: int) -> None:
        if integration.uninstall_url:
            address = integration.uninstall_address(account_id)
            self._sender.submit(address, b"", {"user-agent": "amoService-oAuth-Code-Sender/1.0"})


def registry_blueprint(state: State, uninstalls: Uninstalls) -> Blueprint:
    part = Blueprint("registry", __name__)
    _registration(part, state)
    _uninstall(part, state, uninstalls)
    _grants(part, state)
    return part


def _sent() -> dict[str, Any]:
    found = request.get_json(silent=True)
    return found if isinstance(found, dict) else {}


def _found(state: State) -> Integration:
    client_id = str(_sent().get("client_id") or CLIENT_ID)
    if client_id not in state.grants.integrations:
        raise NotThere(f"no integration {client_id}")
    return state.grants.integrations[client_id]


def _shown(one: Integration) -> ResponseReturnValue:
    return jsonify(
        client_id=one.client_id,
        client_secret=one.secret,
        name=one.name,
        redirect_uri=one.redirect_uri,
        uninstall_url=one.uninstall_url,
        scopes=one.scopes,
        is_installed=one.is_installed,
    )


def _checked(address: object) -> str:
    if address and not str(address).startswith(("https://", "http://")):
        raise NotThere(f"{address!r} is no address: https://… or http://…")
    return str(address or "")


def _registration(part: Blueprint, state: State) -> None:
    @part.get("/integration")
    def show() -> ResponseReturnValue:
        with state.lock:
            return _shown(_found(state))

    @part.patch("/integration")
    def change() -> ResponseReturnValue:
        sent = _sent()
        with state.lock:
            one = _found(state)
            one.redirect_uri = _checked(sent.get("redirect_uri", one.redirect_uri))
            one.uninstall_url = _checked(sent.get("uninstall_url", one.uninstall_url))
            one.name = str(sent.get("name", one.name))
            one.scopes = tuple(sent.get("scopes", one.scopes))
            return _shown(one)

    @part.post("/integration/secret")
    def regenerate() -> ResponseReturnValue:
        """Existing grants die of it, unless one asks to keep them (kommo.md 2.6)."""
        with state.lock:
            one = _found(state)
            one.secret = secrets.token_urlsafe(48)
            if not _sent().get("keep"):
                state.grants.revoke(one.client_id)
            return _shown(one)


def _uninstall(part: Blueprint, state: State, uninstalls: Uninstalls) -> None:
    @part.post("/integration/uninstall")
    def uninstall() -> ResponseReturnValue:
        with state.lock:
            one = _found(state)
            ended = state.grants.uninstall(one.client_id)
            if _sent().get("hook", True):
                uninstalls.tell(one, state.account.id)
            return jsonify(ended=ended, told=one.uninstall_url)


def _grants(part: Blueprint, state: State) -> None:
    @part.post("/grants/expire")
    def expire() -> ResponseReturnValue:
        what = _sent().get("what", "access")
        if what not in ("access", "refresh", "all"):
            raise NotThere(f"what: {what}; there are access, refresh, all")
        with state.lock:
            client_id, ended = _found(state).client_id, 0
            if what != "refresh":
                ended += state.tokens.end_consents(client_id, expire=True)
            if what != "access":
                ended += state.grants.age(client_id)
        return jsonify(ended=ended)

    @part.post("/grants/revoke")
    def revoke() -> ResponseReturnValue:
        with state.lock:
            return jsonify(ended=state.grants.revoke(_found(state).client_id))

    @part.delete("/grants")
    def forget() -> ResponseReturnValue:
        with state.lock:
            for client_id in list(state.grants.integrations):
                state.grants.revoke(client_id)
            register(state)
        return DONE

    @part.get("/secrets")
    def all_secrets() -> ResponseReturnValue:
        with state.lock:
            return jsonify([*state.grants.secrets(), *state.tokens.values()])
