"""The same verbs against both simulated vendors, which say no where the real ones would; asked of their books, not of ours."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from redis import Redis

from integrations import oauth
from integrations.errors import OutcomeUnknown, RateLimited, Refusal, Rejected, Unauthorised
from integrations.kommo import limits as kommo_limits
from integrations.kommo.client import Kommo
from integrations.kommo.entities import WON, ClientDraft, FieldDraft, LeadChange, LeadDraft, Value
from integrations.turns import Turns
from integrations.wire import Wire
from integrations.xero import limits as xero_limits
from integrations.xero.client import Xero
from integrations.xero.dialect import invoice_body
from integrations.xero.entities import ContactDraft, Created, Invoice, InvoiceDraft, InvoiceStatus, LineDraft, Refused
from stack.children import Children
from stack.sandbox import Sandbox, start_sandbox
from tests.integrations.conftest import Grant

LONDON = ZoneInfo("Europe/London")
TODAY = date(2026, 9, 14)
NOBODY = "00000000-0000-4000-8000-000000000000"


@dataclass
class World:
    """Both vendors, and our clients of them."""

    sandbox: Sandbox
    kommo: Kommo
    xero: Xero

    def deal(self, **more: Any) -> int:
        made = {"name": "Deal", "price": "1204.50", "pipeline": "Sales", "stage": "New", **more}
        return int(self.sandbox.post("kommo/leads", made)["id"])

    def fault(self, vendor: str, call: str, do: int | str, when: str = "before") -> None:
        self.sandbox.post("faults", {"vendor": vendor, "call": call, "when": when, "do": do, "times": 1})

    def refusals(self, after: int) -> list[Any]:
        return [call for call in self.sandbox.calls_after(after) if call["status"] == 429]


@pytest.fixture(scope="module")
def sandbox(children: Children, ground_folder: Path) -> Iterator[Sandbox]:
    running = start_sandbox(children, ground_folder / "vendors", env=dict(os.environ), more=["--time-factor", "20"])
    yield running
    running.close()
    assert running.child
    children.stop(running.child)


@pytest.fixture
def world(sandbox: Sandbox, redis: Redis) -> Iterator[World]:
    sandbox.post("reset", {"seed": "demo"})
    ready = sandbox.ready
    tokens = oauth.client_credentials(
        ready["xero_url"], ready["xero_client_id"], ready["xero_client_secret"], now=datetime.now(UTC)
    )
    windows = {"kommo": kommo_limits.windows(), "xero": xero_limits.windows()}
    wires = {
        vendor: Wire(
            vendor=vendor,
            tokens=Grant([token]),
            turns=Turns(
                redis,
                key=vendor,
                windows=windows[vendor],
                places=xero_limits.PLACES if vendor == "xero" else None,
                factor=20,
                patience=20,
            ),
            read_timeout=1.0,
        )
        for vendor, token in (("kommo", ready["kommo_token"]), ("xero", tokens.access_token))
    }
    kommo_url = ready["kommo_api_url"].format(subdomain=ready["kommo_subdomain"])
    yield World(
        sandbox,
        Kommo(wires["kommo"], base_url=kommo_url, timezone=LONDON),
        Xero(wires["xero"], base_url=ready["xero_url"], tenant_id=ready["xero_tenant_id"]),
    )
    for wire in wires.values():
        wire.close()


def invoice(reference: str, **changes: Any) -> InvoiceDraft:
    settings = {
        "contact": ContactDraft("kommo:1:company:2", "Acme Ltd", "pay@example.com", country="United Kingdom"),
        "issued_on": TODAY,
        "due_on": TODAY + timedelta(days=14),
        "currency": "NZD",
        "status": "AUTHORISED",
        "line_amounts": "Exclusive",
        "lines": (LineDraft("Website", Decimal("2.5"), Decimal("10.1234"), "200", tax_type="OUTPUT2"),),
        "reference": reference,
        "url": "https://acme.kommo.com/leads/detail/7",
    }
    return InvoiceDraft(**{**settings, **changes})


def create(world: World, *drafts: InvoiceDraft, key: str) -> list[Created | Refused]:
    return world.xero.create_invoices(invoice_body(drafts), idempotency_key=key)


def made(world: World, reference: str, key: str) -> str:
    (result,) = create(world, invoice(reference), key=key)
    assert isinstance(result, Created)
    return result.invoice.id


def test_a_deal_is_read_with_all_that_an_invoice_needs(world: World):
    deal = world.deal(
        contact={"name": "Ada L", "email": "ada@example.com", "phone": "+44 1"},
        company={"name": "Acme Ltd"},
        products=[{"name": "Consulting, hour", "price": "120", "quantity": "2.5"}],
        fields={"Invoice currency": "EUR"},
    )
    lead = world.kommo.lead(deal)
    assert lead is not None
    assert (lead.price, lead.price_is_exact) == (Decimal("1204.5"), True)
    currency = next(field for field in world.kommo.fields("leads") if field.name == "Invoice currency")
    assert lead.text(currency.id) == "EUR"
    assert lead.main_contact_id is not None
    ada = world.kommo.contacts([lead.main_contact_id])[lead.main_contact_id]
    assert (ada.name, ada.email, ada.phone) == ("Ada L", "ada@example.com", "+44 1")
    assert lead.company_id is not None
    assert world.kommo.companies([lead.company_id])[lead.company_id].name == "Acme Ltd"
    (element,) = lead.products
    product = world.kommo.products(element.catalog_id, [element.element_id])[element.element_id]
    assert (element.quantity, product.price, product.name) == (Decimal("2.5"), Decimal(120), "Consulting, hour")


def test_what_is_not_there_is_none(world: World):
    assert world.kommo.lead(4_000_000) is None
    assert world.kommo.notes(world.deal()) == []
    assert world.kommo.find_contacts("nobody at all") == []
    assert world.kommo.webhooks() == []
    assert world.xero.invoice(NOBODY) is None
    assert world.xero.invoices([NOBODY]) == {}
    assert world.xero.contact("kommo:1:contact:1") is None
    assert world.xero.contacts([NOBODY]) == {}


def test_the_account_its_stages_and_the_organisation(world: World):
    account = world.kommo.account()
    assert (account.id, account.currency, account.timezone) == (30896271, "USD", "Europe/London")
    assert account.drive_url == world.sandbox.ready["drive_url"]
    sales = next(pipeline for pipeline in world.kommo.pipelines() if pipeline.name == "Sales")
    assert "Payment approved" in [stage.name for stage in sales.stages]
    organisation = world.xero.organisation()
    assert (organisation.base_currency, organisation.timezone) == ("NZD", "Pacific/Auckland")
    assert world.xero.currencies() >= {"NZD", "USD"}
    assert {account.code: account.is_active for account in world.xero.accounts()}["200"]
    assert {rate.tax_type: rate.rate for rate in world.xero.tax_rates()}["OUTPUT2"] == 15
    (tenant,) = world.xero.tenants()
    assert tenant.tenant_id == world.sandbox.ready["xero_tenant_id"]


def test_fields_are_made_written_shown_and_cleared(world: World):
    group = world.kommo.create_group("leads", "Xero")
    assert world.kommo.groups("leads")["Xero"] == group
    drafts = [
        FieldDraft("Xero status", "XERO_INVOICE_STATUS", "select", group, options=("Draft", "Paid")),
        FieldDraft("Xero total", "XERO_INVOICE_TOTAL", "numeric", group),
        FieldDraft("Xero due", "XERO_DUE_DATE", "date", group),
        FieldDraft("Xero link", "XERO_INVOICE_URL", "url", group),
    ]
    assert [field.code for field in world.kommo.create_fields("leads", drafts)] == [draft.code for draft in drafts]
    deal = world.deal()
    wanted: dict[int | str, Value] = {
        "XERO_INVOICE_STATUS": "Paid",
        "XERO_INVOICE_TOTAL": Decimal("24.10"),
        "XERO_DUE_DATE": TODAY,
        "XERO_INVOICE_URL": "https://go.xero.com/x",
    }
    assert world.kommo.update_leads([LeadChange(deal, fields=wanted), LeadChange(4_000_000, name="gone")]) == {deal}
    lead = world.kommo.lead(deal)
    assert lead is not None
    world.kommo.update_leads([LeadChange(deal, fields=dict.fromkeys(wanted))])
    lead = world.kommo.lead(deal)
    assert lead is not None


def test_a_field_that_is_gone_is_named_in_the_refusal(world: World):
    with pytest.raises(Rejected) as refused:
        world.kommo.update_leads([LeadChange(world.deal(), fields={999_999: "x"})])
    assert refused.value.elements == (0,)
    assert refused.value.paths == ("custom_fields_values.0.field_id",)


def test_a_deal_is_made_for_an_invoice_with_its_client(world: World):
    world.kommo.create_fields("contacts", [FieldDraft("Xero contact", "XERO_CONTACT_ID", "text")])
    draft = ClientDraft("Grace H", "grace@example.com", "+44 2", {"XERO_CONTACT_ID": "c-1"})
    contact = world.kommo.create_client("contacts", draft)
    company = world.kommo.create_client("companies", ClientDraft("Acme Ltd"))
    sales = next(pipeline for pipeline in world.kommo.pipelines() if pipeline.name == "Sales")
    since = datetime.now(UTC) - timedelta(minutes=1)
    deal = world.kommo.create_lead(LeadDraft("INV-1", Decimal("24.15"), sales.id, WON, contact, company))
    lead = world.kommo.lead(deal)
    assert lead is not None
    assert (lead.price, lead.status_id, lead.main_contact_id, lead.company_id) == (
        Decimal("24.15"), WON, contact, company,
    )  # fmt: skip
    assert deal in [lead.id for lead in world.kommo.leads_created_since(since)]
    assert deal in [lead.id for lead in world.kommo.leads_updated_since([(sales.id, WON)], since)]


def test_a_deal_that_moved_is_in_the_log(world: World):
    since = datetime.now(UTC) - timedelta(minutes=1)
    deal = world.deal()
    world.sandbox.post("kommo/leads/move", {"ids": [deal], "pipeline": "Sales", "stage": "Payment approved"})
    lead = world.kommo.lead(deal)
    assert lead is not None
    (event,) = [one for one in world.kommo.entered([(lead.pipeline_id, lead.status_id)], since) if one.lead_id == deal]
    assert (event.lead_id, event.pipeline_id, event.status_id) == (deal, lead.pipeline_id, lead.status_id)


def test_a_file_goes_up_in_parts_is_attached_and_gets_a_new_version(world: World):
    world.sandbox.patch("settings", {"kommo": {"max_part_size": 700}})
    deal = world.deal()
    drive = world.kommo.account().drive_url
    first = world.kommo.drive().upload(drive, name="INV-1.pdf", content=b"%PDF" + b"x" * 2000, mime="application/pdf")
    world.kommo.attach_file(deal, first.uuid)
    world.kommo.attach_file(deal, first.uuid)
    second = world.kommo.drive().upload(
        drive, name="INV-1.pdf", content=b"%PDF", mime="application/pdf", file_uuid=first.uuid
    )
    assert second.uuid == first.uuid
    assert second.version_uuid != first.version_uuid
    (shown,) = next(lead for lead in world.sandbox.books()["kommo"]["leads"] if lead["id"] == deal)["files"]
    assert shown["uuid"] == first.uuid


def test_a_note_is_written_once_and_found(world: World):
    deal = world.deal()
    assert world.kommo.create_notes([(deal, "Invoice INV-1 created")]) == 1
    (found,) = world.kommo.notes(deal)
    assert (found.text, found.kind) == ("Invoice INV-1 created", "service_message")


def test_a_hook_is_registered_and_deleted(world: World):
    world.kommo.register_webhook("https://bridge.example/hooks/1", ["status_lead", "add_lead"])
    (hook,) = world.kommo.webhooks()
    assert (hook.settings, hook.disabled) == (frozenset({"status_lead", "add_lead"}), False)
    world.kommo.delete_webhook("https://bridge.example/hooks/1")
    world.kommo.delete_webhook("https://bridge.example/hooks/1")
    assert world.kommo.webhooks() == []


def test_an_invoice_is_made_with_its_client_and_read_again(world: World):
    (result,) = create(world, invoice("Deal 7"), key="t:1")
    assert isinstance(result, Created)
    found = world.xero.invoice(result.invoice.id)
    assert found is not None
    assert (found.status, found.reference) == (InvoiceStatus.AUTHORISED, "Deal 7")
    assert (found.subtotal, found.total_tax, found.total) == (Decimal("25.31"), Decimal("3.80"), Decimal("29.11"))
    assert found.lines[0].unit_amount == Decimal("10.1234")
    assert (found.issued_on, found.due_on) == (TODAY, TODAY + timedelta(days=14))
    assert found.url == "https://acme.kommo.com/leads/detail/7"
    contact = world.xero.contact("kommo:1:company:2")
    assert contact is not None
    assert contact.id == found.contact_id
    assert [named.id for named in world.xero.contacts_named("ACME LTD")] == [contact.id]
    assert world.xero.contacts([contact.id])[contact.id].name == "Acme Ltd"
    assert world.xero.pdf(found.id).startswith(b"%PDF")
    assert (world.xero.online_link(found.id) or "").startswith("https://")


def test_a_bad_element_fails_alone(world: World):
    bad = invoice("Deal 8", lines=(LineDraft("x", Decimal(1), Decimal(1), "999"),))
    good, refused, draft = create(world, invoice("Deal 7"), bad, invoice("Deal 9", status="DRAFT"), key="t:1")
    assert isinstance(good, Created)
    assert isinstance(draft, Created)
    assert draft.invoice.status is InvoiceStatus.DRAFT
    assert isinstance(refused, Refused)
    assert "999" in refused.messages[0]
    references = {made["reference"] for made in world.sandbox.books()["xero"]["invoices"]}
    assert references >= {"Deal 7", "Deal 9"}
    assert "Deal 8" not in references


def test_a_create_whose_answer_was_lost_is_found_by_looking(world: World):
    faults: list[int | str] = ["reset", "timeout", 500, "html"]
    for number, lost in enumerate(faults):
        since = datetime.now(UTC) - timedelta(minutes=1)
        world.fault("xero", "PUT /api.xro/2.0/Invoices", lost, when="after")
        with pytest.raises(OutcomeUnknown):
            create(world, invoice(f"Lost {number}"), key=f"t:{number}")
        ours = world.xero.invoices_made_by_us(since)
        assert [made.reference for made in ours].count(f"Lost {number}") == 1
    assert len(ours) == 4


def test_a_repeat_with_the_same_key_and_bytes_makes_nothing_new(world: World):
    first = made(world, "Deal 7", "t:1")
    assert made(world, "Deal 7", "t:1") == first
    with pytest.raises(Rejected, match="used with a different request"):
        create(world, invoice("Deal 8"), key="t:1")


def test_which_invoices_are_ours(world: World):
    ours = made(world, "Deal 7", "t:1")
    line = {"description": "Goods", "quantity": "1", "unit_amount": "10", "account_code": "200"}
    by_hand = {"contact": {"name": "By Hand"}, "lines": [line], "status": "DRAFT"}
    theirs = str(world.sandbox.post("xero/invoices", by_hand)["id"])
    assert world.xero.made_by_us([ours, theirs]) == {ours}
    assert set(world.xero.invoices([ours, theirs])) == {ours, theirs}
    changed = world.xero.invoices_changed(datetime.now(UTC) - timedelta(minutes=5))
    assert {ours, theirs} <= {invoice.id for invoice in changed}


def must(invoice: Invoice | None) -> Invoice:
    assert invoice is not None
    return invoice


def test_a_draft_is_deleted_and_not_voided(world: World):
    line = {"description": "Goods", "quantity": "1", "unit_amount": "10", "account_code": "200"}
    by_hand = {"contact": {"name": "By Hand"}, "lines": [line], "status": "DRAFT"}
    draft = must(world.xero.invoice(str(world.sandbox.post("xero/invoices", by_hand)["id"])))
    assert world.xero.withdraw(draft).status is InvoiceStatus.DELETED


def test_an_invoice_is_voided_unless_it_is_paid(world: World):
    first, paid = made(world, "Deal 7", "t:1"), made(world, "Deal 8", "t:2")
    voided = world.xero.withdraw(must(world.xero.invoice(first)))
    assert world.sandbox.books()["xero"]["complaints"] == {}
    assert (voided.status, voided.amount_due) == (InvoiceStatus.VOIDED, Decimal(0))
    world.sandbox.post(f"xero/invoices/{paid}/pay", {"amount": "10"})
    with pytest.raises(Rejected, match="payments"):
        world.xero.withdraw(must(world.xero.invoice(paid)))
    found = world.xero.invoice(paid)
    assert found is not None
    assert (found.amount_paid, found.status) == (Decimal(10), InvoiceStatus.AUTHORISED)


def test_a_deal_whose_answer_was_lost_is_found_by_looking(world: World):
    sales = next(pipeline for pipeline in world.kommo.pipelines() if pipeline.name == "Sales")
    since = datetime.now(UTC) - timedelta(minutes=1)
    world.fault("kommo", "POST /api/v4/leads", "reset", when="after")
    with pytest.raises(OutcomeUnknown):
        world.kommo.create_lead(LeadDraft("Lost", Decimal(1), sales.id, sales.stages[-1].id))
    assert [lead.name for lead in world.kommo.leads_created_since(since)].count("Lost") == 1


def test_a_token_that_can_not_be_renewed_is_a_persons_move(world: World):
    world.fault("kommo", "GET /api/v4/account", 401)
    mark = world.sandbox.mark()
    with pytest.raises(Unauthorised) as refused:  # a long-lived token can't be renewed
        world.kommo.account()
    assert refused.value.reason is Refusal.REVOKED
    assert len(world.sandbox.calls_after(mark)) == 1


def test_no_call_is_refused_for_its_rate_by_either_vendor(world: World):
    mark = world.sandbox.mark()
    for _ in range(30):
        world.kommo.account()
    for _ in range(70):
        world.xero.currencies()
    assert world.refusals(mark) == []
    assert len(world.sandbox.calls_after(mark)) == 100


def test_a_refusal_by_rate_holds_everyone_back_for_as_long_as_it_says(world: World):
    world.sandbox.post(
        "faults",
        {
            "vendor": "xero",
            "call": "GET /api.xro/2.0/Currencies",
            "when": "before",
            "do": 429,
            "times": 1,
            "retry_after": 90,
        },
    )
    with pytest.raises(RateLimited) as refused:
        world.xero.currencies()
    assert (refused.value.own, refused.value.retry_after) == (False, 90)
    mark = world.sandbox.mark()
    with pytest.raises(RateLimited) as refused:
        world.xero.organisation()
    assert refused.value.own
    assert refused.value.retry_after > 60
    assert world.sandbox.calls_after(mark) == []
