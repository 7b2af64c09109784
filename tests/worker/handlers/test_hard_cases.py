"""What went wrong once, or nearly did."""

import threading
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from redis import Redis

from tests.worker.shop import Shop
from worker import jobs, overdue
from worker.beat import Rounds
from worker.jobs import Kind
from worker.links import Link
from worker.ring import MOST_UNHEARD
from worker.run import attempt
from worker.workshop import Workshop

PUT_INVOICES = "PUT /api.xro/2.0/Invoices"


def company(shop: Shop, name: str) -> int:
    return next(int(one["id"]) for one in shop.sandbox.books()["kommo"]["companies"] if one["name"] == name)


def contact(shop: Shop, name: str) -> str:
    return next(str(one["id"]) for one in shop.sandbox.books()["xero"]["contacts"] if one["name"] == name)


def invoiced(shop: Shop, **more: Any) -> int:
    lead_id = shop.deal(**more)
    shop.entered(lead_id)
    shop.work()
    return lead_id


def xero_invoice(shop: Shop, lead_id: int) -> dict[str, Any]:
    """The invoice as Xero's books have it."""
    invoices: list[dict[str, Any]] = shop.sandbox.books()["xero"]["invoices"]
    return next(one for one in invoices if (one["url"] or "").endswith(f"/{lead_id}"))


def test_an_invoice_that_a_list_leaves_out_is_never_made_again(shop: Shop):
    lead_id = shop.deal()
    shop.fault("kommo", "PATCH /api/v4/leads", 500, when="before")
    (job_id,) = shop.entered(lead_id)
    shop.work()
    with shop.workshop.database.begin() as session:
        session.execute(sa.update(Link).values(invoice_id="00000000-1111-4111-8111-000000000000"))
    shop.pass_time(30)
    shop.work()
    assert len(shop.books().invoices_for(lead_id)) == 1
    assert shop.job(job_id).state == "failed"


def test_a_client_that_xero_refuses_is_looked_for_once_more_and_then_asked_about(shop: Shop):
    invoiced(shop)
    shop.sandbox.post(f"xero/contacts/{contact(shop, 'Acme Ltd')}/archive")
    second = shop.deal("Second", company=company(shop, "Acme Ltd"))
    shop.entered(second)
    shop.work()
    assert len(shop.books().invoices_for(second)) == 1


def test_two_workers_make_one_new_client_once(shop: Shop):
    first, second = shop.invoice(contact="Umbrella Ltd"), shop.invoice(contact="Umbrella Ltd")
    shop.fault("kommo", "POST /api/v4/companies", "slow", when="before", times=2, seconds=1.0)
    other = Workshop(shop.workshop.settings, now=shop.now)
    (one,) = shop.raised(first)
    started = threading.Thread(target=attempt, args=(shop.workshop, Kind.CREATE_DEAL, one))
    started.start()
    (two,) = shop.raised(second)
    attempt(other, Kind.CREATE_DEAL, two)
    started.join()
    other.close()
    shop.pass_time(6)
    shop.work()
    named = [one for one in shop.sandbox.books()["kommo"]["companies"] if one["name"] == "Umbrella Ltd"]
    assert len(named) == 1
    assert len([deal for deal in shop.books().deals.values() if deal.stage == "Invoiced in Xero"]) == 2
    assert shop.unfinished() == []


def test_a_client_whose_answer_was_lost_is_not_made_for_the_next_invoice_either(shop: Shop):
    shop.fault("kommo", "POST /api/v4/companies", "reset")
    shop.raised(shop.invoice(contact="Umbrella Ltd"), shop.invoice(contact="Umbrella Ltd"))
    for _ in range(20):
        shop.work()
        shop.pass_time(6)
    named = [one for one in shop.sandbox.books()["kommo"]["companies"] if one["name"] == "Umbrella Ltd"]
    assert len(named) == 1
    assert shop.unfinished() == []


def test_a_person_beside_a_company_goes_on_paying_for_himself(shop: Shop):
    lead_id = invoiced(shop, company=None, contact={"name": "John Smith"})
    person = next(int(one["id"]) for one in shop.sandbox.books()["kommo"]["contacts"] if one["name"] == "John Smith")
    shop.sandbox.post("xero/contacts", {"name": "Beta Ltd", "first_name": "John", "last_name": "Smith"})
    shop.raised(shop.invoice(contact="Beta Ltd"))
    shop.work()
    second = shop.deal("Second", company=None, contact=person)
    shop.entered(second)
    shop.work()
    assert [shop.books().invoices_for(one)[0].contact for one in (lead_id, second)] == ["John Smith"] * 2


def test_a_webhook_that_is_faster_than_our_own_answer_does_no_harm(shop: Shop):
    lead_id = shop.deal(company={"name": "New client"})
    hold = shop.fault("xero", PUT_INVOICES, "hold")
    (job_id,) = shop.entered(lead_id)
    maker = threading.Thread(target=attempt, args=(shop.workshop, Kind.CREATE_INVOICE, job_id))
    maker.start()
    held = wait_held(shop)
    (invoice,) = shop.books().invoices_for(lead_id)
    other = Workshop(shop.workshop.settings, now=shop.now)
    (raised,) = shop.raised(invoice.id)
    attempt(other, Kind.CREATE_DEAL, raised)
    shop.sandbox.post(f"held/{held}/release")
    maker.join()
    other.close()
    shop.work()
    deal = shop.lead(lead_id)
    assert hold
    assert (len(shop.books().invoices_for(lead_id)), len(deal.notes), len(deal.files)) == (1, 1, 1)
    second, since = shop.deal("Second", company=company(shop, "New client")), shop.sandbox.mark()
    shop.entered(second)
    shop.work()
    assert not [call for call in shop.calls(since) if "Contacts" in call], "the client was remembered"


def wait_held(shop: Shop) -> int:
    for _ in range(500):
        if held := shop.sandbox.get("held"):
            return int(held[0]["id"])
        threading.Event().wait(0.01)
    raise AssertionError("nothing is held")


def test_a_deal_that_enters_the_stage_again_gets_the_later_date(shop: Shop):
    lead_id = shop.deal(company=None)
    shop.entered(lead_id)
    shop.work()
    shop.sandbox.post("kommo/leads/move", {"ids": [lead_id], "pipeline": "Sales", "stage": "Offer"})
    shop.entered(lead_id)
    shop.work()
    shop.pass_time(20 * 86400)
    shop.sandbox.post(f"kommo/leads/{lead_id}/link", {"company": {"name": "Found Ltd"}})
    shop.sandbox.post("kommo/leads/move", {"ids": [lead_id], "pipeline": "Sales", "stage": "Payment approved"})
    shop.entered(lead_id)
    shop.work()
    assert abs((shop.now().date() - xero_date(shop, lead_id)).days) <= 1


def xero_date(shop: Shop, lead_id: int) -> Any:
    return date.fromisoformat(xero_invoice(shop, lead_id)["date"])


def test_an_invoice_that_was_voided_before_it_became_a_deal_makes_none(shop: Shop):
    invoice_id = shop.invoice()
    shop.fault("kommo", "POST /api/v4/companies", 500, when="before")
    shop.raised(invoice_id)
    shop.work()
    shop.sandbox.post(f"xero/invoices/{invoice_id}/void", {})
    shop.pass_time(4000)
    shop.work()
    assert [deal for deal in shop.books().deals.values() if deal.stage == "Invoiced in Xero"] == []
    assert shop.unfinished() == []


def test_a_deal_that_is_gone_is_not_asked_about_every_ten_minutes(shop: Shop):
    lead_id = invoiced(shop)
    shop.sandbox.delete(f"kommo/leads/{lead_id}")
    shop.pass_time(20 * 86400)
    found = []
    for _ in range(3):
        with shop.workshop.database.begin() as session:
            wanted = overdue.past_due(session, now=shop.now())
            found.append(len(wanted))
            jobs.record(session, wanted, now=shop.now())
        shop.work()
        shop.pass_time(600)
    assert found == [1, 0, 0]


def test_a_pdf_for_a_deal_that_is_gone_ends_quietly(shop: Shop):
    lead_id = shop.deal()
    shop.fault("xero", "GET /api.xro/2.0/Invoices/*", 503, when="before")
    shop.entered(lead_id)
    shop.work()
    shop.sandbox.delete(f"kommo/leads/{lead_id}")
    shop.pass_time(30)
    shop.work()
    assert shop.unfinished() == []


def test_a_question_whose_note_had_no_turn_gets_it_later(shop: Shop):
    lead_id = shop.deal(company=None)
    shop.fault("kommo", "POST /api/v4/leads/notes", 429, when="before")
    shop.entered(lead_id)
    shop.work()
    shop.pass_time(600)
    shop.work()
    assert len(shop.lead(lead_id).notes) == 1


def test_a_bulk_write_that_is_refused_for_a_deal_that_is_gone_costs_the_others_nothing(shop: Shop):
    shop.sandbox.patch("settings", {"kommo": {"unknown_id_in_batch": "refuse"}})
    deals = [shop.deal(f"Deal {n}", company={"name": f"Client {n}"}) for n in range(3)]
    shop.entered(*deals)
    shop.work()
    invoices = [shop.books().invoices_for(lead_id)[0].id for lead_id in deals]
    shop.sandbox.delete(f"kommo/leads/{deals[0]}")
    for invoice_id in invoices:
        shop.sandbox.post(f"xero/invoices/{invoice_id}/pay", {})
    shop.changed(*invoices)
    shop.work()
    assert {shop.lead(lead_id).status for lead_id in deals[1:]} == {"Paid"}
    assert shop.unfinished() == []
    shop.sandbox.patch("settings", {"kommo": {"unknown_id_in_batch": "omit"}})


def test_rings_that_nobody_hears_do_not_pile_up(shop: Shop, redis: Redis):
    shop.entered(*range(1, 301))
    rounds = Rounds(shop.workshop, lambda *_: None)
    for _ in range(20):
        shop.pass_time(11)
        rounds.sweep()
    assert redis.llen("bridge:create_invoice") == MOST_UNHEARD


def test_a_deal_that_waited_for_another_connection_is_taken_over(shop: Shop):
    lead_id = shop.deal(company=None)
    shop.entered(lead_id)
    shop.work()
    with shop.workshop.database.begin() as session:
        session.execute(sa.update(Link).values(connection="other", tenant_id="11111111-1111-4111-8111-111111111111"))
    shop.sandbox.post(f"kommo/leads/{lead_id}/link", {"company": {"name": "Found Ltd"}})
    shop.entered(lead_id)
    shop.work()
    invoice_id = shop.books().invoices_for(lead_id)[0].id
    shop.sandbox.post(f"xero/invoices/{invoice_id}/pay", {})
    shop.changed(invoice_id)
    shop.work()
    assert (shop.lead(lead_id).status, len(shop.lead(lead_id).files)) == ("Paid", 1)


def test_all_who_wait_have_their_turn(shop: Shop):
    with shop.workshop.database.begin() as session:
        session.add_all(waiting(shop, n) for n in range(overdue.MOST + 5))
    asked: set[str] = set()
    for _ in range(2):
        with shop.workshop.database.begin() as session:
            wanted = overdue.waiting_for_books(session, now=shop.now())
            asked |= {str(wish.lead) for wish in wanted}
            ids = {wish.lead.lead_id for wish in wanted if wish.lead}
            session.execute(sa.update(Link).where(Link.lead_id.in_(ids)).values(asked_at=shop.now()))
    assert len(asked) == overdue.MOST + 5


def waiting(shop: Shop, n: int) -> Link:
    return Link(
        connection="demo", origin="deal", account_id=shop.account_id, lead_id=10 + n, tenant_id=shop.tenant_id,
        made_at=shop.now(), asked_at=shop.now() - timedelta(hours=1), remarks=[], waiting=True, waits_books=True,
    )  # fmt: skip


def test_the_clients_own_terms_in_xero_win_a_day_after_they_were_changed_at_the_latest(shop: Shop):
    invoiced(shop)
    terms = {"Sales": {"Day": 45, "Type": "DAYSAFTERBILLDATE"}}
    shop.sandbox.patch(f"xero/contacts/{contact(shop, 'Acme Ltd')}", {"payment_terms": terms})
    shop.pass_time(25 * 3600)
    second = shop.deal("Second", company=company(shop, "Acme Ltd"))
    shop.entered(second)
    shop.work()
    invoice = xero_invoice(shop, second)
    assert (date.fromisoformat(invoice["due_date"]) - date.fromisoformat(invoice["date"])).days == 45
