"""Xero over HTTP: identity, connections and the accounting API, with everything that stands before an answer.

The order of the gate: token (401), scope (401), tenant (403), rate limits (429), idempotency, then the call itself.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from flask import Flask, Response, request

from sandbox.kit import Answer, Fault, Kit, at_end, note
from sandbox.pages.consent import consent_app
from sandbox.xero import consent, directory, documents, identity, tokens
from sandbox.xero.act import new_id
from sandbox.xero.answers import BadQuery, Call, missing, not_implemented, pattern, plain_error, problem
from sandbox.xero.idempotency import LONGEST, Entry
from sandbox.xero.identity import NO_INSTANCE, bearer, respond
from sandbox.xero.organisation import Organisation
from sandbox.xero.state import State
from sandbox.xero.tokens import Token
from sandbox.xero.where import QueryError
from sandbox.xero.wire import BadPost

ROOT = "/api.xro/2.0/"
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]
ONE = "([^/]+)"

Handler = Callable[..., Answer]
ROUTES: list[tuple[str, dict[str, Handler]]] = [
    ("Invoices", {"GET": documents.list_invoices, "PUT": documents.put_invoices, "POST": documents.post_invoices}),
    (f"Invoices/{ONE}", {"GET": documents.get_invoice, "POST": documents.post_invoice}),
    (f"Invoices/{ONE}/OnlineInvoice", {"GET": documents.online_invoice}),
    (f"Invoices/{ONE}/Email", {"POST": documents.email}),
    (f"Invoices/{ONE}/History", {"GET": documents.get_history, "PUT": documents.put_history}),
    (f"Invoices/{ONE}/Attachments", {"GET": documents.list_attachments}),
    (
        f"Invoices/{ONE}/Attachments/{ONE}",
        {"GET": documents.get_attachment, "PUT": documents.put_attachment, "POST": documents.put_attachment},
    ),
    ("Payments", {"GET": documents.list_payments, "PUT": documents.write_payments, "POST": documents.write_payments}),
    (f"Payments/{ONE}", {"GET": documents.get_payment, "POST": documents.post_payment}),
    ("CreditNotes", {"GET": documents.list_notes, "PUT": documents.put_notes}),
    (f"CreditNotes/{ONE}", {"GET": documents.get_note, "POST": documents.post_note}),
    (f"CreditNotes/{ONE}/Allocations", {"PUT": documents.put_allocations}),
    (f"CreditNotes/{ONE}/Allocations/{ONE}", {"DELETE": documents.delete_allocation}),
    ("Contacts", {"GET": directory.list_contacts, "PUT": directory.put_contacts, "POST": directory.post_contacts}),
    (f"Contacts/{ONE}", {"GET": directory.get_contact, "POST": directory.post_contact}),
    ("Organisation", {"GET": directory.organisation}),
    ("Organisation/Actions", {"GET": directory.actions}),
    ("Currencies", {"GET": directory.currencies, "PUT": directory.put_currency}),
    ("Accounts", {"GET": directory.accounts}),
    (f"Accounts/{ONE}", {"GET": directory.account}),
    ("TaxRates", {"GET": directory.tax_rates}),
    ("Items", {"GET": directory.items}),
    (f"Items/{ONE}", {"GET": directory.item}),
    ("TrackingCategories", {"GET": directory.tracking_categories}),
    ("BrandingThemes", {"GET": directory.branding_themes}),
]
PATTERNS = [(re.compile(path, re.IGNORECASE), methods) for path, methods in ROUTES]


def create_app(state: State, kit: Kit) -> Flask:
    app = consent_app("sandbox.xero", "/identity/static")

    identity.add_routes(app, state, kit)
    consent.add_routes(app, state)

    @app.route(f"{ROOT}<path:path>", methods=METHODS)
    def accounting(path: str) -> Response:
        return respond(_accounting(state, kit, path))

    @app.errorhandler(404)
    @app.errorhandler(405)
    def nowhere(_error: Exception) -> Response:
        return respond(missing())

    return app


# --- accounting ----------------------------------------------------------------------------------------------------------


def _accounting(state: State, kit: Kit, path: str) -> Answer:
    said = note()
    said.pattern = pattern(ROOT + path)
    correlation_id = said.request_id = new_id()
    found = bearer(state, kit)
    answer = found if isinstance(found, Answer) else _admitted(state, kit, found, path, correlation_id)
    answer.headers += [
        ("Cache-Control", "max-age=0, no-cache, no-store"),
        ("Server", "Kestrel"),
        ("Xero-Correlation-Id", correlation_id),
    ]
    return answer


def _admitted(state: State, kit: Kit, token: Token, path: str, correlation_id: str) -> Answer:
    if not token.allows(request.method, _resource(path)):
        header = ("WWW-Authenticate", "insufficent_scope")  # so misspelled (xero.md 8.2)
        return problem(401, "Unauthorized", "AuthorizationUnsuccessful", new_id(), header)
    held = _tenant(state, token)
    if held is None:
        return problem(int(state.switches["missing_tenant"]), "Forbidden", "AuthenticationUnsuccessful", NO_INSTANCE)
    client, tenant, limiter = token.client_id, held.profile.id, state.limiter
    with state.lock:
        admission = limiter.enter(client, tenant, kit.clock.ticks(), enforced=bool(kit.settings["limits"]))
    if admission.problem is not None:
        retry = [] if admission.retry_after is None else [("Retry-After", str(admission.retry_after))]
        return Answer(429, [*admission.headers.items(), *retry, ("X-Rate-Limit-Problem", admission.problem)])

    def leave() -> None:
        with state.lock:
            limiter.leave(client, tenant)  # the one that let it in: a reset may have put another in its place

    at_end(leave)
    answer = _keyed(state, kit, _call(state, held, token, path, correlation_id))
    return replace(answer, headers=[*answer.headers, *admission.headers.items()])


def _tenant(state: State, token: Token) -> Organisation | None:
    """By header; an app with a single organisation (a custom connection) may leave it out (xero.md 1.6)."""
    app = state.apps[token.client_id]
    connections = app.reached_by(token.user_id)
    tenant = request.headers.get("xero-tenant-id", "").strip().lower()
    if not tenant and app.is_custom and len(connections) == 1:
        state.complain("a call without xero-tenant-id")
        tenant = next(iter(connections))
    return state.organisations.get(tenant) if tenant in connections else None


def _call(state: State, held: Organisation, token: Token, path: str, correlation_id: str) -> Call:
    return Call(
        state=state,
        held=held,
        client=token.client_id,
        method=request.method,
        path=path,
        query={name.lower(): value for name, value in request.args.items()},
        accept=request.headers.get("Accept", ""),
        modified_since=request.headers.get("If-Modified-Since", ""),
        content_type=request.headers.get("Content-Type", ""),
        body=request.get_data(),
        correlation_id=correlation_id,
    )


def _resource(path: str) -> str:
    """What the scopes know a path by."""
    parts = path.lower().split("/")
    if len(parts) > 2 and parts[2] == "attachments":
        return "Attachments"
    return {name.lower(): name for name in tokens.NEEDS}.get(parts[0], parts[0].title())


def _keyed(state: State, kit: Kit, call: Call) -> Answer:
    key = request.headers.get("Idempotency-Key", "")
    if not key or call.method not in ("POST", "PUT", "PATCH"):
        return _dispatch(call)
    return _once(state, kit, call, key)


def _once(state: State, kit: Kit, call: Call, key: str) -> Answer:
    """Evaluated after the limits, so that a 429 is not kept and a replay costs a call (xero.md 3)."""
    if len(key) > LONGEST:
        return _key_problem(f"Idempotency Key: {key} is {len(key)} characters long, {LONGEST} is the most.")
    signature = f"{call.method} {request.full_path}\n".encode() + call.body
    entry, is_new = state.keys.claim(call.client, key, signature, kit.clock.ticks())
    if is_new:
        return _first(state, call, key, entry)
    if entry.request != signature:
        return _key_problem(f"Idempotency Key: {key} is used with a different request.")
    note().effect = "none"
    if not entry.done.is_set():
        habit = state.switches["in_flight_duplicate"]
        if habit == "conflict":
            return _key_problem(f"Idempotency Key: {key} is still being processed.", status=409, title="Conflict")
        if habit == "process":
            note().effect = None
            return _dispatch(call)
        entry.done.wait()
    if entry.answer is None:  # the first one failed within the sandbox
        return _dispatch(call)
    return replace(entry.answer, headers=list(entry.answer.headers))


def _first(state: State, call: Call, key: str, entry: Entry[Answer]) -> Answer:
    try:
        answer = _dispatch(call)
    except Exception:
        state.keys.forget(call.client, key, entry)
        raise
    entry.answer = replace(answer, headers=list(answer.headers))
    at_end(entry.done.set)
    return answer


def _key_problem(said: str, *, status: int = 400, title: str = "BadRequest") -> Answer:
    """The envelope was never captured: look for the words (xero.md 3)."""
    return problem(status, title, said, NO_INSTANCE)


def _dispatch(call: Call) -> Answer:
    for shape, methods in PATTERNS:
        found = shape.fullmatch(call.path)
        if found is None:
            continue
        handler = methods.get("GET" if call.method == "HEAD" else call.method)
        if handler is None:
            return not_implemented()
        try:
            with call.state.lock:
                return handler(call, *found.groups())
        except BadPost as bad:
            return plain_error(call, 14, "PostDataInvalidException", str(bad))
        except (QueryError, BadQuery) as bad:
            return plain_error(call, 16, "QueryParseException", str(bad))
    return missing()


# --- faults --------------------------------------------------------------------------------------------------------------

MAINTENANCE = b"The Xero API is currently offline for maintenance"
BROKEN = (
    b'{"Title":"An error occurred","Detail":"An error occurred in Xero. Check the API Status page'
    b' http://status.developer.xero.com for current service status.","Status":500,"Instance":"'
)


def fault_answer(fault: Fault) -> Answer | None:
    """The statuses in Xero's own words; None leaves the rest to a gateway's page (xero.md 8)."""
    match fault.do:
        case 429:
            wait = 5 if fault.retry_after is None else fault.retry_after
            return Answer(
                429,
                [
                    ("X-DayLimit-Remaining", "344"),
                    ("X-MinLimit-Remaining", "0"),
                    ("Retry-After", str(wait)),
                    ("X-Rate-Limit-Problem", "minute"),
                ],
            )
        case 500:
            return Answer(500, [("Content-Type", "application/json")], BROKEN + new_id().encode() + b'"}')
        case 503:
            return Answer(503, [("Content-Type", "text/plain")], MAINTENANCE)
        case 401:
            return problem(401, "Unauthorized", "TokenExpired: token expired at 01/01/2026 00:00:00", new_id())
        case 403:
            return problem(403, "Forbidden", "AuthenticationUnsuccessful", NO_INSTANCE)
        case 404:
            return missing()
    return None
