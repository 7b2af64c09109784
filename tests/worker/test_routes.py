"""Routes."""

from datetime import date

from worker import routes
from worker.database import Database
from worker.routes import Route

from .ledger import ACCOUNT, TENANT

ROUTE = Route(
    connection="acme",
    account_id=ACCOUNT,
    subdomains=("acme",),
    tenant_id=TENANT,
    triggers=frozenset({(500, 503), (600, 602)}),
    deal_stage=(500, 504),
    moves={"paid": (500, 142)},
    fields={"currency": 701},
    since=date(2026, 1, 1),
)


def test_what_was_saved_is_loaded(database: Database):
    with database.begin() as session:
        routes.save(session, ROUTE)
    with database.reading() as session:
        assert routes.load(session, "acme") == ROUTE
        assert routes.load(session, "beta") is None


def test_saving_again_replaces_all_but_the_earlier_subdomains(database: Database):
    renamed = Route("acme", ACCOUNT, ("acme-group",), TENANT, frozenset({(500, 503)}))
    with database.begin() as session:
        routes.save(session, ROUTE)
        routes.save(session, renamed)
        routes.save(session, renamed)
    with database.reading() as session:
        loaded = routes.load(session, "acme")
    assert loaded is not None
    assert loaded.subdomains == ("acme-group", "acme")
    assert loaded.subdomain == "acme-group"
    assert (loaded.deal_stage, loaded.moves, loaded.fields, loaded.since) == (None, {}, {}, None)


def test_an_event_finds_its_connections_by_account_subdomain_or_organisation(database: Database):
    other = Route("beta", ACCOUNT, ("acme",), "other-tenant", frozenset({(500, 505)}))
    with database.begin() as session:
        routes.save(session, ROUTE)
        routes.save(session, other)
    with database.reading() as session:
        by_account = routes.find_connections(session, account_id=ACCOUNT)
        by_subdomain = routes.find_connections(session, account_id=999, subdomain="acme")
        by_tenant = routes.find_connections(session, tenant_id=TENANT)
        nobodys = routes.find_connections(session, account_id=999, subdomain="nobody")
    assert by_account == by_subdomain == [ROUTE, other]
    assert by_tenant == [ROUTE]
    assert nobodys == []
