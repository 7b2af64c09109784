"""Which organisation a connection works with."""

import pytest

from integrations.xero.entities import Organisation, Tenant
from worker import tenants
from worker.connections import Connection, InvoiceRules, Trigger
from worker.findings import NotDone

OURS, THEIRS = "5b96e86b-418e-48d8-8949-308c14aec278", "11111111-418e-48d8-8949-308c14aec278"


def connection(tenant_id: str | None) -> Connection:
    """A connection that names this organisation, or none."""
    return Connection("acme", "acme", (Trigger("Sales", "New"),), InvoiceRules("200"), xero_tenant_id=tenant_id)


def tenant(tenant_id: str) -> Tenant:
    """An organisation that the grant reaches."""
    return Tenant("7cb59f93", tenant_id.upper(), "ORGANISATION", "Acme Trading (NZ)")


@pytest.mark.parametrize(
    ("named", "reached"),
    [
        (OURS, [tenant(OURS)]),
        (OURS, [tenant(THEIRS), tenant(OURS)]),
        (OURS, None),
        (None, [tenant(OURS)]),
    ],
)
def test_it_is_the_one_that_is_named_or_the_only_one(named, reached):
    assert tenants.choose(connection(named), reached) == OURS


@pytest.mark.parametrize(
    ("named", "reached", "said"),
    [
        (None, None, "add xero_tenant_id"),
        (None, [], "reaches no organisation"),
        (None, [tenant(OURS), tenant(THEIRS)], "reaches several organisations"),
        (OURS, [tenant(THEIRS)], f'set xero_tenant_id to that of "Acme Trading (NZ)" ({THEIRS})'),
    ],
)
def test_it_is_never_guessed(named, reached, said):
    with pytest.raises(NotDone, match="acme") as told:
        tenants.choose(connection(named), reached)
    assert said in str(told.value)


def test_another_organisation_that_answers_is_not_taken_for_ours():
    other = Organisation(THEIRS, "Umbrella Ltd", "NZD", "NZ", "Pacific/Auckland")
    with pytest.raises(NotDone, match="Umbrella Ltd"):
        tenants.must_be(connection(OURS), OURS, other)
    tenants.must_be(connection(THEIRS), THEIRS, other)
