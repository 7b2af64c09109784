"""The wire: sends one request at a time, each in its turn, and says exactly what became of it.

No hidden retries, no redirects, no call without time-outs. What an answer means is the dialect's to say; what a lost answer
means is said here, by the effect of the call.
"""

import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import urlsplit

import requests
from requests.structures import CaseInsensitiveDict

from integrations import exact_json
from integrations.answer import Answer, Effect, Meaning, doubted, lost_or
from integrations.errors import CallError, LeaseLost, RateLimited, Refusal, Unauthorised, Unreachable
from integrations.line import FRESH, Line, Params, Request, never_left
from integrations.turns import Budget, Heard, Held, Priority

CONNECT_TIMEOUT = 5.0
# The quiet period after a lost answer is counted on this.
READ_TIMEOUT = 60.0


class Tokens(Protocol):
    """The grant that calls are made with."""

    def current(self) -> str:
        """The access token."""

    def renew(self, stale: str) -> str:
        """A newer token than the one that was refused; Unauthorised where there is none to be had."""

    def let_in(self, call: str) -> None:
        """A call has worked, so that what was refused before may have passed."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What an attempt keeps of a call: neither bodies, nor tokens, nor values that a person typed."""

    vendor: str
    method: str
    path: str
    status: int | None
    ms: int
    request_id: str | None
    at: datetime
    turn_ms: int


def always() -> bool:
    """The fence of a caller that owns what it writes to."""
    return True


def ignore(_: CallRecord) -> None:
    """For calls whose record nobody keeps."""


def hears_nothing(_: Answer) -> Heard:
    """For vendors' hosts that say nothing of limits."""
    return Heard()


class Wire:
    """One for each worker process and vendor account. Not for several threads at once."""

    def __init__(
        self,
        *,
        vendor: str,
        tokens: Tokens,
        turns: Budget,
        fence: Callable[[], bool] = always,
        on_call: Callable[[CallRecord], None] = ignore,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        fresh: float = FRESH,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.vendor = vendor
        self._tokens = tokens
        self._turns = turns
        self.fence = fence
        self.on_call = on_call
        self._timeouts = (connect_timeout, read_timeout)
        self._now = now
        self._line = Line(fresh=fresh)

    def fenced(self, fence: Callable[[], bool], on_call: Callable[[CallRecord], None] = ignore) -> "Wire":
        """The same wire, with its connections, under another job's fence and for its record."""
        twin = copy(self)
        twin.fence, twin.on_call = fence, on_call
        return twin

    def send(
        self,
        method: str,
        url: str,
        *,
        write: bool,
        effect: Effect,
        priority: Priority,
        meaning: Meaning,
        headers: Mapping[str, str] | None = None,
        params: Params = (),
        json_body: exact_json.Json = None,
        content: bytes | None = None,
        limits: Callable[[Answer], Heard] = hears_nothing,
        shown: str | None = None,
        patience: float | None = None,
    ) -> Answer:
        """The answer, where it is none of the errors that `meaning` knows; a token that has run out is renewed once.

        A connection that was never made is Unreachable. A lost answer (time-out, reset) is Unreachable too where asking again
        does no harm, and OutcomeUnknown for a create, as are 5xx and nonsense. LeaseLost: the fence held a write back.
        """
        headers = dict(headers or {})
        if json_body is not None:
            headers["Content-Type"] = "application/json"
            content = exact_json.write(json_body)
        request = Request(method, url, headers, tuple(params), content, effect, shown or urlsplit(url).path)
        return self._with_renewal(_Tries(request, write, priority, meaning, limits, patience))

    def close(self) -> None:
        """Close the connections."""
        self._line.close()

    def _with_renewal(self, tries: "_Tries") -> Answer:
        token = self._tokens.current()
        try:
            return self._once(tries, token)
        except Unauthorised as error:
            if error.reason is not Refusal.EXPIRED:
                raise
        try:
            return self._once(tries, self._tokens.renew(token))
        except Unauthorised as error:
            if error.reason is not Refusal.EXPIRED:
                raise
            # A token that was new a moment ago has not run out.
            raise _as_revoked(error) from error

    def _once(self, tries: "_Tries", token: str) -> Answer:
        request = tries.request
        asked = time.monotonic()
        with self._turn(tries) as turn:
            waited = time.monotonic() - asked
            if request.effect == "create":
                self._line.freshen(request.url)
            if tries.write and not self.fence():
                raise LeaseLost(request.call)
            answer = self._transmit(request, token, waited)
            turn.heard(tries.limits(answer))
        if error := tries.meaning(answer):
            raise doubted(error, request.effect)
        self._tokens.let_in(request.call)
        return answer

    def _turn(self, tries: "_Tries") -> Held:
        try:
            return self._turns.take(tries.priority, patience=tries.patience)
        except RateLimited as error:
            call, wait = tries.request.call, error.retry_after
            raise RateLimited(
                self.vendor, call, error.detail, retry_after=wait, own=True, in_line=error.in_line
            ) from error

    def _transmit(self, request: Request, token: str, waited: float) -> Answer:
        at, began = self._now(), time.monotonic()
        response: requests.Response | None = None
        try:
            response = self._line.transmit(request, token, self._timeouts)
        except requests.RequestException as error:
            raise self._lost(request, error) from error
        finally:
            self.on_call(
                CallRecord(
                    vendor=self.vendor,
                    method=request.method,
                    path=request.path,
                    status=None if response is None else response.status_code,
                    ms=_ms(time.monotonic() - began),
                    request_id=_request_id(response),
                    at=at,
                    turn_ms=_ms(waited),
                )
            )
        return Answer(
            self.vendor,
            request.call,
            request.effect,
            response.status_code,
            CaseInsensitiveDict(response.headers),
            response.content,
        )

    def _lost(self, request: Request, error: requests.RequestException) -> CallError:
        detail = type(error).__name__  # never its text: it may hold the address with its parameters
        if never_left(error):
            return Unreachable(self.vendor, request.call, f"not connected: {detail}")
        return lost_or(Unreachable, request.effect)(self.vendor, request.call, f"no answer: {detail}")


@dataclass(frozen=True, slots=True)
class _Tries:
    """What stays the same when a request is tried again with a new token."""

    request: Request
    write: bool
    priority: Priority
    meaning: Meaning
    limits: Callable[[Answer], Heard]
    patience: float | None


def _as_revoked(error: Unauthorised) -> Unauthorised:
    return Unauthorised(
        error.vendor, error.call, f"{error.detail} (with a new token)", reason=Refusal.REVOKED, status=error.status
    )


def _request_id(response: requests.Response | None) -> str | None:
    if response is None:
        return None
    return response.headers.get("Xero-Correlation-Id") or response.headers.get("X-Request-Id")


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
