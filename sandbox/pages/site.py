"""Puts the pages together: each vendor's own, what was sent and came, faults and limits, and a first page that says what is where."""

from typing import Any

from flask import Flask, Response, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from sandbox.kit.control import start_over
from sandbox.kit.vendor import Kit, Vendor
from sandbox.pages import traffic, weather
from sandbox.pages.paper import dress, go, show

TITLES = {"kommo": "Kommo", "xero": "Xero"}


def create_pages(kit: Kit, vendors: list[Vendor], ready: dict[str, Any]) -> Flask:
    app = Flask("sandbox.pages")
    shown = [vendor for vendor in vendors if vendor.pages is not None]
    places = [(f"/{vendor.name}/", TITLES.get(vendor.name, vendor.name)) for vendor in shown]
    dress(app, places=[*places, ("/traffic", "Traffic"), ("/faults", "Faults & limits")], settings=kit.settings)
    for vendor in shown:
        assert vendor.pages is not None
        app.register_blueprint(vendor.pages, url_prefix=f"/{vendor.name}")
    app.register_blueprint(traffic.pages(kit, vendors))
    app.register_blueprint(weather.pages(kit))
    app.register_error_handler(HTTPException, _not_here)
    _first_page(app, kit, vendors, ready)
    return app


def _not_here(error: HTTPException) -> ResponseReturnValue:
    return show("nothing.html", error.code or 500, title=error.name, why=error.description)


def _first_page(app: Flask, kit: Kit, vendors: list[Vendor], ready: dict[str, Any]) -> None:
    @app.get("/")
    def first() -> Response:
        targets = [(vendor.name, target) for vendor in vendors for target in vendor.targets()]
        faults = sum(not fault["times"] or fault["fired"] < fault["times"] for fault in kit.faults.all())
        return show("first.html", ready=ready, targets=targets, faults=faults, pending=kit.hooks.pending())

    @app.post("/reset")
    def reset() -> Response:
        start_over(kit, vendors, ready, seed="empty" if request.form.get("seed") == "empty" else "demo")
        return go(url_for("first"), "All is as at the start. What was set up in both systems has to be set up again.")
