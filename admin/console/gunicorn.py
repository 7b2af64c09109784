"""Gunicorn's settings for the console. `--bind` and the like on the command line win over them."""

import logging
import re
import sys
from typing import Any

from worker.settings import SettingsError, load

try:
    port = load(needs={"console"}).console_port
except SettingsError as fault:
    sys.exit(str(fault))

# A console is nobody else's to reach. Where it stands behind a proxy on another machine: --bind in the Procfile's line.
bind = f"127.0.0.1:{port}"

# Threads, because a check of a vendor that is down waits for its time-outs; one process, for few look at it.
worker_class = "gthread"
workers = 1
threads = 8

# A process whose main loop is silent for this long is replaced; threads that wait for a vendor don't silence it.
timeout = 30
# On SIGTERM a consent that is just being exchanged still ends.
graceful_timeout = 10
keepalive = 5

# A consent comes back with its code in the address, so an access log would be a list of secrets.
accesslog = None
# Nobody steers it from outside, and two installations of one user would share the socket's path.
control_socket_disable = True


def without_addresses(record: logging.LogRecord) -> bool:
    """What Gunicorn logs, without what follows the question mark of an address."""
    record.msg, record.args = re.sub(r"\?[^\s'\"]+", "?...", record.getMessage()), ()
    return True


def when_ready(server: Any) -> None:
    """Keep codes and states out of the log."""
    server.log.error_log.addFilter(without_addresses)
