"""The door of each simulated host: faults, held and slow answers, and the log of calls."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from sandbox.kit.calls import Call, CallNote, Calls, Effect
from sandbox.kit.clock import Clock
from sandbox.kit.exchanges import Exchanges
from sandbox.kit.faults import Fault, Faults, Hangup
from sandbox.kit.settings import Settings


@dataclass(slots=True)
class Answer:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    reason: str | None = None  # with its own words where a vendor's differ from the standard's

    def shown(self) -> dict[str, Any]:
        """As it is kept: headers as pairs, the body a character a byte."""
        return {"status": self.status, "headers": self.headers, "body": self.body.decode("latin-1")}


# a vendor's way of saying a status (or "html"); None leaves it to the front
FaultAnswer = Callable[[Fault], Answer | None]

GATEWAY_PAGE = (
    b"<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body>\r\n"
    b"<center><h1>504 Gateway Time-out</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


def html_page(status: int) -> Answer:
    """A gateway's own page, as it stands before both vendors."""
    phrase = HTTPStatus(status).phrase if status != 504 else "Gateway Time-out"
    page = GATEWAY_PAGE.replace(b"504 Gateway Time-out", f"{status} {phrase}".encode())
    return Answer(status, [("Content-Type", "text/html")], page)


class Front:
    """Wraps a vendor's WSGI app."""

    def __init__(
        self,
        name: str,
        app: WSGIApplication,
        *,
        clock: Clock,
        settings: Settings,
        faults: Faults,
        calls: Calls,
        fault_answer: FaultAnswer | None,
    ) -> None:
        self._name = name
        self._app = app
        self._clock = clock
        self._settings = settings
        self._faults = faults
        self._calls = calls
        self._fault_answer = fault_answer
        self._exchanges = Exchanges(name)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        started = time.perf_counter()
        note = CallNote()
        environ["sandbox.note"] = note
        seen: dict[str, Any] = {"status": None, "fault": None, "effect": "refused"}
        asked = self._exchanges.begin(environ)
        answered: Answer | None = None
        try:
            answer = self._answer(environ, note, seen)
            self._wait(started)
            seen["status"] = answer.status
            answered = answer
        finally:
            for end in note.ends:
                end()
            self._log(environ, note, started, seen)
            if asked:
                self._exchanges.keep(asked, answered.shown() if answered else None)
        start_response(_status_line(answer), answer.headers)
        return [answer.body]

    def _answer(self, environ: WSGIEnvironment, note: CallNote, seen: dict[str, Any]) -> Answer:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        before = self._faults.strike("before", self._name, method, path)
        if before is not None:
            seen["fault"] = before.id
            instead = self._meet(before, method, path)
            if instead is not None:
                return instead
        answer = _ask(self._app, environ)
        seen["effect"] = note.effect or _effect(method, answer.status)
        after = self._faults.strike("after", self._name, method, path) if answer.status < 400 else None
        if after is not None:
            seen["fault"] = after.id
            return self._meet(after, method, path) or answer
        return answer

    def _meet(self, fault: Fault, method: str, path: str) -> Answer | None:
        """What the fault answers; None: go on as if nothing was."""
        match fault.do:
            case "reset":
                raise Hangup
            case "timeout":
                raise Hangup(silent_for=float(self._settings["silence_s"]))
            case "slow":
                time.sleep(fault.seconds)
                return None
            case "hold":
                if self._faults.hold(fault, method, path, self._name) == "reset":
                    raise Hangup
                return None
        said = self._fault_answer(fault) if self._fault_answer else None
        return said or html_page(fault.do if isinstance(fault.do, int) else 502)

    def _wait(self, started: float) -> None:
        least = float(self._settings["answer_ms"].get(self._name, 0)) / 1000
        left = least - (time.perf_counter() - started)
        if least and left > 0:
            time.sleep(left)

    def _log(self, environ: WSGIEnvironment, note: CallNote, started: float, seen: dict[str, Any]) -> None:
        ms = round((time.perf_counter() - started) * 1000)
        at = self._clock.now()
        self._calls.add(
            lambda seq: Call(
                seq=seq,
                at=at,
                vendor=self._name,
                method=environ["REQUEST_METHOD"],
                path=environ["PATH_INFO"],
                query=environ.get("QUERY_STRING", ""),
                pattern=note.pattern or environ["PATH_INFO"],
                status=seen["status"],
                ms=ms,
                client=note.client,
                effect=seen["effect"],
                fault=seen["fault"],
                request_id=note.request_id,
            )
        )


def _effect(method: str, status: int) -> Effect:
    if status >= 400:
        return "refused"
    return "none" if method in ("GET", "HEAD", "OPTIONS") else "taken"


def _status_line(answer: Answer) -> str:
    if answer.reason is not None:
        return f"{answer.status} {answer.reason}"
    try:
        return f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:
        return f"{answer.status} Unknown"


def _ask(app: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    """Runs the app to its end, so that its whole effect is there before anything is sent."""
    got: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], _exc: Any = None) -> Callable[[bytes], object]:
        got["status"], got["headers"] = status, headers
        return lambda _data: None

    parts = app(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()
    code, _, reason = got["status"].partition(" ")
    return Answer(int(code), got["headers"], body, reason)
