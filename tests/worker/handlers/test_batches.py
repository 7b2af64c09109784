"""Many deals at once: in as few calls as there can be, and nobody pays for a neighbour's fault."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from tests.conftest import wait_until
from tests.worker.shop import Shop
from worker import jobs, links, sends
from worker.contacts import ContactPair
from worker.handlers import MOST
from worker.jobs import InvoiceRef, Kind, Wanted
from worker.links import Link
from worker.run import attempt


def approved(shop: Shop, count: int) -> list[int]:
    """So many deals of a client that Xero has, in the trigger stage."""
    first = shop.deal("First")
    shop.entered(first)
    shop.work()
    return [shop.deal(f"Deal {number}", company=shop.company_of(first)) for number in range(count)]


def counted(shop: Shop, since: int) -> Counter[str]:
    """Calls by vendor, method and path, ids left out."""
    return Counter(
        "/".join(part for part in call.split("/") if not part.isdigit() and len(part) < 32)
        for call in shop.calls(since)
    )


def test_the_files_of_many_deals_are_named_on_them_in_one_call(shop: Shop):
    deals = approved(shop, MOST[Kind.ATTACH_INVOICE])
    since = shop.sandbox.mark()
    shop.entered(*deals)
    shop.work()
    calls = counted(shop, since)
    assert calls["kommo PATCH /api/v4/leads"] == 2  # the invoices, then their files
    assert calls["xero PUT /api.xro/2.0/Invoices"] == 1
    assert calls["kommo POST /api/v4/leads/notes"] == 1
    for lead_id in deals:
        deal = shop.lead(lead_id)
        assert len(deal.files) == len(deal.notes) == 1
        assert deal.fields["XERO_INVOICE_PDF"]
    assert shop.unfinished() == []


def writes(shop: Shop, count: int) -> int:
    """How many statements that write it takes to invoice so many deals of a known client together, their new links apart."""
    deals = [
        shop.deal(f"Deal {number}", company=shop.company_of(known))
        for known in approved(shop, 1)
        for number in range(count)
    ]
    job_ids = shop.entered(*deals)
    seen: list[str] = []

    def see(_conn, _cursor, statement, *_more):
        if statement.startswith(("INSERT", "UPDATE", "DELETE")) and not statement.startswith("INSERT INTO links"):
            seen.append(statement)

    sa.event.listen(shop.workshop.database.engine, "before_cursor_execute", see)
    attempt(shop.workshop, Kind.CREATE_INVOICE, job_ids[0])
    sa.event.remove(shop.workshop.database.engine, "before_cursor_execute", see)
    assert all(shop.lead(lead_id).number for lead_id in deals)
    return len(seen)


def test_many_invoices_take_no_more_statements_than_few(shop: Shop):
    """Whoever else writes on SQLite waits for them: webhooks, and other connections' deals."""
    assert writes(shop, 24) <= writes(shop, 3) + 2


def test_a_file_that_can_not_be_had_holds_up_no_other(shop: Shop):
    deals = approved(shop, 4)
    shop.entered(*deals)
    shop.fault("xero", "GET /api.xro/2.0/Invoices/*", 500, when="before")
    shop.work()
    with_file = [lead_id for lead_id in deals if shop.lead(lead_id).files]
    assert len(with_file) == 3
    ((kind, sentence),) = shop.unfinished()
    assert kind == Kind.ATTACH_INVOICE
    assert "500" in (sentence or "")
    shop.pass_time(10)
    shop.work()
    assert all(len(shop.lead(lead_id).files) == 1 for lead_id in deals)
    assert shop.unfinished() == []


def test_a_deal_that_refuses_its_file_field_fails_no_neighbour(shop: Shop):
    deals = approved(shop, 3)
    shop.entered(*deals)
    # the second write is the files': a batch that Kommo refuses is written one by one
    shop.fault("kommo", "PATCH /api/v4/leads", 400, when="before", skip=1)
    shop.work()
    assert all(shop.lead(lead_id).fields["XERO_INVOICE_PDF"] for lead_id in deals)
    assert shop.unfinished() == []


def test_many_new_clients_are_looked_for_with_one_call_each_and_one_for_all_marks(shop: Shop):
    deals = [shop.deal(f"Deal {n}", company={"name": f"Newcomer {n} Ltd"}) for n in range(6)]
    since = shop.sandbox.mark()
    shop.entered(*deals)
    shop.work()
    calls = counted(shop, since)
    assert calls["xero GET /api.xro/2.0/Contacts"] == len(deals) + 1
    assert calls["xero PUT /api.xro/2.0/Invoices"] == 1
    assert all(len(shop.books().invoices_for(lead_id)) == 1 for lead_id in deals)
    assert shop.unfinished() == []


def test_a_contact_that_bears_our_mark_is_found_among_many_whatever_it_is_called_now(shop: Shop):
    first = shop.deal("First", company={"name": "Renamed Ltd"})
    shop.entered(first)
    shop.work()
    (contact,) = (one for one in shop.sandbox.books()["xero"]["contacts"] if one["name"] == "Renamed Ltd")
    shop.sandbox.patch(f"xero/contacts/{contact['id']}", {"name": "Called otherwise in Xero"})
    with shop.workshop.database.begin() as session:
        session.execute(sa.delete(ContactPair))
    again = shop.deal("Again", company=shop.company_of(first))
    others = [shop.deal(f"Deal {n}", company={"name": f"Newcomer {n} Ltd"}) for n in range(3)]
    shop.entered(again, *others)
    shop.work()
    (invoice,) = shop.books().invoices_for(again)
    assert invoice.contact == "Called otherwise in Xero"
    assert [one["name"] for one in shop.sandbox.books()["xero"]["contacts"]].count("Renamed Ltd") == 0


def test_clients_for_whom_there_is_no_turn_wait_and_the_others_get_their_invoices(shop: Shop):
    known = approved(shop, 2)
    deals = [shop.deal(f"Deal {n}", company={"name": f"Newcomer {n} Ltd"}) for n in range(8)]
    (first, *_) = shop.entered(*known, *deals)
    shop.fault("xero", "GET /api.xro/2.0/Contacts", 429, when="before", skip=4, retry_after=1)
    attempt(shop.workshop, Kind.CREATE_INVOICE, first)
    made = [lead_id for lead_id in (*known, *deals) if shop.books().invoices_for(lead_id)]
    assert set(known) < set(made) < {*known, *deals}
    until_done(shop)
    assert all(len(shop.books().invoices_for(lead_id)) == 1 for lead_id in (*known, *deals))


def until_done(shop: Shop) -> None:
    """Minutes pass, of which the sandbox's are short."""

    def is_done() -> bool:
        shop.pass_time(1)
        shop.work()
        return shop.unfinished() == []

    wait_until(is_done, timeout=30, pause=0.2)


def test_an_event_about_an_invoice_that_we_are_just_making_costs_no_read(shop: Shop):
    (lead_id,) = approved(shop, 1)
    invoice_id = "0aa4b4d3-93a5-4f94-a3a0-8a3e2f5e8d11"
    link = Link(
        connection="demo", origin=links.Origin.DEAL, account_id=shop.account_id, lead_id=lead_id, tenant_id=shop.tenant_id,
        made_at=shop.now(), remarks=[],
    )  # fmt: skip
    with shop.workshop.database.begin() as session:
        session.add(link)
        session.flush()
        sends.open_send(
            session, connection="demo", scope=shop.tenant_id, what="invoices", body=b"", members={link.id: None}, now=shop.now()
        )  # fmt: skip
    since = shop.sandbox.mark()
    (job_id,) = shop.raised(invoice_id)
    shop.work()
    assert shop.calls(since) == []
    assert shop.job(job_id).attempts == 0
    shop.pass_time(3)  # longer than a call may take: whoever sent that has died
    shop.work()
    assert [call for call in shop.calls(since) if "Invoices" in call]


def test_the_echoes_of_a_burst_share_a_read(shop: Shop):
    deals = approved(shop, 5)
    shop.entered(*deals)
    shop.work()
    made = [invoice.id for lead_id in deals for invoice in shop.books().invoices_for(lead_id)]
    before = datetime.now(UTC) - timedelta(minutes=1)  # told before our own answer had come
    with shop.workshop.database.begin() as session:
        jobs.record(
            session,
            [Wanted("demo", Kind.CREATE_DEAL, invoice=InvoiceRef(shop.tenant_id, one)) for one in made],
            now=before,
        )
    since = shop.sandbox.mark()
    shop.work()
    assert shop.calls(since) == []
    assert [kind for kind, _ in shop.unfinished()] == [Kind.SYNC_STATUS] * 5
    shop.pass_time(jobs.ECHO)
    shop.work()
    assert shop.calls(since) == ["xero GET /api.xro/2.0/Invoices"]
    assert shop.unfinished() == []
