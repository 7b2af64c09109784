"""The account host: the gate, all routes below /api/v4, and tokens below /oauth2."""

from flask import Blueprint, Flask

from sandbox.kommo import oauth
from sandbox.kommo.api import account, bundles, catalogs, clients, events, fields, files, leads, links, notes, webhooks
from sandbox.kommo.gate import Gate
from sandbox.kommo.state import State

API = "/api/v4"


def create_app(state: State, gate: Gate) -> Flask:
    app = Flask("sandbox.kommo")
    gate.guard(app)
    parts: list[Blueprint] = [
        account.blueprint(state),
        leads.blueprint(state),
        bundles.blueprint(state),
        clients.blueprint(state, "contacts"),
        clients.blueprint(state, "companies"),
        catalogs.blueprint(state),
        fields.catalog_blueprint(state),
        files.blueprint(state),
        webhooks.blueprint(state),
        events.blueprint(state),
    ]
    for kind in links.KINDS:
        parts += [links.blueprint(state, kind), fields.blueprint(state, kind), notes.blueprint(state, kind)]
    app.register_blueprint(oauth.blueprint(state))
    for part in parts:
        app.register_blueprint(part, url_prefix=f"{API}{part.url_prefix or ''}")
    return app
