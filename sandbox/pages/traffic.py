"""What was sent (webhooks, their answers and retries) and what came (calls, and what is left of the budgets)."""

from typing import Any

from flask import Blueprint, Response, request, url_for

from sandbox.kit.calls import Call
from sandbox.kit.hooks import Delivery
from sandbox.kit.vendor import Kit, Vendor
from sandbox.pages.paper import go, show

MOST = 60
# `?calls=` and `?hooks=`
CALLS = {"all": "All", "writes": "Writes", "refused": "Refused", "kommo": "Kommo", "drive": "Drive", "xero": "Xero"}
HOOKS = {"all": "All", "open": "Not delivered", "kommo": "Kommo", "xero": "Xero"}


def pages(kit: Kit, vendors: list[Vendor]) -> Blueprint:
    part = Blueprint("traffic", __name__)

    @part.get("/traffic")
    def traffic() -> Response:
        calls, hooks = _chosen("calls", CALLS), _chosen("hooks", HOOKS)
        return show(
            "traffic.html",
            calls=kit.calls.latest(MOST, lambda call: _is_call(call, calls)),
            hooks=kit.hooks.latest(MOST, lambda hook: _is_hook(hook, hooks)),
            chosen={"calls": calls, "hooks": hooks},
            filters={"calls": CALLS, "hooks": HOOKS},
            budgets=[(vendor.name, budget) for vendor in vendors for budget in vendor.budgets()],
            targets=[(vendor.name, target) for vendor in vendors for target in vendor.targets()],
            pending=kit.hooks.pending() + sum(vendor.pending() for vendor in vendors),
            is_paused=kit.settings["hooks_paused"],
        )

    @part.post("/traffic/flush")
    def flush() -> Response:
        for vendor in vendors:
            vendor.flush()
        sent = kit.hooks.flush()
        return go(url_for("traffic.traffic"), f"Tried {sent} at once; {kit.hooks.pending()} still wait.")

    @part.post("/traffic/pause")
    def pause() -> Response:
        is_paused = request.form.get("pause") == "yes"
        kit.settings.change({"hooks_paused": is_paused})
        return go(url_for("traffic.traffic"), "Webhooks wait from now on." if is_paused else "Webhooks leave again.")

    return part


def _chosen(name: str, known: dict[str, Any]) -> str:
    found = request.args.get(name, "all")
    return found if found in known else "all"


def _is_call(call: Call, chosen: str) -> bool:
    match chosen:
        case "all":
            return True
        case "writes":
            return call.method != "GET"
        case "refused":
            return call.status is None or call.status >= 400
    return call.vendor == chosen


def _is_hook(hook: Delivery, chosen: str) -> bool:
    if chosen == "open":
        return hook.state != "delivered"
    return chosen in ("all", hook.vendor)
