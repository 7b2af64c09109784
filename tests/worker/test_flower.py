"""Flower as the Procfile's line starts it: what it takes from that line and from worker/flower.py."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from honcho.environ import parse_procfile

from stack.plan import is_ours

ROOT = Path(__file__).parent.parent.parent
LINE = parse_procfile((ROOT / "Procfile").read_text()).processes["flower"]

# Flower's own way to its options, as far as before it listens.
TAKEN = """
import json, sys
from flower.command import apply_env_options, apply_options
from tornado.options import options
apply_env_options()
apply_options("celery", sys.argv[1:])
print(json.dumps({name: options[name] for name in ("address", "port", "basic_auth", "read_only", "tasks_columns")}))
"""


def flower(**env: str) -> subprocess.CompletedProcess[str]:
    """The line in a shell, with another program in Flower's place."""
    free = {name: value for name, value in os.environ.items() if not is_ours(name)}
    line = LINE.replace("celery -A worker.app flower", '"$PYTHON" -c "$TAKEN"')
    assert line != LINE
    return subprocess.run(
        ["/bin/sh", "-c", line], cwd=ROOT, env=free | {"PYTHON": sys.executable, "TAKEN": TAKEN, "ENV_FILE": os.devnull} | env,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def taken(**env: str) -> Any:
    told = flower(**env)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


@pytest.mark.parametrize("password", [",two", 'it\'s "two words" $HOME'])
def test_the_password_is_whole_whatever_is_in_it(password):
    assert taken(ADMIN_PASSWORD=password)["basic_auth"] == [f"operator:{password}"]


def test_it_only_looks_and_is_reached_from_this_machine_only():
    told = taken(ADMIN_PASSWORD="x", FLOWER_PORT="6000", FLOWER_READ_ONLY="false", FLOWER_BASIC_AUTH="me:me")
    assert (told["read_only"], told["address"], told["port"], told["basic_auth"]) == (
        True, "127.0.0.1", 6000, ["operator:x"],
    )  # fmt: skip
    assert {"name", "args"} <= set(told["tasks_columns"].split(","))


def test_its_settings_may_stand_in_the_env_file(tmp_path):
    (tmp_path / ".env").write_text("ADMIN_PASSWORD=from the file\nFLOWER_PORT=6001\n")
    told = taken(ENV_FILE=str(tmp_path / ".env"))
    assert (told["basic_auth"], told["port"]) == (["operator:from the file"], 6001)


def test_without_a_password_it_does_not_start():
    told = flower()
    assert told.returncode != 0
    assert "ADMIN_PASSWORD is missing" in told.stderr
    assert "Traceback" not in told.stderr
