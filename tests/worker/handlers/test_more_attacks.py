"""Attacks that once succeeded: clocks, restores, deals that were seen by nobody, and what was never done with."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.worker.handlers.test_hard_cases import wait_held
from tests.worker.handlers.test_outcomes import send_again
from tests.worker.shop import Shop
from worker.cursors import Cursor, Side
from worker.jobs import Job, Kind
from worker.reconciling import Found, reconcile
from worker.run import attempt
from worker.sends import Send
from worker.workshop import Workshop

PUT_INVOICES = "PUT /api.xro/2.0/Invoices"
QUIET = 61


def test_a_lost_invoice_is_found_although_our_clock_is_ten_minutes_ahead_of_xeros(shop: Shop):
    shop.pass_time(600)
    lead_id = shop.deal()
    shop.fault("xero", PUT_INVOICES, "reset")
    shop.entered(lead_id)
    shop.work()
    shop.pass_time(QUIET)
    shop.work()
    assert len(shop.books().invoices_for(lead_id)) == 1
    assert shop.unfinished() == []


def test_a_lost_deal_is_found_although_our_clock_is_ten_minutes_ahead_of_kommos(shop: Shop):
    shop.pass_time(600)
    invoice_id = shop.invoice()
    shop.fault("kommo", "POST /api/v4/leads$", "reset")
    shop.raised(invoice_id)
    shop.work()
    shop.pass_time(QUIET)
    shop.work()
    assert len(deals_of(shop, invoice_id)) == 1
    assert shop.unfinished() == []


def test_after_a_restore_creates_look_first_until_the_jobs_of_a_reconciliation_have_run(shop: Shop):
    lead_id = shop.deal()
    shop.entered(lead_id)
    shop.work()
    shop.sandbox.patch(f"kommo/leads/{lead_id}", {"fields": {"XERO_INVOICE_ID": None}})
    with shop.workshop.database.begin() as session:
        for table in ("send_members", "sends", "links", "contacts", "jobs"):
            session.execute(sa.text(f"DELETE FROM {table}"))
    for _ in range(2):  # no worker has come to the jobs of the first one
        look(shop)
    with shop.workshop.database.begin() as session:  # and others go on in Xero meanwhile
        later = shop.now() + timedelta(hours=1)
        session.execute(sa.update(Cursor).where(Cursor.side == Side.XERO).values(read_until=later))
        session.execute(sa.update(Job).where(Job.kind == Kind.CREATE_DEAL).values(due_at=later))
    shop.entered(lead_id)
    shop.work()
    assert len(shop.books().invoices_for(lead_id)) == 1


def test_a_deal_that_was_made_in_the_stage_and_went_on_unseen_gets_its_invoice(shop: Shop):
    lead_id = shop.deal()
    shop.sandbox.post("kommo/leads/move", {"ids": [lead_id], "pipeline": "Sales", "stage": 142})
    look(shop)
    shop.work()
    assert len(shop.books().invoices_for(lead_id)) == 1


def test_a_deal_that_lay_in_the_stage_before_the_connection_and_leaves_it_gets_none(shop: Shop):
    lead_id = shop.deal()
    with shop.workshop.database.begin() as session:
        began = sa.update(Cursor).where(Cursor.side == Side.BEGAN)
        session.execute(began.values(read_until=shop.now() + timedelta(hours=1)))
    shop.sandbox.post("kommo/leads/move", {"ids": [lead_id], "pipeline": "Sales", "stage": 142})
    look(shop)
    shop.work()
    assert shop.books().invoices_for(lead_id) == []


def test_a_deal_that_its_own_webhook_told_us_of_is_not_looked_for_any_more(shop: Shop):
    invoice_id = shop.invoice()
    shop.fault("kommo", "POST /api/v4/leads$", "reset")
    shop.raised(invoice_id)
    shop.work()
    shop.entered(*deals_of(shop, invoice_id))
    shop.work()
    shop.pass_time(QUIET)
    shop.work()
    with shop.workshop.database.reading() as session:
        assert list(session.scalars(sa.select(Send.what).where(Send.closed_at.is_(None)))) == []
    look(shop)
    shop.work()
    assert look(shop).wanted == set()


def test_an_invoice_that_was_voided_before_it_became_a_deal_is_not_asked_about_for_ever(shop: Shop):
    invoice_id = shop.invoice()
    shop.fault("kommo", "POST /api/v4/companies", 500, when="before")
    shop.raised(invoice_id)
    shop.work()
    shop.sandbox.post(f"xero/invoices/{invoice_id}/void", {})
    shop.pass_time(4000)
    shop.work()
    assert look(shop).wanted == set()


def test_two_new_clients_of_one_name_are_two_contacts_also_in_one_burst(shop: Shop):
    deals = [shop.deal(f"Deal {n}", company={"name": "John Smith", "email": f"{n}@acme.example"}) for n in range(3)]
    shop.entered(*deals)
    shop.work()
    assert len({shop.books().invoices_for(lead_id)[0].contact for lead_id in deals}) == 3
    assert shop.unfinished() == []


@pytest.mark.parametrize("count", [1, 2])
def test_a_question_whose_answer_is_late_is_written_once_although_other_events_come(shop: Shop, count: int):
    deals = [shop.deal(f"Deal {n}", company=None) for n in range(count)]
    shop.fault("kommo", "POST /api/v4/leads/notes", "hold", when="before")
    shop.entered(*deals)
    shop.work()
    held = wait_held(shop)
    shop.entered(*deals)
    shop.work()
    shop.sandbox.post(f"held/{held}/release")
    shop.pass_time(QUIET)
    shop.work()
    assert [len(shop.lead(lead_id).notes) for lead_id in deals] == [1] * count
    assert shop.unfinished() == []


def test_an_invoice_that_turns_up_while_its_second_try_is_drafted_stays_the_only_one(shop: Shop):
    lead_id = shop.deal(company={"name": "New client"})
    shop.fault("xero", PUT_INVOICES, "reset", when="before")
    (job_id,) = shop.entered(lead_id)
    shop.work()
    shop.pass_time(QUIET)
    shop.fault("xero", "GET /api.xro/2.0/Contacts*", "hold", when="before")
    since = shop.sandbox.mark()
    drafting = threading.Thread(target=attempt, args=(shop.workshop, Kind.CREATE_INVOICE, job_id))
    drafting.start()
    held = wait_held(shop)
    other = Shop(shop.sandbox, Workshop(shop.workshop.settings, now=shop.now), ahead=shop.ahead)
    late = send_again(other)
    (raised,) = other.raised(late)
    attempt(other.workshop, Kind.CREATE_DEAL, raised)
    shop.sandbox.post(f"held/{held}/release")
    drafting.join()
    other.workshop.close()
    shop.work()
    assert shop.calls(since).count(f"xero {PUT_INVOICES}") == 1, "the late one itself"
    assert [one.id for one in shop.books().invoices_for(lead_id)] == [late]
    assert shop.unfinished() == []


def look(shop: Shop) -> Found:
    found = reconcile(shop.workshop, "demo")
    assert found is not None
    return found


def deals_of(shop: Shop, invoice_id: str) -> list[int]:
    return [deal.id for deal in shop.books().deals.values() if deal.fields.get("XERO_INVOICE_ID") == invoice_id]


@pytest.mark.parametrize("there", [True, False])
def test_nobody_waits_for_ever_for_a_client_whose_own_invoice_was_withdrawn(shop: Shop, there: bool):
    first = shop.invoice(contact="Shared Ltd")
    shop.fault("kommo", "POST /api/v4/companies$", "reset", when="after" if there else "before")
    shop.raised(first)
    shop.work()
    shop.sandbox.post(f"xero/invoices/{first}/void")
    shop.pass_time(QUIET)
    shop.work()
    second = shop.invoice(contact="Shared Ltd")
    shop.raised(second)
    shop.work()
    assert len(deals_of(shop, second)) == 1
    assert [one["name"] for one in shop.sandbox.books()["kommo"]["companies"]].count("Shared Ltd") == 1
    assert shop.unfinished() == []
