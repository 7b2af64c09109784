"""An operator's mistake gets one clear message on standard error and exit status 1, never a stack trace and never a secret."""

import os
import subprocess
import sys

import pytest

from tests.admin.conftest import ROOT

READING = [("status",), ("jobs", "list"), ("jobs", "show", "1"), ("trace", "--lead", "1")]


@pytest.mark.parametrize("words", READING)
def test_a_database_that_was_not_made(desk, tmp_path, words):
    desk.env["DATABASE_URL"] = f"sqlite:///{tmp_path / 'new.db'}"
    assert "alembic upgrade head" in desk.refused(*words)


@pytest.mark.parametrize("words", READING)
def test_a_database_that_is_not_there(desk, words):
    desk.env["DATABASE_URL"] = "postgresql://bridge:very-secret@127.0.0.1:1/bridge"
    told = desk.refused(*words)
    assert "DATABASE_URL" in told
    assert "very-secret" not in told


def test_a_database_that_is_no_database(desk, tmp_path):
    (tmp_path / "text.db").write_text("this is no database at all, only a text that is long enough" * 20)
    desk.env["DATABASE_URL"] = f"sqlite:///{tmp_path / 'text.db'}"
    assert "DATABASE_URL" in desk.refused("status")


def test_a_folder_that_can_not_be_made(desk, tmp_path):
    (tmp_path / "file").write_text("")
    desk.env["DATABASE_URL"] = f"sqlite:///{tmp_path / 'file' / 'bridge.db'}"
    assert f"{tmp_path / 'file'} can't be used" in desk.refused("status")


def test_a_setting_that_is_missing(desk):
    del desk.env["SECRET_KEYS"]
    assert "SECRET_KEYS is missing" in desk.refused("connect", "kommo", "demo", "--token", "x")


def test_a_key_that_is_none(desk):
    desk.env["SECRET_KEYS"] = "nonsense"
    told = desk.refused("connect", "kommo", "demo", "--token", desk.sandbox.ready["kommo_token"])
    assert "SECRET_KEYS" in told
    assert "nonsense" not in told


def test_keys_that_no_longer_fit(desk):
    desk.connect()
    desk.env["SECRET_KEYS"] = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    assert "put it back, or connect again" in desk.refused("setup", "demo")


def test_a_connections_file_with_a_fault(desk):
    desk.rewrite('line_amounts = "Exclusive"', 'line_amounts = "Exlusive"')
    assert "line 14" in desk.refused("setup", "demo")


def test_a_connections_file_that_is_not_there(desk):
    desk.env["CONNECTIONS_FILE"] = "nowhere.toml"
    assert "nowhere.toml is not there" in desk.refused("check")


def test_no_redis(desk):
    desk.env["REDIS_URL"] = "redis://127.0.0.1:1/0"
    told = desk.refused("connect", "kommo", "demo", "--token", desk.sandbox.ready["kommo_token"])
    assert "Redis does not answer (REDIS_URL)" in told


def test_a_vendor_that_does_not_answer(desk):
    desk.env["KOMMO_API_URL"] = "http://127.0.0.1:1/{subdomain}"
    told = desk.refused("connect", "kommo", "demo", "--token", desk.sandbox.ready["kommo_token"])
    assert "Kommo could not be reached" in told


def test_a_vendor_that_asks_us_to_wait(desk):
    fault = {"vendor": "xero", "call": "POST /connect/token", "when": "before", "do": 429, "times": 1}
    desk.sandbox.post("faults", fault)
    assert "try again in" in desk.refused("connect", "xero", "demo", "--client-credentials")


WRONG = [
    (("conect",), "Did you mean 'connect'?"),
    (("connect", "komo", "demo"), "Did you mean 'kommo'?"),
    (("jobs", "replya", "1"), "Did you mean 'replay'?"),
    (("jobs", "list", "--sate", "failed"), "'--state'?"),
    (("jobs", "list", "--state", "broken"), "'queued', 'running', 'done', 'failed', 'cancelled'"),
    (("jobs", "list", "--kind", "invoice"), "'create_invoice'"),
    (("jobs", "list", "--since", "yesterday"), "write 2h, 3d, 2026-09-14 or 2026-09-14T08:00"),
    (("jobs", "list", "--limit", "0"), "1<=x<="),
    (("jobs", "list", "--limit", "9" * 30), "1<=x<="),
    (("jobs", "list", "--since", "0001-01-01T00:00+10:00"), "is no time"),
    (("jobs", "list", "--since", "9999-12-31T23:59-10:00"), "is no time"),
    (("jobs", "show", "INV-0042"), "'INV-0042' is not a valid int"),
    (("jobs", "show"), "Missing argument 'JOB'"),
    (("jobs", "cancel"), "Missing argument"),
    (("jobs", "replay"), "Name the jobs, or name a --state with filters."),
    (("trace",), "Name the deal with --lead, or the invoice with --invoice."),
    (("reconcile",), "Missing argument 'NAME'"),
    (("reconcile", "demo", "--since", "soon"), "'soon' is no time"),
    (("setup",), "Missing argument 'NAME'"),
    (("completion",), "Missing argument"),
    (("connect", "xero", "demo", "--client-credentials", "--client-id", "x", "--client-secret", ""), "is empty"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=" ".join)
def test_wrong_usage_says_what_is_right(desk, words, said):
    told = desk.run(*words)
    assert told.exit_code == 2
    assert said in told.stderr
    assert told.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("check", "dmo"), ("setup", "dmo"), ("reconcile", "dmo"), ("connect", "kommo", "dmo", "--token", "x"),
        ("connect", "xero", "dmo", "--client-credentials"), ("jobs", "list", "--connection", "dmo"),
        ("jobs", "replay", "--state", "failed", "--connection", "dmo"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_connection_that_nobody_knows(desk, words):
    assert 'did you mean "demo"?' in desk.refused(*words)


def test_what_is_not_there_is_named(desk):
    assert "there is no job 99" in desk.refused("jobs", "show", "99")
    assert "there is no job 99" in desk.refused("jobs", "replay", "99")
    assert "there is no job 99" in desk.refused("jobs", "cancel", "99")
    assert "nothing is known of the deal 99" in desk.refused("trace", "--lead", "99")
    assert "no deal has an invoice of this number" in desk.refused("trace", "--invoice", "INV-99")


def test_a_number_that_is_far_too_long_is_no_id(desk):
    much = "9" * 25
    for words in (("jobs", "show"), ("jobs", "replay"), ("jobs", "cancel"), ("trace", "--lead")):
        told = desk.run(*words, much)
        assert (told.exit_code, told.stdout) == (2, "")
        assert f"{much} is too long for an id" in told.stderr


def test_a_connection_that_was_never_connected(desk):
    told = desk.refused("setup", "demo")
    assert "Kommo was never connected: admin connect kommo demo" in told
    assert "no longer" not in told


def test_without_redis_nobody_is_said_to_hear_nothing(desk):
    desk.env["REDIS_URL"] = "redis://127.0.0.1:1/0"
    for words in (("status",), ("check",)):
        said = desk.run(*words).stdout
        assert "no worker has heard" not in said.lower()
        assert "while Redis does not answer" in said


def test_nothing_is_meant(desk):
    assert "No job is meant by that." in desk.do("jobs", "list", "--state", "failed")
    assert "No job is meant by that." in desk.do("jobs", "replay", "--state", "failed")


@pytest.mark.system
def test_it_runs_as_a_program(desk):
    answer = subprocess.run(
        [sys.executable, "-m", "admin", "jobs", "list", "--json"],
        cwd=ROOT, env=os.environ | desk.env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (answer.returncode, answer.stdout.strip(), answer.stderr) == (0, "[]", "")
