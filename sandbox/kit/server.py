"""HTTP/1.1 with keep-alive for WSGI apps, a thread a connection, several ports in one process.

Werkzeug's own development server closes every connection, so that a client's handling of connections that live on would go untested.
"""

import contextlib
import http.server
import io
import select
import socket
import socketserver
import struct
import sys
import threading
import time
from typing import Any, cast
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIApplication, WSGIEnvironment

from sandbox.kit.faults import Hangup

# an idle connection is closed after so long, as gateways do
KEEP_ALIVE_S = 75.0
# bursts of connections wait here rather than being refused
BACKLOG = 512


class Port(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A bound port; answers once it has an app and `start` was called."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = BACKLOG

    def __init__(self, number: int, host: str = "127.0.0.1") -> None:
        super().__init__((host, number), _Handler)
        self.app: WSGIApplication | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        host, number = cast("tuple[str, int]", self.server_address)
        return f"http://{host}:{number}"

    def start(self, app: WSGIApplication) -> None:
        self.app = app
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True, name=f"port {self.url}")
        self._thread.start()

    def stop(self) -> None:
        """Stops listening and cuts what is open."""
        self.stopping.set()
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is a fault of the sandbox."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = KEEP_ALIVE_S
    wbufsize = -1  # one write an answer
    disable_nagle_algorithm = True
    server: Port

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        self.server.closed(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle_one_request(self) -> None:
        self.close_connection = True
        self.raw_requestline = self._next_line()
        if not self.raw_requestline or not self.parse_request():
            return
        try:
            self._answer(self._environ(self._body()))
        except Hangup as hangup:
            self._hang_up(hangup)

    def _next_line(self) -> bytes:
        try:
            return self.rfile.readline(65537)
        except OSError:  # idle for too long, or cut
            return b""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(length) if length else b""

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _environ(self, body: bytes) -> WSGIEnvironment:
        path, _, query = self.path.partition("?")
        host, number = cast("tuple[str, int]", self.server.server_address)
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": host,
            "SERVER_PORT": str(number),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": self.client_address[0],
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            key = "HTTP_" + name.upper().replace("-", "_")
            # the body is whole by now, so the app need not know that it came in chunks
            if key not in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"):
                environ[key] = value
        return environ

    def _answer(self, environ: WSGIEnvironment) -> None:
        sent: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _exc: Any = None) -> Any:
            sent[:] = [status, headers]
            return lambda _data: None

        assert self.server.app is not None
        parts = self.server.app(environ, start_response)
        body = b"".join(parts)
        close = getattr(parts, "close", None)
        if close is not None:
            close()
        status, headers = sent
        self._write(status, headers, body)

    def _write(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code = int(status[:3])
        lines = [f"HTTP/1.1 {status}"]
        lines += [f"{name}: {value}" for name, value in headers if name.lower() not in ("content-length", "connection")]
        names = {name.lower() for name, _ in headers}
        if "date" not in names:
            lines.append(f"Date: {self.date_time_string()}")
        if code not in (204, 304):
            lines.append(f"Content-Length: {len(body)}")
        wants_close = self.headers.get("Connection", "").lower() == "close" or self.request_version == "HTTP/1.0"
        lines.append("Connection: close" if wants_close else "Connection: keep-alive")
        self.close_connection = wants_close
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        silent = self.command == "HEAD" or code in (204, 304)
        self.wfile.write(head if silent else head + body)
        self.wfile.flush()

    def _hang_up(self, hangup: Hangup) -> None:
        self.close_connection = True
        if hangup.silent_for:
            self._keep_silent(hangup.silent_for)
        with contextlib.suppress(OSError):
            # linger 0: the kernel sends a reset instead of an orderly end
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _keep_silent(self, seconds: float) -> None:
        """Until the client gives up, at most so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.server.stopping.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.1)
            try:
                if readable and not self.connection.recv(1, socket.MSG_PEEK):
                    return
            except OSError:
                return

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """The log of calls is the log."""
