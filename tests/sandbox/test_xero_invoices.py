"""Invoices over HTTP: recorded shapes, defaults, validation, the status machine (xero.md 4)."""

import re
from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.xero_office import Office, draft, keys, line, messages, read

D = Decimal
NO_MARK = "The Contact must contain at least 1 of the following elements to identify the contact: Name, ContactID, ContactNumber"
NOBODY = "00000000-0000-0000-0000-000000000000"


# --- the shape on the wire ---


def test_a_created_invoice_has_the_recorded_keys_in_the_recorded_order(xero: Office):
    answer = xero.put("Invoices", draft(Reference="recording"))
    assert list(answer) == ["Id", "Status", "ProviderName", "DateTimeUTC", "Invoices"]
    made = answer["Invoices"][0]
    assert keys(made) == (
        "Type InvoiceID InvoiceNumber Reference Prepayments Overpayments AmountDue AmountPaid SentToContact CurrencyRate"
        " IsDiscounted HasErrors InvoicePaymentServices UpdatedDateUTCString Contact DateString Date DueDateString DueDate"
        " BrandingThemeID Status LineAmountTypes LineItems SubTotal TotalTax Total UpdatedDateUTC CurrencyCode"
    )
    assert keys(made["LineItems"][0]) == (
        "Description UnitAmount TaxType TaxAmount LineAmount AccountCode Tracking Quantity LineItemID AccountID"
        " ValidationErrors"
    )
    assert list(made["Contact"])[:3] == ["ContactID", "ContactStatus", "Name"]
    assert (made["SubTotal"], made["TotalTax"], made["Total"], made["AmountDue"]) == (
        D("21"),
        D("3.15"),
        D("24.15"),
        D("24.15"),
    )


def test_the_bytes_are_xeros(xero: Office):
    answer = xero.call("PUT", "Invoices", json={"Invoices": [draft()]})
    text = answer.text
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert text.startswith('{\r\n  "Id": "' + answer.headers["Xero-Correlation-Id"] + '",\r\n  "Status": "OK",\r\n')
    assert re.search(r'"DateTimeUTC": "\\/Date\(\d{13}\)\\/"', text)
    assert '"Date": "\\/Date(1789344000000+0000)\\/"' in text
    assert '"DateString": "2026-09-14T00:00:00"' in text
    for digits in (
        '"Total": 24.15,',
        '"AmountPaid": 0.00,',
        '"Quantity": 2.0000,',
        '"UnitAmount": 10.50,',
        '"CurrencyRate": 1.0000000000,',
    ):
        assert digits in text
    assert "null" not in text
    assert '"Prepayments": [],' in text


def test_four_decimals_are_written_and_read_only_where_asked(xero: Office):
    made = xero.make(LineItems=[line(UnitAmount="1.11456", Quantity="3")])
    assert made["LineItems"][0]["UnitAmount"] == D("1.1146")
    assert made["SubTotal"] == D("3.34")
    path = f"Invoices/{made['InvoiceID']}"
    assert '"UnitAmount": 1.1146' in xero.call("GET", path, params={"unitdp": "4"}).text
    assert '"UnitAmount": 1.11,' in xero.call("GET", path).text
    plain = xero.put("Invoices", draft(LineItems=[line(UnitAmount="1.1146", Quantity="3")]))["Invoices"][0]
    assert plain["SubTotal"] == D("3.33")


def test_each_kind_of_answer_shows_an_invoice_differently(xero: Office):
    invoice_id = xero.make()["InvoiceID"]
    written = xero.change(invoice_id, Reference="x")
    single = xero.get(f"Invoices/{invoice_id}")["Invoices"][0]
    paged = xero.get("Invoices", IDs=invoice_id, page="1")
    unpaged = xero.get("Invoices", IDs=invoice_id)
    assert "Payments" not in written
    assert "AmountCredited" not in written
    assert "Payments" not in single
    assert single["Attachments"] == []
    assert single["AmountCredited"] == 0
    assert list(paged)[4:] == ["pagination", "Invoices"]
    assert paged["pagination"] == {"page": 1, "pageSize": 100, "pageCount": 1, "itemCount": 1}
    assert paged["Invoices"][0]["Payments"] == []
    assert "EmailAddress" not in paged["Invoices"][0]["Contact"]
    assert "ValidationErrors" not in paged["Invoices"][0]["LineItems"][0]
    assert "pagination" not in unpaged
    assert unpaged["Invoices"][0]["LineItems"] == []
    assert list(unpaged["Invoices"][0]["Contact"]) == ["ContactID", "Name"]


def test_without_an_accept_for_json_the_answer_is_xml(xero: Office):
    answer = xero.call("GET", "Organisation", headers={"Accept": "*/*"})
    assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert "<Organisations><Organisation><Name>Acme Trading (NZ)</Name>" in answer.text
    assert xero.books()["complaints"]["a call without Accept: application/json"] == 1
    xero.switch(no_accept="refuse")
    assert xero.call("GET", "Organisation", headers={"Accept": "*/*"}).status_code == 406


# --- defaults and reading ---


def test_what_is_left_out_is_filled_in(xero: Office):
    made = xero.make(Date=None, DueDate=None, Status=None, LineItems=[line(Quantity=None)])
    assert made["Status"] == "DRAFT"
    assert made["LineAmountTypes"] == "Exclusive"
    assert made["CurrencyCode"] == "NZD"
    assert made["InvoiceNumber"] == "INV-0001"
    assert made["BrandingThemeID"]
    assert made["LineItems"][0]["TaxType"] == "OUTPUT2"
    assert made["LineItems"][0]["Quantity"] == 1
    assert "DueDate" not in made


def test_a_bare_object_with_odd_casing_and_numbers_as_text_is_understood(xero: Office):
    body = {
        "TYPE": "ACCREC",
        "contact": {"NAME": "Acme Ltd"},
        "lineitems": [{"DESCRIPTION": "Website", "quantity": "2", "unitamount": 10.5, "accountcode": "200"}],
        "InvoiceNumber": None,
        "SentToContact": "false",
    }
    made = read(xero.call("PUT", "Invoices", json=body))["Invoices"][0]
    assert made["Total"] == D("24.15")


def test_an_item_brings_text_price_account_and_tax(xero: Office):
    made = xero.make(LineItems=[{"ItemCode": "SUPPORT", "Quantity": 2}])
    only = made["LineItems"][0]
    assert (only["Description"], only["UnitAmount"], only["AccountCode"]) == ("Support by the hour", D(120), "200")
    assert only["Item"]["Code"] == "SUPPORT"


def test_numbers_go_on_and_step_over_those_taken(xero: Office):
    assert xero.make(InvoiceNumber="INV-0002")["InvoiceNumber"] == "INV-0002"
    assert [xero.make()["InvoiceNumber"] for _ in range(2)] == ["INV-0001", "INV-0003"]


def test_a_foreign_currency_has_the_days_rate(xero: Office):
    assert xero.make(CurrencyCode="USD")["CurrencyRate"] == D("0.6")
    assert xero.make(CurrencyCode="USD", CurrencyRate="0.71")["CurrencyRate"] == D("0.71")


def test_a_line_of_text_alone_has_no_amounts(xero: Office):
    made = xero.make(LineItems=[line(), {"Description": "Thank you"}])
    assert "LineAmount" not in made["LineItems"][1]
    assert made["Total"] == D("24.15")


def test_a_due_date_comes_from_the_contacts_terms(xero: Office):
    terms = {"Sales": {"Day": 20, "Type": "OFFOLLOWINGMONTH"}}
    contact = xero.put("Contacts", {"Name": "Terms Ltd", "PaymentTerms": terms})["Contacts"][0]
    made = xero.make(Contact={"ContactID": contact["ContactID"]}, DueDate=None)
    assert made["DueDateString"] == "2026-10-20T00:00:00"


# --- refusals ---


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"Type": "NOTHING"}, "Invoice not of valid type for creation"),
        ({"Contact": None}, "A Contact must be specified for this type of transaction"),
        (
            {"Contact": {"EmailAddress": "a@acme.example"}},
            NO_MARK,
        ),
        ({"Contact": {"Name": "New Ltd", "EmailAddress": "no-mail"}}, "Email address must be valid."),
        ({"LineItems": None}, "One or more line items must be specified"),
        ({"LineItems": []}, "One or more line items must be specified"),
        ({"CurrencyCode": "CHF"}, "Organisation is not subscribed to currency CHF"),
        ({"LineItems": [line(AccountCode="999")]}, "Account code '999' is not a valid code for this document."),
        ({"LineItems": [line(AccountCode="090")]}, "Account code '090' is not a valid code for this document."),
        ({"LineItems": [line(AccountCode=None)]}, "Account code '' is not a valid code for this document."),
        (
            {"LineItems": [line(AccountCode="299")]},
            "Account code '299' has been archived, or has been deleted. Each line item must reference a valid account.",
        ),
        (
            {"LineItems": [line(TaxType="INPUT2")]},
            "The TaxType code 'INPUT2' cannot be used with account code '200'.",
        ),
        ({"LineItems": [line(ItemCode="NONE")]}, "Item code 'NONE' is not valid"),
        ({"InvoiceNumber": "s-1001"}, "Invoice # must be unique."),
        ({"Status": "PAID"}, "Invoice not of valid status for creation"),
        ({"Url": "https://xero.example/1"}, "Url must not contain xero."),
        ({"DueDate": None}, "Due date must be specified for this type of transaction"),
        (
            {"LineItems": [line(LineAmount="20")]},
            "The line total 20.00 does not match the expected line total 21.00",
        ),
        (
            {"LineItems": [line(DiscountRate=10, DiscountAmount=1)]},
            "Only one of DiscountRate and DiscountAmount may be specified on a line item.",
        ),
    ],
)
def test_a_fault_is_refused_in_xeros_words(xero: Office, fields: dict[str, Any], message: str):
    before = len(xero.books()["invoices"])
    assert message in xero.errors(**fields)
    assert len(xero.books()["invoices"]) == before


def test_locked_books_take_no_documents(xero: Office):
    xero.human("/organisation", {"period_lock_date": "2026-09-30"}, "PATCH")
    assert xero.errors() == [
        "The document date cannot be before the period lock date, currently set at 30 September 2026"
    ]
    assert xero.errors(Date="2026-10-01", DueDate="2026-10-02") == []


def test_the_limit_of_the_plan_stops_approvals_but_no_drafts(xero: Office):
    xero.switch(approval_limit_reached=True)
    assert xero.errors() == ["You have reached the limit of invoices you can approve"]
    assert xero.make(Status="DRAFT")["StatusAttributeString"] == "OK"
    actions = {each["Name"]: each["Status"] for each in xero.get("Organisation/Actions")["Actions"]}
    assert actions["CreateApprovedInvoice"] == "NOT-ALLOWED"


def test_a_body_that_cant_be_read_takes_no_effect(xero: Office):
    answer = xero.call("PUT", "Invoices", json={"Invoices": [draft(), draft(Date="soon")]})
    assert answer.status_code == 400
    assert read(answer)["ErrorNumber"] == 14
    assert xero.call("PUT", "Invoices", data=b"{").json()["Type"] == "PostDataInvalidException"
    assert xero.call("PUT", "Invoices", json={"Invoices": []}).json()["Type"] == "NoDataProcessedException"
    assert all(not each["created_by_app"] for each in xero.books()["invoices"])


def test_a_batch_reports_only_what_failed_but_keeps_what_was_good(xero: Office):
    good, bad = draft(Reference="good"), draft(LineItems=[line(AccountCode="999")])
    answer = xero.call("PUT", "Invoices", json={"Invoices": [good, bad, good]})
    assert answer.status_code == 400
    said = read(answer)
    assert list(said) == ["ErrorNumber", "Type", "Message", "Elements"]
    assert (said["ErrorNumber"], said["Type"], said["Message"]) == (
        10,
        "ValidationException",
        "A validation exception occurred",
    )
    assert [messages(each) for each in said["Elements"]] == [
        ["Account code '999' is not a valid code for this document."]
    ]
    assert sum(each["reference"] == "good" for each in xero.books()["invoices"]) == 2


@pytest.mark.parametrize("spelling", ["summarizeErrors=false", "summarizeErrors=False", "SummarizeErrors=false"])
def test_without_summary_each_element_has_its_own_verdict(xero: Office, spelling: str):
    elements = [draft(), draft(InvoiceNumber="S-1001"), draft(Status="DRAFT", SentToContact=True)]
    answer = xero.call("PUT", f"Invoices?{spelling}", json={"Invoices": elements})
    assert answer.status_code == 200
    made = read(answer)["Invoices"]
    assert [each["StatusAttributeString"] for each in made] == ["OK", "ERROR", "WARNING"]
    assert made[1]["InvoiceID"] == NOBODY
    assert messages(made[1]) == ["Invoice # must be unique."]
    assert made[2]["Warnings"] == [{"Message": "Only AUTHORISED invoices may have SentToContact updated."}]


def test_two_of_a_batch_cant_have_the_same_number(xero: Office):
    twice = [draft(InvoiceNumber="A-1"), draft(InvoiceNumber="a-1")]
    made = xero.put("Invoices", *twice, summarizeErrors="false")["Invoices"]
    assert [each["HasErrors"] for each in made] == [False, True]


def test_put_never_edits_and_post_does(xero: Office):
    first = xero.make(InvoiceNumber="A-1")
    assert xero.errors(InvoiceNumber="A-1") == ["Invoice # must be unique."]
    lines = [line(Description="Overwritten", UnitAmount="1")]
    edited = xero.put("Invoices", draft(InvoiceNumber="A-1", LineItems=lines), method="POST")["Invoices"][0]
    assert edited["InvoiceID"] == first["InvoiceID"]
    assert [each["Description"] for each in edited["LineItems"]] == ["Overwritten"]
    assert xero.books()["complaints"]["POST used to create invoices"] == 1


def test_a_dead_invoice_keeps_its_number_unless_the_switch_says_otherwise(xero: Office):
    made = xero.make(InvoiceNumber="A-1")
    xero.change(made["InvoiceID"], Status="VOIDED")
    assert xero.errors(InvoiceNumber="A-1") == ["Invoice # must be unique."]
    posted = xero.put("Invoices", draft(InvoiceNumber="A-1"), method="POST", summarizeErrors="false")["Invoices"][0]
    assert messages(posted) == ["Invoice not of valid status for modification"]
    xero.switch(dead_numbers="reusable")
    assert xero.make(InvoiceNumber="A-1")["StatusAttributeString"] == "OK"


# --- changes ---


def test_lines_are_changed_added_and_dropped_by_their_ids(xero: Office):
    made = xero.make(LineItems=[line(Description="one"), line(Description="two")])
    first, second = (each["LineItemID"] for each in made["LineItems"])
    lines = [{"LineItemID": second, "UnitAmount": "5.00"}, line(Description="three")]
    edited = xero.change(made["InvoiceID"], LineItems=lines)
    assert [(each["Description"], each["LineAmount"]) for each in edited["LineItems"]] == [
        ("two", D(10)),
        ("three", D(21)),
    ]
    assert edited["LineItems"][0]["LineItemID"] == second != first
    kept = xero.change(made["InvoiceID"], Reference="only this")
    assert len(kept["LineItems"]) == 2
    taxed = xero.change(made["InvoiceID"], LineAmountTypes="Inclusive")
    assert taxed["Total"] == D("31.00")
    assert taxed["TotalTax"] == D("4.04")


def test_an_invoice_is_addressed_by_its_number_too(xero: Office):
    made = xero.make()
    assert xero.get(f"Invoices/{made['InvoiceNumber']}")["Invoices"][0]["InvoiceID"] == made["InvoiceID"]
    path = f"Invoices/{made['InvoiceNumber']}"
    changed = read(xero.call("POST", path, json={"Reference": "by number"}))["Invoices"][0]
    assert changed["Reference"] == "by number"


def test_a_deletion_of_an_approved_invoice_is_refused_as_recorded(xero: Office):
    made = xero.make()
    refused = xero.change(made["InvoiceID"], Status="DELETED")
    assert messages(refused) == ["Invoice not of valid status for modification"]
    assert refused["Status"] == "DELETED"
    assert refused["HasErrors"] is True
    assert "InvoiceNumber" not in refused
    assert "UpdatedDateUTC" not in refused
    assert list(refused)[-2:] == ["StatusAttributeString", "ValidationErrors"]
    assert xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]["Status"] == "AUTHORISED"


@pytest.mark.parametrize(
    ("way", "ends"),
    [
        (["DRAFT", "SUBMITTED", "DRAFT", "AUTHORISED"], "AUTHORISED"),
        (["DRAFT", "DELETED"], "DELETED"),
        (["SUBMITTED", "DELETED"], "DELETED"),
        (["AUTHORISED", "VOIDED"], "VOIDED"),
    ],
)
def test_a_status_moves_along_its_ways(xero: Office, way: list[str], ends: str):
    made = xero.make(Status=way[0])
    for status in way[1:]:
        assert messages(xero.change(made["InvoiceID"], Status=status)) == []
    assert xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]["Status"] == ends


@pytest.mark.parametrize(
    "way",
    [["DRAFT", "VOIDED"], ["AUTHORISED", "DRAFT"], ["AUTHORISED", "PAID"], ["AUTHORISED", "VOIDED", "AUTHORISED"]],
)
def test_and_along_no_others(xero: Office, way: list[str]):
    made = xero.make(Status=way[0])
    results = [messages(xero.change(made["InvoiceID"], Status=status)) for status in way[1:]]
    assert results[-1] == ["Invoice not of valid status for modification"]


def test_the_answer_to_a_void_still_shows_the_total_as_due(xero: Office):
    made = xero.make()
    assert xero.change(made["InvoiceID"], Status="VOIDED")["AmountDue"] == D("24.15")
    later = xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]
    assert (later["AmountDue"], later["Total"]) == (D(0), D("24.15"))


# --- what hangs on an invoice ---


def test_a_pdf_comes_by_accept_and_not_by_path(xero: Office):
    made = xero.make(Contact={"Name": "Füße & Söhne, Кофе"})
    path = f"Invoices/{made['InvoiceID']}"
    answer = xero.call("GET", path, headers={"Accept": "application/pdf"})
    assert answer.headers["Content-Type"] == "application/pdf"
    assert "Content-Disposition" not in answer.headers
    assert answer.content.startswith(b"%PDF-")
    assert answer.content.rstrip().endswith(b"%%EOF")
    assert xero.call("GET", path, headers={"Accept": "application/pdf"}).content == answer.content
    assert xero.call("GET", f"{path}/pdf", headers={"Accept": "application/pdf"}).status_code == 404
    xero.change(made["InvoiceID"], Reference="new")
    assert xero.call("GET", path, headers={"Accept": "application/pdf"}).content != answer.content


def test_an_online_invoice_is_for_approved_invoices(xero: Office):
    made, drafted = xero.make(), xero.make(Status="DRAFT")
    shown = xero.get(f"Invoices/{made['InvoiceID']}/OnlineInvoice")["OnlineInvoices"]
    assert shown[0]["OnlineInvoiceUrl"].startswith("https://in.xero.com/")
    assert xero.call("GET", f"Invoices/{drafted['InvoiceID']}/OnlineInvoice").status_code == 400


def test_mail_goes_to_a_contact_with_an_address(xero: Office):
    made = xero.make(Contact={"Name": "Mail Ltd", "EmailAddress": "in@mail.example"})
    answer = xero.call("POST", f"Invoices/{made['InvoiceID']}/Email")
    assert (answer.status_code, answer.content) == (204, b"")
    assert xero.get(f"Invoices/{made['InvoiceID']}")["Invoices"][0]["SentToContact"] is True
    xero.human("/organisation", {"is_demo": True}, "PATCH")
    assert xero.call("POST", f"Invoices/{made['InvoiceID']}/Email").status_code == 400


def test_notes_are_kept(xero: Office):
    path = f"Invoices/{xero.make()['InvoiceID']}/History"
    written = read(xero.call("PUT", path, json={"HistoryRecords": [{"Details": "made for a deal"}]}))
    assert list(written["HistoryRecords"][0]) == ["DateUTCString", "DateUTC", "Details", "ValidationErrors"]
    shown = xero.get(path)["HistoryRecords"][0]
    assert (shown["Details"], shown["User"]) == ("made for a deal", "System Generated")
    unknown = xero.call("PUT", f"Invoices/{NOBODY}/History", json={"HistoryRecords": [{"Details": "x"}]})
    assert unknown.status_code == 400


def test_files_are_kept_by_name(xero: Office):
    path = f"Invoices/{xero.make()['InvoiceID']}/Attachments"
    for content in (b"one", b"second"):
        headers = {"Content-Type": "text/plain"}
        answer = xero.call("PUT", f"{path}/a%20b.txt?IncludeOnline=true", data=content, headers=headers)
        assert answer.status_code == 200, answer.text
    shown = xero.get(path)["Attachments"]
    assert [(each["FileName"], each["ContentLength"]) for each in shown] == [("a b.txt", 6)]
    assert xero.call("GET", f"{path}/{shown[0]['AttachmentID']}").content == b"second"
    assert xero.call("PUT", f"{path}/a%2Bb.txt", data=b"x").status_code == 400
