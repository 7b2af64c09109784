"""A vendor no longer lets us in: the reasons are told apart, jobs wait and don't fail, and all go on by themselves once it does."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from pydantic import SecretStr

from integrations.errors import Refusal
from worker import grants
from worker.connecting import connect_kommo
from worker.grants import Grant
from worker.jobs import Job, State
from worker.resuming import resume
from worker.vault import Vault
from worker.verdicts import RECONNECT_WAIT

from .consents import VENDORS, consent, requests_for_tokens
from .shop import Shop


@pytest.fixture
def consented(shop: Shop) -> Iterator[Shop]:
    """The shop with both vendors' consent of a person instead of a pasted token and a custom connection."""
    for vendor in VENDORS:
        shop.sandbox.delete(f"{vendor}/grants")
        consent(shop.workshop, shop.sandbox, vendor)
    yield shop
    for vendor in VENDORS:
        shop.sandbox.delete(f"{vendor}/grants")


def refusal(shop: Shop, vendor: str) -> Refusal | None:
    with shop.workshop.database.reading() as session:
        standing = grants.standing(session, vendor, "demo")
    assert standing is not None
    return standing.refusal


def states(shop: Shop) -> set[str]:
    with shop.workshop.database.reading() as session:
        return set(session.scalars(sa.select(Job.state)))


def three_deals(shop: Shop) -> list[int]:
    leads = [shop.deal(f"Deal {number}") for number in range(3)]
    shop.entered(*leads)
    return leads


def test_a_deal_becomes_an_invoice_with_consents_too(consented: Shop):
    (lead,) = (consented.deal("Website"),)
    consented.entered(lead)
    consented.work()
    assert consented.lead(lead).fields["XERO_INVOICE_NUMBER"]
    assert states(consented) == {State.DONE}


def test_an_unpaid_account_is_taken_back_when_it_is_paid_again(shop: Shop):
    """Also for a pasted token, which is never renewed."""
    shop.sandbox.patch("settings", {"kommo": {"paid": False}})
    shop.entered(shop.deal())
    shop.work()
    assert refusal(shop, "kommo") is Refusal.UNPAID
    assert states(shop) == {State.QUEUED}
    shop.sandbox.patch("settings", {"kommo": {"paid": True}})
    shop.pass_time(RECONNECT_WAIT + 1)
    shop.work()
    assert states(shop) == {State.DONE}
    assert refusal(shop, "kommo") is None


@pytest.mark.parametrize("vendor", VENDORS)
def test_jobs_of_a_revoked_grant_wait_and_go_on_at_once_after_consent(consented: Shop, vendor: str):
    leads = three_deals(consented)
    consented.sandbox.post(f"{vendor}/grants/revoke")
    consented.work()
    assert states(consented) == {State.QUEUED}
    assert refusal(consented, vendor) is Refusal.REVOKED
    asked = len(requests_for_tokens(consented.sandbox, vendor))
    for _ in range(3):
        consented.pass_time(RECONNECT_WAIT + 1)
        consented.work()
    assert len(requests_for_tokens(consented.sandbox, vendor)) == asked  # in a quarter of an hour, with three jobs
    consent(consented.workshop, consented.sandbox, vendor)
    assert resume(consented.workshop, vendor, ["demo"]) == len(leads)
    consented.work()
    assert states(consented) == {State.DONE}
    assert all(consented.lead(lead).fields["XERO_INVOICE_NUMBER"] for lead in leads)


def test_a_removed_organisation_is_told_from_a_revoked_consent(consented: Shop):
    three_deals(consented)
    client_id = consented.sandbox.ready["xero_app_client_id"]
    consented.sandbox.post("xero/disconnect", {"client_id": client_id})
    consented.work()
    assert refusal(consented, "xero") is Refusal.DISCONNECTED
    with consented.workshop.database.reading() as session:
        assert session.scalar(sa.select(Grant.refusal).where(Grant.vendor == "xero")) is None  # it may reach others
    consent(consented.workshop, consented.sandbox, "xero")
    assert resume(consented.workshop, "xero", ["demo"]) == 3
    consented.work()
    assert states(consented) == {State.DONE}


def test_a_missing_right_is_told_and_no_token_is_asked_for_because_of_it(consented: Shop):
    three_deals(consented)
    consented.sandbox.post("xero/grants/scopes", {"take": ["accounting.contacts"]})
    asked = len(requests_for_tokens(consented.sandbox, "xero"))
    consented.work()
    assert refusal(consented, "xero") is Refusal.SCOPE
    assert states(consented) == {State.QUEUED}
    assert len(requests_for_tokens(consented.sandbox, "xero")) == asked
    consent(consented.workshop, consented.sandbox, "xero")
    resume(consented.workshop, "xero", ["demo"])
    consented.work()
    assert states(consented) == {State.DONE}


def test_only_what_waits_for_that_vendor_is_pulled(consented: Shop):
    three_deals(consented)
    consented.sandbox.post("kommo/grants/revoke")
    consented.work()
    assert resume(consented.workshop, "xero", ["demo"]) == 0
    assert resume(consented.workshop, "kommo", ["other"]) == 0
    assert resume(consented.workshop, "kommo", ["demo"]) == 3


@pytest.mark.parametrize("status", [404, 401])
def test_work_goes_on_where_the_account_has_moved_to(consented: Shop, status: int):
    lead = consented.deal()
    consented.entered(lead)
    consented.sandbox.patch("settings", {"kommo": {"old_subdomain_status": status}})
    consented.sandbox.patch("kommo/account", {"subdomain": "umbrella"})
    try:
        for _ in range(3):
            consented.work()
            consented.pass_time(30)
        assert states(consented) == {State.DONE}
        assert consented.workshop.route("demo").subdomains == ("umbrella", "acme")
        assert refusal(consented, "kommo") is None
    finally:
        consented.sandbox.patch("kommo/account", {"subdomain": "acme"})


@pytest.mark.parametrize("status", [404, 401])
def test_work_goes_on_there_with_a_pasted_token_too(shop: Shop, status: int):
    """It can't be renewed, but the host that all accounts share answers it."""
    shop.entered(shop.deal())
    shop.sandbox.patch("settings", {"kommo": {"old_subdomain_status": status}})
    shop.sandbox.patch("kommo/account", {"subdomain": "umbrella"})
    try:
        for _ in range(3):
            shop.work()
            shop.pass_time(RECONNECT_WAIT + 1)
        assert shop.workshop.route("demo").subdomains == ("umbrella", "acme")
        assert states(shop) == {State.DONE}
        assert refusal(shop, "kommo") is None
    finally:
        shop.sandbox.patch("kommo/account", {"subdomain": "acme"})


def test_a_pasted_token_that_is_over_costs_one_look_for_a_move_and_says_since_when(shop: Shop):
    token = shop.sandbox.post("kommo/tokens", {"days": 300})["token"]
    connect_kommo(shop.workshop, "demo", token)
    shop.sandbox.post("kommo/tokens/revoke", {"token": token})
    shop.entered(shop.deal())
    shop.work()
    with shop.workshop.database.reading() as session:
        since = session.scalar(sa.select(Grant.refused_at).where(Grant.vendor == "kommo"))
    mark = shop.sandbox.mark()
    shop.pass_time(RECONNECT_WAIT + 1)
    shop.work()
    assert [call for call in shop.calls(mark) if "/account" in call] == []
    with shop.workshop.database.reading() as session:
        assert session.scalar(sa.select(Grant.refused_at).where(Grant.vendor == "kommo")) == since


def test_jobs_wait_for_a_key_that_this_process_does_not_have_yet(shop: Shop):
    """Keys are exchanged one process after the other; who was not restarted can't open what is sealed with the new one."""
    shop.entered(shop.deal())
    newest = Vault([SecretStr(Fernet.generate_key().decode())])
    sealed = sa.select(Grant.access_token).where(Grant.vendor == "kommo")
    replaced = sa.update(Grant).where(Grant.vendor == "kommo")
    with shop.workshop.database.begin() as session:
        known = session.scalar(sealed)
        session.execute(replaced.values(access_token=newest.seal("token")))
    shop.work()
    assert states(shop) == {State.QUEUED}
    with shop.workshop.database.begin() as session:
        session.execute(replaced.values(access_token=known))
    shop.pass_time(RECONNECT_WAIT + 1)
    shop.work()
    assert states(shop) == {State.DONE}
