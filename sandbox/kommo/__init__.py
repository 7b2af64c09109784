"""Kommo, simulated (kommo.md, "Simulator checklist"): an account host, a drive, webhooks, and people who work in it.

    http://127.0.0.1:PORT/{subdomain}/api/v4/...   the account; also by a host that starts with the subdomain
    http://127.0.0.1:PORT/oauth?client_id=...      the consent page, which is the same for all accounts
    http://127.0.0.1:DRIVE_PORT/v1.0/...           the drive

What the reference leaves open is a switch in switches.py, to be changed by PATCH /_sandbox/settings {"kommo": {...}}.
"""

from typing import Any

from sandbox.kit import Budget, Kit, Target, Vendor
from sandbox.kommo.app import create_app
from sandbox.kommo.books import books as read_books
from sandbox.kommo.control import control_blueprint
from sandbox.kommo.drive import create_drive
from sandbox.kommo.gate import Gate, Subdomains, fault_answer
from sandbox.kommo.oauth import create_consent
from sandbox.kommo.pages import pages
from sandbox.kommo.registry import CLIENT_ID, CLIENT_SECRET, Uninstalls, register
from sandbox.kommo.seed import ADMIN_ID, fill
from sandbox.kommo.state import State

__all__ = ["State", "control_blueprint", "create_app", "open_vendor"]


def open_vendor(kit: Kit, seed: str) -> Vendor:
    """An account with one long-lived token of its admin, which outlives resets."""
    state = State(kit)
    fill(state, seed)
    gate = Gate(state)
    token = state.tokens.issue(account_id=state.account.id, user_id=ADMIN_ID, client_uuid=state.client_uuid).token
    register(state)
    uninstalls = Uninstalls(state)
    common = kit.front("kommo", create_consent(state), lambda fault: fault_answer(state, fault))
    account_host = kit.front("kommo", create_app(state, gate), lambda fault: fault_answer(state, fault))
    drive = kit.front("drive", create_drive(state, gate), lambda fault: fault_answer(state, fault))

    def reset(name: str) -> None:
        fill(state, name)
        gate.meter.reset()

    def ready() -> dict[str, Any]:
        return {
            "kommo_token": token,
            "kommo_account_id": state.account.id,
            "kommo_subdomain": state.account.subdomain,
            "kommo_api_url": f"{kit.urls['kommo']}/{{subdomain}}",
            "kommo_client_id": CLIENT_ID,
            "kommo_client_secret": CLIENT_SECRET,
            "kommo_oauth_url": f"{kit.urls['kommo']}/oauth",
        }

    return Vendor(
        name="kommo",
        ports={"kommo": Subdomains(state, account_host, common), "drive": drive},
        books=lambda: read_books(state),
        reset=reset,
        blueprint=control_blueprint(state, gate, uninstalls),
        ready=ready,
        pages=pages(state),
        budgets=lambda: _budgets(state, gate),
        targets=lambda: _targets(state),
    )


def _budgets(state: State, gate: Gate) -> list[Budget]:
    with state.lock:
        limits = {key: state.switches["account_rate" if key == "account" else "rate"] for key in gate.meter.used()}
        names = {
            "account": "all clients of the account",
            **{key: f"from {key[3:]}" for key in limits if key[:3] == "ip "},
        }
        found = [
            Budget(names.get(key, key), "this second", max(limits[key] - used, 0), limits[key])
            for key, used in gate.meter.used().items()
        ]
        return [Budget("everybody", "blocked: 403 for all", 0, 1), *found] if gate.meter.is_blocked else found


def _targets(state: State) -> list[Target]:
    with state.lock:
        hooks = [
            Target(one.destination, "off" if one.disabled else "on", ", ".join(one.settings), "/kommo/webhooks/switch")
            for one in state.dispatcher.webhooks.values()
        ]
        return hooks + [
            Target(one.url, "on", f"stage {state.pipelines[one.pipeline_id].stages[one.status_id].name}")
            for one in state.dispatcher.stage_hooks
            if one.status_id in state.pipelines[one.pipeline_id].stages
        ]
