"""The Procfile's lines as processes: any number of each, by name."""

import signal
import sys

import pytest
from rich.console import Console

from stack.children import NotReady
from stack.processes import Processes, inherited
from stack.run import MOST_RESTARTS, keep_up

PROCFILE = f"""\
release: GREETING=hello {sys.executable} -c "import os; print(os.environ['GREETING'], os.environ['WHO'])"
failing: {sys.executable} -c "raise SystemExit('no such table')"
web: {sys.executable} -u tests/stack/answers.py
"""


@pytest.fixture
def processes(children, tmp_path, monkeypatch):
    (tmp_path / "Procfile").write_text(PROCFILE.replace("tests/stack/", f"{__file__.rpartition('/')[0]}/"))
    environment = inherited(
        {"WHO": "there", "KOMMO_API_URL": "https://real"}, without=lambda name: name.startswith("KOMMO")
    )
    started = Processes(children, environment | {"PORT": "0"}, root=tmp_path)
    yield started
    started.stop(*started.lines)


def test_a_line_that_fails_says_why(processes):
    with pytest.raises(NotReady, match="failing ended with status 1:\nno such table"):
        processes.run("failing")


def test_a_line_runs_as_a_shell_would_with_the_environment(processes):
    assert processes.run("release") == "hello there\n"


def test_what_names_a_real_account_is_not_inherited(processes):
    assert "KOMMO_API_URL" not in processes.environment


def test_each_of_a_kind_listens_on_its_own_port(processes):
    names = processes.start("web", 3)[1:]
    processes.wait_ready(*names)
    assert names == ["web.2", "web.3"]
    assert len({processes[name].url for name in names}) == 2


def test_one_that_was_killed_is_known_and_comes_back_on_its_port(processes):
    processes.start("web", 2)
    processes.wait_ready("web.2")
    processes.kill("web.2")
    url, killed = processes["web.2"].url, processes["web.2"].child
    assert killed.process.returncode == -signal.SIGKILL
    assert "web.2" in processes.dead()
    processes.restart("web.2")
    processes.wait_ready("web.2")
    assert processes["web.2"].url == url


def test_one_that_is_frozen_answers_after_it_is_thawed(processes):
    processes.start("web", 2)
    processes.wait_ready("web.2")
    processes.freeze("web.2")
    assert not processes["web.2"].is_ready
    processes.thaw("web.2")
    processes.wait_ready("web.2")


def test_one_that_can_not_be_kept_up_is_told_with_its_last_words(processes, capsys):
    processes.start("failing")
    with pytest.raises(NotReady, match=r"failing\.1 ended 5 times.*\nno such table"):
        keep_up(processes, Console(), pause=0.1)
    assert capsys.readouterr().out.count("starting it again") == MOST_RESTARTS
