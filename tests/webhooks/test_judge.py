"""The table: which event makes which job, row by row."""

from datetime import UTC, datetime

import pytest

from webhooks import xero
from webhooks.judge import changed, entered, returned, woken
from webhooks.kommo import ClientEvent, LeadEvent, Notice
from worker.jobs import InvoiceRef, Kind, LeadRef, Wanted
from worker.links import Linked, Origin, Waiting
from worker.routes import Route

ACCOUNT, SALES, APPROVED, OFFER = 30896271, 100, 148, 147
TENANT, INVOICE = "fe79f7dd-0000-4000-8000-000000000000", "fc5b0d6c-0000-4000-8000-000000000000"
DEAL_STAGE = (SALES, 149)


def route(connection: str = "acme", *stages: tuple[int, int], deal_stage: tuple[int, int] | None = DEAL_STAGE) -> Route:
    return Route(connection, ACCOUNT, ("acme",), TENANT, frozenset(stages or [(SALES, APPROVED)]), deal_stage)


def link(
    lead_id: int | None = 7,
    *,
    connection: str = "acme",
    origin: Origin = Origin.INVOICE,
) -> Linked:
    return Linked(connection, None if lead_id is None else LeadRef(ACCOUNT, lead_id), origin)


def event(category: str = "INVOICE", kind: str = "UPDATE", invoice_id: str = INVOICE) -> xero.Event:
    return xero.Event(TENANT, invoice_id, category, kind, datetime(2026, 11, 1, tzinfo=UTC))


AT = datetime(2026, 11, 1, tzinfo=UTC)


def create_invoice(lead_id: int, connection: str = "acme", *, entered_at: datetime | None = None) -> Wanted:
    return Wanted(connection, Kind.CREATE_INVOICE, lead=LeadRef(ACCOUNT, lead_id), entered_at=entered_at)


@pytest.mark.parametrize(("action", "entered_at"), [("add", AT), ("status", AT), ("update", None)])
def test_a_lead_in_a_trigger_stage_gets_an_invoice_and_an_update_does_not_tell_that_it_has_just_come(
    action, entered_at
):
    wanted = list(entered([LeadEvent(action, 7, SALES, APPROVED)], [route()], AT))
    assert wanted == [create_invoice(7, entered_at=entered_at)]


def test_a_lead_that_comes_back_from_the_bin_may_have_entered_at_any_time():
    assert list(entered([LeadEvent("restore", 7, SALES, APPROVED)], [route()], AT)) == [create_invoice(7)]


@pytest.mark.parametrize("action", ["delete", "responsible", "note", "linked", "something new"])
def test_no_other_event_is_an_entry(action):
    assert not list(entered([LeadEvent(action, 7, SALES, APPROVED)], [route()], AT))


@pytest.mark.parametrize("stage", [(SALES, OFFER), (999, APPROVED), (SALES, None), (None, OFFER), (None, None)])
def test_a_lead_elsewhere_gets_none(stage):
    assert not list(entered([LeadEvent("status", 7, *stage)], [route()], AT))


def test_a_body_without_the_pipeline_is_given_the_benefit_of_the_doubt():
    assert list(entered([LeadEvent("update", 7, None, APPROVED)], [route()], AT)) == [create_invoice(7)]


def test_every_lead_and_every_connection_of_the_account_is_judged():
    routes = [route("acme"), route("acme-projects", (SALES, OFFER), (SALES, APPROVED))]
    events = [LeadEvent("status", 7, SALES, APPROVED), LeadEvent("status", 8, SALES, OFFER)]
    assert list(entered(events, routes, AT)) == [
        create_invoice(7, entered_at=AT),
        create_invoice(7, "acme-projects", entered_at=AT),
        create_invoice(8, "acme-projects", entered_at=AT),
    ]


def test_a_lead_that_waits_is_tried_again_by_its_own_connection():
    notice = Notice(leads=(LeadEvent("update", 7), LeadEvent("update", 8)))
    deals = [Waiting("acme", LeadRef(ACCOUNT, 7)), Waiting("other", LeadRef(ACCOUNT, 8))]
    assert list(woken(notice, deals)) == [create_invoice(7), create_invoice(8, "other")]


@pytest.mark.parametrize(
    ("client", "is_woken"),
    [
        (ClientEvent("update", 70, "contact"), True),
        (ClientEvent("update", 71, "company"), True),
        (ClientEvent("update", 70, None), True),
        (ClientEvent("update", 71, "contact"), False),
        (ClientEvent("update", 70, "company"), False),
        (ClientEvent("update", 72, None), False),
    ],
)
def test_a_lead_that_waits_for_a_client_is_tried_again_with_news_of_that_one(client, is_woken):
    deal = Waiting("acme", LeadRef(ACCOUNT, 7), contact_id=70, company_id=71)
    assert list(woken(Notice(clients=(client,)), [deal])) == [create_invoice(7)] * is_woken


def test_what_another_webhook_woke_is_not_ones_own():
    assert not list(woken(Notice(leads=(LeadEvent("update", 8),)), [Waiting("acme", LeadRef(ACCOUNT, 7))]))


def test_a_linked_lead_is_looked_at_when_it_is_back_from_the_bin_and_only_then():
    events = (LeadEvent("restore", 7), LeadEvent("update", 8), LeadEvent("restore", 9))
    links = {7: link(7), 8: link(8)}
    assert list(returned(Notice(leads=events), links)) == [create_invoice(7)]


@pytest.mark.parametrize("kind", ["CREATE", "UPDATE"])
def test_an_event_of_a_linked_invoice_syncs_its_deal(kind):
    wanted = list(changed([event(kind=kind)], [route("b")], {INVOICE: link(connection="a")}, AT))
    assert wanted == [Wanted("a", Kind.SYNC_STATUS, lead=LeadRef(ACCOUNT, 7), invoice=InvoiceRef(TENANT, INVOICE))]


def test_the_echo_of_our_own_making_waits_to_share_a_read_with_others():
    ours = link(origin=Origin.DEAL)
    moments = [datetime(2026, 11, 1, 12, 0, second, tzinfo=UTC) for second in (0, 4, 9, 10)]
    due = [next(changed([event(kind="CREATE")], [route()], {INVOICE: ours}, at)).due_at for at in moments]
    assert due == [datetime(2026, 11, 1, 12, 0, second, tzinfo=UTC) for second in (10, 10, 10, 20)]


@pytest.mark.parametrize(("kind", "origin"), [("UPDATE", Origin.DEAL), ("CREATE", Origin.INVOICE)])
def test_a_change_and_what_others_made_wait_for_nothing(kind, origin):
    (wanted,) = changed([event(kind=kind)], [route()], {INVOICE: link(origin=origin)}, AT)
    assert wanted.due_at is None


def test_an_unknown_invoice_may_become_a_deal_of_the_connection_that_makes_deals():
    routes = [route("a", deal_stage=None), route("b")]
    assert list(changed([event()], routes, {}, AT)) == [
        Wanted("b", Kind.CREATE_DEAL, invoice=InvoiceRef(TENANT, INVOICE))
    ]


def test_where_no_connection_makes_deals_an_unknown_invoice_may_still_be_ours():
    routes = [route("a", deal_stage=None), route("b", deal_stage=None)]
    assert list(changed([event()], routes, {}, AT)) == [
        Wanted("a", Kind.CREATE_DEAL, invoice=InvoiceRef(TENANT, INVOICE))
    ]


def test_an_invoice_whose_deal_is_not_made_yet_is_still_to_become_one():
    wanted = list(changed([event()], [route("b")], {INVOICE: link(None, connection="a")}, AT))
    assert wanted == [Wanted("a", Kind.CREATE_DEAL, invoice=InvoiceRef(TENANT, INVOICE))]


def test_an_organisation_that_is_not_connected_makes_no_job():
    assert not list(changed([event()], [], {}, AT))


@pytest.mark.parametrize("category", ["CONTACT", "CREDITNOTE", "SUBSCRIPTION", "PREPAYMENT", "OVERPAYMENT", ""])
def test_other_categories_make_no_job(category):
    assert not list(changed([event(category)], [route()], {INVOICE: link()}, AT))
