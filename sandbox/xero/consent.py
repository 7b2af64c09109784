"""The page on which a person lets an app in (xero.md 1.1). What is wrong with the app's own request is shown, never sent back."""

from dataclasses import dataclass

from flask import Flask, Response, request

from sandbox.kit import note
from sandbox.pages.consent import Choice, ask, refuse, send_back
from sandbox.xero.act import new_id
from sandbox.xero.grants import PEOPLE
from sandbox.xero.state import State
from sandbox.xero.tokens import App

PLACE = "/identity/connect/authorize"
# the scopes in words; what is not here is shown as it is
RIGHTS = {
    "openid": "your identity",
    "profile": "your name",
    "email": "your e-mail address",
    "offline_access": "access while you are not there",
    "accounting.invoices": "sales invoices, bills and credit notes",
    "accounting.payments": "payments",
    "accounting.contacts": "contacts",
    "accounting.settings": "settings of the organisation",
    "accounting.attachments": "files on documents",
    "accounting.transactions": "all business transactions",
}


class BadRequest(Exception):
    """What the app asked for can't be shown to a person: the error's name and why."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(error, why)
        self.error, self.why = error, why


@dataclass(frozen=True, slots=True)
class Wanted:
    app: App
    redirect_uri: str
    state: str
    scopes: tuple[str, ...]
    challenge: str


def add_routes(app: Flask, state: State) -> None:
    @app.get(PLACE)
    def page() -> Response:
        """Asks; a request that names no app, or not its own address, gets a page and no redirect."""
        try:
            wanted = _read(state)
        except BadRequest as bad:
            return refuse("xero", bad.error, bad.why)
        wrong = _scope_error(state, wanted)
        return wrong if wrong is not None else _page(state, wanted)

    @app.post(PLACE)
    def answered() -> Response:
        try:
            wanted = _read(state)
        except BadRequest as bad:
            return refuse("xero", bad.error, bad.why)
        wrong = _scope_error(state, wanted)
        return wrong if wrong is not None else _decide(state, wanted)


def _read(state: State) -> Wanted:
    asked = request.args
    client_id = asked.get("client_id", "")
    note().client = client_id
    app = state.apps.get(client_id)
    if app is None or app.is_custom:
        raise BadRequest(
            "unauthorized_client", f"There is no app with the client id “{client_id}” that people could connect."
        )
    redirect_uri = asked.get("redirect_uri", "")
    if redirect_uri not in app.redirect_uris:
        known = ", ".join(app.redirect_uris) or "none"
        why = f"“{redirect_uri}” is none of the app's redirect URIs, which must agree to the letter: {known}."
        raise BadRequest("unauthorized_client", why)
    if asked.get("response_type") != "code":
        raise BadRequest("unsupported_response_type", "response_type must be “code”.")
    challenge = asked.get("code_challenge", "")
    if challenge and asked.get("code_challenge_method") != "S256":
        raise BadRequest("invalid_request", "code_challenge_method must be “S256”.")
    return Wanted(app, redirect_uri, asked.get("state", ""), tuple(asked.get("scope", "").split()), challenge)


def _scope_error(state: State, wanted: Wanted) -> Response | None:
    """invalid_scope: on a page, or by redirect; the sheet names the error and not the way (xero.md 1.4)."""
    strange = sorted(set(wanted.scopes) - state.allowed_scopes(wanted.app))
    if wanted.scopes and not strange:
        return None
    if state.switches["scope_error"] == "redirect":
        return send_back(wanted.redirect_uri, error="invalid_scope", state=wanted.state)
    why = f"This app may not ask for {', '.join(strange)}." if strange else "The request asks for no scope."
    return refuse("xero", "invalid_scope", why)


def _page(state: State, wanted: Wanted, remark: str = "") -> Response:
    with state.lock:
        connected = {tenant for _, tenant in wanted.app.connections}
        places = [
            Choice(tenant, held.profile.name, "connected already" if tenant in connected else "")
            for tenant, held in state.organisations.items()
        ]
    return ask(
        "xero",
        app=wanted.app.name,
        rights=[_right(scope) for scope in wanted.scopes],
        people=[Choice(one.id, f"{one.name} <{one.email}>") for one in PEOPLE],
        place="Organisation",
        places=places,
        yes="Allow access",
        no="Cancel",
        back_to=wanted.redirect_uri,
        remark=remark,
    )


def _right(scope: str) -> str:
    name = scope.removesuffix(".read")
    said = RIGHTS.get(name, name)
    return f"{said} (read only)" if scope.endswith(".read") else said


def _decide(state: State, wanted: Wanted) -> Response:
    if request.form.get("answer") != "allow":
        return send_back(wanted.redirect_uri, error="access_denied", state=wanted.state)
    person = next((one for one in PEOPLE if one.id == request.form.get("person")), None)
    tenants = request.form.getlist("place")
    with state.lock:
        if person is None or len(tenants) != 1 or tenants[0] not in state.organisations:
            return _page(state, wanted, "Choose who you are, and one organisation.")
        code = state.grants.consent(
            wanted.app,
            person,
            tenants[0],
            frozenset(wanted.scopes),
            redirect_uri=wanted.redirect_uri,
            challenge=wanted.challenge,
        )
    # state and code are certain, the others are from memory (xero.md 1.1)
    session = f"{code.authorisation.session_id}.{new_id().replace('-', '')}"
    return send_back(
        wanted.redirect_uri, code=code.value, scope=" ".join(wanted.scopes), session_state=session, state=wanted.state
    )
