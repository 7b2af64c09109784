"""Xero's verbs over a real socket, against the answers of its documents; what is sent, against its official description."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from integrations.errors import Broken, OutcomeUnknown, RateLimited, Refusal, Rejected, Unauthorised
from integrations.turns import Heard, Priority
from integrations.wire import Wire
from integrations.xero.client import LARGEST_PAGE, Xero
from integrations.xero.dialect import invoice_body
from integrations.xero.entities import (
    Account,
    ContactDraft,
    Created,
    Invoice,
    InvoiceDraft,
    InvoiceStatus,
    Line,
    LineDraft,
    Refused,
    Tenant,
    Terms,
)
from tests.integrations import described
from tests.integrations.conftest import OpenBudget
from tests.integrations.vendor import Reply, Vendor, empty, page, said, sample

INVOICE = "60aa5d55-a47e-4665-a974-874bb50263b9"
OTHER = "60aa5d55-a47e-4665-a974-874bb50263ba"
CONTACT = "2f79af6c-5f57-49e8-9e44-301499538add"
SINCE = datetime(2026, 3, 1, 11, 30, 7, 900_000, tzinfo=timezone(timedelta(hours=13)))
LINE = LineDraft("Website", Decimal("2.5"), Decimal("10.50"), "200", tax_type="OUTPUT2")


def draft(**changes) -> InvoiceDraft:
    settings = {
        "contact": CONTACT,
        "issued_on": date(2026, 9, 14),
        "due_on": date(2026, 9, 28),
        "currency": "NZD",
        "status": "AUTHORISED",
        "line_amounts": "Exclusive",
        "lines": (LINE,),
        "reference": "Deal 7",
        "url": "https://acme.kommo.com/leads/detail/7",
    }
    return InvoiceDraft(**{**settings, **changes})


ONE = invoice_body([draft()])
THREE = invoice_body([draft(), draft(), draft()])


def xeros(name: str, status: int = 200, **headers: str) -> Reply:
    return said(sample(f"xero/{name}.json"), status, **headers)


@pytest.fixture
def xero(wires: Callable[..., Wire], vendor: Vendor) -> Iterator[Xero]:
    yield Xero(wires("xero"), base_url=vendor.url, tenant_id="fe79f7dd-b6d4-4a92-ba7b-538af6289c58")
    if described.is_there():
        for seen in vendor.seen:
            if seen.path != "/connections":
                described.check(seen)


def test_every_request_here_is_checked_against_the_official_description():
    if not described.is_there():
        pytest.skip("no description of Xero's API at hand: requests were not checked against it")


def test_the_description_says_no(vendor: Vendor, wires: Callable[..., Wire]):
    if not described.is_there():
        pytest.skip("no description of Xero's API at hand: requests were not checked against it")
    xero = Xero(wires("xero"), base_url=vendor.url, tenant_id="fe79f7dd-b6d4-4a92-ba7b-538af6289c58")
    vendor.will(xeros("invoice_created"), xeros("no_invoices"))
    xero.create_invoices(b'{"Invoices":[{"Type":"NONSENSE"}]}', idempotency_key="k")
    with pytest.raises(Exception, match="NONSENSE"):
        described.check(vendor.last)
    xero._get("/Invoices", [("nonsense", 1)])
    with pytest.raises(AssertionError, match="nonsense"):
        described.check(vendor.last)


def test_tenants_are_organisations(xero: Xero, vendor: Vendor):
    vendor.will(xeros("connections"))
    assert xero.tenants() == [
        Tenant(
            "7cb59f93-2964-421d-bb5e-a0f7a4572a44",
            "fe79f7dd-b6d4-4a92-ba7b-538af6289c58",
            "ORGANISATION",
            "Demo Company (NZ)",
            "d99ecdfe-391d-43d2-b834-17636ba90e8d",
        )
    ]
    assert vendor.last.path == "/connections"
    assert vendor.last.headers["xero-tenant-id"] is None


def test_the_organisation_has_a_zone_that_others_know(xero: Xero, vendor: Vendor):
    vendor.will(xeros("organisation"))
    organisation = xero.organisation()
    assert (organisation.timezone, organisation.base_currency, organisation.country) == (
        "Pacific/Auckland",
        "NZD",
        "NZ",
    )
    assert (organisation.short_code, organisation.plan, organisation.is_demo) == ("!1lqVQ", "DEMO", True)
    assert (organisation.period_lock_date, organisation.year_lock_date) == (date(2009, 9, 30), None)
    assert vendor.last.headers["xero-tenant-id"] == "fe79f7dd-b6d4-4a92-ba7b-538af6289c58"
    assert vendor.last.headers["Accept"] == "application/json"


def test_currencies_accounts_and_tax_rates(xero: Xero, vendor: Vendor):
    vendor.will(xeros("currencies"), xeros("accounts"), xeros("tax_rates"))
    assert xero.currencies() == {"NZD", "USD"}
    assert xero.accounts() == [
        Account("200", "Sales", True, "REVENUE", "OUTPUT2"),
        Account("", "Bank", False, "BANK", ""),
    ]
    gst, old = xero.tax_rates()
    assert (gst.tax_type, gst.rate, gst.is_active, gst.for_revenue) == ("OUTPUT2", Decimal(15), True, True)
    assert (old.rate, old.is_active, old.for_revenue) == (Decimal("12.5"), False, False)


def test_a_contact_is_found_by_our_mark(xero: Xero, vendor: Vendor):
    vendor.will(xeros("contact"), empty(404))
    contact = xero.contact("kommo:1:company:2")
    assert contact is not None
    assert vendor.last.path == "/api.xro/2.0/Contacts/kommo%3A1%3Acompany%3A2"
    assert (contact.id, contact.number, contact.account_number) == (CONTACT, "kommo:1:company:2", "A-1")
    assert (contact.email, contact.phone, contact.tax_number) == ("pay@example.com", "64 021 1111", "GB1")
    assert (contact.first_name, contact.last_name, contact.is_active) == ("Ada", "L", True)
    assert contact.terms == Terms(20, "OFFOLLOWINGMONTH")
    assert xero.contact(CONTACT) is None


@pytest.mark.parametrize(("pages", "asked", "is_all"), [(1, 1, False), (3, 2, True)])
def test_as_many_pages_of_marked_contacts_are_read_as_are_worth_it(xero: Xero, vendor: Vendor, pages, asked, is_all):
    contact = json.loads(sample("xero/contact.json"))["Contacts"][0]
    for count in (LARGEST_PAGE, 1):
        vendor.will(said({"Contacts": [contact] * count}))
    found, all_of_them = xero.contacts_marked("kommo:1:", pages=pages)
    assert (len(vendor.seen), all_of_them) == (asked, is_all)
    assert len(found) == LARGEST_PAGE + asked - 1


def test_contacts_tell_what_they_were_merged_into(xero: Xero, vendor: Vendor):
    vendor.will(xeros("contact"))
    found = xero.contacts([CONTACT, "2f79af6c-5f57-49e8-9e44-301499538ade", CONTACT])
    old = found["2f79af6c-5f57-49e8-9e44-301499538ade"]
    assert (old.merged_to, old.is_active, old.phone, old.terms) == (CONTACT, False, "", None)
    assert vendor.last.asked("IDs") == [f"{CONTACT},2f79af6c-5f57-49e8-9e44-301499538ade"]
    assert vendor.last.asked("includeArchived") == ["true"]


def test_a_create_never_updates_and_asks_for_each_elements_own_verdict(xero: Xero, vendor: Vendor, budget: OpenBudget):
    vendor.will(xeros("invoice_created"))
    (made,) = xero.create_invoices(ONE, idempotency_key="tenant:key")
    assert (vendor.last.method, vendor.last.path) == ("PUT", "/api.xro/2.0/Invoices")  # POST would overwrite
    assert vendor.last.query == [("summarizeErrors", "false"), ("unitdp", "4")]
    assert vendor.last.headers["Idempotency-Key"] == "tenant:key"
    assert vendor.last.headers["Content-Type"] == "application/json"
    assert vendor.last.body == ONE
    assert isinstance(made, Created)
    invoice = made.invoice
    assert (invoice.id, invoice.number, invoice.status) == (INVOICE, "INV-0055", InvoiceStatus.AUTHORISED)
    assert (invoice.issued_on, invoice.due_on) == (date(2026, 9, 14), date(2026, 9, 28))
    assert (invoice.subtotal, invoice.total_tax, invoice.total) == (Decimal(21), Decimal("3.15"), Decimal("24.15"))
    assert (invoice.amount_due, invoice.amount_paid, invoice.amount_credited) == (
        Decimal("24.15"),
        Decimal(0),
        Decimal(0),
    )
    assert (invoice.contact_id, invoice.contact_name, invoice.is_sale) == (CONTACT, "Acme Ltd", True)
    assert invoice.url == "https://acme.kommo.com/leads/detail/7"
    assert invoice.updated_at == datetime(2026, 9, 14, 9, 29, 59, 100_000, tzinfo=UTC)
    assert invoice.lines == (
        Line(
            "Job: 1 - recording",
            quantity=Decimal(2),
            unit_amount=Decimal("10.5"),
            line_amount=Decimal(21),
            account_code="200",
            tax_type="OUTPUT2",
            tax_amount=Decimal("3.15"),
        ),
    )
    assert budget.asked == [(Priority.NEW, None)]


def test_each_element_of_a_batch_has_its_own_end(xero: Xero, vendor: Vendor):
    vendor.will(xeros("invoices_created"))
    good, bad, warned = xero.create_invoices(THREE, idempotency_key="k")
    assert isinstance(good, Created)
    assert bad == Refused(
        (
            "Email address must be valid.",
            "Account code '999' is not a valid code for this document.",
            "Invoice # must be unique.",
        )
    )
    assert isinstance(warned, Created)
    assert warned.invoice.number == "INV-0056"
    assert warned.warnings == ("Only AUTHORISED invoices may have SentToContact updated.",)


@pytest.mark.parametrize(
    "reply",
    [
        xeros("no_invoices"),
        xeros("invoices_created"),
        said({"Status": "OK"}),
        page("<html>ok</html>", 200),
        empty(200),
        said({"Title": "An error occurred", "Status": 500}, 500),
        Reply(503, b"The Xero API is currently offline for maintenance", {"Content-Type": "text/plain"}),
        page("<html>403 from a firewall</html>", 403),
        Reply(act="reset"),
        Reply(act="half", body=sample("xero/invoice_created.json"), headers={"Content-Type": "application/json"}),
    ],
)
def test_an_answer_that_accounts_for_no_or_other_invoices_leaves_the_outcome_unknown(
    xero, vendor: Vendor, reply: Reply
):
    vendor.will(reply)
    with pytest.raises(OutcomeUnknown):
        xero.create_invoices(ONE, idempotency_key="k")
    assert len(vendor.seen) == 1


def test_a_refusal_of_the_whole_request_made_nothing(xero: Xero, vendor: Vendor):
    mismatch = "Idempotency Key: k is used with a different request."
    vendor.will(xeros("post_data_invalid", 400), said({"Message": mismatch}, 400), empty(413))
    for message in ("JSON for post data was invalid", "used with a different request", "no body"):
        with pytest.raises(Rejected, match=message):
            xero.create_invoices(ONE, idempotency_key="k")


def test_a_summary_of_errors_hides_invoices_that_were_made(xero: Xero, vendor: Vendor):
    vendor.will(xeros("duplicate_name", 400))
    with pytest.raises(OutcomeUnknown, match="of 3 only 1 refused"):
        xero.create_invoices(THREE, idempotency_key="k")


def test_a_summary_of_errors_that_names_all_is_each_elements_own(xero: Xero, vendor: Vendor):
    vendor.will(xeros("duplicate_name", 400))
    (refused,) = xero.create_invoices(ONE, idempotency_key="k")
    assert isinstance(refused, Refused)
    assert "already assigned to another contact" in refused.messages[0]


def test_a_new_contact_is_sent_with_all_that_is_known(xero: Xero, vendor: Vendor):
    vendor.will(xeros("invoice_created"))
    ada = ContactDraft(
        "kommo:1:contact:2",
        "Ada",
        "ada@example.com",
        "+44 1",
        "Ada",
        "L",
        "1 High Street",
        city="London",
        postal_code="N1",
        country="United Kingdom",
    )
    line = LineDraft("Ü", Decimal(1), Decimal("0.0001"), "200", item_code="A", discount_rate=Decimal("12.5"))
    text = LineDraft("Free", Decimal(1), Decimal(5), "200", discount_amount=Decimal("5.00"))
    body = invoice_body([draft(contact=ada, lines=(line, text), due_on=None, number="D-7")])
    xero.create_invoices(body, idempotency_key="k")
    (sent,) = vendor.last.json["Invoices"]
    address = {"AddressLine1": "1 High Street", "City": "London", "PostalCode": "N1", "Country": "United Kingdom"}
    assert sent["Contact"] == {
        "ContactNumber": "kommo:1:contact:2",
        "Name": "Ada",
        "FirstName": "Ada",
        "LastName": "L",
        "EmailAddress": "ada@example.com",
        "Phones": [{"PhoneType": "DEFAULT", "PhoneNumber": "+44 1"}],
        "Addresses": [{"AddressType": "STREET", **address}, {"AddressType": "POBOX", **address}],
    }
    assert "DueDate" not in sent
    assert sent["InvoiceNumber"] == "D-7"
    assert b'"UnitAmount":0.0001,' in body
    assert '"Description":"Ü"'.encode() in body


def test_of_a_contact_that_exists_only_its_id_is_sent():
    assert b'"Contact":{"ContactID":"2f79af6c-5f57-49e8-9e44-301499538add"}' in ONE


def test_one_invoice_with_its_lines(xero: Xero, vendor: Vendor):
    vendor.will(xeros("invoice_created"), empty(404, Content_Type="text/html; charset=utf-8"))
    invoice = xero.invoice(INVOICE)
    assert invoice is not None
    assert invoice.number == "INV-0055"
    assert vendor.last.asked("unitdp") == ["4"]
    assert xero.invoice(OTHER) is None


def test_many_invoices_are_read_by_forty_with_their_lines(xero: Xero, vendor: Vendor):
    vendor.will(xeros("invoices_page"), xeros("no_invoices"))
    ids = [INVOICE, *(f"60aa5d55-a47e-4665-a974-0000000000{number:02}" for number in range(49))]
    assert list(xero.invoices([*ids, INVOICE])) == [INVOICE]
    assert [len(seen.asked("IDs")[0].split(",")) for seen in vendor.seen] == [40, 10]
    assert {seen.asked("page")[0] for seen in vendor.seen} == {"1"}


def test_which_invoices_our_app_made(xero: Xero, vendor: Vendor):
    vendor.will(xeros("invoices_page"))
    assert xero.made_by_us([INVOICE, OTHER]) == {INVOICE}
    assert vendor.last.asked("createdByMyApp") == ["true"]


def test_what_our_app_made_since_is_read_in_any_status(xero: Xero, vendor: Vendor):
    vendor.will(xeros("invoices_page"))
    assert [invoice.id for invoice in xero.invoices_made_by_us(SINCE)] == [INVOICE]
    assert vendor.last.headers["If-Modified-Since"] == "2026-02-28T22:30:07"
    assert vendor.last.asked("createdByMyApp") == ["true"]
    assert vendor.last.asked("Statuses") == []


def pages(number: int, count: int | None, ids: list[str]):
    invoices = [{"InvoiceID": one, "Type": "ACCREC", "Status": "DRAFT"} for one in ids]
    paging = {} if count is None else {"pagination": {"page": number, "pageSize": 250, "pageCount": count}}
    return said({**paging, "Invoices": invoices})


def test_changes_are_read_page_by_page(xero: Xero, vendor: Vendor):
    vendor.will(pages(1, 2, [INVOICE]), pages(2, 2, [INVOICE, OTHER]))
    assert [invoice.id for invoice in xero.invoices_changed(SINCE)] == [INVOICE, OTHER]
    assert [seen.asked("page") for seen in vendor.seen] == [["1"], ["2"]]
    assert vendor.last.asked("where") == ['Type=="ACCREC"']
    assert vendor.last.asked("order") == ["UpdatedDateUTC ASC"]


def changed(ids: list[str], seconds: list[int], count: int):
    """A page of invoices that were changed so many seconds after midnight, and how many pages there are."""
    midnight = 1772323200000
    invoices = [
        {
            "InvoiceID": one,
            "Type": "ACCREC",
            "Status": "DRAFT",
            "UpdatedDateUTC": f"/Date({midnight + second * 1000 + 7}+0000)/",
        }
        for one, second in zip(ids, seconds, strict=True)
    ]
    return said({"pagination": {"page": 1, "pageSize": 250, "pageCount": count}, "Invoices": invoices})


def test_none_is_passed_over_where_one_that_was_read_changes_and_all_behind_it_move_up(xero: Xero, vendor: Vendor):
    """By its number the second page would now begin behind the third invoice."""
    vendor.will(changed(["first", "second"], [1, 5], 2), changed(["second", "third", "first"], [5, 6, 9], 1))
    assert [invoice.id for invoice in xero.invoices_made_by_us(SINCE)] == ["first", "second", "third"]
    asked = [(seen.headers["If-Modified-Since"], *seen.asked("page")) for seen in vendor.seen]
    assert asked == [("2026-02-28T22:30:07", "1"), ("2026-03-01T00:00:05", "1")]


def test_pages_of_one_second_are_told_apart_by_their_numbers(xero: Xero, vendor: Vendor):
    vendor.will(
        changed(["first", "second"], [5, 5], 3), changed(["first", "second"], [5, 5], 3),
        changed(["third", "fourth"], [5, 6], 3), changed(["fourth"], [6], 1),
    )  # fmt: skip
    assert len(xero.invoices_made_by_us(SINCE)) == 4
    asked = [(seen.headers["If-Modified-Since"][-2:], *seen.asked("page")) for seen in vendor.seen]
    assert asked == [("07", "1"), ("05", "1"), ("05", "2"), ("06", "1")]


@pytest.mark.parametrize("seconds", [[6, 5], [5, 0]])
def test_pages_that_are_in_no_order_are_read_by_their_numbers(xero: Xero, vendor: Vendor, seconds: list[int]):
    vendor.will(changed(["first", "second"], seconds, 2), changed(["third"], [7], 2))
    assert len(xero.invoices_made_by_us(SINCE)) == 3
    assert [seen.asked("page") for seen in vendor.seen] == [["1"], ["2"]]


def test_where_no_pages_are_counted_a_page_that_is_not_full_is_the_last(xero: Xero, vendor: Vendor):
    vendor.will(pages(1, None, [f"id-{number}" for number in range(250)]), pages(2, None, [INVOICE]))
    assert len(xero.invoices_changed(SINCE)) == 251


def test_a_pdf_is_asked_for_by_its_type(xero: Xero, vendor: Vendor):
    vendor.will(Reply(200, b"%PDF-1.7 ...", {"Content-Type": "application/pdf"}))
    assert xero.pdf(INVOICE) == b"%PDF-1.7 ..."
    assert vendor.last.headers["Accept"] == "application/pdf"
    assert vendor.last.path == f"/api.xro/2.0/Invoices/{INVOICE}"


@pytest.mark.parametrize(
    "reply",
    [
        xeros("invoice_created"),
        Reply(200, b"<xml/>", {"Content-Type": "application/pdf"}),
        Reply(200, b"%PDF", {"Content-Type": "application/octet-stream"}),
        empty(200),
    ],
)
def test_what_is_no_pdf_is_broken(xero: Xero, vendor: Vendor, reply: Reply):
    vendor.will(reply)
    with pytest.raises(Broken, match="PDF"):
        xero.pdf(INVOICE)


def test_a_client_sees_the_invoice_at_a_link_if_there_is_one(xero: Xero, vendor: Vendor):
    vendor.will(
        xeros("online_invoice"), said({"OnlineInvoices": []}), said({"OnlineInvoices": [{}]}), empty(404), said({}, 400)
    )
    assert xero.online_link(INVOICE) == "https://in.xero.com/bCWCCfytGdTXoJam9HENWlQt07G6zcDaj4gQojHu"
    assert [xero.online_link(INVOICE) for _ in range(4)] == [None] * 4


def test_nothing_is_due_on_what_was_voided(xero: Xero, vendor: Vendor):
    vendor.will(xeros("invoice_voided"))
    voided = xero.withdraw(Invoice(INVOICE, "ACCREC", InvoiceStatus.AUTHORISED))
    assert (voided.status, voided.total, voided.amount_due) == (InvoiceStatus.VOIDED, Decimal("24.15"), Decimal(0))
    # lines that are not sent are kept
    assert vendor.last.json == {"Invoices": [{"InvoiceID": INVOICE, "Status": "VOIDED"}]}


def test_what_can_not_be_voided_is_rejected_though_it_is_answered_with_200(xero: Xero, vendor: Vendor):
    vendor.will(xeros("invoice_delete_refused"))
    with pytest.raises(Rejected) as refused:
        xero.withdraw(Invoice(INVOICE, "ACCREC", InvoiceStatus.AUTHORISED))
    assert refused.value.messages == ("Invoice not of valid status for modification",)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (said({"Detail": "AuthorizationUnsuccessful"}, 401), Refusal.SCOPE),
        (said({}, 401, WWW_Authenticate="insufficent_scope"), Refusal.SCOPE),
        (empty(401, WWW_Authenticate='Bearer error="insufficient_scope"'), Refusal.SCOPE),
        (said({"Title": "Forbidden", "Detail": "AuthenticationUnsuccessful"}, 403), Refusal.DISCONNECTED),
    ],
)
def test_why_xero_does_not_let_us_in(xero: Xero, vendor: Vendor, reply: Reply, reason: Refusal):
    vendor.will(reply)
    with pytest.raises(Unauthorised) as refused:
        xero.organisation()
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    "reply", [said({"detail": "TokenExpired: token expired"}, 401), said({"Detail": "AuthenticationUnsuccessful"}, 401)]
)
def test_a_token_that_may_have_run_out_is_renewed_once(xero: Xero, vendor: Vendor, reply: Reply):
    vendor.will(reply, xeros("organisation"))
    assert xero.organisation().name == "Acme Trading (NZ)"


@pytest.mark.parametrize(
    ("headers", "heard", "retry_after"),
    [
        (
            {"X_Rate_Limit_Problem": "minute", "Retry_After": "26", "X_MinLimit_Remaining": "0", "X_DayLimit_Remaining": "344"},
            Heard({"minute": 0, "day": 344}, stop=26),
            26,
        ),
        ({"X_Rate_Limit_Problem": "Day", "Retry_After": "40000"}, Heard(stop=40000, spent="day"), 40000),
        ({"X_Rate_Limit_Problem": "day"}, Heard(stop=15), 15),
        ({"X_Rate_Limit_Problem": "concurrent"}, Heard(), 2),
        ({"X_Rate_Limit_Problem": "appminute"}, Heard(stop=15), 15),
        ({}, Heard(stop=15), 15),
        ({"Retry_After": "soon"}, Heard(stop=15), 15),
    ],
)  # fmt: skip
def test_every_kind_of_refusal_by_rate(xero: Xero, vendor: Vendor, budget: OpenBudget, headers, heard, retry_after):
    vendor.will(empty(429, **headers))
    with pytest.raises(RateLimited) as refused:
        xero.create_invoices(ONE, idempotency_key="k")
    assert (refused.value.retry_after, refused.value.own) == (retry_after, False)
    assert budget.told == [heard]


def test_what_is_left_is_heard_from_every_answer(xero: Xero, vendor: Vendor, budget: OpenBudget):
    vendor.will(
        xeros("organisation", X_AppMinLimit_Remaining="9999", X_DayLimit_Remaining="4984", X_MinLimit_Remaining="59")
    )
    xero.organisation()
    assert budget.told == [Heard({"minute": 59, "day": 4984, "app": 9999})]


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        (Reply(503, b"The Organisation is offline", {"Content-Type": "text/plain"}), "The Organisation is offline"),
        (page("<html>", 500), "text/html"),
        (empty(500), "no body"),
        (said({"Title": "An error occurred"}, 500), "An error occurred"),
    ],
)
def test_a_failure_is_told_in_xeros_words(xero: Xero, vendor: Vendor, reply: Reply, detail: str):
    vendor.will(reply)
    with pytest.raises(Broken, match=detail):
        xero.organisation()


def test_a_status_that_nobody_knows_is_broken(xero: Xero, vendor: Vendor):
    vendor.will(said({"Invoices": [{"InvoiceID": INVOICE, "Type": "ACCREC", "Status": "FROZEN"}]}))
    with pytest.raises(Broken, match="FROZEN"):
        xero.invoice(INVOICE)
