"""Marks that we leave in Xero, and read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.builders import ACCOUNT_ID, INVOICE_ID, lead
from worker.marks import check_reference, contact_number, deal_url, invoice_page, marked_lead, reference


def test_the_deals_page_is_read_back():
    assert deal_url("acme", 7) == "https://acme.kommo.com/leads/detail/7"
    assert marked_lead(deal_url("acme", 7), ["acme"]) == 7


def test_an_old_subdomain_of_the_account_is_read_back_too():
    assert marked_lead(deal_url("acme-old", 7), ["acme", "acme-old"]) == 7


@pytest.mark.parametrize(
    "url", ["HTTPS://ACME.kommo.com/leads/detail/7/", " http://acme.kommo.com/leads/detail/7?tab=1#note "]
)
def test_a_page_that_a_person_pasted_is_read_back(url):
    assert marked_lead(url, ["Acme"]) == 7


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://other.kommo.com/leads/detail/7",
        "https://acme.kommo.com.example/leads/detail/7",
        "https://acme.kommo.com/leads/detail/7x",
        "https://acme.kommo.com/contacts/detail/7",
        "https://acme.kommo.com/leads/detail/" + "7" * 30,
    ],
)
def test_another_page_is_no_mark(url):
    assert marked_lead(url, ["acme"]) is None


@given(st.text())
def test_any_text_may_stand_where_the_mark_belongs(url):
    assert marked_lead(url, ["acme"]) is None


def test_a_clients_mark_names_account_kind_and_id():
    assert contact_number(ACCOUNT_ID, "companies", 20) == "kommo:30896271:company:20"
    assert contact_number(ACCOUNT_ID, "contacts", 10) == "kommo:30896271:contact:10"


def test_a_clients_mark_fits_into_xeros_fifty_characters():
    assert len(contact_number(10**11, "companies", 10**12)) <= 50


def test_the_page_of_an_invoice():
    assert invoice_page(INVOICE_ID) == f"https://go.xero.com/AccountsReceivable/View.aspx?InvoiceID={INVOICE_ID}"


def test_a_reference_is_filled_in():
    assert reference("Deal {lead_id}: {lead_name}", lead(name="New  site")) == "Deal 7: New site"


def test_a_reference_may_be_plain_text_and_have_braces():
    assert reference("Kommo {{{lead_id}}}", lead()) == "Kommo {7}"
    assert reference("", lead()) == ""


def test_braces_in_a_deals_name_are_only_text():
    assert reference("{lead_name}", lead(name="{lead_id} {x}")) == "{lead_id} {x}"


def test_a_reference_is_one_printable_line_of_at_most_255_characters():
    made = reference("{lead_name}", lead(name="a\nb\x00" + "x" * 300))
    assert len(made) == 255
    assert made.startswith("a b xxx")


@pytest.mark.parametrize("template", ["", "Deal {lead_id}", "{lead_name} ({lead_id})", "{{x}}"])
def test_a_reference_that_can_be_filled_in_is_taken(template):
    check_reference(template)


@pytest.mark.parametrize(
    ("template", "mend"),
    [
        ("Deal {id}", r"\{id\} can't be filled in: write \{lead_id\} or \{lead_name\}"),
        ("Deal {}", "can't be filled in"),
        ("{lead_id!r}", "nothing else in the braces"),
        ("{lead_id:>9}", "nothing else in the braces"),
        ("{lead_id.real}", "can't be filled in"),
        ("Deal {lead_id", "can't be read"),
        ("Deal }", "can't be read"),
    ],
)
def test_a_reference_that_can_not_be_filled_in_is_refused_with_the_mend(template, mend):
    with pytest.raises(ValueError, match=mend):
        check_reference(template)


def test_half_a_character_is_no_text():
    """JSON may escape a lone surrogate; a request that holds one could not be encoded."""
    assert reference("{lead_name}", lead(name="a\ud83d b")) == "a b"
