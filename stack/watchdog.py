"""Ends processes whose starter is gone: run as `python watchdog.py`, told on its standard input what to look after.

Each line is `+PID SIGNAL` (look after the group that PID leads; SIGNAL asks its leader to stop) or `-PID` (no longer).
When the input ends, however its writer died, what is still looked after is asked to stop, newest first, and then killed.
It imports nothing of ours, so that it starts in a few hundredths of a second.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

GRACE = 5.0
"""Seconds that each process has, once asked, before its group is killed: nobody is left who waits for what it does."""


def is_running(pid: int) -> bool:
    """Whether a process lives; one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except ProcessLookupError:
        return False
    except OSError:  # no /proc on this system: what kill said has to do
        return True
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def end(pid: int, gentle: int, grace: float = GRACE) -> None:
    """Asks a group's leader to stop, waits, then kills what is left of its group."""
    with suppress(ProcessLookupError):
        os.kill(pid, gentle)
        os.kill(pid, signal.SIGCONT)  # a frozen one could not even die
    deadline = time.monotonic() + grace
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def look_after(lines: Iterable[str]) -> dict[int, int]:
    """Who is left when the input ends, oldest first."""
    alive: dict[int, int] = {}
    for line in lines:
        pid, _, gentle = line[1:].partition(" ")
        if line.startswith("+"):
            alive[int(pid)] = int(gentle)
        else:
            alive.pop(int(pid), None)
    return alive


def watch() -> None:
    """Until the input ends; deaf to signals, since it must outlive its starter."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    for pid, gentle in reversed(look_after(sys.stdin).items()):
        end(pid, gentle)


if __name__ == "__main__":
    watch()
