"""A consent is kept alive: renewed by one at a time at real vendors' hosts, through lost answers, deaths and moves."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from pydantic import SecretStr
from redis import Redis

from integrations.errors import Refusal, Unauthorised, Unreachable
from stack.plan import write_connections
from stack.sandbox import Sandbox
from worker import grants, keeping, routes
from worker.grants import Grant
from worker.renewing import PROBE, RENEWAL
from worker.routes import Route
from worker.settings import Settings
from worker.tables import METADATA
from worker.vault import Vault
from worker.workshop import Workshop

from .consents import TOKEN_CALL, VENDORS, client, consent, requests_for_tokens, tokens_for

REDIRECTS = {"kommo": "http://localhost:8001/oauth/kommo/callback", "xero": "http://localhost:8001/oauth/xero/callback"}


@pytest.fixture
def desk(sandbox: Sandbox, redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Workshop]:
    """A workshop that nothing is connected with yet; the vendors' time is the true one."""
    sandbox.post("reset", {"seed": "demo"})
    for vendor in VENDORS:
        sandbox.delete(f"{vendor}/grants")
    sandbox.patch("kommo/account", {"subdomain": "acme"})
    rotation = {"refresh_rotation": "grace"}
    sandbox.patch("settings", {"time_factor": 1, "xero": rotation, "kommo": rotation})
    ready = sandbox.ready
    settings = Settings(
        _env_file=None,
        database_url=f"sqlite:///{tmp_path / 'bridge.db'}",
        redis_url=redis_url,
        connections_file=write_connections(tmp_path, ready),
        secret_keys=[Fernet.generate_key().decode()],
        kommo_webhook_token=["token"],
        kommo_api_url=ready["kommo_api_url"],
        kommo_oauth_url=ready["kommo_oauth_url"],
        xero_api_url=ready["xero_url"],
        xero_identity_url=ready["xero_url"],
        xero_login_url=ready["xero_login_url"],
    )
    opened = Workshop(settings)
    METADATA.create_all(opened.database.engine)
    yield opened
    opened.close()
    sandbox.post("reset", {"seed": "demo"})


def strict(sandbox: Sandbox) -> None:
    sandbox.patch("settings", {vendor: {"refresh_rotation": "strict"} for vendor in VENDORS})


def lose_the_answer(sandbox: Sandbox, vendor: str, times: int = 1) -> None:
    fault = {"vendor": vendor, "call": TOKEN_CALL[vendor], "when": "after", "do": "reset", "times": times}
    sandbox.post("faults", fault)


def stored(desk: Workshop, vendor: str) -> Grant:
    with desk.database.reading() as session:
        found = grants.find(session, vendor, "demo")
    assert found is not None
    return found


def refusal(desk: Workshop, vendor: str, connection: str = "demo") -> Refusal | None:
    with desk.database.reading() as session:
        standing = grants.standing(session, vendor, connection)
    assert standing is not None
    return standing.refusal


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_new_pair_is_kept_and_used(desk, sandbox, vendor):
    old = consent(desk, sandbox, vendor)
    tokens = desk.tokens(vendor, "demo")
    assert tokens.current() == old.access_token
    new = tokens.renew(old.access_token)
    assert tokens.current() == new != old.access_token
    assert desk.vault.open(stored(desk, vendor).refresh_token) != old.refresh_token
    assert tokens.renew(new) not in {new, old.access_token}
    assert [one["error"] for one in requests_for_tokens(sandbox, vendor)] == ["", ""]


@pytest.mark.parametrize("rotation", ["grace", "strict"])
@pytest.mark.parametrize("vendor", VENDORS)
def test_many_at_once_on_an_expired_token_renew_it_once(desk, sandbox, vendor, rotation):
    sandbox.patch("settings", {vendor: {"refresh_rotation": rotation}})
    stale = consent(desk, sandbox, vendor).access_token
    with ThreadPoolExecutor(8) as workers:
        given = set(workers.map(lambda _: desk.tokens(vendor, "demo").renew(stale), range(24)))
    assert len(given) == 1
    assert len(requests_for_tokens(sandbox, vendor)) == 1


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_lost_answer_costs_one_more_request_by_the_same_renewer(desk, sandbox, vendor):
    old = consent(desk, sandbox, vendor)
    lose_the_answer(sandbox, vendor)
    new = desk.tokens(vendor, "demo").renew(old.access_token)
    assert new != old.access_token
    asked = requests_for_tokens(sandbox, vendor)
    assert [one["spent"] for one in asked] == [old.refresh_token, old.refresh_token]
    assert [one["error"] for one in asked] == ["", ""]
    assert refusal(desk, vendor) is None
    assert desk.tokens(vendor, "demo").renew(new)  # the pair that was kept is the last one


@pytest.mark.parametrize("vendor", VENDORS)
def test_with_strict_rotation_a_lost_answer_is_one_clear_refusal_and_no_loop(desk, sandbox, vendor):
    strict(sandbox)
    old = consent(desk, sandbox, vendor)
    lose_the_answer(sandbox, vendor)
    for _ in range(5):
        with pytest.raises(Unauthorised) as told:
            desk.tokens(vendor, "demo").renew(old.access_token)
        assert told.value.reason is Refusal.REVOKED
    assert refusal(desk, vendor) is Refusal.REVOKED
    assert len(requests_for_tokens(sandbox, vendor)) == 2


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_refused_consent_is_asked_about_again_after_an_hour_and_not_before(desk, sandbox, vendor):
    old = consent(desk, sandbox, vendor)
    sandbox.post(f"{vendor}/grants/revoke")
    with pytest.raises(Unauthorised):
        desk.tokens(vendor, "demo").renew(old.access_token)
    asked = len(requests_for_tokens(sandbox, vendor))
    begin = datetime.now(UTC)
    for passed, more in ((PROBE / 2, 0), (PROBE * 1.1, 1), (PROBE * 1.5, 1)):
        desk.now = lambda passed=passed: begin + passed
        with pytest.raises(Unauthorised):
            desk.tokens(vendor, "demo").renew(old.access_token)
        assert len(requests_for_tokens(sandbox, vendor)) == asked + more


@pytest.mark.parametrize("vendor", VENDORS)
def test_answers_that_are_lost_twice_leave_the_old_pair_to_the_next_one(desk, sandbox, vendor):
    old = consent(desk, sandbox, vendor)
    lose_the_answer(sandbox, vendor, times=2)
    with pytest.raises(Unreachable):
        desk.tokens(vendor, "demo").renew(old.access_token)
    assert refusal(desk, vendor) is None
    assert desk.tokens(vendor, "demo").renew(old.access_token) != old.access_token


@pytest.mark.parametrize("vendor", VENDORS)
def test_whoever_died_with_a_new_pair_in_hand_is_replaced_by_one_who_tries_the_old_one(desk, sandbox, vendor):
    old = consent(desk, sandbox, vendor)
    died = desk.tokens(vendor, "demo")
    grant = stored(desk, vendor)
    assert died._take_on(grant)
    died._ask(grant)  # given, and never written down
    began = desk.now()
    desk.now = lambda: began + RENEWAL + timedelta(seconds=1)
    assert desk.tokens(vendor, "demo").renew(old.access_token) != old.access_token
    assert refusal(desk, vendor) is None


@pytest.mark.parametrize("vendor", VENDORS)
def test_who_was_only_slow_takes_the_token_of_whoever_took_it_for_dead(desk, sandbox, vendor):
    strict(sandbox)
    old = consent(desk, sandbox, vendor)
    slow, grant = desk.tokens(vendor, "demo"), stored(desk, vendor)
    assert slow._take_on(grant)
    with desk.database.begin() as session:
        session.execute(sa.update(Grant).values(renewing_until=None))
    new = desk.tokens(vendor, "demo").renew(old.access_token)
    assert slow._renew(grant) == new  # although its own request, with a pair that was spent, is refused
    assert refusal(desk, vendor) is None


def test_one_consent_serves_several_connections(desk, sandbox):
    old = consent(desk, sandbox, "xero", "demo", "other")
    new = desk.tokens("xero", "other").renew(old.access_token)
    assert desk.tokens("xero", "demo").current() == new
    with desk.database.reading() as session:
        assert [session.scalar(sa.select(sa.func.count()).select_from(Grant))] == [1]


@pytest.mark.parametrize("vendor", VENDORS)
def test_consenting_again_makes_no_second_grant_and_lets_all_its_connections_in(desk, sandbox, vendor):
    old = consent(desk, sandbox, vendor, "demo", "other")
    sandbox.post(f"{vendor}/grants/revoke")
    with pytest.raises(Unauthorised):
        desk.tokens(vendor, "other").renew(old.access_token)
    assert refusal(desk, vendor) is Refusal.REVOKED
    new = consent(desk, sandbox, vendor, "demo")
    assert refusal(desk, vendor, "other") is None
    assert desk.tokens(vendor, "other").current() == new.access_token
    with desk.database.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Grant)) == 1


def test_a_removed_organisation_refuses_its_connection_and_no_other(desk, sandbox):
    consent(desk, sandbox, "xero", "demo", "other")
    tokens = desk.tokens("xero", "demo")
    tokens.refused(Refusal.DISCONNECTED, "GET /api.xro/2.0/Organisation")
    assert (refusal(desk, "xero"), refusal(desk, "xero", "other")) == (Refusal.DISCONNECTED, None)
    tokens.current()
    tokens.let_in("GET /connections")  # which asks for no organisation
    assert refusal(desk, "xero") is Refusal.DISCONNECTED
    tokens.let_in("GET /api.xro/2.0/Organisation")
    assert refusal(desk, "xero") is None


def test_a_missing_right_is_taken_back_by_the_call_that_lacked_it_and_by_no_other(desk, sandbox):
    consent(desk, sandbox, "xero")
    tokens = desk.tokens("xero", "demo")
    tokens.refused(Refusal.SCOPE, "PUT /api.xro/2.0/Invoices/6a7c2d52-0ee5/Attachments/INV-1.pdf")
    tokens.current()
    tokens.let_in("GET /api.xro/2.0/Organisation")
    assert refusal(desk, "xero") is Refusal.SCOPE
    tokens.let_in("PUT /api.xro/2.0/Invoices/11112222-0ee5/Attachments/INV-2.pdf")
    assert refusal(desk, "xero") is None


def test_a_call_that_still_works_says_nothing_of_a_refused_renewal(desk, sandbox):
    old = consent(desk, sandbox, "xero")
    sandbox.post("xero/grants/revoke")
    with pytest.raises(Unauthorised):
        desk.tokens("xero", "demo").renew(old.access_token)
    tokens = desk.tokens("xero", "demo")
    tokens.current()
    tokens.let_in("GET /api.xro/2.0/Organisation")
    assert refusal(desk, "xero") is Refusal.REVOKED


@pytest.mark.parametrize("status", [404, 401])
def test_an_account_that_got_another_subdomain_is_followed(desk, sandbox, status):
    old = consent(desk, sandbox, "kommo")
    with desk.database.begin() as session:
        routes.save(session, Route("demo", 30896271, ("acme",), "tenant", frozenset()))
    sandbox.patch("settings", {"kommo": {"old_subdomain_status": status}})
    sandbox.patch("kommo/account", {"subdomain": "umbrella"})
    with pytest.raises(Unreachable, match="moved to umbrella"):
        desk.tokens("kommo", "demo").renew(old.access_token)
    assert desk.tokens("kommo", "demo").current() != old.access_token
    assert (stored(desk, "kommo").subdomain, refusal(desk, "kommo")) == ("umbrella", None)
    assert desk.route("demo").subdomains == ("umbrella", "acme")
    assert desk.tokens("kommo", "demo").renew(desk.tokens("kommo", "demo").current())  # at the new address


def test_a_grant_whose_key_is_lost_costs_no_other_its_life(desk, sandbox):
    consent(desk, sandbox, "kommo")
    consent(desk, sandbox, "xero")
    lost = Vault([SecretStr(Fernet.generate_key().decode())])
    with desk.database.begin() as session:
        session.execute(sa.update(Grant).values(renewed_at=desk.now() - keeping.RENEW_AFTER))
        session.execute(sa.update(Grant).where(Grant.vendor == "kommo").values(access_token=lost.seal("lost")))
    assert stored(desk, "kommo").id < stored(desk, "xero").id
    keeping.keep_alive(desk)
    assert len(requests_for_tokens(sandbox, "xero")) == 1


def test_an_account_that_is_gone_is_a_refusal(desk, sandbox):
    old = consent(desk, sandbox, "kommo")
    with desk.database.begin() as session:
        session.execute(sa.update(Grant).values(subdomain="nobody"))
    sandbox.post("kommo/grants/revoke")
    with pytest.raises(Unauthorised):
        desk.tokens("kommo", "demo").renew(old.access_token)
    assert refusal(desk, "kommo") is Refusal.REVOKED


def test_the_secret_is_of_the_app_that_was_consented_to(desk, sandbox):
    given = tokens_for(desk, sandbox, "xero")
    assert given.refresh_token
    assert client(sandbox, "xero").client_secret not in repr(client(sandbox, "xero"))
    assert given.refresh_token not in repr(given)
