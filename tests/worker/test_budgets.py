"""What is counted together, and how a budget stands in words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from integrations.turns import Heard, Priority, Turns, Window
from tests.worker.shop import Shop
from worker import budgets
from worker.budgets import Budget, Budgeted, kommo_budget, sentences, xero_budget
from worker.connections import Connection, InvoiceRules, Limits, Trigger

NOW = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
TENANT = "fe79f7dd-0000-4000-8000-0000000000aa"


def connection(name: str, *, subdomain: str = "", **limits) -> Connection:
    """A connection of that name, with these limits."""
    return Connection(
        name=name,
        kommo_subdomain=subdomain or name,
        triggers=(Trigger("Sales", "Approved"),),
        invoice=InvoiceRules("200"),
        limits=Limits(**limits),
    )


def limits_of(budgeted: Budgeted) -> dict[str, int]:
    return {window.name: window.limit for window in budgeted.windows}


def test_all_connections_share_kommos_second_and_the_lowest_holds():
    acme, beta = connection("acme"), connection("beta", kommo_second=5)
    budgeted = kommo_budget(acme, [acme, beta])
    assert (budgeted.key, budgeted.party, budgeted.parties) == ("kommo", "acme", ("acme", "beta"))
    assert limits_of(budgeted) == {"second": 5}


def test_an_account_of_its_own_is_counted_alone_but_for_other_connections_of_it():
    acme, beta = connection("acme"), connection("beta", kommo_shared=False)
    twin = connection("twin", subdomain="beta", kommo_shared=False, kommo_second=3)
    among = [acme, beta, twin]
    assert kommo_budget(acme, among).parties == ("acme",)
    alone = kommo_budget(beta, among)
    assert (alone.key, alone.parties, limits_of(alone)) == ("kommo:beta", ("beta", "twin"), {"second": 3})


def test_xero_counts_by_organisation_by_day_and_by_app():
    budgeted = xero_budget(connection("acme"), TENANT, client_id="app")
    assert budgeted.key == f"xero:{TENANT}"
    assert limits_of(budgeted) == {"minute": 60, "day": 5000, "app": 10_000}
    assert budgeted.windows[-1].shared == "xero-app:app"
    assert budgeted.places == 5


def test_connections_to_one_organisation_keep_the_lowest_of_their_plans():
    acme, beta = connection("acme", xero_minute=30), connection("beta", xero_day=1000)
    budgeted = xero_budget(acme, TENANT, [acme, beta])
    assert limits_of(budgeted) == {"minute": 30, "day": 1000}
    assert budgeted.parties == ("acme", "beta")


def test_a_workers_budgets_are_those_of_its_grant_and_its_organisation(shop: Shop):
    budgeted = shop.workshop.xero_budget(shop.workshop.connection("demo"), shop.tenant_id)
    client_id = shop.sandbox.ready["xero_client_id"]
    assert [window.shared for window in budgeted.windows] == [None, None, f"xero-app:{client_id}"]
    assert budgeted.parties == ("demo",)


def test_the_apps_minute_is_counted_and_corrected(shop: Shop):
    shop.entered(shop.deal())
    shop.work()
    client_id = shop.sandbox.ready["xero_client_id"]
    assert shop.workshop.redis.zcard(f"turns:xero-app:{client_id}") > 0


# in words

DAY = Budget("xero:1", ("acme",), {"minute": 60, "day": 3120}, {"minute": 60, "day": 5000})


def say(budget: Budget) -> list[str]:
    return list(sentences(budget, now=NOW))


def test_a_day_that_lasts():
    assert say(DAY) == ["Xero (acme) day budget: 3,120 of 5,000 left, lasts the day."]


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        (NOW + timedelta(hours=5, minutes=40), "gone about 16:40 at this pace"),
        (NOW + timedelta(hours=15), "gone about 02:00 on 25 November at this pace"),
        (NOW, "jobs wait until calls come back"),
    ],
)
def test_a_day_that_does_not_last(gone: datetime, told: str):
    assert say(replace(DAY, day_gone_at=gone)) == [f"Xero (acme) day budget: 3,120 of 5,000 left, {told}."]


def test_who_goes_on_slowly_is_named():
    (told,) = say(replace(DAY, day_gone_at=NOW + timedelta(hours=1), slowed=("PDFs", "back-fill")))
    assert told.endswith("gone about 12:00 at this pace; slowed so that it lasts: PDFs, back-fill.")


def test_a_stop_and_a_block_are_told():
    budget = Budget("kommo", ("acme", "beta"), {"second": 7}, {"second": 7}, stop=90)
    assert say(budget) == ["Kommo (acme, beta) asked us to send nothing until 11:01."]
    blocked = replace(budget, stop=0, blocked_since=NOW - timedelta(minutes=20), next_try=NOW + timedelta(minutes=10))
    (told,) = say(blocked)
    assert "has shut us out since 10:40 for too many calls: write to its support." in told
    assert told.endswith("One call at a time tries whether it lets us in again, the next at 11:10.")


def test_a_budget_without_news_says_nothing():
    assert say(Budget("kommo", ("acme",), {"second": 7}, {"second": 7})) == []


def test_a_budget_that_nobody_knows_says_why():
    assert say(Budget("kommo", ("acme",), None, problem="Redis does not answer")) == [
        "Kommo (acme): Redis does not answer."
    ]


# as it is read


@pytest.fixture
def turns(redis: Redis) -> Turns:
    redis.set("turns:xero:1:day:since", 1)
    return Turns(redis, key="xero:1", windows=[Window("day", 100, 86_400.0, is_day=True)], places=5, patience=0)


def test_a_budget_is_read_with_its_forecast(turns: Turns):
    budgeted = Budgeted("xero:1", turns.windows, 5, "acme", ("acme",))
    for _ in range(50):
        with turns.take(Priority.NEW):
            pass
    seen = budgets.look(turns, budgeted, now=NOW)
    assert (seen.left, seen.limits) == ({"day": 50, "places": 5}, {"day": 100})
    assert seen.day_gone_at == pytest.approx(NOW + timedelta(hours=1), abs=timedelta(minutes=1))
    assert seen.slowed == ("PDFs", "reconciliation")
    assert seen.blocked_since is None


def test_a_block_is_read_with_its_times(turns: Turns):
    turns.heard(Heard(block=900), member="any")
    seen = budgets.look(turns, Budgeted("kommo", turns.windows, None, "acme", ("acme",)), now=NOW)
    assert seen.blocked_since == pytest.approx(NOW, abs=timedelta(seconds=5))
    assert seen.next_try == pytest.approx(NOW + timedelta(seconds=900), abs=timedelta(seconds=5))
