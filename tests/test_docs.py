"""What the documents tell people to type, typed."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from honcho.environ import parse_procfile

ROOT = Path(__file__).parent.parent

# A shell that knows nothing of the project yet.
FRESH = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "ENV_FILE": os.devnull}


def lines(page: str, word: str) -> list[str]:
    """The commands of the blocks of a page that have this word in one of them."""
    blocks = re.findall(r"(?ms)^ *```sh\n(.*?)^ *```$", (ROOT / page).read_text())
    return [line.strip() for block in blocks if word in block for line in block.splitlines()]


@pytest.mark.parametrize("page", ["README.md", "docs/connect.md", "docs/operating.md"])
def test_the_programs_of_the_procfile_are_found_by_the_commands_that_start_them(page):
    if not (ROOT / ".venv" / "bin" / "honcho").exists():
        pytest.skip("there is no .venv")
    typed = lines(page, "honcho start")
    asked = [
        re.sub(r"^honcho (run alembic .*|start .*)$", "honcho run which alembic gunicorn celery", one) for one in typed
    ]
    assert asked != typed, "it says how to start them"
    told = subprocess.run(
        ["/bin/sh", "-ec", "\n".join(asked)],
        cwd=ROOT,
        env=FRESH,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert told.returncode == 0, told.stderr
    assert set(told.stdout.split()) == {
        str(ROOT / ".venv" / "bin" / name) for name in ("alembic", "gunicorn", "celery")
    }


def test_the_unit_of_systemd_is_the_procfiles_line():
    """systemd reads $$ as $ and %% as % (systemd.service(5)), and what is left is the shell's."""
    unit = re.search(r"(?m)^ExecStart=/bin/sh -c 'exec env (.*)'$", (ROOT / "docs" / "operating.md").read_text())
    assert unit
    said = re.sub(r"\$\$|%%", lambda pair: pair[0][0], unit[1])
    assert said == parse_procfile((ROOT / "Procfile").read_text()).processes["worker"]
