"""Attacks that once succeeded: what a restore forgot on Kommo's side, doubles of which one is dead, edited marks, and lists that lag."""

import threading
from datetime import timedelta

import pytest

from integrations.turns import Priority
from integrations.wire import CallRecord
from tests.worker.handlers.test_hard_cases import wait_held
from tests.worker.handlers.test_more_attacks import deals_of
from tests.worker.handlers.test_outcomes import PUT_INVOICES, QUIET, send_again
from tests.worker.handlers.test_the_way_back import Died
from tests.worker.handlers.test_what_people_do import forget_everything, invoiced, looks_once_all_is_known
from tests.worker.shop import Shop
from worker import claims
from worker.handlers import HANDLERS
from worker.jobs import Kind
from worker.run import attempt
from worker.workshop import Workshop


def test_a_deal_that_the_ledger_forgot_is_not_made_again_for_its_invoice(shop: Shop):
    invoice_id = shop.invoice()
    shop.raised(invoice_id)
    shop.work()
    forget_everything(shop)
    shop.raised(invoice_id)
    shop.work()
    (lead_id,) = deals_of(shop, invoice_id)
    assert (len(shop.lead(lead_id).notes), len(shop.lead(lead_id).files)) == (1, 1)
    assert shop.unfinished() == []


@pytest.mark.parametrize("known_by", ["its deal", "its mark", "a look"])
def test_an_invoice_that_the_ledger_forgot_gets_no_second_note_and_no_second_file(shop: Shop, known_by: str):
    lead_id = invoiced(shop)
    (invoice,) = shop.books().invoices_for(lead_id)
    forget_everything(shop)
    if known_by == "a look":
        shop.sandbox.patch(f"kommo/leads/{lead_id}", {"fields": {"XERO_INVOICE_ID": None}})
    shop.raised(invoice.id) if known_by == "its mark" else shop.entered(lead_id)
    shop.work()
    shop.pass_time(QUIET)
    shop.work()
    deal = shop.lead(lead_id)
    assert (deal.number, len(deal.notes), len(deal.files)) == (invoice.number, 1, 1)
    assert shop.unfinished() == []


def test_after_a_restore_the_living_one_of_two_invoices_is_the_deals(shop: Shop):
    lead_id = invoiced(shop)
    (living,) = shop.books().invoices_for(lead_id)
    shop.sandbox.post(f"xero/invoices/{send_again(shop)}/void", {})  # the later one by Xero's clock
    forget_everything(shop)
    shop.sandbox.patch(f"kommo/leads/{lead_id}", {"fields": {"XERO_INVOICE_ID": None}})
    shop.entered(lead_id)
    shop.work()
    assert shop.lead(lead_id).number == living.number


def test_of_two_invoices_of_one_deal_the_dead_one_is_not_taken_and_the_living_one_voided(shop: Shop):
    lead_id = invoiced(shop)
    (living,) = shop.books().invoices_for(lead_id)
    dead = send_again(shop)
    shop.sandbox.post(f"xero/invoices/{dead}/void", {})
    shop.sandbox.post(f"xero/invoices/{living.id}/edit", {"reference": "PO 77"})  # later than the other one died
    forget_everything(shop)
    shop.sandbox.patch(f"kommo/leads/{lead_id}", {"fields": {"XERO_INVOICE_ID": None}})
    for invoice_id in (dead, living.id):
        shop.raised(invoice_id)
        shop.work()
    assert [one.id for one in shop.books().invoices_for(lead_id)] == [living.id]
    assert (shop.lead(lead_id).number, shop.lead(lead_id).status) == (living.number, "Awaiting payment")


def test_whoever_voids_the_linked_one_of_two_as_he_was_told_sees_the_other_on_the_deal(shop: Shop):
    lead_id = invoiced(shop)
    (linked,) = shop.books().invoices_for(lead_id)
    double = send_again(shop)
    shop.sandbox.post(f"xero/invoices/{double}/pay", {})
    (job_id,) = shop.raised(double)
    shop.work()
    assert f"Void {linked.number} in Xero" in (shop.job(job_id).sentence or "")
    shop.sandbox.post(f"xero/invoices/{linked.id}/void", {})
    shop.changed(linked.id)
    shop.raised(double)
    shop.work()
    assert shop.lead(lead_id).status == "Paid"
    assert shop.unfinished() == []


def test_of_two_of_which_a_person_voids_one_before_we_look_the_other_is_the_deals(shop: Shop):
    lead_id = shop.deal()
    shop.fault("xero", PUT_INVOICES, "reset")
    shop.entered(lead_id)
    shop.work()
    (kept,) = shop.books().invoices_for(lead_id)
    voided = send_again(shop)
    shop.sandbox.post(f"xero/invoices/{voided}/void", {})
    shop.raised(voided)
    shop.work()
    shop.raised(kept.id)
    shop.work()
    shop.pass_time(QUIET)
    shop.work()
    assert [one.id for one in shop.books().invoices_for(lead_id)] == [kept.id]
    assert (shop.lead(lead_id).number, shop.lead(lead_id).status) == (kept.number, "Awaiting payment")
    assert shop.unfinished() == []


def test_an_invoice_of_ours_whose_mark_was_edited_before_we_knew_of_it_becomes_no_deal(shop: Shop):
    lead_id = shop.deal()
    shop.fault("xero", PUT_INVOICES, "reset")
    shop.entered(lead_id)
    shop.work()
    (invoice,) = shop.books().invoices_for(lead_id)
    before = len(shop.books().invoices)
    shop.sandbox.post(f"xero/invoices/{invoice.id}/edit", {"url": "https://elsewhere.example/x"})
    shop.raised(invoice.id)
    shop.work()
    shop.pass_time(QUIET)
    shop.work()
    shop.pass_time(10)
    shop.work()
    assert deals_of(shop, invoice.id) == [lead_id]
    assert len(shop.books().invoices) == before
    assert shop.unfinished() == []


def test_a_client_whose_answer_was_lost_is_made_once_although_the_search_lags(shop: Shop):
    shop.sandbox.patch("settings", {"kommo": {"search_lag_s": 600}})
    shop.fault("kommo", "POST /api/v4/companies$", "reset")
    shop.raised(shop.invoice(contact="Umbrella Ltd"))
    shop.work()
    for _ in range(2):
        shop.pass_time(QUIET)
        shop.work()
    shop.sandbox.patch("settings", {"kommo": {"search_lag_s": 0}})
    assert [one["name"] for one in shop.sandbox.books()["kommo"]["companies"]].count("Umbrella Ltd") == 1
    assert shop.unfinished() == []


def test_a_note_is_recognised_although_its_invoice_got_another_number_since(shop: Shop):
    invoice_id = shop.invoice()
    shop.fault("kommo", "POST /api/v4/leads/notes", "reset")
    shop.raised(invoice_id)
    shop.work()
    shop.sandbox.post(f"xero/invoices/{invoice_id}/edit", {"number": "INV-7777"})
    shop.pass_time(QUIET)
    shop.work()
    (lead_id,) = deals_of(shop, invoice_id)
    assert len(shop.lead(lead_id).notes) == 1
    assert shop.unfinished() == []


def test_a_note_is_left_alone_for_a_quiet_period_after_its_worker_died(shop: Shop):
    lead_id = shop.deal()
    (job_id,) = shop.entered(lead_id)
    lease = timedelta(seconds=10)
    claim = claims.claim(shop.workshop.database, job_id, now=shop.now(), lease=lease, most=1)
    assert claim is not None

    def die_late_in_the_note(call: CallRecord) -> None:
        if call.path == "/api/v4/leads/notes":
            shop.pass_time(55)
            claims.renew(shop.workshop.database, claim.holder, now=shop.now(), lease=lease)
            raise Died

    world = shop.workshop.world("demo", priority=Priority.NEW, holder=claim.holder, on_call=die_late_in_the_note)
    with pytest.raises(Died):
        HANDLERS[Kind.CREATE_INVOICE](claim.jobs, world)
    shop.pass_time(15)
    since = shop.sandbox.mark()
    shop.work()
    assert [call for call in shop.calls(since) if "notes" in call] == []
    shop.pass_time(QUIET)
    shop.work()
    assert len(shop.lead(lead_id).notes) == 1
    assert shop.unfinished() == []


def test_a_deal_that_waits_for_its_client_does_not_make_creates_look_first_for_ever_after_a_restore(shop: Shop):
    invoiced(shop)
    forget_everything(shop)
    shop.entered(shop.deal("Waits", company=None), shop.deal("New", company={"name": "Globex GmbH"}))
    shop.work()
    assert looks_once_all_is_known(shop) == 0


def test_an_invoice_that_comes_after_a_person_voided_the_deals_own_is_voided_too(shop: Shop):
    lead_id = invoiced(shop)
    (linked,) = shop.books().invoices_for(lead_id)
    shop.sandbox.post(f"xero/invoices/{linked.id}/void", {})
    shop.changed(linked.id)
    late = send_again(shop)
    shop.raised(late)
    shop.work()
    assert shop.books().invoices_for(lead_id) == []
    assert (shop.lead(lead_id).number, shop.lead(lead_id).status) == (linked.number, "Voided")


def test_of_two_invoices_the_one_that_a_person_kept_is_the_deals(shop: Shop):
    """Nobody told us of the other one in time."""
    lead_id = invoiced(shop)
    (linked,) = shop.books().invoices_for(lead_id)
    kept = send_again(shop)
    shop.sandbox.post(f"xero/invoices/{linked.id}/void", {})
    shop.changed(linked.id)
    shop.raised(kept)
    shop.work()
    (living,) = shop.books().invoices_for(lead_id)
    deal = shop.lead(lead_id)
    assert (living.id, deal.number, deal.status) == (kept, living.number, "Awaiting payment")
    assert (len(deal.notes), len(deal.files)) == (2, 1)
    assert shop.unfinished() == []


def test_two_new_clients_of_one_name_are_two_contacts_also_in_two_workers(shop: Shop):
    deals = [
        shop.deal(name, company={"name": "John Smith", "email": f"{name}@smith.example"})
        for name in ("first", "second")
    ]
    shop.fault("xero", PUT_INVOICES, "hold", when="before")
    (job_id,) = shop.entered(deals[0])
    maker = threading.Thread(target=attempt, args=(shop.workshop, Kind.CREATE_INVOICE, job_id))
    maker.start()
    held = wait_held(shop)
    other = Workshop(shop.workshop.settings, now=shop.now)
    attempt(other, Kind.CREATE_INVOICE, *shop.entered(deals[1]))
    shop.sandbox.post(f"held/{held}/release")
    maker.join()
    other.close()
    for seconds in (2, QUIET):
        shop.pass_time(seconds)
        shop.work()
    contacts = {one["id"]: one["email"] for one in shop.sandbox.books()["xero"]["contacts"]}
    payers = [
        contacts[one["contact"]["id"]]
        for lead_id in deals
        for one in shop.sandbox.books()["xero"]["invoices"]
        if str(one["url"]).endswith(f"/{lead_id}")
    ]
    assert payers == ["first@smith.example", "second@smith.example"]
    assert shop.unfinished() == []
