"""Connections that share a Kommo account or a Xero organisation, and one that was led to another organisation."""

import sqlalchemy as sa

from integrations.turns import Priority
from integrations.xero.entities import Created
from tests.worker.shop import Shop
from worker.connecting import connect_kommo, connect_xero
from worker.grants import Credentials
from worker.jobs import InvoiceRef, Job, Kind, LeadRef, Wanted
from worker.links import Link
from worker.routes import Route, save
from worker.run import attempt
from worker.sends import Send
from worker.setup import set_up
from worker.workshop import Workshop

PUT_INVOICES = "PUT /api.xro/2.0/Invoices"
QUIET = 61
ELSEWHERE = "11111111-1111-4111-8111-111111111111"
GLOBEX_DEAL = "https://globex.kommo.com/leads/detail/77"

SECOND = """
[[connection]]
name = "second"
kommo_subdomain = "acme"
xero_tenant_id = "{tenant}"

[connection.trigger]
pipeline = "Projects"
stage = "{stage}"

[connection.invoice]
status = "AUTHORISED"
account_code = "200"
tax_type = "OUTPUT2"
line_amounts = "Exclusive"
due_days = 14
"""


def add_second_connection(shop: Shop) -> str:
    """The same account, another pipeline, another organisation; its stage."""
    books = {"name": "Other", "client_id": shop.sandbox.ready["xero_client_id"]}
    stage = write_second_connection(shop, shop.sandbox.post("xero/organisations", books)["tenant_id"])
    set_up_second_connection(shop)
    return stage


def write_second_connection(shop: Shop, tenant: str) -> str:
    """Into the connections file, which is read at the start."""
    facts = shop.workshop.world("demo", priority=Priority.NEW).facts
    stage = next(one for pipeline in facts.pipelines if pipeline.name == "Projects" for one in pipeline.stages).name
    path = shop.workshop.settings.connections_file
    path.write_text(path.read_text() + SECOND.format(tenant=tenant, stage=stage))
    shop.workshop.close()
    shop.workshop = Workshop(shop.workshop.settings, now=shop.now)
    return stage


def set_up_second_connection(shop: Shop) -> None:
    ready = shop.sandbox.ready
    connect_kommo(shop.workshop, "second", ready["kommo_token"])
    connect_xero(shop.workshop, "second", Credentials(ready["xero_client_id"], ready["xero_client_secret"]))
    set_up(shop.workshop, "second")


def move_to_second(shop: Shop, lead_id: int, stage: str) -> int:
    shop.sandbox.post("kommo/leads/move", {"ids": [lead_id], "pipeline": "Projects", "stage": stage})
    lead = LeadRef(shop.account_id, lead_id)
    return shop.record(Wanted("second", Kind.CREATE_INVOICE, lead=lead))[0]


def test_what_became_of_a_call_is_looked_for_only_in_the_organisation_that_it_went_to(shop: Shop):
    stage = add_second_connection(shop)
    lead_id = shop.deal()
    since = shop.sandbox.mark()
    shop.fault("xero", PUT_INVOICES, "reset")
    shop.entered(lead_id)
    shop.work()
    job_id = move_to_second(shop, lead_id, stage)
    shop.pass_time(QUIET)
    attempt(shop.workshop, Kind.CREATE_INVOICE, job_id)
    for _ in range(3):
        shop.work()
        shop.pass_time(QUIET)
    assert shop.calls(since).count(f"xero {PUT_INVOICES}") == 1
    assert shop.lead(lead_id).status == "Awaiting payment"
    assert shop.unfinished() == []


def test_a_call_of_another_connection_that_made_nothing_leaves_the_deal_to_us(shop: Shop):
    stage = add_second_connection(shop)
    lead_id = shop.deal()
    shop.fault("xero", PUT_INVOICES, "reset", when="before")
    shop.entered(lead_id)
    shop.work()
    since = shop.sandbox.mark()
    job_id = move_to_second(shop, lead_id, stage)
    shop.pass_time(QUIET)
    attempt(shop.workshop, Kind.CREATE_INVOICE, job_id)
    for _ in range(3):
        shop.work()
        shop.pass_time(QUIET)
    assert shop.calls(since).count(f"xero {PUT_INVOICES}") == 1
    assert shop.lead(lead_id).status == "Awaiting payment"
    assert shop.unfinished() == []


def test_an_invoice_that_another_connection_has_not_shown_yet_is_left_to_it(shop: Shop):
    stage = add_second_connection(shop)
    lead_id = shop.deal()
    shop.fault("kommo", "PATCH /api/v4/leads", 500, when="before")
    shop.entered(lead_id)
    shop.work()
    move_to_second(shop, lead_id, stage)
    shop.work()
    shop.pass_time(30)
    shop.work()
    assert shop.lead(lead_id).status == "Awaiting payment"
    assert shop.unfinished() == []


def test_a_deal_that_waited_while_the_connection_was_led_to_another_organisation_is_kept_up_to_date_there(shop: Shop):
    lead_id = shop.deal(company=None)
    shop.entered(lead_id)
    shop.work()
    with shop.workshop.database.begin() as session:
        session.execute(sa.update(Link).values(tenant_id=ELSEWHERE))
    shop.sandbox.post(f"kommo/leads/{lead_id}/link", {"company": {"name": "Found Ltd"}})
    shop.entered(lead_id)
    shop.work()
    invoice_id = shop.books().invoices_for(lead_id)[0].id
    shop.sandbox.post(f"xero/invoices/{invoice_id}/pay", {})
    shop.raised(invoice_id)
    shop.work()
    assert (shop.lead(lead_id).status, len(shop.lead(lead_id).files)) == ("Paid", 1)


def test_a_call_to_the_organisation_that_the_connection_had_before_is_never_repeated_in_the_new_one(shop: Shop):
    lead_id = shop.deal()
    since = shop.sandbox.mark()
    shop.fault("xero", PUT_INVOICES, "reset")
    (job_id,) = shop.entered(lead_id)
    shop.work()
    with shop.workshop.database.begin() as session:
        session.execute(sa.update(Link).values(tenant_id=ELSEWHERE))
    shop.pass_time(QUIET)
    shop.work()
    assert shop.calls(since).count(f"xero {PUT_INVOICES}") == 1
    assert shop.job(job_id).state == "failed"
    assert ELSEWHERE in (shop.job(job_id).sentence or "")


def test_an_invoice_of_another_account_with_the_same_organisation_makes_no_deal_here(shop: Shop):
    add_globex(shop)
    invoice_id = invoice_of_globex(shop)
    deals = len(shop.books().deals)
    shop.raised(invoice_id)
    shop.work()
    assert len(shop.books().deals) == deals
    assert ("globex", Kind.CREATE_DEAL) in jobs_about(shop, invoice_id)


def test_a_copy_of_it_that_a_person_made_is_an_invoice_raised_by_hand(shop: Shop):
    add_globex(shop)
    deals = len(shop.books().deals)
    shop.raised(shop.invoice(url=GLOBEX_DEAL))
    shop.work()
    assert len(shop.books().deals) == deals + 1


def test_an_invoice_of_another_account_is_synced_by_its_own_connection(shop: Shop):
    add_globex(shop)
    invoice_id = invoice_of_globex(shop)
    theirs = Link(
        connection="globex", origin="deal", account_id=999, lead_id=77, tenant_id=shop.tenant_id, invoice_id=invoice_id,
        made_at=shop.now(), remarks=[],
    )  # fmt: skip
    with shop.workshop.database.begin() as session:
        session.add(theirs)
    shop.raised(invoice_id)
    shop.work()
    with shop.workshop.database.reading() as session:
        assert not session.get_one(Link, theirs.id).gone
    assert [name for name, kind in jobs_about(shop, invoice_id) if kind == Kind.SYNC_STATUS] == ["globex"]


def test_an_invoice_of_another_account_is_not_taken_for_one_whose_answer_was_lost(shop: Shop):
    add_globex(shop)
    theirs = invoice_of_globex(shop)  # a list that overlaps by minutes has it too
    lead_id = shop.deal()
    shop.fault("xero", PUT_INVOICES, "reset", when="before")
    shop.entered(lead_id)
    shop.work()
    shop.pass_time(QUIET)
    shop.work()
    (ours,) = shop.books().invoices_for(lead_id)
    assert ours.id != theirs


def add_globex(shop: Shop) -> None:
    """Another Kommo account with the same organisation, as far as the ledger knows."""
    route = Route(
        connection="globex", account_id=999, subdomains=("globex",), tenant_id=shop.tenant_id, triggers=frozenset({(1, 2)})
    )  # fmt: skip
    with shop.workshop.database.begin() as session:
        save(session, route)


def invoice_of_globex(shop: Shop) -> str:
    """Made by our app for a deal of the other account; else like that of a deal of ours for the same client."""
    lead_id = shop.deal("Like it")
    shop.entered(lead_id)
    shop.work()
    with shop.workshop.database.reading() as session:
        body = session.scalars(sa.select(Send.body).order_by(Send.id.desc())).first() or b""
    body = body.replace(f"https://acme.kommo.com/leads/detail/{lead_id}".encode(), GLOBEX_DEAL.encode())
    xero = shop.workshop.world("demo", priority=Priority.NEW).xero
    (made,) = xero.create_invoices(body.replace(str(lead_id).encode(), b"77"), idempotency_key="globex")
    assert isinstance(made, Created)
    return made.invoice.id


def jobs_about(shop: Shop, invoice_id: str) -> list[tuple[str, str]]:
    about = Job.invoice == str(InvoiceRef(shop.tenant_id, invoice_id))
    with shop.workshop.database.reading() as session:
        return [(job.connection, job.kind) for job in session.scalars(sa.select(Job).where(about).order_by(Job.id))]


def test_a_connection_that_is_set_up_later_shares_the_minute_without_a_restart(shop: Shop):
    write_second_connection(shop, shop.tenant_id)

    def asks_as_one_of_two() -> bool:
        shop.workshop.world("demo", priority=Priority.NEW).xero.organisation()
        return shop.workshop.redis.zscore(f"turns:xero:{shop.tenant_id}:parties", "demo") is not None

    assert not asks_as_one_of_two()
    set_up_second_connection(shop)
    shop.pass_time(61)
    assert asks_as_one_of_two()
