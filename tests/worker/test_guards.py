"""Guards that stand behind others, each tried where no other would help."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from integrations.turns import Priority
from tests.worker.ledger import LEASE, at, for_lead, job, must_claim, record
from tests.worker.shop import Shop
from worker import claims, sweep
from worker.database import Database
from worker.handlers import HANDLERS
from worker.jobs import Kind
from worker.run import attempt
from worker.settings import Timing
from worker.sweep import sweep as sweep_ledger
from worker.workshop import Workshop

PUT_INVOICES = "PUT /api.xro/2.0/Invoices"
LONG_LEASE = Timing(time_factor=50, read_timeout_seconds=60, quiet_seconds=60, lease_seconds=100, renew_seconds=50)


def test_a_renewal_keeps_only_what_is_its_own(database: Database):
    mine, others = record(database, for_lead(7), for_lead(8))
    held, _ = must_claim(database, mine), must_claim(database, others)
    claims.renew(database, held.holder, now=at(8), lease=LEASE)
    sweep_ledger(database, now=at(11))
    assert (job(database, mine).state, job(database, others).state) == ("running", "queued")


def test_a_successor_lets_the_quiet_period_of_the_dead_pass_before_it_looks(shop: Shop):
    lead_id = shop.deal()
    (job_id,) = shop.entered(lead_id)
    shop.fault("xero", PUT_INVOICES, "reset")
    dies_before_it_settles(shop, job_id)
    shop.pass_time(30)
    since = shop.sandbox.mark()
    shop.work()
    assert [call for call in shop.calls(since) if call.startswith("xero")] == []
    shop.pass_time(60)
    shop.work()
    assert (len(shop.books().invoices_for(lead_id)), shop.unfinished()) == (1, [])


def dies_before_it_settles(shop: Shop, job_id: int) -> None:
    taken = claims.claim(shop.workshop.database, job_id, now=shop.now(), lease=timedelta(seconds=10), most=1)
    assert taken is not None
    world = shop.workshop.world("demo", priority=Priority.NEW, holder=taken.holder)
    HANDLERS[Kind.CREATE_INVOICE](taken.jobs, world)


@pytest.fixture
def slow(shop: Shop) -> Iterator[Workshop]:
    """Another worker, which waits long for answers and whose lease is long enough for it to stand still within a test."""
    opened = Workshop(shop.workshop.settings.model_copy(update={"timing": LONG_LEASE}), now=shop.now)
    yield opened
    opened.close()


def test_an_answer_that_comes_after_the_successors_leaves_the_successors_invoice(
    shop: Shop, slow: Workshop, until: Callable[..., object]
):
    """The first call takes effect only when everybody has given it up: its invoice is voided, whoever answers last."""
    lead_id = shop.deal()
    (job_id,) = shop.entered(lead_id)
    shop.fault("xero", PUT_INVOICES, "hold", when="before")
    first = threading.Thread(target=attempt, args=(slow, Kind.CREATE_INVOICE, job_id))
    first.start()
    until(lambda: shop.sandbox.get("held"), 10)
    shop.pass_time(101)
    sweep.sweep(shop.workshop.database, now=shop.now())
    shop.pass_time(61)
    shop.work()
    number = shop.lead(lead_id).number
    for held in shop.sandbox.get("held"):
        shop.sandbox.post(f"held/{held['id']}/release")
    first.join(30)
    assert len([one for one in shop.books().invoices if one.is_for(lead_id)]) == 2
    shop.work()
    assert [one.number for one in shop.books().invoices_for(lead_id)] == [number]
    assert (shop.lead(lead_id).number, shop.unfinished()) == (number, [])
