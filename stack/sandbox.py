"""The sandbox as a child, and its control plane: what a person would do at Kommo and Xero, and what is in their books."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from stack.children import Child, Children, until
from stack.processes import ROOT

Json = dict[str, Any]

SLOWEST_START = 120.0
"""Seconds until it must be there: it takes two on an idle core, but others may have all of them."""


class Sandbox:
    """A running sandbox, spoken to through its control plane."""

    def __init__(self, ready: Json, child: Child | None = None) -> None:
        self.ready, self.child = ready, child
        self._session = requests.Session()

    def close(self) -> None:
        """Ends the conversation; the sandbox itself goes on."""
        self._session.close()

    @property
    def control_url(self) -> str:
        return f"{self.ready['control_url']}/_sandbox"

    @property
    def pages_url(self) -> str:
        """Where people see both systems: a board, invoices, what was sent and came, faults."""
        return str(self.ready["control_url"])

    def get(self, path: str, **query: object) -> Any:
        """What the control plane answers, as JSON; raises for what it refuses."""
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: object = None) -> Any:
        return self._ask("POST", path, json=body if body is not None else {})

    def patch(self, path: str, body: object) -> Any:
        return self._ask("PATCH", path, json=body)

    def delete(self, path: str) -> Any:
        return self._ask("DELETE", path)

    def _ask(self, method: str, path: str, **what: Any) -> Any:
        answer = self._session.request(method, f"{self.control_url}/{path.lstrip('/')}", timeout=60, **what)
        if not answer.ok:
            raise SandboxRefused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    def books(self) -> Json:
        """All that both vendors hold."""
        books: Json = self.get("books")
        return books

    def mark(self) -> int:
        """The number of the last call, to count from."""
        return int(self.post("calls/mark")["seq"])

    def calls_after(self, seq: int) -> list[Json]:
        calls: list[Json] = self.get("calls", after=seq)
        return calls

    def pending(self) -> int:
        """Webhooks that are on their way, or gathered for one."""
        return int(self.get("webhooks/pending")["count"])

    def wait_idle(self, *, quiet: float, timeout: float) -> int:
        """Until no webhook is on its way and no call came for `quiet` seconds; the number of the last call."""
        last = -1

        def is_idle() -> bool:
            nonlocal last
            before, last = last, self.mark()
            return before == last and not self.pending()

        until(is_idle, timeout, what="the vendors to be left alone", pause=quiet)
        return last


class SandboxRefused(Exception):
    """The control plane's own no: the demo asked for something that isn't there."""


def start_sandbox(
    children: Children,
    folder: Path,
    *,
    env: Mapping[str, str],
    ports: Mapping[str, int] | None = None,
    more: Sequence[str] = (),
) -> Sandbox:
    """`python -m sandbox` on free ports (or those given), once it is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    port_file = folder / "sandbox.json"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "sandbox", "--port-file", str(port_file.resolve()), *more]
    for name in ("control", "kommo", "drive", "xero"):
        command += [f"--{name}-port", str((ports or {}).get(name, 0))]
    child = children.start("sandbox", command, env=env, cwd=ROOT)
    child.wait_ready(lambda: port_file.exists() and port_file.read_text(encoding="utf-8").endswith("\n"), SLOWEST_START)
    return Sandbox(json.loads(port_file.read_text(encoding="utf-8")), child)
