"""A vendor's host that says what a test tells it to, over a real socket: answers, resets, silence, half an answer."""

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> bytes:
    """What a vendor really sends, by the documents."""
    return (SAMPLES / name).read_bytes()


@dataclass(frozen=True)
class Seen:
    """A request that arrived; `connection` tells which of the connections it came over."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Message
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def asked(self, name: str) -> list[str]:
        return [value for key, value in self.query if key == name]


@dataclass(frozen=True)
class Reply:
    """What to do with a request. `leave` closes the connection afterwards without saying so beforehand."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    act: Literal["answer", "reset", "silence", "half"] = "answer"
    leave: bool = False


def said(value: Any, status: int = 200, **headers: str) -> Reply:
    """JSON, as both vendors send it."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Reply(status, body, {"Content-Type": "application/json; charset=utf-8", **_header_names(headers)})


def page(text: str, status: int, **headers: str) -> Reply:
    """A gateway's page."""
    return Reply(status, text.encode(), {"Content-Type": "text/html; charset=utf-8", **_header_names(headers)})


def empty(status: int, **headers: str) -> Reply:
    """A status and nothing more."""
    return Reply(status, b"", _header_names(headers))


def _header_names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


class Vendor:
    """The host. What it is to say next is a queue; a request that finds it empty is answered 418, which nobody expects."""

    def __init__(self) -> None:
        self.replies: deque[Reply] = deque()
        self.seen: list[Seen] = []
        self.closed = 0  # connections
        self.over = threading.Event()
        vendor = self

        class Handler(_Handler):
            host = vendor

        class Server(ThreadingHTTPServer):
            def shutdown_request(self, request: Any) -> None:
                super().shutdown_request(request)
                vendor.closed += 1

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def will(self, *replies: Reply) -> None:
        """Say these next."""
        self.replies.extend(replies)

    @property
    def last(self) -> Seen:
        return self.seen[-1]

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    host: Vendor
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def answer(self) -> None:
        split = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = parse_qsl(split.query, keep_blank_values=True)
        self.host.seen.append(Seen(self.command, split.path, query, self.headers, body, self.client_address[1]))
        reply = self.host.replies.popleft() if self.host.replies else Reply(418)
        match reply.act:
            case "silence":
                self.host.over.wait(30)
                self.close_connection = True
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
            case _:
                self._say(reply)

    def _say(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) // 2] if reply.act == "half" else reply.body)
        self.close_connection = reply.leave or reply.act == "half"

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  # the names that http.server calls

    def finish(self) -> None:
        if not self.wfile.closed and self.connection.fileno() >= 0:
            super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name in http.server
        """Say nothing."""
