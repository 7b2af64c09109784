"""Runs lines of the Procfile, any number of each, as the processes `web.1`, `worker.2` and so on."""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from honcho.environ import parse_procfile

from stack.children import SLOWEST_STOP, Child, Children, NotReady
from stack.redis import free_port

ROOT = Path(__file__).resolve().parent.parent

READY_LINES = {"worker": " ready.", "beat": "beat: Starting"}
"""What Celery logs when it works, for the kinds that listen on no port."""

READY_PATHS = {"web": "/readyz", "console": "/healthz", "flower": "/healthcheck"}
PORTS = {"web": "PORT", "console": "CONSOLE_PORT", "flower": "FLOWER_PORT"}

SLOWEST_START = 40.0
"""Seconds until a process must be ready: Celery imports for two on an idle core, and tests start six at once on two."""

SLOWEST_COMMAND = 120.0
"""Seconds that a command may take: migrations here only ever meet a small database, `setup` makes some thirty calls."""


@dataclass(slots=True)
class Line:
    """One running line of the Procfile, with what is needed to start it again."""

    kind: str
    env: dict[str, str]
    child: Child

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.env[PORTS[self.kind]]}"

    @property
    def is_ready(self) -> bool:
        if sign := READY_LINES.get(self.kind):
            return sign in self.child.output()
        return answers_ok(self.url + READY_PATHS[self.kind])


class Processes:
    """The product's own processes on this machine, each as its line in the Procfile says."""

    def __init__(self, children: Children, environment: Mapping[str, str], *, root: Path = ROOT) -> None:
        self._children, self._root = children, root
        self.environment = dict(environment)
        self._commands = dict(parse_procfile((root / "Procfile").read_text(encoding="utf-8")).processes)
        self.lines: dict[str, Line] = {}

    def __getitem__(self, name: str) -> Line:
        return self.lines[name]

    def run(self, kind: str) -> str:
        """A line that ends by itself (`release`), and what it said; `NotReady` with the end of that if it fails."""
        return self._await_end(self._start(kind, kind, self.environment))

    def admin(self, *commands: Sequence[str]) -> list[str]:
        """What `python -m admin` says to each of these, all asked at once; `NotReady` with its words if one fails."""
        asked = [
            self._children.start(
                f"admin-{'-'.join(words[:2])}",
                [sys.executable, "-m", "admin", *words],
                env=self.environment,
                cwd=self._root,
            )
            for words in commands
        ]
        return [self._await_end(child) for child in asked]

    def status(self) -> dict[str, Any]:
        """What `admin status` tells."""
        told: dict[str, Any] = json.loads(self.admin(("status", "--json"))[0])
        return told

    def jobs_left(self) -> int:
        """How many jobs still wait or run."""
        return sum(one["jobs"] for one in self.status()["jobs"] if one["state"] in ("queued", "running"))

    def _await_end(self, child: Child) -> str:
        try:
            status = child.process.wait(SLOWEST_COMMAND)
        finally:
            self._children.kill(child)
        if status:
            raise NotReady(f"{child.name} ended with status {status}:\n{child.last_lines(30)}")
        return child.output()

    def start(self, kind: str, count: int = 1, **more: str) -> list[str]:
        """So many more of a kind; the first listens where the environment says, the others on ports of their own."""
        names = []
        for _ in range(count):
            number = len(self.of(kind)) + 1
            env = self.environment | more
            if number > 1 and kind in PORTS:
                env[PORTS[kind]] = str(free_port())
            if kind == "web":  # nobody but this machine should reach what is started for a trial
                env["GUNICORN_CMD_ARGS"] = f"--bind 127.0.0.1:{env['PORT']} --no-control-socket"
            name = f"{kind}.{number}"
            self.lines[name] = Line(kind, env, self._start(kind, name, env))
            names.append(name)
        return names

    def of(self, kind: str) -> list[str]:
        """The names of a kind."""
        return [name for name, line in self.lines.items() if line.kind == kind]

    def wait_ready(self, *names: str, timeout: float = SLOWEST_START) -> None:
        """Until all of those (of all, if none is named) do their work; `NotReady` with the end of the log of one that doesn't."""
        for name in names or tuple(self.lines):
            line = self.lines[name]
            line.child.wait_ready(lambda line=line: line.is_ready, timeout)  # type: ignore[misc]

    def kill(self, name: str) -> None:
        """As the kernel would: at once, with all its children."""
        self._children.kill(self[name].child)

    def stop(self, *names: str, grace: float = SLOWEST_STOP) -> None:
        """As a deployment would: asked, waited for, and killed only if it takes too long."""
        self._children.stop(*(self[name].child for name in names), grace=grace)

    def freeze(self, name: str) -> None:
        """Stands still, with its children, until it is thawed."""
        self[name].child.signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self[name].child.signal(signal.SIGCONT)

    def restart(self, name: str) -> None:
        """The same line again, with its port and environment; whoever runs under the name is killed first."""
        line = self[name]
        self.kill(name)
        line.child = self._start(line.kind, name, line.env)

    def dead(self) -> list[str]:
        """Who ended unasked."""
        return [name for name, line in self.lines.items() if not line.child.is_alive]

    def _start(self, kind: str, name: str, env: Mapping[str, str]) -> Child:
        # `exec env` makes the program itself the child, also where the line begins with settings
        return self._children.start(
            name, ["/bin/sh", "-c", f"exec env {self._commands[kind]}"], env=env, cwd=self._root
        )


def answers_ok(url: str) -> bool:
    """Whether a GET is answered with a 2xx within two seconds."""
    try:
        return requests.get(url, timeout=2, allow_redirects=False).ok
    except requests.RequestException:
        return False


def inherited(environ: Mapping[str, str], *, without: Callable[[str], bool]) -> dict[str, str]:
    """What children take over: programs of this environment come first, and nothing that `without` says."""
    kept = {name: value for name, value in environ.items() if not without(name)}
    beside = str(Path(sys.executable).parent)
    kept["PATH"] = beside + os.pathsep + environ.get("PATH", os.defpath)
    kept["NO_PROXY"] = kept["no_proxy"] = "127.0.0.1,localhost"
    kept["PYTHONUNBUFFERED"] = "1"
    return kept
