"""What a trial runs with: everything made for it, and nothing that could name a real account."""

import os

import pytest

from stack.plan import CONNECTION, environment, is_ours
from worker import connections, settings

READY = {
    "kommo_url": "http://127.0.0.1:9101",
    "kommo_oauth_url": "http://127.0.0.1:9101/oauth",
    "kommo_client_id": "id",
    "kommo_client_secret": "secret",
    "xero_url": "http://127.0.0.1:9103",
    "xero_login_url": "http://127.0.0.1:9103",
    "xero_client_id": "custom id",
    "xero_client_secret": "custom secret",
    "xero_app_client_id": "id",
    "xero_app_client_secret": "secret",
    "xero_webhook_key": "key",
    "xero_tenant_id": "5b96e86b-418e-48d8-8949-308c14aec278",
}


@pytest.fixture
def trial(tmp_path, monkeypatch):
    monkeypatch.setenv("KOMMO_API_URL", "https://{subdomain}.kommo.com")
    monkeypatch.setenv("DATABASE_URL", "postgresql://books.example/live")
    monkeypatch.setenv("BRIDGE_LEASE_SECONDS", "3600")
    return environment(folder=tmp_path, sandbox=READY, redis_url="redis://127.0.0.1:6379/15")


def test_nothing_is_taken_from_an_env_file(trial, monkeypatch, tmp_path):
    told = ("NOTIFY_EMAIL=operator@acme.example", "SMTP_URL=smtp://mail.acme.example", "BRIDGE_LEASE_SECONDS=99")
    (tmp_path / ".env").write_text("\n".join(told))
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if is_ours(name)]:
        monkeypatch.delenv(name)
    for name, value in trial.items():
        monkeypatch.setenv(name, value)
    loaded = settings.load(needs={"web", "worker", "setup", "console", "flower"})
    assert loaded.notify_email is None
    assert loaded.timing.lease_seconds == 10
    monkeypatch.delenv("ENV_FILE")
    assert settings.load().notify_email == "operator@acme.example"


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
