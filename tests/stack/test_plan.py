"""What a trial runs with: everything made for it, and nothing that could name a real account."""

import os
from pathlib import Path

import pytest
from dotenv import dotenv_values

from stack.plan import CONNECTION, environment
from worker import connections, settings

READY = {
    "kommo_url": "http://127.0.0.1:9101",
    "xero_url": "http://127.0.0.1:9103",
    "xero_client_id": "id",
    "xero_client_secret": "secret",
    "xero_webhook_key": "key",
    "xero_tenant_id": "5b96e86b-418e-48d8-8949-308c14aec278",
}


@pytest.fixture
def trial(tmp_path, monkeypatch):
    monkeypatch.setenv("KOMMO_API_URL", "https://{subdomain}.kommo.com")
    monkeypatch.setenv("DATABASE_URL", "postgresql://books.example/live")
    monkeypatch.setenv("BRIDGE_LEASE_SECONDS", "3600")
    return environment(folder=tmp_path, sandbox=READY, redis_url="redis://127.0.0.1:6379/15")


def test_every_setting_is_given_so_that_no_env_file_counts(trial):
    names = set(dotenv_values(Path(__file__).parents[2] / ".env.example"))
    assert {name for name in names if not name.startswith(("BRIDGE_", "KEEP_"))} <= {
        name for name, value in trial.items() if value
    }


def test_nothing_of_ours_is_inherited(trial):
    assert trial["KOMMO_API_URL"] == "http://127.0.0.1:9101/{subdomain}"
    assert trial["DATABASE_URL"].startswith("sqlite:///")
    assert "BRIDGE_LEASE_SECONDS" not in trial
    assert trial["PATH"].endswith(os.environ["PATH"])


def test_the_service_takes_its_settings_and_connections(trial, monkeypatch):
    for name, value in trial.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("BRIDGE_LEASE_SECONDS")
    loaded = settings.load(needs={"web", "worker", "setup", "flower"}, env_file=None)
    assert [one.name for one in connections.load(loaded.connections_file)] == [CONNECTION]


def test_each_trial_has_secrets_of_its_own(trial, tmp_path):
    other = environment(folder=tmp_path, sandbox=READY, redis_url="redis://127.0.0.1:6379/15")
    for name in ("SECRET_KEYS", "ADMIN_PASSWORD", "KOMMO_WEBHOOK_TOKEN"):
        assert other[name] != trial[name]
