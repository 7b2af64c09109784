"""Where webhooks go to in tests."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.conftest import wait_until


class Receiver:
    """Answers hooks with `statuses` in turn, then with 200, and remembers them. Status 0: too late."""

    def __init__(self, *, late_s: float = 1.0) -> None:
        self.bodies: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                receiver.bodies.append(self.rfile.read(int(self.headers["content-length"])).decode())
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                if status == 0:
                    time.sleep(late_s)
                self.send_response(status or 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_args: None  # type: ignore[method-assign]  # senders that gave up are the point
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, count: int) -> list[str]:
        wait_until(lambda: len(self.bodies) >= count, 5)
        return self.bodies
