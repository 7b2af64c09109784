"""Kommo's word that an account has revoked our access: believed where it is signed with our secret, and kept as a problem where it is not."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from pydantic import SecretStr

from integrations.errors import Refusal
from integrations.oauth import TokenSet
from worker import deliveries, grants, routes, uninstalls
from worker.deliveries import UNJUDGED, Delivery, Received
from worker.grants import Grant, GrantKind
from worker.routes import Route
from worker.settings import Settings
from worker.tables import METADATA
from worker.vault import Vault
from worker.workshop import Workshop

from .ledger import ACCOUNT, THEN, at

APP, SECRET = "cdd8ad2a-0001", "very-secret"


@pytest.fixture
def desk(database_url: str) -> Iterator[Workshop]:
    """A workshop whose clock stands a minute after the grants were given."""
    settings = Settings(_env_file=None, database_url=database_url, secret_keys=[Fernet.generate_key().decode()])
    opened = Workshop(settings, now=lambda: at(60))
    METADATA.create_all(opened.database.engine)
    yield opened
    opened.close()


def consented(desk: Workshop, *, account: int = ACCOUNT, connection: str = "acme") -> None:
    token = TokenSet("access", at(86_400), "refresh")
    with desk.database.begin() as session:
        grants.store_consent(
            session, desk.vault, vendor="kommo", connections=[connection], who=str(account), token=token, client_id=APP,
            client_secret=SECRET, now=THEN,
        )  # fmt: skip


def signed(secret: str = SECRET, account: object = ACCOUNT, app: str = APP) -> str:
    """As Kommo's documents say: hex of HMAC-SHA256 over "client_uuid|account_id"."""
    signature = hmac.new(secret.encode(), f"{app}|{account}".encode(), hashlib.sha256).hexdigest()
    return f"client_uuid={app}&account_id={account}&signature={signature}"


def heard(desk: Workshop, query: str, *, seconds: float = 30) -> str | None:
    """What is wrong with a hook, after it was judged."""
    with desk.database.begin() as session:
        kept = Received("kommo-uninstall", query.encode(), "", at(seconds), UNJUDGED)
        (delivery_id,) = deliveries.keep(session, [kept])
    uninstalls.judge(desk)
    with desk.database.reading() as session:
        found = session.get(Delivery, delivery_id)
    assert found is not None
    return found.problem


def refusal(desk: Workshop, connection: str = "acme") -> Refusal | None:
    with desk.database.reading() as session:
        standing = grants.standing(session, "kommo", connection)
    assert standing is not None
    return standing.refusal


def test_the_signed_word_makes_the_grant_refused(desk):
    consented(desk)
    assert heard(desk, signed()) is None
    assert refusal(desk) is Refusal.REVOKED


@pytest.mark.parametrize(
    "query",
    [
        signed("another-secret"),
        signed()[:-1] + ("0" if signed()[-1] != "0" else "1"),
        signed()[:-1],
        signed().replace(f"account_id={ACCOUNT}", "account_id=1"),
        f"client_uuid={APP}&account_id={ACCOUNT}",
        f"client_uuid={APP}&account_id={ACCOUNT}&signature=\u00e9",
    ],
)
def test_a_wrong_signature_changes_nothing_and_stays_a_problem(desk, query):
    consented(desk)
    assert heard(desk, query) == uninstalls.WRONG
    assert refusal(desk) is None


def test_of_an_integration_that_nobody_knows_the_mend_is_told(desk):
    consented(desk)
    assert "KOMMO_CLIENT_ID" in (heard(desk, signed(app="another")) or "")
    assert heard(desk, "") is not None
    assert refusal(desk) is None


def test_another_account_of_the_same_integration_goes_on(desk):
    consented(desk)
    consented(desk, account=7, connection="other")
    assert heard(desk, signed(account=7)) is None
    assert (refusal(desk), refusal(desk, "other")) == (None, Refusal.REVOKED)
    assert heard(desk, signed(account=8)) == uninstalls.STRANGER


def test_what_was_said_before_the_present_consent_is_over(desk):
    consented(desk)
    assert heard(desk, signed(), seconds=-30) is None
    assert refusal(desk) is None


def test_a_pasted_token_of_that_integration_is_refused_too(desk):
    payload = base64.urlsafe_b64encode(json.dumps({"aud": APP}).encode()).decode().rstrip("=")
    desk.settings = desk.settings.model_copy(update={"kommo_client_id": APP, "kommo_client_secret": SecretStr(SECRET)})
    with desk.database.begin() as session:
        routes.save(session, Route("acme", ACCOUNT, ("acme",), "tenant", frozenset()))
        token = TokenSet(f"x.{payload}.x", at(86_400))
        grants.store(
            session, desk.vault, vendor="kommo", connection="acme", kind=GrantKind.LONG_LIVED, now=THEN, token=token
        )
    assert heard(desk, signed()) is None
    assert refusal(desk) is Refusal.REVOKED


def test_each_is_judged_once(desk):
    consented(desk)
    heard(desk, signed())
    consented(desk)
    uninstalls.judge(desk)
    assert refusal(desk) is None


def test_a_grant_whose_key_is_lost_keeps_no_other_hook_from_being_judged(desk):
    consented(desk, account=7, connection="other")
    lost = Vault([SecretStr(Fernet.generate_key().decode())])
    with desk.database.begin() as session:
        session.execute(sa.update(Grant).values(client_secret=lost.seal(SECRET)))
    consented(desk)
    assert heard(desk, signed()) is None
    assert refusal(desk) is Refusal.REVOKED
