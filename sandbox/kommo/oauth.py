"""OAuth over HTTP (kommo.md 2): the consent page on the common host, tokens and the subdomain's finder on the account's."""

import json
from typing import Any

from flask import Blueprint, Flask, Response, request

from sandbox.kit import note
from sandbox.kommo.grants import Asked, Integration, Ungranted
from sandbox.kommo.problems import Refused
from sandbox.kommo.state import State
from sandbox.kommo.wire import PROBLEM
from sandbox.pages.consent import Choice, ask, consent_app, refuse, send_back

PLACE = "/oauth"
RIGHTS = {
    "crm": "access to account data",
    "notifications": "notifications",
    "push_notifications": "push notifications",
    "files": "access to files",
    "files_delete": "deleting files",
}


def create_consent(state: State) -> Flask:
    """The page at www.kommo.com/oauth (kommo.md 2.1)."""
    app = consent_app("sandbox.kommo.consent", f"{PLACE}/static")

    @app.get(PLACE)
    def page() -> Response:
        with state.lock:
            found = _integration(state)
            return found if isinstance(found, Response) else _page(state, found)

    @app.post(PLACE)
    def answered() -> Response:
        with state.lock:
            found = _integration(state)
            return found if isinstance(found, Response) else _decide(state, found)

    return app


def _integration(state: State) -> Integration | Response:
    client_id = request.args.get("client_id", "")
    note().client = client_id
    found = state.grants.integrations.get(client_id)
    if found is None:
        return refuse("kommo", "invalid_client", f"There is no integration with the client_id “{client_id}”.")
    if not found.redirect_uri:
        return refuse(
            "kommo", "invalid_client", "The integration has no redirect URI, so nobody can be sent back to it."
        )
    if request.args.get("mode", "popup") not in ("popup", "post_message"):
        return refuse("kommo", "invalid_request", "mode is “popup” or “post_message”.")
    return found


def _page(state: State, integration: Integration, remark: str = "") -> Response:
    account = state.account
    people = [
        Choice(str(one.id), f"{one.name} <{one.email}>", "" if one.is_admin else "no admin")
        for one in state.users.values()
    ]
    return ask(
        "kommo",
        app=integration.name,
        rights=[RIGHTS.get(scope, scope) for scope in integration.scopes],
        people=people,
        place="Account",
        places=[Choice(str(account.id), f"{account.name} ({account.subdomain}.{account.domain})")],
        yes="Allow",
        no="Deny",
        back_to=integration.redirect_uri,
        remark=remark,
    )


def _decide(state: State, integration: Integration) -> Response:
    told = {"state": request.args.get("state", ""), "client_id": integration.client_id}
    if request.form.get("answer") != "allow":
        return send_back(integration.redirect_uri, error="access_denied", **told)
    person = state.users.get(int(request.form.get("person", "0") or 0))
    if person is None or request.form.get("place") != str(state.account.id):
        return _page(state, integration, "Choose who you are, and an account.")
    if not person.is_admin:
        return _page(state, integration, f"{person.name} is no admin: only admins may install an integration.")
    code = state.grants.consent(integration, person.id)
    return send_back(integration.redirect_uri, code=code.value, referer=_referer(state), **told)


def _referer(state: State) -> str:
    """The account's bare host; a switch makes it another, since anybody can forge it (kommo.md 2.1)."""
    own = state.kit.urls["kommo"].partition("//")[2]
    return str(state.switches["oauth_referer"]).format(subdomain=state.account.subdomain, host=own)


# --- the account's host --------------------------------------------------------------------------------------------------


def blueprint(state: State) -> Blueprint:
    """Below /oauth2; no bearer token opens these, and none is needed."""
    part = Blueprint("oauth", __name__, url_prefix="/oauth2")

    @part.post("/access_token")
    def access_token() -> Response:
        """JSON or form (kommo.md 2.2)."""
        asked = Asked.of(_sent())
        note().client = asked.client_id
        try:
            with state.lock:
                is_own_host = not request.environ.get("sandbox.shared_host")
                given = state.grants.give(asked, state.account.id if is_own_host else None)
        except Ungranted as refusal:
            return _problem(refusal)
        return _json(
            {
                "token_type": "Bearer",
                "expires_in": given.life_s,
                "server_time": state.clock.stamp(),
                "access_token": given.access.token,
                "refresh_token": given.refresh,
            }
        )

    @part.get("/account/current/subdomain")
    def subdomain() -> Response:
        """What the account is called by now, for whoever has a refresh token of it (kommo.md 1.2)."""
        with state.lock:
            found = state.grants.find(request.headers.get("X-Refresh-Token", ""))
            if found is None:
                raise Refused(401)
            note().client = found.client_id
            account = state.account
            top = account.domain.rpartition(".")[2]
            host = f"{account.subdomain}.{account.domain}"
            return _json({"id": account.id, "subdomain": account.subdomain, "domain": host, "top_level_domain": top})

    return part


def _sent() -> dict[str, Any]:
    found = request.get_json(silent=True) if request.is_json else request.form.to_dict()
    return found if isinstance(found, dict) else {}


def _json(content: dict[str, Any], status: int = 200, kind: str = "application/json") -> Response:
    return Response(json.dumps(content, separators=(",", ":")), status, content_type=kind)


def _problem(refusal: Ungranted) -> Response:
    """Hints are as seen; title and detail were only ever seen in Russian (kommo.md 2.4)."""
    content = {
        "hint": refusal.hint,
        "title": "Bad Request" if refusal.status == 400 else "Unauthorized",
        "type": "https://developers.kommo.com/v3/errors/OAuthProblemJson",
        "status": refusal.status,
        "detail": "The request is missing a number of parameters, or the parameters are invalid",
    }
    return _json(content, refusal.status, PROBLEM)
