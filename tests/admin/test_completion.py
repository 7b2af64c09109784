"""Completion: a real shell, given what `completion` prints, completes the words; skipped where a shell is absent."""

import os
import shutil
import subprocess

import pytest

from tests.admin.conftest import Desk

BASH = """
source {script}
complete -p bridge-admin >&2
words() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bridge_admin; echo "${{COMPREPLY[*]}}"; }}
"""


def shell(name: str) -> str:
    found = shutil.which(name)
    if not found:
        pytest.skip(f"there is no {name} on this machine")
    return found


def run(desk: Desk, *command: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | desk.env
    return subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.system
def test_bash_completes(desk):
    script = desk.folder / "completion.bash"
    script.write_text(desk.do("completion", "bash"))
    asked = (
        "jo",
        "jobs list --state ''",
        "jobs list --kind a",
        "check ''",
        "jobs list --connection d",
        "jobs replay --s",
    )
    lines = "".join(f"words bridge-admin {words}\n" for words in asked)
    told = run(desk, shell("bash"), "--norc", "-c", BASH.format(script=script) + lines)
    assert told.stdout.splitlines() == [
        "jobs", "queued running done failed cancelled", "attach_invoice", "demo", "demo", "--state --since",
    ]  # fmt: skip
    assert "-F _bridge_admin bridge-admin" in told.stderr


@pytest.mark.system
def test_in_bash_it_is_a_command_wherever_one_stands(desk):
    script = desk.folder / "completion.bash"
    script.write_text(desk.do("completion", "bash"))
    told = run(
        desk,
        shell("bash"),
        "--norc",
        "-c",
        f"source {script}; bridge-admin jobs list --json; echo $?; bridge-admin no; echo $?",
    )
    assert told.stdout.split() == ["[]", "0", "2"]


@pytest.mark.system
def test_without_a_connections_file_no_name_is_completed(desk):
    desk.env["CONNECTIONS_FILE"] = "nowhere.toml"
    script = desk.folder / "completion.bash"
    script.write_text(desk.do("completion", "bash"))
    told = run(desk, shell("bash"), "--norc", "-c", BASH.format(script=script) + "words bridge-admin check ''")
    assert told.stdout.strip() == ""


@pytest.mark.system
@pytest.mark.parametrize(
    ("name", "flags", "asks"),
    [
        ("zsh", ("-f",), "autoload -U compinit; compinit -u; source {script}; whence -w bridge-admin _bridge_admin"),
        ("fish", ("--no-config",), "source {script}; complete --do-complete 'bridge-admin jo'"),
    ],
)
def test_other_shells_read_it(desk, name, flags, asks):
    program, script = shell(name), desk.folder / f"completion.{name}"
    script.write_text(desk.do("completion", name))
    told = run(desk, program, *flags, "-c", asks.format(script=script))
    assert (told.returncode, told.stderr) == (0, "")
    assert {"zsh": "_bridge_admin: function", "fish": "jobs"}[name] in told.stdout


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_every_script_is_filled_in(desk, name):
    assert "%(" not in desk.do("completion", name)


def test_an_unknown_shell_is_wrong_usage(desk):
    told = desk.run("completion", "tcsh")
    assert told.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in told.stderr
