"""What a round costs where a thousand deals lie in the trigger stage, each with its invoice."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.worker.shop import Shop
from worker import sweep
from worker.jobs import Job, Kind, State
from worker.links import Link
from worker.reconciling import Found, reconcile
from worker.run import attempt

DEALS = 1000
TYPED_AT_ONCE = 200
QUARTER, HOUR = 900, 3600


@pytest.fixture
def full_shop(shop: Shop) -> Shop:
    """A thousand deals of one client, approved within a minute, with their invoices, fields and notes; of the files only the ledger knows."""
    company = shop.sandbox.post("kommo/companies", {"name": "Acme Ltd", "email": "pay@acme.example"})["id"]
    typed = [
        {"name": f"Deal {n}", "price": "100.00", "pipeline": "Sales", "stage": "Payment approved", "company": company}
        for n in range(DEALS)
    ]
    for start in range(0, DEALS, TYPED_AT_ONCE):
        shop.entered(*shop.sandbox.post("kommo/leads", typed[start : start + TYPED_AT_ONCE])["ids"])
    while ids := waiting(shop):
        attempt(shop.workshop, Kind.CREATE_INVOICE, ids[0])
    with shop.workshop.database.begin() as session:
        session.execute(sa.update(Link).values(pdf_shown=Link.pdf_wanted))
        session.execute(sa.update(Job).where(Job.kind == Kind.ATTACH_INVOICE).values(state=State.DONE))
    assert shop.unfinished() == []
    return shop


def waiting(shop: Shop) -> list[int]:
    rings = sweep.sweep(shop.workshop.database, now=shop.now(), ring_again=timedelta())
    return [ring.job_id for ring in rings if ring.kind is Kind.CREATE_INVOICE]


def test_a_round_that_finds_nothing_costs_four_calls_with_a_thousand_linked_deals(full_shop: Shop):
    costs = {}
    costs["the burst itself"], found = a_round(full_shop)
    assert (found.wanted, found.agree) == (set(), DEALS)
    let_pass(full_shop, HOUR + QUARTER)
    costs["an hour later"], _ = a_round(full_shop)
    let_pass(full_shop, QUARTER)
    costs["from then on"], found = a_round(full_shop)
    print(f"calls of a round over {DEALS} linked deals: {costs}")
    assert (costs["from then on"], found.wanted) == (4, set())


def a_round(shop: Shop) -> tuple[int, Found]:
    """How many calls it took, and what it found."""
    since = shop.sandbox.mark()
    found = reconcile(shop.workshop, "demo")
    assert found is not None
    return len(shop.calls(since)), found


def let_pass(shop: Shop, seconds: float) -> None:
    """Time, for both vendors and for us."""
    shop.pass_time(seconds)
    shop.sandbox.patch("settings", {"clock_shift_s": shop.ahead})
