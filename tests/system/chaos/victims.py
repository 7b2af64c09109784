"""Which process waits for an answer just now: read from /proc, so that a fault can strike between a commit and its answer."""

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

# Numbers of poll and ppoll: on x86-64 and on arm64.
POLLS = {7, 271, 73}
PROC = Path("/proc")


def children_of(pid: int) -> list[int]:
    """The processes that this one has forked."""
    with suppress(OSError):
        return [int(child) for child in (PROC / f"{pid}/task/{pid}/children").read_text().split()]
    return []


def waiting(pids: Iterable[int], ports: set[int]) -> list[int]:
    """Those whose main thread waits on a connection to one of these ports of the loopback address."""
    sockets = dict(_sockets_to(ports))
    return [pid for pid in pids if _polled(pid) in sockets]


def _sockets_to(ports: set[int]) -> Iterator[tuple[str, int]]:
    """The inodes of sockets that are connected to these ports."""
    with suppress(OSError):
        for line in (PROC / "net/tcp").read_text().splitlines()[1:]:
            columns = line.split()
            port = int(columns[2].rpartition(":")[2], 16)
            if port in ports and columns[3] == "01":
                yield f"socket:[{columns[9]}]", port


def _polled(pid: int) -> str:
    """What the main thread polls, as its file descriptor's link says; nothing where it does something else."""
    with suppress(OSError, ValueError):
        number, pointer, count = (PROC / f"{pid}/syscall").read_text().split()[:3]
        if int(number) in POLLS and int(count, 16) == 1:
            with (PROC / f"{pid}/mem").open("rb", buffering=0) as memory:
                memory.seek(int(pointer, 16))
                (descriptor,) = struct.unpack("i", memory.read(4))
            return str((PROC / f"{pid}/fd/{descriptor}").readlink())
    return ""
