"""Nothing that was started outlives its starter, however that ends."""

import os
import signal
import subprocess
import sys

import pytest

from stack.children import Children, NotReady
from stack.watchdog import is_running

SLEEPS = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
IS_DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]
HAS_A_CHILD = [
    sys.executable,
    "-c",
    "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)",
]

STARTS_AND_WAITS = """
import sys, time
from pathlib import Path
from stack.children import Children
children = Children(Path(sys.argv[1]))
child = children.start("sleeper", [sys.executable, "-c", "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"])
child.wait_ready(child.output, 10)
print(child.pid, child.output(), flush=True)
time.sleep(600)
"""


def test_a_killed_starter_takes_its_children_along(tmp_path, until):
    command = [sys.executable, "-c", STARTS_AND_WAITS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."}) as starter:
        assert starter.stdout
        child, grandchild = map(int, starter.stdout.readline().split())
        starter.kill()
    until(lambda: not is_running(child) and not is_running(grandchild), 10)


def test_a_stopped_child_takes_its_own_children_along(children, until):
    child = children.start("parent", HAS_A_CHILD)
    child.wait_ready(child.output, 10)
    children.stop(child)
    until(lambda: not is_running(int(child.output())), 5)


def test_a_deaf_child_is_killed_in_the_end(children):
    child = children.start("deaf", IS_DEAF)
    child.wait_ready(child.output, 10)
    children.stop(child, grace=0.3)
    assert child.process.returncode == -signal.SIGKILL


def test_a_frozen_child_can_be_stopped(children):
    child = children.start("frozen", SLEEPS)
    child.wait_ready(child.output, 10)
    child.signal(signal.SIGSTOP)
    children.stop(child)
    assert child.process.returncode == -signal.SIGTERM


def test_a_child_that_ends_before_it_is_ready_says_why(children):
    child = children.start("broken", [sys.executable, "-c", "raise SystemExit('no such table')"])
    with pytest.raises(NotReady, match="broken ended with status 1:\nno such table"):
        child.wait_ready(lambda: False, 10)


def test_a_child_that_is_never_ready_says_what_it_wrote(children):
    child = children.start("slow", SLEEPS)
    with pytest.raises(NotReady, match=r"waited 0\.5 s in vain for slow\nup"):
        child.wait_ready(lambda: False, 0.5)
    children.kill(child)


def test_closing_ends_the_newest_first(tmp_path):
    writes = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(print(sys.argv[1], file=open(sys.argv[2], 'a')) or 0)); print('up', flush=True); time.sleep(600)"
    order = tmp_path / "order"
    with Children(tmp_path) as started:
        for name in ("first", "second"):
            child = started.start(name, [sys.executable, "-c", writes, name, str(order)])
            child.wait_ready(child.output, 10)
    assert order.read_text().split() == ["second", "first"]
