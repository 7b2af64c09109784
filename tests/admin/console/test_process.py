"""The console as it is deployed: the Procfile's line."""

import subprocess
from pathlib import Path

import pytest
import requests

from stack.children import Children
from stack.processes import Processes, inherited
from tests.admin.conftest import Desk

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.system


@pytest.fixture
def processes(desk: Desk, children: Children) -> Processes:
    return Processes(children, desk.env)


def test_it_serves_and_logs_no_address_that_a_consent_came_back_to(processes, desk):
    processes.start("console")
    try:
        processes.wait_ready("console.1")
        url = processes["console.1"].url
        secret = "code=a-code&state=a-state"
        login = requests.get(f"{url}/oauth/xero/callback?{secret}", timeout=10)
        assert login.url.startswith(f"{url}/login?next=")
        assert "completed" in login.text
        requests.get(f"{url}/oauth/xero/callback?{'x' * 9000}&{secret}", timeout=10)
        assert requests.get(f"{url}/metrics", timeout=10).ok
        assert "a-code" not in processes["console.1"].child.output()
    finally:
        processes.stop("console.1")


@pytest.mark.parametrize("missing", ["ADMIN_PASSWORD", "SECRET_KEYS"])
@pytest.mark.parametrize("config", [["-c", "admin/console/gunicorn.py"], ["--bind", "127.0.0.1:1"]])
def test_without_a_password_or_keys_it_refuses_to_start_with_the_mend(desk, missing, config):
    env = {name: value for name, value in desk.env.items() if name != missing}
    command = ["gunicorn", *config, "admin.console.wsgi:app"]
    ended = subprocess.run(
        command,
        env=inherited(env, without=lambda name: name == missing) | {"HOME": str(desk.folder)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = ended.stderr + ended.stdout
    assert ended.returncode != 0
    assert f"{missing} is missing (console needs it)" in said
    assert "Traceback" not in said
