"""The environment: defaults, faults told all at once with their mend, and no secret in any text."""

import re
import traceback
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from worker.settings import MENDS, NEEDS, Keeping, Settings, SettingsError, Timing, load

ROOT = Path(__file__).parents[2]
KEY, OLD_KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()
ALL = frozenset(NEEDS)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """None of this machine's own settings: the tests set what they speak of."""
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def variables() -> list[str]:
    timing = [f"BRIDGE_{name.upper()}" for name in Timing.model_fields]
    keeping = [f"KEEP_{name.upper()}" for name in Keeping.model_fields]
    return [name.upper() for name in Settings.model_fields if name not in ("timing", "keeping")] + timing + keeping


def told(needs=(), env_file=None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(needs=needs, env_file=env_file)
    return str(caught.value)


def test_everything_has_the_documented_default():
    settings = load()
    assert (settings.database_url, settings.redis_url) == ("sqlite:///var/bridge.db", "redis://127.0.0.1:6379/0")
    assert (settings.port, settings.console_port, settings.flower_port) == (8000, 8001, 5555)
    assert (settings.public_url, settings.console_url) == ("http://localhost:8000", "http://localhost:8001")
    assert settings.connections_file == Path("connections.toml")
    assert (settings.kommo_api_url, settings.kommo_oauth_url) == (
        "https://{subdomain}.kommo.com",
        "https://www.kommo.com/oauth",
    )
    assert (settings.xero_api_url, settings.xero_identity_url) == ("https://api.xero.com", "https://identity.xero.com")
    assert settings.xero_login_url == "https://login.xero.com"
    assert settings.secret_keys == settings.kommo_webhook_token == settings.xero_webhook_key == ()


def test_the_example_holds_every_setting_and_loads_as_it_stands():
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)) == set(variables())
    assert load(env_file=ROOT / ".env.example") == load(env_file=None)


def test_addresses_follow_the_ports(environment):
    environment.setenv("PORT", "9000")
    environment.setenv("CONSOLE_PORT", "9001")
    assert (load().public_url, load().console_url) == ("http://localhost:9000", "http://localhost:9001")


def test_the_file_is_read_and_the_environment_wins(environment, tmp_path):
    (tmp_path / ".env").write_text("PORT=9000\nFLOWER_PORT=9002\n")
    environment.setenv("PORT", "9100")
    assert (load().port, load().flower_port) == (9100, 9002)


def test_an_empty_variable_has_its_default(environment):
    environment.setenv("PUBLIC_URL", "")
    environment.setenv("SECRET_KEYS", "")
    assert (load().public_url, load().secret_keys) == ("http://localhost:8000", ())


def test_secrets_are_lists_so_that_they_can_be_rotated(environment):
    environment.setenv("SECRET_KEYS", f"{KEY}, {OLD_KEY},")
    environment.setenv("KOMMO_WEBHOOK_TOKEN", "new,old")
    environment.setenv("XERO_WEBHOOK_KEY", "a+/b==,c")
    settings = load(needs=ALL - {"console", "flower"})
    lists = (settings.secret_keys, settings.kommo_webhook_token, settings.xero_webhook_key)
    assert [[one.get_secret_value() for one in many] for many in lists] == [
        [KEY, OLD_KEY],
        ["new", "old"],
        ["a+/b==", "c"],
    ]


def test_no_secret_is_shown(environment):
    secrets = {
        "SECRET_KEYS": KEY, "ADMIN_PASSWORD": "hunter2", "KOMMO_CLIENT_ID": "i", "KOMMO_CLIENT_SECRET": "s3cret-a", "XERO_CLIENT_ID": "i",
        "XERO_CLIENT_SECRET": "s3cret-b", "XERO_WEBHOOK_KEY": "s3cret-c", "KOMMO_WEBHOOK_TOKEN": "s3cret-d",
        "DATABASE_URL": "postgresql+psycopg://u:s3cret-e@h/n", "REDIS_URL": "redis://:s3cret-f@h/0",
    }  # fmt: skip
    for name, value in secrets.items():
        environment.setenv(name, value)
    shown = repr(load()) + str(load())
    assert not re.findall(f"s3cret|hunter2|{re.escape(KEY)}", shown)


def test_a_fault_shows_no_secret_either(environment):
    environment.setenv("DATABASE_URL", "mysql://u:s3cret@h/n")
    environment.setenv("REDIS_URL", "amqp://:s3cret@h")
    environment.setenv("KOMMO_WEBHOOK_TOKEN", "s3cret/x")
    environment.setenv("SECRET_KEYS", "s3cret")
    environment.setenv("PORT", "s3cret")
    with pytest.raises(SettingsError) as caught:
        load()
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_all_faults_are_told_at_once_each_with_its_mend(environment):
    for name, value in {
        "PORT": "70000", "PUBLIC_URL": "bridge.example.com", "KOMMO_API_URL": "https://{sub}.kommo.com", "XERO_CLIENT_ID": "x",
        "KOMMO_WEBHOOK_TOKEN": "a b", "SECRET_KEYS": "short", "BRIDGE_LEASE_SECONDS": "0", "DATABASE_URL": "nonsense",
    }.items():  # fmt: skip
        environment.setenv(name, value)
    lines = told(needs=["web"]).splitlines()
    assert lines[0] == "Mend these settings, in the environment or in .env:"
    assert {line.split()[0].rstrip(":") for line in lines[1:]} == {
        "PORT", "PUBLIC_URL", "KOMMO_API_URL", "KOMMO_WEBHOOK_TOKEN", "SECRET_KEYS", "BRIDGE_LEASE_SECONDS", "DATABASE_URL",
        "XERO_WEBHOOK_KEY", "XERO_CLIENT_SECRET",
    }  # fmt: skip


@pytest.mark.parametrize("process", sorted(NEEDS))
def test_each_process_names_what_it_lacks_and_how_to_get_it(process):
    text = told(needs=[process])
    for variable in NEEDS[process]:
        assert f"{variable} is missing ({process} needs it): {MENDS[variable]}" in text


def test_beat_and_the_migrations_need_nothing():
    load(needs=["beat", "release"])


def test_a_client_id_without_its_secret_is_told(environment):
    environment.setenv("KOMMO_CLIENT_SECRET", "x")
    assert "KOMMO_CLIENT_ID is missing: KOMMO_CLIENT_ID and KOMMO_CLIENT_SECRET belong together" in told()


def test_a_list_of_commas_is_no_secret(environment):
    environment.setenv("XERO_WEBHOOK_KEY", " , ")
    assert told(needs=["web"]).count("XERO_WEBHOOK_KEY") == 1


def test_a_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe")
    assert ".env can't be read as text" in told(env_file=".env")


@pytest.mark.parametrize("name", ["KEEP", "BRIDGE"])
def test_another_programs_variable_that_begins_like_ours_is_told(environment, name):
    environment.setenv(name, "yes")
    with pytest.raises(
        SettingsError, match=rf"{name} is set, and is no setting by itself: unset it \(ours begin with {name}_\)"
    ):
        load(env_file=None)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("postgres://u:p@h/n", "postgresql+psycopg://u:p@h/n"),
        ("postgresql://u:p@h/n", "postgresql+psycopg://u:p@h/n"),
        ("postgresql+psycopg://u:p@h/n", "postgresql+psycopg://u:p@h/n"),
        ("sqlite:////srv/bridge.db", "sqlite:////srv/bridge.db"),
    ],
)
def test_a_databases_address_names_our_driver(environment, given, taken):
    environment.setenv("DATABASE_URL", given)
    assert load().database_url == taken


def test_addresses_have_no_slash_at_the_end(environment):
    environment.setenv("PUBLIC_URL", "https://bridge.example.com/")
    environment.setenv("KOMMO_WEBHOOK_TOKEN", "new,old")
    environment.setenv("KOMMO_API_URL", "http://127.0.0.1:9101/{subdomain}/")
    settings = load()
    assert settings.kommo_webhook_url() == "https://bridge.example.com/webhooks/kommo/new"
    assert settings.kommo_base("acme") == "http://127.0.0.1:9101/acme"


def test_periods_are_settings(environment):
    environment.setenv("BRIDGE_LEASE_SECONDS", "1.5")
    environment.setenv("BRIDGE_RENEW_SECONDS", "0.5")
    environment.setenv("BRIDGE_TIME_FACTOR", "0.05")
    assert load().timing == Timing(lease_seconds=1.5, renew_seconds=0.5, time_factor=0.05)


def test_a_lease_outlives_a_late_renewal(environment):
    timing = load().timing
    assert timing.renew_seconds * 3 < timing.lease_seconds
    environment.setenv("BRIDGE_RENEW_SECONDS", "6")
    assert "BRIDGE_RENEW_SECONDS must be at most half of BRIDGE_LEASE_SECONDS" in told()


def test_what_is_kept_is_counted_in_days(environment):
    environment.setenv("KEEP_JOBS_DAYS", "365")
    assert load().keeping == Keeping(jobs_days=365)
    environment.setenv("KEEP_JOBS_DAYS", "0")
    assert "KEEP_JOBS_DAYS" in told()
