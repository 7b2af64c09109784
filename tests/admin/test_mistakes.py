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


def test_a_wrong_command_is_wrong_usage(desk):
    assert desk.run("conect").exit_code == 2


@pytest.mark.system
def test_it_runs_as_a_program(desk):
    answer = subprocess.run(
        [sys.executable, "-m", "admin", "jobs", "list", "--json"],
        cwd=ROOT, env=os.environ | desk.env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (answer.returncode, answer.stdout.strip(), answer.stderr) == (0, "[]", "")
