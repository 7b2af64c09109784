"""`make run`: the whole product with the sandbox, up until Ctrl-C."""

import os
import shutil
import socket
import time

from rich.console import Console

from stack.children import NotReady
from stack.processes import ROOT, Processes
from stack.redis import find, free_port
from stack.screen import Progress
from stack.trial import Trial, trial

KINDS = {"web": 1, "worker": 1, "beat": 1, "console": 1, "flower": 1}

USUAL_PORTS = {
    "PORT": 8000,
    "CONSOLE_PORT": 8001,
    "FLOWER_PORT": 5555,
    "control": 9100,
    "kommo": 9101,
    "drive": 9102,
    "xero": 9103,
}

MOST_RESTARTS = 5
"""How often a process may end by itself before that is told as a fault."""


def run(console: Console) -> int:
    """The exit status: 0 after Ctrl-C, 1 if it can't be kept up."""
    find(os.environ)  # says at once, and before anything is made, that there is no Redis
    folder = ROOT / "var" / "run"
    shutil.rmtree(folder, ignore_errors=True)  # the sandbox forgets everything, so the ledger must too
    progress = Progress(console)
    try:
        with trial(folder, say=progress.say, kinds=KINDS, ports=choose_ports()) as running:
            console.print(addresses(running), highlight=False)
            keep_up(running.processes, console)
    except NotReady as failure:
        progress.fail(str(failure))
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
    return 0


def choose_ports() -> dict[str, int]:
    """The environment's, else the usual ones; any free one where somebody listens already."""
    wanted = {name: int(os.environ.get(name) or usual) for name, usual in USUAL_PORTS.items()}
    return {name: port if is_free(port) else free_port() for name, port in wanted.items()}


def is_free(port: int) -> bool:
    """Whether nobody listens on that port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def addresses(running: Trial) -> str:
    """What is where, and how to begin."""
    settings, processes, pages = running.environment, running.processes, running.sandbox.pages_url
    return "\n".join((
        "",
        f"  Kommo     {pages}/kommo/   add a deal, and drag it to “Payment approved”",
        f"  Xero      {pages}/xero/    see its invoice, have it paid; or raise one by hand",
        f"  traffic   {pages}/traffic  webhooks sent, calls that came, budgets left",
        f"  faults    {pages}/faults   what goes wrong, on request",
        f"  console   {settings['CONSOLE_URL']}  (password: {settings['ADMIN_PASSWORD']})",
        f"  Flower    {processes['flower.1'].url}  (operator / {settings['ADMIN_PASSWORD']})",
        f"  receiver  {processes['web.1'].url}/readyz",
        f"  logs      {ROOT / 'var' / 'run' / 'logs'}",
        "",
        "  The admin CLI, in another terminal:",
        f"    set -a; . {running.settings_file.relative_to(ROOT)}; .venv/bin/python -m admin status",
        "",
        "  Ctrl-C stops all of it.",
        "",
    ))  # fmt: skip


def keep_up(processes: Processes, console: Console, *, pause: float = 1.0) -> None:
    """Starts again what ends, until Ctrl-C; `NotReady` if that doesn't help."""
    restarts = dict.fromkeys(processes.lines, 0)
    while True:
        for name in processes.dead():
            restarts[name] += 1
            child = processes[name].child
            if restarts[name] > MOST_RESTARTS:
                raise NotReady(f"{name} ended {MOST_RESTARTS} times; the last lines of its log:\n{child.last_lines()}")
            console.print(f"{name} ended with status {child.process.returncode}; starting it again", highlight=False)
            processes.restart(name)
        time.sleep(pause)
