"""Xero's identity over HTTP: tokens, their end, and connections (xero.md 1.1 to 1.5). The consent page is in consent.py."""

import base64
import json

from flask import Flask, Response, request

from sandbox.kit import Answer, Kit, note
from sandbox.xero import tokens
from sandbox.xero.act import new_id
from sandbox.xero.answers import missing, problem
from sandbox.xero.grants import SHORTEST, Given, Ungranted
from sandbox.xero.state import State
from sandbox.xero.tokens import App, Connection, Token

NO_INSTANCE = tokens.NO_ID


def add_routes(app: Flask, state: State, kit: Kit) -> None:
    @app.post("/connect/token")
    @app.post("/identity/connect/token")
    def token() -> Response:
        return respond(_token(state, kit))

    @app.post("/connect/revocation")
    @app.post("/identity/connect/revocation")
    def revocation() -> Response:
        return respond(_revocation(state))

    @app.get("/connections")
    @app.get("/Connections")
    def connections() -> Response:
        return respond(_connections(state, kit))

    @app.delete("/connections/<connection_id>")
    @app.delete("/Connections/<connection_id>")
    def disconnect(connection_id: str) -> Response:
        return respond(_disconnect(state, kit, connection_id))


def respond(answer: Answer) -> Response:
    response = Response(answer.body, answer.status)
    response.headers.clear()
    response.headers.extend(answer.headers)
    return response


# --- tokens --------------------------------------------------------------------------------------------------------------


def _token(state: State, kit: Kit) -> Answer:
    """All grants, with the client in Basic or in the body (xero.md 1.2)."""
    client_id, secret = _client()
    note().client = client_id
    grant = request.form.get("grant_type", "")
    spent = request.form.get({"authorization_code": "code"}.get(grant, grant), "")
    with state.lock:
        try:
            given = _grant(state, kit, _app(state, client_id, secret), grant)
        except Ungranted as refusal:
            state.grants.note(client_id, grant, spent, str(refusal))
            return _token_error(str(refusal))
        state.grants.note(client_id, grant, spent)
    return _tokens(given)


def _app(state: State, client_id: str, secret: str) -> App:
    if not client_id:
        raise Ungranted("unauthorized_client")
    app = state.apps.get(client_id)
    if app is None or app.secret != secret:
        raise Ungranted("invalid_client")
    return app


def _grant(state: State, kit: Kit, app: App, grant: str) -> Given:
    match grant:
        case "client_credentials":
            return _apps_own(state, kit, app)
        case "authorization_code" | "refresh_token" if app.is_custom:
            raise Ungranted("unauthorized_client")
        case "authorization_code":
            asked = request.form
            redirect_uri, verifier = asked.get("redirect_uri", ""), asked.get("code_verifier", "")
            return state.grants.exchange(app, asked.get("code", ""), redirect_uri=redirect_uri, verifier=verifier)
        case "refresh_token":  # a scope that comes with it is passed over
            return state.grants.refresh(app, request.form.get("refresh_token", ""))
    raise Ungranted("unsupported_grant_type" if grant else "invalid_request")


def _apps_own(state: State, kit: Kit, app: App) -> Given:
    """A custom connection's token; an app that people connect may only ask for what concerns itself (xero.md 1.7, 1.8)."""
    allowed = state.allowed_scopes(app) if app.is_custom else tokens.APP_ONLY
    scopes = request.form.get("scope", "").split() or sorted(tokens.GRANULAR if app.is_custom else tokens.APP_ONLY)
    if not set(scopes) <= allowed:
        raise Ungranted("invalid_scope")
    life = max(kit.clock.lasts(tokens.LIFE), SHORTEST)
    made = state.tokens.issue(app, scopes, now=kit.clock.now(), ticks=kit.clock.ticks(), life=life)
    return Given(made, "", "", made.scopes, life)


def _tokens(given: Given) -> Answer:
    """In one line, in the order of a recorded answer (xero.md 1.2)."""
    content = {
        "id_token": given.id_token,
        "access_token": given.access.value,
        "expires_in": int(given.life),
        "token_type": "Bearer",
        "refresh_token": given.refresh,
        "scope": " ".join(sorted(given.scopes)),
    }
    body = json.dumps({name: value for name, value in content.items() if value != ""}, separators=(",", ":"))
    headers = [
        ("Content-Type", "application/json; charset=UTF-8"),
        ("Cache-Control", "no-store, no-cache, max-age=0"),
        ("Set-Cookie", "bm_sz=sandbox; Path=/; HttpOnly"),
        ("Xero-Correlation-Id", new_id()),
    ]
    return Answer(200, headers, body.encode())


def _client() -> tuple[str, str]:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            return "", ""
        return client_id, secret
    return request.form.get("client_id", ""), request.form.get("client_secret", "")


def _token_error(error: str) -> Answer:
    return Answer(400, [("Content-Type", "application/json; charset=UTF-8")], f'{{"error":"{error}"}}'.encode())


def _revocation(state: State) -> Answer:
    """Ends all that the token's person granted the app: refresh tokens and connections (xero.md 1.1). An access token lives on,
    and reaches nothing; an unknown token is no error."""
    client_id, secret = _client()
    note().client = client_id
    with state.lock:
        try:
            app = _app(state, client_id, secret)
        except Ungranted as refusal:
            return _token_error(str(refusal))
        found = state.grants.find(request.form.get("token", ""))
        if found is not None and found.authorisation.client_id == client_id:
            state.revoke(app, found.authorisation.person.id)
    return Answer(200)


def bearer(state: State, kit: Kit) -> Token | Answer:
    """The token of a call, or the 401 that it meets (xero.md 8.2)."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    found = state.tokens.find(value.strip()) if scheme.lower() == "bearer" else None
    if found is None or found.client_id not in state.apps:
        return problem(401, "Unauthorized", "AuthenticationUnsuccessful", new_id())
    note().client = found.client_id
    if found.dies_at <= kit.clock.ticks():
        said = f"TokenExpired: token expired at {found.dies_on:%m/%d/%Y %H:%M:%S}"
        return problem(401, "Unauthorized", said, new_id())
    return found


# --- connections ---------------------------------------------------------------------------------------------------------


def _connections(state: State, kit: Kit) -> Answer:
    """A bare array, without rate limit headers (xero.md 1.5)."""
    found = bearer(state, kit)
    if isinstance(found, Answer):
        return found
    wanted = request.args.get("authEventId", "").lower()
    with state.lock:
        mine = state.apps[found.client_id].reached_by(found.user_id).values()
        shown = [_connection(state, each) for each in mine if wanted in ("", each.event_id)]
    return Answer(200, [("Content-Type", "application/json; charset=utf-8")], json.dumps(shown).encode())


def _connection(state: State, record: Connection) -> dict[str, str]:
    dates = [f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}0" for at in (record.created_at, record.updated_at)]
    return {
        "id": record.id,
        "authEventId": record.event_id,
        "tenantId": record.tenant_id,
        "tenantType": "ORGANISATION",
        "tenantName": state.organisations[record.tenant_id].profile.name,
        "createdDateUtc": dates[0],
        "updatedDateUtc": dates[1],
    }


def _disconnect(state: State, kit: Kit, connection_id: str) -> Answer:
    found = bearer(state, kit)
    if isinstance(found, Answer):
        return found
    with state.lock:
        app = state.apps[found.client_id]
        for tenant_id, each in app.reached_by(found.user_id).items():
            if each.id == connection_id.lower():
                app.disconnect(tenant_id=tenant_id, user_id=found.user_id)
                return Answer(204)
    return missing()
