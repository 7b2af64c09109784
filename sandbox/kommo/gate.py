"""Who is let in: subdomain, block, rate, token, payment; in this order (kommo.md 3, 12)."""

import math
import traceback
from collections import deque
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from sandbox.kit import Answer, Clock, Fault, note
from sandbox.kit.front import html_page
from sandbox.kommo import wire
from sandbox.kommo.problems import Refused
from sandbox.kommo.state import State
from sandbox.kommo.tokens import Grant

BLOCKED_PAGE = (
    b"<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
SLOW_DOWN_PAGE = b"<html>\r\n<head><title>429 Too Many Requests</title></head>\r\n<body>\r\n<center><h1>429 Too Many Requests</h1></center>\r\n</body>\r\n</html>\r\n"

# needs no token: what gives them (kommo.md 2.2); whether the rate limit counts these calls is not documented
OPEN = "/oauth2/"
# also answers for the account, and finds a subdomain that was changed (kommo.md 1.1, 1.2)
SHARED = "api-g"


class Meter:
    """Calls in a sliding second for each key, and the abuse that leads to a block. The caller holds the state's lock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: dict[str, deque[float]] = {}
        self._refusals: deque[float] = deque()
        self.is_blocked = False

    def reset(self) -> None:
        self._calls.clear()
        self._refusals.clear()
        self.is_blocked = False

    def admits(self, budgets: dict[str, int]) -> bool:
        """One call against all budgets (key: calls a second); a refused one is counted by none of them."""
        now = self._clock.ticks()
        logs = [(self._log(key, now), limit) for key, limit in budgets.items()]
        if any(len(log) >= limit for log, limit in logs):
            return False
        for log, _ in logs:
            log.append(now)
        return True

    def _log(self, key: str, now: float) -> deque[float]:
        log = self._calls.setdefault(key, deque())
        oldest = now - self._clock.lasts(1.0)
        while log and log[0] <= oldest:
            log.popleft()
        return log

    def used(self) -> dict[str, int]:
        """The calls of the last second, by key."""
        now = self._clock.ticks()
        return {key: len(self._log(key, now)) for key in list(self._calls)}

    def refused(self, *, most: int, window_s: float) -> None:
        """Counts a refusal; too many of them shut the client out until support opens again."""
        now = self._clock.ticks()
        self._refusals.append(now)
        while self._refusals[0] < now - self._clock.lasts(window_s):
            self._refusals.popleft()
        if len(self._refusals) > most:
            self.is_blocked = True


class Gate:
    def __init__(self, state: State) -> None:
        self._state = state
        self.meter = Meter(state.clock)

    def guard(self, app: Flask, *, is_drive: bool = False) -> None:
        """Puts the gate before an app's routes, and Kommo's words into its errors."""
        if not is_drive:
            app.before_request(self._enter)
        app.after_request(_finish)
        app.register_error_handler(Refused, wire.refuse)
        app.register_error_handler(HTTPException, self._wrong_way)
        app.register_error_handler(Exception, _own_fault)

    def _enter(self) -> Response | None:
        wire.mark_call()
        state = self._state
        token = bearer()
        if request.environ.get("sandbox.former_host"):
            raise Refused(int(state.switches["old_subdomain_status"]))
        with state.lock:
            if self.meter.is_blocked:
                return Response(BLOCKED_PAGE, 403, content_type="text/html")
            if request.path.startswith(OPEN):
                return None
            found = state.tokens.find(token)
            refusal = self._too_fast(found)
        if refusal is not None:
            return refusal
        if found is None:
            raise Refused(401)
        note().client = f"user {found.user_id}"
        g.grant = found
        state.used(found)
        if not state.switches["paid"]:
            raise Refused(402)
        return None

    def _too_fast(self, found: Grant | None) -> Response | None:
        switches = self._state.switches
        if not self._state.kit.settings["limits"]:
            return None
        by_client = switches["limit_scope"] == "integration" and found is not None
        key = f"client {found.client_uuid}" if by_client and found is not None else f"ip {request.remote_addr}"
        if self.meter.admits({key: switches["rate"], "account": switches["account_rate"]}):
            return None
        self.meter.refused(most=switches["block_after"], window_s=switches["block_window_s"])
        return self._slow_down()

    def _slow_down(self) -> Response:
        answer = slow_down(self._state)
        return Response(answer.body, answer.status, answer.headers)

    def _wrong_way(self, error: HTTPException) -> Response:
        """Unknown routes and wrong methods. Without a token the gate has answered already."""
        if isinstance(error, MethodNotAllowed):
            return wire.refuse(Refused(405))
        if isinstance(error, NotFound):
            account = self._state.account
            where = f"https://{account.subdomain}.{account.domain}{request.environ['PATH_INFO']}"
            return wire.refuse(Refused(404, f"Cannot {request.method} {where}"))
        return wire.refuse(Refused(error.code or 500))


def bearer() -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def slow_down(state: State, retry_after: int | None = None) -> Answer:
    """429, in JSON or not; the wait that it names is in our time."""
    switches = state.switches
    if switches["rate_answer"] != "json":
        return Answer(429, [("Content-Type", "text/html")], SLOW_DOWN_PAGE)
    seconds = switches["retry_after"] if retry_after is None else retry_after
    more = {} if seconds is None else {"retry_after": max(1, math.ceil(state.clock.lasts(seconds)))}
    return _problem_answer(429, more)


def _problem_answer(status: int, more: dict[str, int]) -> Answer:
    response = wire.refuse(Refused(status, None, **more))
    return Answer(
        status, [("Content-Type", wire.PROBLEM), ("X-Request-Id", wire.new_request_id())], response.get_data()
    )


def fault_answer(state: State, fault: Fault) -> Answer | None:
    """How Kommo says what a test ordered: 403 is the block's page; 502 and 504 are the gateway's own."""
    if fault.do == 429:
        return slow_down(state, fault.retry_after)
    if fault.do == 403:
        return Answer(403, [("Content-Type", "text/html")], BLOCKED_PAGE)
    if fault.do in (502, 504) or not isinstance(fault.do, int):
        return html_page(fault.do if isinstance(fault.do, int) else 502)
    return _problem_answer(fault.do, {})


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = note().request_id = wire.new_request_id()
    return response


def _own_fault(error: Exception) -> Response:
    """A fault of the sandbox itself: Kommo's 500 to the client, the trace to whoever runs it."""
    traceback.print_exception(error)
    return wire.refuse(Refused(500))


class Subdomains:
    """Takes the account's name from the host or from the path's first part, so that what lies behind sees Kommo's own paths.

    `common` is what www.kommo.com answers: /oauth, without any account's name.
    """

    def __init__(self, state: State, app: WSGIApplication, common: WSGIApplication) -> None:
        self._state = state
        self._app = app
        self._common = common

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        state = self._state
        path: str = environ["PATH_INFO"]
        if path == "/oauth" or path.startswith("/oauth/"):
            return self._common(environ, start_response)
        known = {state.account.subdomain, SHARED, *state.former_subdomains}
        first = path.split("/")[1]
        if first in known:
            environ["SCRIPT_NAME"] = f"/{first}"
            environ["PATH_INFO"] = path[len(first) + 1 :] or "/"
            name = first
        else:
            name = environ.get("HTTP_HOST", "").split(".")[0]
        environ["sandbox.shared_host"] = name == SHARED
        environ["sandbox.former_host"] = name in state.former_subdomains
        if name not in known:
            # no such account: whatever is asked for is not there
            environ["PATH_INFO"] = f"/no-such-account{path}"
        return self._app(environ, start_response)
