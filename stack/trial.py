"""The whole product on one machine, with the sandbox where the vendors would be: started in order, stopped in reverse."""

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack.children import Children, NotReady
from stack.plan import CONNECTION, environment, is_ours
from stack.processes import ROOT, Processes, inherited
from stack.redis import open_redis
from stack.sandbox import Sandbox, start_sandbox

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """A product that runs, and the sandbox that it talks to."""

    sandbox: Sandbox
    processes: Processes
    environment: Mapping[str, str]
    redis_origin: str
    settings_file: Path
    """The product's settings for a shell to read."""


@contextmanager
def trial(
    folder: Path, *, say: Say, kinds: Mapping[str, int], ports: Mapping[str, int] | None = None
) -> Iterator[Trial]:
    """Everything up and connected: Redis, the sandbox, the database, and so many processes of each of `kinds`."""
    bare = inherited(os.environ, without=is_ours)
    with Children(folder / "logs") as children:
        say("finding a Redis")
        with open_redis(children, folder / "redis", os.environ) as (redis_url, origin):
            say("starting the sandbox")
            sandbox = start_sandbox(children, folder, env=bare, ports=ports)
            settings = environment(folder=folder, sandbox=sandbox.ready, redis_url=redis_url, ports=ports)
            processes = Processes(children, settings, root=ROOT)
            try:
                bring_up(processes, sandbox, kinds=kinds, say=say)
                yield Trial(sandbox, processes, settings, origin, write_settings(folder, settings))
            finally:
                say("stopping")
                sandbox.close()
                for kind in ("flower", "console", "beat", "worker", "web"):
                    processes.stop(*processes.of(kind))


def bring_up(
    processes: Processes, sandbox: Sandbox, *, kinds: Mapping[str, int], say: Say, connects: bool = True
) -> None:
    """From an empty database to a product that both vendors' webhooks reach; without `connects`, to one that nobody has connected yet."""
    say("making the database")
    processes.run("release")
    say(
        "starting "
        + ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        + " and connecting both systems" * connects
    )
    for kind, count in kinds.items():
        processes.start(kind, count)
    register(processes, sandbox)
    if connects:
        connect(processes, sandbox)
    processes.wait_ready()
    if not connects:
        return
    point_xero_at(processes[processes.of("web")[-1]].url, processes, sandbox)


def connect(processes: Processes, sandbox: Sandbox) -> None:
    """What an operator does once: both grants, then `setup`."""
    ready = sandbox.ready
    pair = ("--client-id", ready["xero_client_id"], "--client-secret", ready["xero_client_secret"])
    processes.admin(
        ("connect", "kommo", CONNECTION, "--token", ready["kommo_token"]),
        ("connect", "xero", CONNECTION, "--client-credentials", *pair),
    )
    processes.admin(("setup", CONNECTION))


def register(processes: Processes, sandbox: Sandbox) -> None:
    """What an operator types into both vendors' pages for developers, for consent by OAuth: where people come back to, and who hears of their leaving."""
    settings = processes.environment
    uninstall = f"{settings['PUBLIC_URL']}/webhooks/kommo/{settings['KOMMO_WEBHOOK_TOKEN']}/uninstall"
    back = f"{settings['CONSOLE_URL']}/oauth"
    sandbox.patch("kommo/integration", {"redirect_uri": f"{back}/kommo/callback", "uninstall_url": uninstall})
    sandbox.post("xero/app/redirect-uris", {"uri": f"{back}/xero/callback"})


def point_xero_at(base_url: str, processes: Processes, sandbox: Sandbox) -> None:
    """What an operator types into Xero's page for developers; Xero asks the receiver whether it holds the key."""
    target = {"url": f"{base_url}/webhooks/xero", "key": processes.environment["XERO_WEBHOOK_KEY"]}
    verdict = sandbox.post("xero/webhook", target)
    if not verdict["ok"]:
        raise NotReady(f"the receiver failed Xero's intent to receive: {verdict}")


def write_settings(folder: Path, settings: Mapping[str, str]) -> Path:
    """A file that a shell can read, for whoever looks at the trial from another terminal; nobody else may read it."""
    path = folder.resolve() / "settings.sh"
    path.touch(mode=0o600)
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in settings.items() if is_ours(name)]
    path.write_text("".join(lines), encoding="utf-8")
    return path
