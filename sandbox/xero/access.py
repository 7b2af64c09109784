"""Who may do what, as a test or a person changes it: the app's registration, its grants and connections. Under /_sandbox/xero.

Where it matters `client_id` says which app; it is the one that people connect, unless said otherwise.

GET|PATCH /app                 {"redirect_uris": [...], "client_secret", "name"}
POST   /app/redirect-uris      {"uri"}: one more
POST   /connect|disconnect     {"client_id"}: of all apps (disconnect), of the custom connection's (connect), where it is not given; `?tenant=`
POST   /tokens/expire          all access tokens, now
POST   /grants/expire          {"what": "access" (default), "refresh" or "all"}: of consents, now
POST   /grants/revoke          {"user": e-mail}, or everybody: refresh tokens and connections
POST   /grants/scopes          {"take": [...]}: away from all that was granted so far
DELETE /grants                 as if nobody had ever consented, the registration as at the start
GET    /secrets                all secrets, codes and tokens that ever were, for a search through logs
"""

from urllib.parse import urlsplit

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from sandbox.kit import Kit
from sandbox.xero.desk import Refused, asked, held_of
from sandbox.xero.grants import PEOPLE
from sandbox.xero.seed import APP_CLIENT_ID, make_app
from sandbox.xero.state import State
from sandbox.xero.tokens import App

# redirect URIs an app, at most (xero.md 1.1)
MOST_URIS = 50


def add_access(part: Blueprint, state: State, kit: Kit) -> None:
    _app(part, state)
    _connections(part, state)
    _grants(part, state, kit)
    _all(part, state, kit)


def _found(state: State, default: str = APP_CLIENT_ID) -> App:
    client_id = str(asked().get("client_id") or default)
    if client_id not in state.apps:
        raise Refused(f"no app {client_id}", status=404)
    return state.apps[client_id]


def _checked(uri: object) -> str:
    """https, or http on localhost; 127.0.0.1 is refused, and so are wildcards (xero.md 1.1)."""
    url = urlsplit(str(uri))
    is_local = url.scheme == "http" and url.hostname == "localhost"
    if not (is_local or (url.scheme == "https" and url.hostname)) or "*" in str(uri):
        raise Refused(
            f"{uri}: a redirect URI is https://… or http://localhost[:port]/…, without wildcards; not 127.0.0.1"
        )
    return str(uri)


def _set_uris(app: App, uris: list[object]) -> None:
    if len(uris) > MOST_URIS:
        raise Refused(f"an app has {MOST_URIS} redirect URIs at most")
    app.redirect_uris = list(dict.fromkeys(_checked(uri) for uri in uris))


def _shown(app: App) -> ResponseReturnValue:
    return jsonify(client_id=app.client_id, client_secret=app.secret, name=app.name, redirect_uris=app.redirect_uris)


def _app(part: Blueprint, state: State) -> None:
    @part.get("/app")
    def show_app() -> ResponseReturnValue:
        with state.lock:
            return _shown(_found(state))

    @part.patch("/app")
    def change_app() -> ResponseReturnValue:
        wanted = asked()
        with state.lock:
            app = _found(state)
            _set_uris(app, wanted.get("redirect_uris", app.redirect_uris))
            app.secret = str(wanted.get("client_secret", app.secret))
            app.name = str(wanted.get("name", app.name))
            return _shown(app)

    @part.post("/app/redirect-uris")
    def add_uri() -> ResponseReturnValue:
        with state.lock:
            app = _found(state)
            _set_uris(app, [*app.redirect_uris, asked()["uri"]])
            return _shown(app)


def _connections(part: Blueprint, state: State) -> None:
    @part.post("/disconnect")
    def disconnect() -> ResponseReturnValue:
        """A person takes the apps' access to an organisation away: no webhook says so (xero.md 1.9)."""
        with state.lock:
            held = held_of(state)
            for app in [_found(state)] if asked().get("client_id") else state.apps.values():
                app.disconnect(tenant_id=held.profile.id)
        return jsonify(tenant_id=held.profile.id)

    @part.post("/connect")
    def connect() -> ResponseReturnValue:
        with state.lock:
            held = held_of(state)
            app = _found(state, next(iter(state.apps)))
            app.connect(held.profile.id, state.kit.clock.now(), user_id="" if app.is_custom else PEOPLE[0].id)
        return jsonify(tenant_id=held.profile.id)


def _grants(part: Blueprint, state: State, kit: Kit) -> None:
    @part.post("/grants/expire")
    def expire() -> ResponseReturnValue:
        what = asked().get("what", "access")
        if what not in ("access", "refresh", "all"):
            raise Refused(f"what: {what}; there are access, refresh, all")
        with state.lock:
            ended = 0
            if what != "refresh":
                ended += state.tokens.expire_all(kit.clock.now(), people_only=True)
            if what != "access":
                ended += state.grants.age(_found(state).client_id)
        return jsonify(ended=ended)

    @part.post("/grants/revoke")
    def revoke() -> ResponseReturnValue:
        email = asked().get("user")
        person = next((one for one in PEOPLE if one.email == email), None)
        if email and person is None:
            raise Refused(f"nobody is {email}; there are {', '.join(one.email for one in PEOPLE)}", status=404)
        with state.lock:
            return jsonify(ended=state.revoke(_found(state), person.id if person else None))

    @part.post("/grants/scopes")
    def take_scopes() -> ResponseReturnValue:
        taken = [str(scope) for scope in asked()["take"]]
        with state.lock:
            app = _found(state)
            state.tokens.take_scopes(app.client_id, taken)
            state.grants.take_scopes(app.client_id, taken)
            for connection in app.connections.values():
                connection.scopes -= set(taken)
        return jsonify(taken=taken)

    @part.delete("/grants")
    def forget() -> ResponseReturnValue:
        with state.lock:
            state.revoke(state.apps[APP_CLIENT_ID])
            state.tokens.expire_all(kit.clock.now(), people_only=True)
            state.apps[APP_CLIENT_ID] = make_app(state)
        return "", 204


def _all(part: Blueprint, state: State, kit: Kit) -> None:
    @part.post("/tokens/expire")
    def expire_all() -> ResponseReturnValue:
        with state.lock:
            state.tokens.expire_all(kit.clock.now())
        return "", 204

    @part.get("/secrets")
    def secrets() -> ResponseReturnValue:
        with state.lock:
            own = [app.secret for app in state.apps.values()]
            return jsonify([*own, *state.tokens.values(), *state.grants.secrets()])
