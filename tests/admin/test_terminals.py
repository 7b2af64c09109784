"""What is said fits where it is read: a narrow terminal, a wide one, a file, a pipe that closes, a program."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.admin.conftest import ROOT, Desk
from tests.conftest import wait_until
from worker import jobs
from worker.database import Database
from worker.jobs import Job, Kind, LeadRef, State, Wanted

ACCOUNT = 30896271
NAME = "Website relaunch for the autumn campaign of the whole group"
SENTENCE = "Kommo does not accept this: the field 'XERO_INVOICE_ID' (leads) was deleted by somebody, so that no deal can be found again."
ESCAPE = "\x1b"


@pytest.fixture
def failed(desk: Desk, ledger: Database) -> Desk:
    """A deal with a long name, whose job failed with a long sentence, and another that waits."""
    now = datetime.now(UTC)
    with ledger.begin() as session:
        first, second = jobs.record(
            session, [Wanted("demo", Kind.CREATE_INVOICE, lead=LeadRef(ACCOUNT, number)) for number in (7, 8)], now=now
        )
        told = sa.update(Job).where(Job.id == first)
        session.execute(told.values(state=State.FAILED, sentence=SENTENCE, ended_at=now))
        later = sa.update(Job).where(Job.id == second)
        session.execute(
            later.values(due_at=now + timedelta(hours=2, minutes=5), attempts=3, sentence="Xero is not well")
        )
        body = f"leads[add][0][id]=7&leads[add][0][name]={NAME}".encode()
        session.execute(
            sa.text(
                "INSERT INTO deliveries (id, source, received_at, content_type, body) VALUES (1, 'kommo', :at, '', :body)"
            ),
            {"at": now.replace(tzinfo=None).isoformat(" "), "body": body},
        )
        session.execute(sa.text("INSERT INTO mentions (subject, delivery_id) VALUES ('lead:30896271:7', 1)"))
    return desk


@pytest.mark.parametrize("width", [70, 80, 100, 160])
def test_the_list_of_jobs_fits(failed, width):
    failed.env["COLUMNS"] = str(width)
    said = failed.do("jobs", "list")
    rows = said.splitlines()[:-1]
    assert max(map(len, rows)) <= width
    assert NAME[:10] in said
    assert SENTENCE in " ".join(said.split())
    assert re.search(r"Xero is not well \(again in 2 h [45] min, after 3 failures\)", " ".join(said.split()))


def test_in_a_file_each_job_is_one_line(failed):
    said = failed.do("jobs", "list")
    (line,) = [line for line in said.splitlines() if line.endswith(SENTENCE)]
    assert "create_invoice" in line
    assert ESCAPE not in said


def test_a_sentence_of_many_lines_and_with_orders_to_a_terminal_is_one_line_of_words(failed, ledger):
    with ledger.begin() as session:
        told = sa.update(Job).where(Job.state == State.FAILED)
        session.execute(told.values(sentence="an error in this program:\n[SQL: SELECT 1]\x1b[2J\x07 and so on"))
    said = failed.do("jobs", "list")
    (line,) = [line for line in said.splitlines() if line.endswith("and so on") and "create_invoice" in line]
    assert "an error in this program: [SQL: SELECT 1]" in line
    (job,) = failed.ask("jobs", "list", "--state", "failed")
    for words in (("jobs", "list"), ("jobs", "list", "--state", "failed"), ("jobs", "show", str(job["id"]))):
        assert not set(failed.do(*words)) & {ESCAPE, "\x07"}, words


def test_a_terminal_that_says_it_has_no_width_is_told_everything(failed):
    failed.env["COLUMNS"] = "0"
    assert SENTENCE in " ".join(failed.do("jobs", "list").split())


def test_one_job_fits_and_its_addresses_are_whole(failed):
    failed.env["COLUMNS"] = "60"
    (job,) = failed.ask("jobs", "list", "--state", "failed")
    lines = failed.do("jobs", "show", str(job["id"])).splitlines()
    assert max(len(line) for line in lines if "://" not in line) <= 60


def test_connections_are_told_apart_where_there_are_several(failed, ledger):
    assert "connection" not in failed.do("jobs", "list")
    with ledger.begin() as session:
        jobs.record(session, [Wanted("other", Kind.CREATE_INVOICE, lead=LeadRef(ACCOUNT, 9))], now=datetime.now(UTC))
    assert re.search(r"connection +deal", failed.do("jobs", "list"))
    assert "1 job." in failed.do("jobs", "list", "--connection", "other"), (
        "one that was taken out of the file has its jobs"
    )


def program(desk: Desk, *words: str, **more: Any) -> subprocess.Popen[bytes]:
    """A command as a terminal starts it: Ctrl-C reaches it, also where these tests run in the background and it would not."""
    words = (sys.executable, "-m", "admin", *words)
    return subprocess.Popen(words, cwd=ROOT, env=os.environ | desk.env, preexec_fn=hear_ctrl_c, **more)  # noqa: PLW1509  (it sets a signal, and no more)


def hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def in_terminal(desk: Desk, *words: str) -> str:
    """What a terminal of 80 columns is sent."""
    ours, theirs = pty.openpty()
    desk.env |= {"TERM": "xterm-256color", "COLUMNS": "80"}
    with program(desk, *words, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        sent = b""
        try:
            while some := os.read(ours, 4096):
                sent += some
        except OSError:  # Linux' word for the other end is closed
            pass
        child.wait(60)
    os.close(ours)
    return sent.decode()


@pytest.mark.system
def test_a_terminal_has_colours_unless_it_wants_none(failed):
    assert f"{ESCAPE}[31mfailed" in in_terminal(failed, "jobs", "list")
    failed.env["NO_COLOR"] = "1"
    assert not re.search(ESCAPE + r"\[3\dm", in_terminal(failed, "jobs", "list"))


@pytest.mark.system
@pytest.mark.parametrize("words", [("jobs", "list"), ("jobs", "list", "--json"), ("status",)])
def test_a_pipe_that_closes_is_no_error(failed, words):
    with program(failed, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stderr
        child.stdout.close()  # as `| head` does
        assert b"Traceback" not in child.stderr.read()


@pytest.mark.system
def test_ctrl_c_ends_it_with_130_and_no_stack_trace(failed):
    held = {"vendor": "kommo", "call": "GET /api/v4/account", "when": "before", "do": "hold", "times": 1}
    failed.sandbox.post("faults", held)
    token = failed.sandbox.ready["kommo_token"]
    with program(failed, "connect", "kommo", "demo", "--token", token, stderr=subprocess.PIPE) as child:
        assert child.stderr
        wait_until(lambda: failed.sandbox.get("held"), 60, pause=0.2)
        child.send_signal(signal.SIGINT)
        assert b"Traceback" not in child.stderr.read()
    assert child.returncode == 130


@pytest.mark.system
def test_ctrl_c_while_it_still_loads(failed):
    failed.env["PYTHONPROFILEIMPORTTIME"] = "1"  # tells on stderr what is loaded by now
    with program(failed, "status", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        assert child.stderr
        while not (line := child.stderr.readline()).rstrip().endswith(b" click"):
            assert line
        child.send_signal(signal.SIGINT)
        assert b"Traceback" not in child.stderr.read()
    assert child.returncode == 130


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("jobs", "list"),
        ("jobs", "show", "1"),
        ("trace", "--lead", "7"),
        ("check",),
        ("reconcile", "demo", "--dry-run"),
    ],
)
def test_json_is_one_document_and_nothing_else(failed, words):
    failed.connect()
    failed.do("setup", "demo")
    result = failed.run(*words, "--json")
    json.loads(result.stdout)
    assert result.stderr == ""
