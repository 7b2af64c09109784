"""What both simulated vendors share. A vendor is a package that offers `open_vendor(kit, seed) -> Vendor`.

    def open_vendor(kit: Kit, seed: str) -> Vendor:
        state = State(...)                                   # no HTTP in it
        app = create_app(state, kit)                         # a Flask app
        return Vendor(
            name="xero",
            ports={"xero": kit.front("xero", app, fault_answer)},
            blueprint=control_blueprint(state, kit),         # mounted at /_sandbox/xero
            books=lambda: books(state),                      # GET /_sandbox/books
            reset=state.reset,                               # POST /_sandbox/reset, called with the seed's name
            ready=lambda: {"xero_client_id": ...},           # added to the line that is printed when all is up
        )

The `kit` object:

kit.clock       now() aware UTC; stamp() Unix seconds; ticks() a monotonic number for windows; lasts(seconds) a vendor's period as it lasts
                here (divided by the time factor); zone-free. Use ticks() and lasts() for limits, token lives and retries, now() for what is shown.
kit.settings    kit.settings["time_factor"]; a vendor's switches: `mine = kit.settings.register("xero", {"day_limit": 5000, ...})` gives a
                dict that PATCH /settings {"xero": {...}} changes in place (unknown names are refused). Read it at each use.
kit.urls        {"control", "kommo", "drive", "xero"}: base addresses without a slash at the end; filled before open_vendor is called.
kit.front(...)  wraps a WSGI app: faults before and after, held answers, slow answers, the log of calls. PATH_INFO is what faults and calls
                show, so strip prefixes outside of it.
note()          (this module) the present request's line in the log of calls: set .client (which token), .pattern (defaults to the path),
                .effect ("none", "taken", "refused"; else judged from method and status) and .request_id.
at_end(what)    (this module) runs `what()` when the answer is on its way, delays and holding included: give back a concurrency place here.
kit.hooks       kit.hooks.sender("xero", patience=lambda: 5.0, ladder=ladder, judge=judge, after=after) -> Sender.
                sender.submit(target, body, headers) sends in the background, in order for each target, noise included.
                `ladder(delivery) -> float | None` is asked after each failed attempt (it is in delivery.attempts): seconds of the vendor's
                time until the next, None for lost. `patience()` is the answer time-out in real seconds. `judge(status, headers, body) ->
                bool` (header names in lower case; default: any 2xx). `after(delivery)` is called after each attempt (disable rules).
                sender.send_now(target, body, headers) -> Attempt sends outside the queue, without noise (intent to receive).

Locks: a vendor has one lock for its state. It may call the kit (clock, submit) while it holds it; the kit calls a vendor holding no lock of
its own. Nothing waits or sends while a vendor's lock is held.
"""

from sandbox.kit.calls import Call, CallNote, Calls, at_end, note
from sandbox.kit.clock import Clock
from sandbox.kit.faults import Fault, Faults, Hangup
from sandbox.kit.front import Answer
from sandbox.kit.hooks import Attempt, Delivery, Hooks, Sender
from sandbox.kit.settings import Settings
from sandbox.kit.vendor import Budget, Kit, Target, Vendor

__all__ = [
    "Answer",
    "Attempt",
    "Budget",
    "Call",
    "CallNote",
    "Calls",
    "Clock",
    "Delivery",
    "Fault",
    "Faults",
    "Hangup",
    "Hooks",
    "Kit",
    "Sender",
    "Settings",
    "Target",
    "Vendor",
    "at_end",
    "note",
]
