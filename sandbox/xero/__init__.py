"""Xero, simulated: identity, connections, the accounting API with its limits and rules, webhooks (xero.md, "Simulator checklist").

arithmetic  where  wire      pure: rounding, the `where` language, bytes
records  organisation        what is held, and its indexes
act  contacts  invoices  payments      the rules of the books
shapes  answers  listing     what is shown
tokens  grants  limits  idempotency  events  state      what stands around the books
documents  directory  identity  consent  app    HTTP
control  portal  access  books  seed   for tests
people  pages    for people
"""

from collections.abc import Callable

from werkzeug.exceptions import BadRequest

from sandbox.kit import Budget, Kit, Target, Vendor
from sandbox.xero.app import create_app, fault_answer
from sandbox.xero.books import read_books
from sandbox.xero.control import control_blueprint
from sandbox.xero.events import Webhooks
from sandbox.xero.pages import pages
from sandbox.xero.seed import APP_CLIENT_ID, APP_CLIENT_SECRET, CLIENT_ID, CLIENT_SECRET, TENANT, WEBHOOK_KEY, plant
from sandbox.xero.state import State

__all__ = ["State", "control_blueprint", "create_app", "open_vendor", "read_books"]


def open_vendor(kit: Kit, seed: str) -> Vendor:
    """Xero as a vendor of the sandbox."""
    state = State(kit)
    plant(state, seed)
    return Vendor(
        name="xero",
        ports={"xero": kit.front("xero", create_app(state, kit), fault_answer)},
        books=lambda: read_books(state),
        reset=lambda wanted: _reset(state, wanted),
        blueprint=control_blueprint(state, kit),
        ready=lambda: {
            "xero_client_id": CLIENT_ID,
            "xero_client_secret": CLIENT_SECRET,
            "xero_tenant_id": TENANT,
            "xero_webhook_key": WEBHOOK_KEY,
            "xero_app_client_id": APP_CLIENT_ID,
            "xero_app_client_secret": APP_CLIENT_SECRET,
            "xero_login_url": kit.urls["xero"],
        },
        pending=lambda: sum(hooks.pending for hooks in state.all_hooks()),
        flush=lambda: _each(state, Webhooks.flush),
        stop=lambda: _each(state, Webhooks.stop),
        pages=pages(state),
        budgets=lambda: _budgets(state),
        targets=lambda: _targets(state),
    )


def _budgets(state: State) -> list[Budget]:
    with state.lock:
        names = {one.profile.id: one.profile.name for one in state.organisations.values()}
        return [
            Budget(names.get(tenant, tenant), {"concurrent": "at once"}.get(what, f"this {what}"), left, limit)
            for _, tenant, what, left, limit in state.limiter.left(state.kit.clock.ticks())
        ]


def _targets(state: State) -> list[Target]:
    with state.lock:
        shown = [state.hooks_of(client).shown() for client in state.apps]
        return [
            Target(one["url"], str(one["status"]).lower(), one["problem"], "/xero/webhook/intent")
            for one in shown
            if "url" in one
        ]


def _reset(state: State, seed: str) -> None:
    try:
        plant(state, seed)
    except ValueError as error:
        raise BadRequest(str(error)) from None


def _each(state: State, do: Callable[[Webhooks], None]) -> None:
    for hooks in state.all_hooks():
        do(hooks)
