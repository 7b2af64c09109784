"""The control plane: what a test asks of the sandbox, and what it reads from it. No part of either vendor. Under /_sandbox:

GET    /health                   the line that was printed when all was up
POST   /reset                    {"seed": "demo" or "empty"}: everything but tokens, and settings as started
GET|PATCH /settings              settings.py, and each vendor's switches under its name
GET|POST|DELETE /faults[/ID]     faults.py: {"vendor", "call": "METHOD /path", "when": "before"|"after", "do", "times": n or null, "skip", "share"}
GET    /held                     POST /held/ID/release {"then": "answer"|"reset"}
GET    /calls?after=&vendor=     GET /calls/count?after=   POST /calls/mark
GET    /books                    what each vendor holds
GET    /webhooks?after=&vendor=&state=    GET /webhooks/pending   POST /webhooks/flush
/kommo/... and /xero/...         what people do there: each vendor's control.py
"""

from typing import Any

from flask import Blueprint, Flask, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from sandbox.kit.faults import BadFault
from sandbox.kit.settings import UnknownSetting
from sandbox.kit.vendor import Kit, Vendor

ROOT = "/_sandbox"


def create_control(kit: Kit, vendors: list[Vendor], ready: dict[str, Any]) -> Flask:
    """All under /_sandbox; answers JSON, errors too."""
    app = Flask("sandbox.control")
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    app.register_blueprint(_runs(kit, vendors, ready), url_prefix=ROOT)
    app.register_blueprint(_faults(kit), url_prefix=ROOT)
    app.register_blueprint(_records(kit, vendors), url_prefix=ROOT)
    for vendor in vendors:
        if vendor.blueprint is not None:
            app.register_blueprint(vendor.blueprint, url_prefix=f"{ROOT}/{vendor.name}")
    app.register_error_handler(HTTPException, _refuse)
    for kind in (BadFault, UnknownSetting):
        app.register_error_handler(kind, _refuse_value)
    return app


def _refuse(error: HTTPException) -> ResponseReturnValue:
    return jsonify(error=error.description), error.code or 500


def _refuse_value(error: Exception) -> ResponseReturnValue:
    return jsonify(error=str(error)), 400


def _runs(kit: Kit, vendors: list[Vendor], ready: dict[str, Any]) -> Blueprint:
    part = Blueprint("runs", __name__)

    @part.get("/health")
    def health() -> ResponseReturnValue:
        return jsonify(ok=True, **ready)

    @part.post("/reset")
    def reset() -> ResponseReturnValue:
        wanted = request.get_json(silent=True) or {}
        start_over(kit, vendors, ready, seed=str(wanted.get("seed", "demo")))
        return jsonify(ready)

    @part.get("/settings")
    def settings() -> ResponseReturnValue:
        return jsonify(kit.settings.snapshot())

    @part.patch("/settings")
    def change_settings() -> ResponseReturnValue:
        kit.settings.change(request.get_json())
        return jsonify(kit.settings.snapshot())

    return part


def start_over(kit: Kit, vendors: list[Vendor], ready: dict[str, Any], *, seed: str) -> None:
    """Everything but tokens as at the start, and settings as started."""
    kit.faults.reset()
    kit.settings.reset()
    kit.hooks.reset()
    for vendor in vendors:
        vendor.reset(seed)
    kit.hooks.reset()
    kit.calls.reset()
    for vendor in vendors:
        ready.update(vendor.ready())


def _faults(kit: Kit) -> Blueprint:
    part = Blueprint("faults", __name__)

    @part.get("/faults")
    def faults() -> ResponseReturnValue:
        return jsonify(kit.faults.all())

    @part.post("/faults")
    def add_faults() -> ResponseReturnValue:
        wanted = request.get_json()
        if isinstance(wanted, list):
            return jsonify([kit.faults.add(one).shown() for one in wanted]), 201
        return jsonify(kit.faults.add(wanted).shown()), 201

    @part.delete("/faults")
    def clear_faults() -> ResponseReturnValue:
        kit.faults.clear()
        return "", 204

    @part.delete("/faults/<int:fault_id>")
    def clear_fault(fault_id: int) -> ResponseReturnValue:
        kit.faults.clear(fault_id)
        return "", 204

    @part.get("/held")
    def held() -> ResponseReturnValue:
        return jsonify(kit.faults.held())

    @part.post("/held/<int:held_id>/release")
    def release(held_id: int) -> ResponseReturnValue:
        then = (request.get_json(silent=True) or {}).get("then", "answer")
        if not kit.faults.release(held_id, then):
            return jsonify(error=f"nothing held by the number {held_id}"), 404
        return "", 204

    return part


def _records(kit: Kit, vendors: list[Vendor]) -> Blueprint:
    part = Blueprint("records", __name__)

    @part.get("/calls")
    def calls() -> ResponseReturnValue:
        found = kit.calls.after(request.args.get("after", 0, int), request.args.get("vendor"))
        return jsonify([call.shown() for call in found])

    @part.get("/calls/count")
    def count() -> ResponseReturnValue:
        return jsonify(kit.calls.count(request.args.get("after", 0, int)))

    @part.post("/calls/mark")
    def mark() -> ResponseReturnValue:
        return jsonify(seq=kit.calls.last)

    @part.get("/books")
    def books() -> ResponseReturnValue:
        return jsonify({vendor.name: vendor.books() for vendor in vendors})

    @part.get("/webhooks")
    def webhooks() -> ResponseReturnValue:
        asked = request.args
        return jsonify(
            kit.hooks.all(after=asked.get("after", 0, int), vendor=asked.get("vendor"), state=asked.get("state"))
        )

    @part.get("/webhooks/pending")
    def pending() -> ResponseReturnValue:
        return jsonify(count=kit.hooks.pending() + sum(vendor.pending() for vendor in vendors))

    @part.post("/webhooks/flush")
    def flush() -> ResponseReturnValue:
        for vendor in vendors:
            vendor.flush()
        sent = kit.hooks.flush()
        return jsonify(sent=sent, pending=kit.hooks.pending())

    return part
