"""A host of its own that makes calls as fast as its budgets let it: `python -m tests.integrations.caller`, told as JSON on its input.

It starts so many processes, each of which asks both vendors for as long as it is told, and prints what came of it and when each call
left, by the id that its vendor gave it. In a network of its own it reaches Redis and the vendors through unix sockets, which know no networks: `relays` maps its own ports to them.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from redis import Redis

from integrations.errors import CallError, RateLimited
from integrations.kommo import limits as kommo_limits
from integrations.kommo.client import Kommo
from integrations.turns import Priority, Turns
from integrations.wire import CallRecord, Wire
from integrations.xero import limits as xero_limits
from integrations.xero.client import Xero


class Pasted:
    """A token that does not run out."""

    def __init__(self, token: str) -> None:
        self._token = token

    def current(self) -> str:
        return self._token

    def renew(self, stale: str) -> str:
        raise AssertionError(stale)

    def let_in(self, call: str) -> None:
        """Nothing was refused before."""


def relay(here: socket.socket, path: str) -> None:
    """Whatever connects here is connected to the unix socket."""
    while True:
        near, _ = here.accept()
        far = socket.socket(socket.AF_UNIX)
        far.connect(path)
        join(near, far)


def join(near: socket.socket, far: socket.socket) -> None:
    """Each hears what the other says, until both have ended."""
    threading.Thread(target=talk, args=(near, far), daemon=True).start()


def talk(near: socket.socket, far: socket.socket) -> None:
    with near, far:
        back = threading.Thread(target=carry, args=(far, near), daemon=True)
        back.start()
        carry(near, far)
        back.join()


def carry(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):  # the other end is gone: so is the conversation
        while said := one.recv(65536):
            other.sendall(said)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


@dataclass
class Story:
    """What came of the calls, and when each of them left."""

    seen: Counter[str] = field(default_factory=Counter)
    left: dict[str, float] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        return {"seen": self.seen, "left": self.left}

    def note(self, record: CallRecord) -> None:
        self.left[record.request_id or ""] = record.at.timestamp()


def call(told: dict[str, Any]) -> Story:
    """Make calls of both vendors in a thread each, at two classes of them."""
    story = Story()
    with Redis.from_url(told["redis"]) as redis:
        until = time.monotonic() + told["seconds"]
        asking = [
            threading.Thread(target=ask, args=(story.seen, verb, until))
            for priority in (Priority.NEW, Priority.PDF)
            for verb in (kommo(redis, told, priority, story), xero(redis, told, priority, story))
        ]
        for one in asking:
            one.start()
        for one in asking:
            one.join()
    return story


def ask(seen: Counter[str], verb: Callable[[], object], until: float) -> None:
    while time.monotonic() < until:
        try:
            verb()
            seen["answered"] += 1
        except RateLimited as refused:
            seen["no turn" if refused.own else "refused"] += 1
            time.sleep(min(refused.retry_after, max(until - time.monotonic(), 0)))
        except CallError as error:
            seen[str(error)] += 1


def kommo(redis: "Redis", told: dict[str, Any], priority: Priority, story: Story) -> Callable[[], object]:
    turns = Turns(redis, key="kommo", windows=kommo_limits.windows(), party=told["party"], parties=2)
    wire = Wire(vendor="kommo", tokens=Pasted(told["kommo_token"]), turns=turns, on_call=story.note)
    return Kommo(wire, base_url=told["kommo"], timezone=ZoneInfo("UTC"), priority=priority).pipelines


def xero(redis: "Redis", told: dict[str, Any], priority: Priority, story: Story) -> Callable[[], object]:
    windows = xero_limits.windows(client_id="app")
    if told[
        "by_our_log"
    ]:  # deaf to what Xero says is left, which is more than we know as soon as its minute begins anew
        windows = tuple(replace(window, slack=None) for window in windows)
    turns = Turns(
        redis,
        key="xero",
        windows=windows,
        places=xero_limits.PLACES,
        party=told["party"],
        parties=2,
        factor=told["xero_factor"],
    )
    wire = Wire(vendor="xero", tokens=Pasted(told["xero_token"]), turns=turns, on_call=story.note)
    return Xero(wire, base_url=told["xero"], tenant_id=told["tenant"], priority=priority).organisation


def host(told: dict[str, Any]) -> Story:
    """The processes of this host, and what they had together."""
    for port, path in told["relays"].items():
        threading.Thread(target=relay, args=(socket.create_server(("127.0.0.1", int(port))), path), daemon=True).start()
    alone = json.dumps(told | {"processes": 0})
    command = [sys.executable, "-m", __spec__.name if __spec__ else __name__]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(told["processes"])
    ]
    for one in started:
        assert one.stdin
        one.stdin.write(alone)
        one.stdin.close()
    story = Story()
    for one in started:
        assert one.stdout
        said = json.loads(one.stdout.read())
        story.seen += Counter(said["seen"])
        story.left |= said["left"]
        one.wait()
    return story


if __name__ == "__main__":
    asked = json.loads(sys.stdin.read())
    found = host(asked) if asked["processes"] else call(asked)
    whose = {"clock": int(time.monotonic()), "network": str(Path("/proc/self/ns/net").readlink())}
    print(json.dumps(found.told() | whose))
