"""`keys rotate`: what is sealed is sealed again with the newest key, so that older ones can go."""

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from worker import grants
from worker.settings import SettingsError
from worker.vault import Vault


def opened_with(desk, ledger, key: str) -> list[str | None]:
    vault = Vault([SecretStr(key)])
    with ledger.reading() as session:
        found = [grants.find(session, vendor, "demo") for vendor in ("kommo", "xero")]
    kommo, xero = (one for one in found if one is not None)
    return [vault.open(sealed) for sealed in (kommo.access_token, xero.client_secret)]


def test_everything_is_encrypted_again_with_the_newest_key(desk, ledger):
    desk.connect()
    old, new = desk.env["SECRET_KEYS"], Fernet.generate_key().decode()
    desk.env["SECRET_KEYS"] = f"{new},{old}"
    said = desk.do("keys", "rotate")
    assert "3 of 3 secrets are encrypted again" in said
    assert "take the older ones out" in said
    secrets = [desk.sandbox.ready["kommo_token"], desk.sandbox.ready["xero_client_secret"]]
    assert opened_with(desk, ledger, new) == secrets
    with pytest.raises(SettingsError):
        opened_with(desk, ledger, old)


def test_it_may_be_run_again_and_again(desk, ledger):
    desk.connect()
    for _ in range(2):
        assert "3 of 3 secrets" in desk.do("keys", "rotate")
    desk.do("connect", "xero", "demo", "--client-credentials")


def test_a_lost_key_is_told_and_nothing_is_changed(desk, ledger):
    desk.connect()
    old = desk.env["SECRET_KEYS"]
    desk.env["SECRET_KEYS"] = Fernet.generate_key().decode()
    assert "no longer holds the key" in desk.refused("keys", "rotate")
    assert opened_with(desk, ledger, old)[0] == desk.sandbox.ready["kommo_token"]


def test_where_nothing_is_connected_there_is_nothing_to_do(desk):
    assert "0 of 0 secrets" in desk.do("keys", "rotate")
