"""Grants: sealed at rest, renewed by one worker at a time."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from pydantic import SecretStr

from integrations.errors import RateLimited, Refusal, Unauthorised, Unreachable
from integrations.oauth import TokenSet
from worker import grants
from worker.database import Database
from worker.grants import Credentials, Grant, GrantKind
from worker.renewing import RENEWAL, GrantTokens
from worker.settings import SettingsError
from worker.vault import Vault

from .ledger import THEN, at

OLD, NEW = SecretStr(Fernet.generate_key().decode()), SecretStr(Fernet.generate_key().decode())
PAIR = Credentials("client-1", "very-secret")


def tokens(database: Database, request: Callable[[Credentials], TokenSet], **changes: object) -> GrantTokens:
    given: dict[str, object] = {"now": lambda: THEN, **changes}
    return GrantTokens(database, Vault([OLD]), vendor="xero", connection="acme", request=request, **given)  # type: ignore[arg-type]


def connect(database: Database, kind: GrantKind = GrantKind.CLIENT_CREDENTIALS, token: TokenSet | None = None) -> None:
    with database.begin() as session:
        grants.store(
            session, Vault([OLD]), vendor="xero", connection="acme", kind=kind, now=THEN, token=token, credentials=PAIR
        )


def fresh(name: str = "token-1") -> TokenSet:
    return TokenSet(name, expires_at=at(1800))


def never(_: Credentials) -> TokenSet:
    raise AssertionError("no token was to be asked for")


def test_a_token_is_asked_for_once_and_used_until_its_end_is_near(database: Database):
    connect(database)
    asked: list[Credentials] = []

    def request(credentials: Credentials) -> TokenSet:
        asked.append(credentials)
        return fresh(f"token-{len(asked)}")

    assert [tokens(database, request).current() for _ in range(3)] == ["token-1"] * 3
    assert tokens(database, request, now=lambda: at(1790)).current() == "token-2"
    assert asked == [PAIR, PAIR]


def test_many_workers_with_one_stale_token_renew_it_once(database: Database):
    connect(database, token=fresh("stale"))
    asked: list[Credentials] = []
    start = threading.Barrier(6)

    def request(credentials: Credentials) -> TokenSet:
        asked.append(credentials)
        return fresh("renewed")

    def renew(_: int) -> str:
        start.wait()
        return tokens(database, request).renew("stale")

    with ThreadPoolExecutor(6) as workers:
        assert set(workers.map(renew, range(6))) == {"renewed"}
    assert len(asked) == 1


def test_whoever_died_while_renewing_is_replaced(database: Database):
    connect(database, token=fresh("stale"))
    with database.begin() as session:
        session.execute(sa.update(Grant).values(renewing_until=at(-1)))
    assert tokens(database, lambda _: fresh("renewed")).renew("stale") == "renewed"


def test_a_renewal_by_another_that_takes_too_long_is_no_failure_of_ours(database: Database):
    connect(database, token=fresh("stale"))
    with database.begin() as session:
        session.execute(sa.update(Grant).values(renewing_until=at(3600)))
    clock = iter([THEN, *(THEN + RENEWAL + timedelta(seconds=n) for n in range(1, 9))])
    with pytest.raises(RateLimited) as told:
        tokens(database, never, now=lambda: next(clock), sleep=lambda _: None).renew("stale")
    assert told.value.own


def test_a_request_that_found_nobody_may_be_tried_again_at_once(database: Database):
    connect(database, token=fresh("stale"))

    def unreachable(_: Credentials) -> TokenSet:
        raise Unreachable("xero", "POST /connect/token")

    with pytest.raises(Unreachable):
        tokens(database, unreachable).renew("stale")
    assert tokens(database, lambda _: fresh("renewed")).renew("stale") == "renewed"


def test_a_refusal_is_remembered_until_a_token_comes(database: Database):
    connect(database)

    def refused(_: Credentials) -> TokenSet:
        raise Unauthorised("xero", "POST /connect/token", reason=Refusal.REVOKED)

    with pytest.raises(Unauthorised):
        tokens(database, refused).current()
    assert refusal(database) == "revoked"
    tokens(database, lambda _: fresh()).current()
    assert refusal(database) is None


def test_a_vendors_refusal_of_a_call_is_remembered_too(database: Database):
    connect(database, token=fresh())
    tokens(database, never).refused(Refusal.SCOPE)
    assert refusal(database) == "scope"


def test_a_long_lived_token_is_used_to_its_end_and_never_renewed(database: Database):
    connect(database, GrantKind.LONG_LIVED, fresh("pasted"))
    assert tokens(database, never).current() == "pasted"
    for now in (THEN, at(1801)):
        with pytest.raises(Unauthorised) as told:
            tokens(database, never, now=lambda now=now: now).renew("pasted")
        assert told.value.reason is Refusal.REVOKED


def test_what_was_never_connected_is_said_plainly(database: Database):
    with pytest.raises(Unauthorised):
        tokens(database, never).current()
    tokens(database, never).refused(Refusal.DISCONNECTED)  # nothing to remember


def test_connecting_again_replaces_the_grant_and_clears_its_refusal(database: Database):
    connect(database, GrantKind.LONG_LIVED, fresh("old"))
    tokens(database, never).refused(Refusal.REVOKED)
    connect(database, GrantKind.LONG_LIVED, fresh("new"))
    assert tokens(database, never).current() == "new"
    assert refusal(database) is None
    with database.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Grant)) == 1


def test_nothing_secret_lies_in_clear_in_the_database(database: Database):
    connect(database, token=fresh("token-in-clear"))
    with database.reading() as session:
        (row,) = session.execute(sa.text("SELECT * FROM grants"))
    laid_open = b" ".join(
        bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode() for value in row
    )
    assert b"token-in-clear" not in laid_open
    assert b"very-secret" not in laid_open


def test_keys_can_be_rotated_and_a_lost_key_is_named():
    sealed = Vault([OLD]).seal("x")
    assert Vault([NEW, OLD]).open(sealed) == "x"
    assert Vault([NEW, OLD]).open(None) is None
    with pytest.raises(SettingsError, match="SECRET_KEYS no longer holds"):
        Vault([NEW]).open(sealed)
    with pytest.raises(SettingsError, match="no key"):
        Vault([SecretStr("nonsense")])


def refusal(database: Database) -> str | None:
    with database.reading() as session:
        grant = grants.find(session, "xero", "acme")
    assert grant is not None
    return grant.refusal
