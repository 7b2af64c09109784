"""Incidents: what happens to processes, to Redis, to the database, and to our standing with the vendors. Each ends healed.

Where a fault can strike between a commit and its answer, it often does: the sandbox holds the answer of a create, the process that
waits for it is found, and the fault strikes there.
"""

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import redis as redis_py

from stack.children import NotReady, until
from stack.plan import CONNECTION
from stack.sandbox import Sandbox
from tests.system.chaos import catalogue, victims
from tests.system.chaos.ground import LEASE, Ground, reconcile

# Of the incidents that can strike between a commit and its answer, so many try to.
TRIES_BETWEEN = 0.85
# People are asked so often to do something, and each time a create whose answer can be held is waited for so long: three in ten webhooks are
# dropped, and a worker may just be starting.
ASKS, PATIENCE = 4, 3.0
# Of those, so many wait for one of the rarer creates.
RARE = 0.25
# Under a second, so that the answer is still waited for when the fault has struck.
SETTLES = 0.12

BLOCK_KEY = "turns:kommo:block"


@dataclass(frozen=True, slots=True)
class Injection:
    """One strike of a fault: from when to when (Unix seconds), and whether it fell between a commit and its answer."""

    fault: str
    began: float
    ended: float
    between: bool = False
    note: str = ""


class Missed(Exception):
    """The fault met nothing: it does not count."""


@dataclass(slots=True)
class Held:
    """An answer that the sandbox holds after its effect, and the process that waits for it, as far as it could be found."""

    sandbox: Sandbox
    fault_ids: list[int]
    held_id: int | None = None
    pid: int | None = None
    worker: str | None = None
    call: str = ""

    @property
    def is_between(self) -> bool:
        return self.pid is not None

    @property
    def told(self) -> str:
        """For the list of strikes."""
        if not self.fault_ids:
            return "anywhere"
        return self.call if self.is_between else f"found nobody in {self.call}" if self.call else "no create came"

    def release(self, then: str = "answer") -> None:
        """Lets the answer go, or cuts it off."""
        if self.held_id is not None:
            self.sandbox.post(f"held/{self.held_id}/release", {"then": then})
            self.held_id = None


@dataclass(slots=True)
class Scene:
    """What an incident works with; one for each lane."""

    ground: Ground
    sandbox: Sandbox
    dice: random.Random
    stop: threading.Event
    hurry: Callable[[], None]
    remarks: list[str] = field(default_factory=list)

    def pause(self, least: float, most: float) -> None:
        self.stop.wait(self.dice.uniform(least, most))

    @contextmanager
    def inside_a_create(self) -> Iterator[Held]:
        """Within a create whose effect is there and whose answer is not; after a while without one, just anywhere."""
        if self.dice.random() > TRIES_BETWEEN:
            yield Held(self.sandbox, [])
            return
        held = Held(self.sandbox, self._hold(self._likely()))
        try:
            for _ in range(ASKS):
                self.hurry()
                with suppress(NotReady):
                    until(lambda: self._came(held), PATIENCE, pause=0.03)
                    break
            if held.held_id is not None:
                self._find_victim(held)
            yield held
        finally:
            for fault_id in held.fault_ids:
                self.sandbox.delete(f"faults/{fault_id}")
            held.release()
            for late in self._held_by(held.fault_ids):  # they came just as we gave up, or beside the one that we chose
                self.sandbox.post(f"held/{late['id']}/release", {"then": "answer"})

    def _likely(self) -> list[tuple[str, str]]:
        """Mostly any creating call, sometimes only the rarer ones."""
        rare = [*catalogue.CLIENT_CREATES, catalogue.DEAL_CREATE]
        return rare if self.dice.random() < RARE else list(catalogue.CREATES)

    def _hold(self, calls: list[tuple[str, str]]) -> list[int]:
        rules = [{"vendor": vendor, "call": call, "when": "after", "do": "hold", "times": 1} for vendor, call in calls]
        return [int(fault["id"]) for fault in self.sandbox.post("faults", rules)]

    def _came(self, held: Held) -> bool:
        for found in self._held_by(held.fault_ids):
            held.held_id, held.call = int(found["id"]), str(found["call"])
        return held.held_id is not None

    def _held_by(self, fault_ids: list[int]) -> list[dict[str, Any]]:
        return [one for one in self.sandbox.get("held") if one["fault"] in fault_ids]

    def _find_victim(self, held: Held) -> None:
        """Who waits for it: whoever still waits on a vendor's connection a moment later, since answers that nobody holds come at once."""
        ports = {urlsplit(self.sandbox.ready[name]).port or 0 for name in ("xero_url", "kommo_url")}
        crew = {child: name for name in self.workers() for child in victims.children_of(self.pid(name))}
        first = set(victims.waiting(crew, ports))
        time.sleep(SETTLES)
        both = [pid for pid in victims.waiting(crew, ports) if pid in first]
        if both:
            held.pid = self.dice.choice(both)
            held.worker = crew[held.pid]

    def met(self, before: int, status: int) -> str:
        """How many calls since then were answered so; `Missed` if none was."""
        count = sum(call["status"] == status for call in self.sandbox.calls_after(before))
        if not count:
            raise Missed
        return f"{count} calls"

    def workers(self) -> list[str]:
        return [name for name in self.ground.processes.of("worker") if self.ground.processes[name].child.is_alive]

    def pid(self, name: str) -> int:
        return self.ground.processes[name].child.pid

    def one_of(self, kind: str) -> str:
        return self.dice.choice(self.ground.processes.of(kind))

    def come_back(self, name: str) -> None:
        """As whatever supervises processes would start it again."""
        self.ground.processes.restart(name)
        try:
            self.ground.processes.wait_ready(name)
        except NotReady:
            # it waits for a Redis or a database that another fault has taken away meanwhile, and goes on when that is back
            if not self.ground.processes[name].child.is_alive:
                raise

    def raise_the_dead(self) -> None:
        """What ended by itself is told, and started again."""
        for name in self.ground.processes.dead():
            child = self.ground.processes[name].child
            self.remarks.append(f"{name} ended by itself with status {child.process.returncode}: {child.last_lines(3)}")
            self.come_back(name)


Incident = Callable[[Scene], tuple[bool, str]]
"""Strikes and heals; answers whether it fell between a commit and its answer, and a note."""


# processes


def kill_child(scene: Scene) -> tuple[bool, str]:
    with scene.inside_a_create() as held:
        children = [child for name in scene.workers() for child in victims.children_of(scene.pid(name))]
        pid = held.pid or (scene.dice.choice(children) if children else None)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        held.release("reset")
    return held.is_between, held.told


def kill_worker(scene: Scene) -> tuple[bool, str]:
    with scene.inside_a_create() as held:
        name = held.worker or scene.one_of("worker")
        scene.ground.processes.kill(name)
        held.release("reset")
    scene.pause(0.2, 1.0)
    scene.come_back(name)
    return held.is_between, f"{name}, {held.told}"


def kill_beat(scene: Scene) -> tuple[bool, str]:
    name = scene.one_of("beat")
    scene.ground.processes.kill(name)
    scene.pause(0.2, 1.0)
    scene.come_back(name)
    return False, name


def kill_web(scene: Scene) -> tuple[bool, str]:
    name = scene.one_of("web")
    scene.ground.processes.kill(name)
    scene.pause(0.1, 0.6)
    scene.come_back(name)
    return False, name


def freeze(scene: Scene) -> tuple[bool, str]:
    """The answer comes while the worker is frozen; others take over meanwhile; then it thaws, and reads the answer."""
    with scene.inside_a_create() as held:
        name = held.worker or scene.one_of("worker")
        scene.ground.processes.freeze(name)
        held.release()
    scene.pause(LEASE + 1, LEASE + 8)
    scene.ground.processes.thaw(name)
    return held.is_between, f"{name}, {held.told}"


def deploy(scene: Scene) -> tuple[bool, str]:
    """Asked to end in mid-job; the answer comes in time, as it mostly does. What takes too long is killed."""
    with scene.inside_a_create() as held:
        name = held.worker or scene.one_of("worker")
        child = scene.ground.processes[name].child
        os.kill(child.pid, signal.SIGTERM)
        scene.pause(0.3, 1.0)
        held.release()
    with suppress(Exception):
        child.process.wait(25)
    ended = child.process.poll()
    scene.come_back(name)
    return held.is_between, held.told + ("" if ended is not None else f"; {name} did not end within 25 s")


# Redis and the database


def flush(scene: Scene) -> tuple[bool, str]:
    with _redis(scene) as client:
        client.flushall()
    return False, ""


def redis_kept(scene: Scene) -> tuple[bool, str]:
    scene.ground.servers.kill(scene.ground.redis.child)
    scene.ground.redis.start()
    return False, ""


def redis_empty(scene: Scene) -> tuple[bool, str]:
    scene.ground.servers.kill(scene.ground.redis.child)
    shutil.rmtree(scene.ground.redis_folder / "appendonlydir", ignore_errors=True)
    (scene.ground.redis_folder / "appendonly.aof").unlink(missing_ok=True)  # where Redis before 7 keeps it
    scene.ground.redis.start()
    return False, ""


def redis_down(scene: Scene) -> tuple[bool, str]:
    """A minute, in the vendors' time."""
    scene.ground.redis.stop()
    scene.pause(5, 7)
    scene.ground.redis.start()
    return False, ""


def redis_full(scene: Scene) -> tuple[bool, str]:
    with _redis(scene) as client:
        client.config_set("maxmemory", 1)
        scene.pause(3, 5)
        client.config_set("maxmemory", 0)
    return False, ""


def postgres(scene: Scene) -> tuple[bool, str]:
    """Gone when the answer comes, so that what was made can't be written down."""
    server = scene.ground.ledger.postgres
    assert server
    with scene.inside_a_create() as held:
        server.stop()
        held.release()
        scene.pause(0.5, 2.5)
        server.start()
    return held.is_between, held.told


def sqlite_locked(scene: Scene) -> tuple[bool, str]:
    with scene.inside_a_create() as held, scene.ground.ledger.locked():
        held.release()
        scene.pause(2, LEASE + 1)
    return held.is_between, held.told


def sqlite_full(scene: Scene) -> tuple[bool, str]:
    with scene.inside_a_create() as held, scene.ground.ledger.full():
        held.release()
        scene.pause(2, LEASE + 1)
    return held.is_between, held.told


@contextmanager
def _redis(scene: Scene) -> Iterator[redis_py.Redis]:
    with redis_py.Redis.from_url(scene.ground.redis.url, socket_timeout=5) as client:
        until(lambda: _is_loaded(client), 30, what="Redis to have loaded its data")
        yield client


def _is_loaded(client: redis_py.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis_py.BusyLoadingError:
        return False


# vendors


def storm(vendor: str, call: str) -> Incident:
    """Some calls in a row are refused: too many."""

    def strike(scene: Scene) -> tuple[bool, str]:
        fault = {"vendor": vendor, "call": call, "do": 429, "times": scene.dice.randint(3, 6), "retry_after": 1}
        made = scene.sandbox.post("faults", fault)
        scene.pause(2, 4)
        fired = next(one["fired"] for one in scene.sandbox.get("faults") if one["id"] == made["id"])
        scene.sandbox.delete(f"faults/{made['id']}")
        if not fired:
            raise Missed
        return False, f"{fired} calls"

    return strike


def block(scene: Scene) -> tuple[bool, str]:
    """Kommo shuts us out and lets us in again. How long we then leave it alone is cut short: see `end_silence`."""
    before = scene.sandbox.mark()
    scene.sandbox.post("kommo/block")
    scene.hurry()
    scene.pause(2, 3)
    scene.sandbox.post("kommo/unblock")
    end_silence(scene.ground)
    return False, scene.met(before, 403)


def end_silence(ground: Ground) -> None:
    """After a block one call in a quarter of an hour tries whether it was lifted, which even shrunk is too long for the run: the next may.

    A worker that stood still may hear of a block long after it was lifted.
    """
    with redis_py.Redis.from_url(ground.redis.url, socket_timeout=2) as client, suppress(redis_py.RedisError):
        if client.hget(BLOCK_KEY, "trying") == b"0":
            client.hset(BLOCK_KEY, "next", 0)


def token_xero(scene: Scene) -> tuple[bool, str]:
    before = scene.sandbox.mark()
    scene.sandbox.post("xero/tokens/expire")
    scene.hurry()
    scene.pause(1.5, 3)
    return False, scene.met(before, 401)


def token_kommo(scene: Scene) -> tuple[bool, str]:
    """A long-lived one, which only a person can replace."""
    before = scene.sandbox.mark()
    scene.sandbox.post("kommo/tokens/expire")
    scene.hurry()
    scene.pause(1.5, 3)
    token = str(scene.sandbox.post("kommo/tokens")["token"])

    def connected() -> bool:
        with suppress(NotReady):  # there may be no turn for it just now: people try again
            scene.ground.admin("connect", "kommo", CONNECTION, "--token", token)
            return True
        return False

    # Redis or the database may be away just then, and come back after another fault or two
    until(connected, 180, what="Kommo to be connected again", pause=1)
    return False, scene.met(before, 401)


def hook_off(scene: Scene) -> tuple[bool, str]:
    """Nothing is heard from Kommo until reconciliation has switched its hook on again."""
    where = scene.ground.settings["PUBLIC_URL"] + "/webhooks/kommo/" + scene.ground.settings["KOMMO_WEBHOOK_TOKEN"]
    scene.sandbox.post("kommo/webhooks/disable", {"destination": where})
    scene.pause(3, 6)
    reconcile(scene.ground)
    return False, ""


INCIDENTS: Mapping[str, Incident] = {
    "kill-child": kill_child,
    "kill-worker": kill_worker,
    "kill-beat": kill_beat,
    "kill-web": kill_web,
    "freeze": freeze,
    "deploy": deploy,
    "flush": flush,
    "redis-kept": redis_kept,
    "redis-empty": redis_empty,
    "redis-down": redis_down,
    "redis-full": redis_full,
    "postgres": postgres,
    "sqlite-locked": sqlite_locked,
    "sqlite-full": sqlite_full,
    "storm-xero": storm("xero", "* /api.xro"),
    "storm-kommo": storm("kommo", "* /api"),
    "block": block,
    "token-xero": token_xero,
    "token-kommo": token_kommo,
    "hook-off": hook_off,
}

# About how long each takes on two busy cores, with the wait for an answer that can be held: how long a run must last for all of them.
SECONDS: Mapping[str, float] = {
    "kill-child": 3, "kill-worker": 9, "kill-beat": 5, "kill-web": 4, "freeze": 11, "deploy": 11, "flush": 1, "redis-kept": 1,
    "redis-empty": 1, "redis-down": 7, "redis-full": 4, "postgres": 7, "sqlite-locked": 6, "sqlite-full": 6, "storm-xero": 3,
    "storm-kommo": 3, "block": 3, "token-xero": 3, "token-kommo": 6, "hook-off": 8,
}  # fmt: skip
