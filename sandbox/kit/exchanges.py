"""What came in at a host's door and what went out, whole: for whoever holds both to the vendor's own description.

Off unless SANDBOX_EXCHANGES names a folder. Then each host adds a line of JSON for an exchange to {folder}/{host}-{pid}.jsonl, before
the answer leaves. Bodies are text with a character a byte (latin-1).
"""

import io
import json
import os
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIEnvironment

VARIABLE = "SANDBOX_EXCHANGES"


class Exchanges:
    """One host's. What `begin` gave goes to `keep`, once for each exchange, unless it was empty."""

    def __init__(self, host: str) -> None:
        folder = os.environ.get(VARIABLE)
        self._file = Path(folder, f"{host}-{os.getpid()}.jsonl") if folder else None

    def begin(self, environ: WSGIEnvironment) -> dict[str, Any]:
        """The request as it came; empty where nothing is kept."""
        if self._file is None:
            return {}
        body = environ["wsgi.input"].read()
        environ["wsgi.input"] = io.BytesIO(body)
        return {
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "query": environ.get("QUERY_STRING", ""),
            "headers": _headers(environ),
            "body": body.decode("latin-1"),
        }

    def keep(self, asked: dict[str, Any], answered: dict[str, Any] | None) -> None:
        """`answered` is None where the connection was cut instead."""
        assert self._file is not None
        line = json.dumps({"asked": asked, "answered": answered}) + "\n"
        with self._file.open("ab", buffering=0) as file:
            file.write(line.encode())


def _headers(environ: WSGIEnvironment) -> list[tuple[str, str]]:
    found = {name[5:].replace("_", "-").title(): value for name, value in environ.items() if name.startswith("HTTP_")}
    if environ.get("CONTENT_TYPE"):
        found["Content-Type"] = environ["CONTENT_TYPE"]
    return list(found.items())
