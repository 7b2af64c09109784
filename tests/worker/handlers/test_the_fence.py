"""A worker that was frozen past its lease, and thaws after its successor is done, changes nothing."""

from datetime import timedelta

import pytest

from integrations.errors import CallError, LeaseLost
from integrations.turns import Priority
from tests.worker.shop import Shop
from worker import claims, links, sweep
from worker.claims import Claim, Claimed
from worker.handlers import HANDLERS
from worker.jobs import Kind
from worker.links import Link
from worker.run import attempt
from worker.verdicts import Verdict
from worker.world import World


class Frozen:
    """A worker that has claimed a job and then stood still until its successor was done."""

    def __init__(self, shop: Shop, job_id: int) -> None:
        taken = claims.claim(shop.workshop.database, job_id, now=shop.now(), lease=timedelta(seconds=10), most=1)
        assert taken is not None
        self.claim: Claim = taken
        # its own clock of the lease has not told it yet: the ledger's fence alone must hold
        self.world: World = shop.workshop.world("demo", priority=Priority.NEW, holder=taken.holder)
        shop.pass_time(11)
        sweep.sweep(shop.workshop.database, now=shop.now())

    def go_on(self, handler: Kind) -> dict[int, Verdict | CallError]:
        """Thaw, and do the work as if nothing had happened."""
        jobs: tuple[Claimed, ...] = self.claim.jobs
        return dict(HANDLERS[handler](jobs, self.world))


def test_a_frozen_creator_makes_no_second_invoice(shop: Shop):
    lead_id = shop.deal()
    (job_id,) = shop.entered(lead_id)
    frozen = Frozen(shop, job_id)
    shop.work()
    frozen.go_on(Kind.CREATE_INVOICE)
    assert (len(shop.books().invoices_for(lead_id)), len(shop.lead(lead_id).notes)) == (1, 1)


def test_a_frozen_creator_that_knows_nothing_of_its_successor_is_stopped_before_it_sends(shop: Shop):
    lead_id = shop.deal()
    (job_id,) = shop.entered(lead_id)
    frozen = Frozen(shop, job_id)
    with pytest.raises(LeaseLost):
        frozen.go_on(Kind.CREATE_INVOICE)
    assert shop.books().invoices_for(lead_id) == []
    shop.work()
    assert len(shop.books().invoices_for(lead_id)) == 1


def test_what_a_frozen_worker_read_never_covers_what_its_successor_wrote(shop: Shop):
    lead_id = shop.deal()
    shop.entered(lead_id)
    shop.work()
    invoice_id = shop.books().invoices_for(lead_id)[0].id
    before = link(shop, invoice_id)
    (job_id,) = shop.changed(invoice_id)
    frozen = Frozen(shop, job_id)
    shop.sandbox.post(f"xero/invoices/{invoice_id}/pay", {})
    shop.work()
    assert shop.lead(lead_id).status == "Paid"
    with pytest.raises(LeaseLost), frozen.world.begin() as session:
        links.change(session, before, label="Awaiting payment", synced=before.synced)
    assert link(shop, invoice_id).label == "Paid"


def test_a_frozen_attacher_puts_no_second_file_on_the_deal(shop: Shop):
    lead_id = shop.deal()
    shop.entered(lead_id)
    rings = sweep.sweep(shop.workshop.database, now=shop.now(), ring_again=timedelta())

    attempt(shop.workshop, rings[0].kind, rings[0].job_id)
    (attach,) = sweep.sweep(shop.workshop.database, now=shop.now(), ring_again=timedelta())
    frozen = Frozen(shop, attach.job_id)
    with pytest.raises(LeaseLost):
        frozen.go_on(Kind.ATTACH_INVOICE)
    shop.work()
    assert len(shop.lead(lead_id).files) == 1


def link(shop: Shop, invoice_id: str) -> Link:
    with shop.workshop.database.reading() as session:
        return links.find_invoices(session, shop.tenant_id, [invoice_id])[invoice_id]
