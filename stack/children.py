"""Processes that never outlive the one that started them."""

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from stack import watchdog

T = TypeVar("T")

SLOWEST_STOP = 25.0
"""Seconds until one that was asked to stop is killed: a worker may take 20 to end what it is at (celeryconfig)."""


class NotReady(Exception):
    """A process ended, or its time did, before it was ready; the message says which, with the end of its log."""


def until(check: Callable[[], T], timeout: float, *, what: str = "it", pause: float = 0.05) -> T:
    """Asks again and again until the answer is true, and gives it; `NotReady` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        if answer := check():
            return answer
        if time.monotonic() > deadline:
            raise NotReady(f"waited {timeout:g} s in vain for {what}")
        time.sleep(pause)


@dataclass(slots=True)
class Child:
    """One process that leads its own group, and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    gentle: signal.Signals
    started_at: int
    """Where its own output begins in a log that earlier ones of its name wrote to."""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """To the process and all of its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def output(self) -> str:
        """What it has written so far."""
        with self.log.open("rb") as log:
            log.seek(self.started_at)
            return log.read().decode(errors="replace")

    def last_lines(self, count: int = 15) -> str:
        """The end of its log, for an error that a person reads."""
        return "\n".join(self.output().splitlines()[-count:])

    def wait_ready(self, check: Callable[[], object], timeout: float) -> None:
        """Until `check` is true; `NotReady` as soon as the process ends, or when the time does."""

        def ready_or_gone() -> bool:
            return bool(check()) or not self.is_alive

        try:
            until(ready_or_gone, timeout, what=self.name)
        except NotReady as late:
            raise NotReady(f"{late}\n{self.last_lines()}") from None
        if not self.is_alive:
            raise NotReady(f"{self.name} ended with status {self.process.returncode}:\n{self.last_lines()}")


def as_user(user: pwd.struct_passwd | None) -> dict[str, object]:
    """The arguments that make `subprocess` run a program as somebody else; none for ourselves."""
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}


class Children:
    """Starts processes and ends them: in order when it is closed, and by a watchdog when their starter dies unasked."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._alive: list[Child] = []
        logs.mkdir(parents=True, exist_ok=True)
        self._watchdog = subprocess.Popen(  # the pipe's other end closes with this process, however it ends
            [sys.executable, "-I", watchdog.__file__], stdin=subprocess.PIPE, start_new_session=True, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: pwd.struct_passwd | None = None,
        gentle: signal.Signals = signal.SIGTERM,
    ) -> Child:
        """A new process under `name`, whose output goes to a log file; `gentle` is what asks it to stop."""
        log = self._logs / f"{name}.log"
        started_at = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            process = subprocess.Popen(  # type: ignore[call-overload]
                list(command), env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, **as_user(user),
            )  # fmt: skip
        child = Child(name, process, log, gentle, started_at)
        self._alive.append(child)
        self._tell(f"+{child.pid} {int(gentle)}")
        return child

    def stop(self, *children: Child, grace: float = SLOWEST_STOP) -> None:
        """Asks all of them at once, waits for each up to `grace` seconds, then kills what is left of their groups."""
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child.pid, child.gentle)
            child.signal(signal.SIGCONT)  # a frozen one could not even die
        deadline = time.monotonic() + grace
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, deadline - time.monotonic()))
            self.kill(child)

    def kill(self, child: Child) -> None:
        """At once, with all of its group."""
        child.signal(signal.SIGKILL)
        child.process.wait()
        if child in self._alive:
            self._alive.remove(child)
            self._tell(f"-{child.pid}")

    def close(self) -> None:
        """All of them, the newest first."""
        while self._alive:
            self.stop(self._alive[-1])
        if self._watchdog.stdin:
            self._watchdog.stdin.close()
        self._watchdog.wait()

    def _tell(self, line: str) -> None:
        assert self._watchdog.stdin
        self._watchdog.stdin.write(line + "\n")
        self._watchdog.stdin.flush()
