"""Gunicorn's settings for the receiver. `--bind`, `--workers` and the like on the command line win over them."""

import logging
import os
import re
import socket
import struct
import sys
from typing import Any

from webhooks.receive import THREADS
from worker.settings import SettingsError, load

try:
    port = load(needs={"web"}).port
except SettingsError as fault:
    sys.exit(str(fault))

bind = f"0.0.0.0:{port}"  # the one process that the internet must reach

# Threads, because a request mostly waits for the database's commit; two processes, so that one that hangs or is replaced is not all.
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = THREADS

# A process whose main loop is silent for this long is replaced. Requests end by themselves long before (webhooks/deadline.py).
timeout = 30
# On SIGTERM what has come in is still answered: the longest answer takes 2 s.
graceful_timeout = 5
# Vendors and proxies keep a connection between two webhooks of a burst.
keepalive = 5
# Addresses are short: the longest is that of Kommo's uninstall hook.
limit_request_line = 2048

# The token is part of the address, so an access log would be a list of secrets; the service logs what was recorded and refused.
accesslog = None
# Nobody steers it from outside, and two installations of one user would share the socket's path.
control_socket_disable = True

# A sender that stops in the middle holds a thread for this long at most, in seconds; webhooks come in one piece.
SLOWEST_READ = 5


def without_secrets(record: logging.LogRecord) -> bool:
    """What Gunicorn logs, without the token of an address; a sender that stopped half-way is no fault that wants a trace."""
    message = re.sub(r"(/webhooks/kommo/)[^\s/?'\"]+", r"\1...", record.getMessage())
    if record.exc_info and isinstance(record.exc_info[1], BlockingIOError):
        message, record.exc_info = "A sender stopped in the middle of a request.", None
    record.msg, record.args = message, ()
    return True


def when_ready(server: Any) -> None:
    """Bound each read from, and write to, a connection: accepted sockets inherit it from the one that listens."""
    server.log.error_log.addFilter(without_secrets)
    for listener in server.LISTENERS:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", SLOWEST_READ, 0))
