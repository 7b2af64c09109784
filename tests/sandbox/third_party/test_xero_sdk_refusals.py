"""xero-python is refused: 401, 403, 404, 429, and broken answers."""

from uuid import uuid4

import pytest

from tests.sandbox.third_party.conftest import Sdk
from tests.sandbox.xero_office import Office

models = pytest.importorskip("xero_python.accounting", reason="xero-python is not installed: make setup")
exceptions = pytest.importorskip("xero_python.exceptions")


def statuses(xero: Office) -> list[int]:
    """What each call to the accounting API was answered."""
    calls = xero.ask("/calls?vendor=xero", method="GET").json()
    return [call["status"] for call in calls if "/api.xro/" in call["path"]]


def post(sdk: Sdk) -> None:
    """A write that the SDK sends once; it repeats a PUT by itself (xero.md 10.1)."""
    contacts = models.Contacts(contacts=[models.Contact(name="Acme Ltd")])
    sdk.accounting.update_or_create_contacts(sdk.tenant, contacts)


def test_a_token_that_is_over_is_401(sdk: Sdk, xero: Office):
    xero.human("/tokens/expire")
    with pytest.raises(exceptions.HTTPStatusException) as refused:
        sdk.accounting.get_organisations(sdk.tenant)
    assert refused.value.status == 401
    assert b"TokenExpired" in refused.value.body


def test_a_token_that_never_was_is_401(sdk: Sdk):
    sdk.token["access_token"] = "nonsense"
    with pytest.raises(exceptions.HTTPStatusException) as refused:
        sdk.identity.get_connections()
    assert refused.value.status == 401


def test_a_scope_that_is_missing_is_401_too(sdk: Sdk, xero: Office):
    sdk.token["access_token"] = xero.token(scope="accounting.contacts")
    with pytest.raises(exceptions.HTTPStatusException) as refused:
        sdk.accounting.get_invoices(sdk.tenant, page=1)
    assert refused.value.status == 401
    assert b"AuthorizationUnsuccessful" in refused.value.body
    assert refused.value.headers["WWW-Authenticate"] == "insufficent_scope"


def test_another_organisation_is_403(sdk: Sdk):
    with pytest.raises(exceptions.HTTPStatusException) as refused:
        sdk.accounting.get_organisations(str(uuid4()))
    assert refused.value.status == 403


def test_what_is_not_there_is_404_and_empty(sdk: Sdk):
    nobody = str(uuid4())
    for ask in (
        sdk.accounting.get_invoice, sdk.accounting.get_invoice_as_pdf, sdk.accounting.get_contact,
        sdk.accounting.get_payment, sdk.accounting.get_online_invoice,
    ):  # fmt: skip
        with pytest.raises(exceptions.NotFoundException) as missing:
            ask(sdk.tenant, nobody)
        assert missing.value.body == b""


def test_too_many_calls_are_429(sdk: Sdk, xero: Office):
    xero.switch(minute_limit=1)
    post(sdk)
    with pytest.raises(exceptions.RateLimitException, match="per minute rate limit") as refused:
        post(sdk)
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 60
    assert refused.value.headers["X-MinLimit-Remaining"] == "0"
    assert statuses(xero) == [200, 429]


def test_a_reading_call_waits_as_long_as_it_is_told_and_is_let_in(sdk: Sdk, xero: Office):
    xero.tell("/settings", {"time_factor": 60, "xero": {"minute_limit": 1}}, "PATCH")
    for _ in range(2):
        sdk.accounting.get_organisations(sdk.tenant)
    assert statuses(xero)[0] == statuses(xero)[-1] == 200
    assert set(statuses(xero)[1:-1]) <= {429}


def test_too_many_calls_at_once_are_429_without_a_wait(sdk: Sdk, xero: Office):
    xero.switch(concurrent_limit=0)
    with pytest.raises(exceptions.RateLimitException, match="per concurrent rate limit") as refused:
        sdk.accounting.get_organisations(sdk.tenant)
    assert "Retry-After" not in refused.value.headers


@pytest.mark.parametrize(("status", "said"), [(500, b"An error occurred in Xero"), (503, b"offline for maintenance")])
def test_a_broken_xero_is_an_exception_with_its_words(sdk: Sdk, xero: Office, status: int, said: bytes):
    xero.tell("/faults", {"vendor": "xero", "call": "GET /api.xro/2.0/Organisation", "do": status})
    with pytest.raises(exceptions.HTTPStatusException) as broken:
        sdk.accounting.get_organisations(sdk.tenant)
    assert broken.value.status == status
    assert said in broken.value.body


def test_an_answer_that_was_lost_is_asked_for_again_by_the_sdk_itself(sdk: Sdk, xero: Office):
    """Why a PUT by this SDK needs a key: it is sent up to four times (xero.md 10.1)."""
    xero.tell("/faults", {"vendor": "xero", "call": "PUT /api.xro/2.0/Contacts", "do": "reset", "when": "after"})
    contacts = models.Contacts(contacts=[models.Contact(name="Acme Ltd")])
    [contact] = sdk.accounting.create_contacts(sdk.tenant, contacts, idempotency_key="one").contacts
    assert statuses(xero) == [None, 200]
    assert [each["name"] for each in xero.books()["contacts"]].count("Acme Ltd") == 1
    assert contact.name == "Acme Ltd"
