"""xero-python makes contacts, finds and changes them."""

from typing import Any

import pytest

from tests.sandbox.third_party.conftest import Sdk

models = pytest.importorskip("xero_python.accounting", reason="xero-python is not installed: make setup")
exceptions = pytest.importorskip("xero_python.exceptions")

NUMBER = "kommo:1:company:2"


def made(sdk: Sdk, **fields: Any) -> Any:
    whole = {"name": "Acme Ltd", "email_address": "pay@acme.example", "contact_number": NUMBER, **fields}
    wanted = models.Contacts(contacts=[models.Contact(**whole)])
    [contact] = sdk.accounting.create_contacts(sdk.tenant, wanted).contacts
    return contact


def test_a_contact_is_made_with_its_phones_and_addresses(sdk: Sdk):
    phone = models.Phone(phone_type="MOBILE", phone_number="555 1234", phone_country_code="64")
    address = models.Address(address_type="STREET", address_line1="1 High Street", city="Wellington")
    contact = made(sdk, phones=[phone], addresses=[address])
    assert (contact.name, contact.contact_status, contact.is_customer) == ("Acme Ltd", "ACTIVE", False)
    assert {each.phone_type: each.phone_number for each in contact.phones}["MOBILE"] == "555 1234"
    assert {each.address_type: each.city for each in contact.addresses} == {"STREET": "Wellington", "POBOX": ""}


def test_a_contact_is_found_by_id_by_number_and_by_name(sdk: Sdk):
    contact = made(sdk)
    [by_id] = sdk.accounting.get_contact(sdk.tenant, contact.contact_id).contacts
    [by_number] = sdk.accounting.get_contact_by_contact_number(sdk.tenant, NUMBER).contacts
    [by_name] = sdk.accounting.get_contacts(sdk.tenant, where='Name=="ACME LTD"').contacts
    [by_email] = sdk.accounting.get_contacts(sdk.tenant, where='EmailAddress=="pay@acme.example"', page=1).contacts
    [by_term] = sdk.accounting.get_contacts(sdk.tenant, search_term="acme", page=1, page_size=10).contacts
    found = [by_id, by_number, by_name, by_email, by_term]
    assert {each.contact_id for each in found} == {contact.contact_id}


def test_a_name_that_is_taken_is_refused(sdk: Sdk):
    made(sdk)
    with pytest.raises(exceptions.AccountingBadRequestException) as refused:
        made(sdk, contact_number="kommo:1:company:3")
    assert "must be unique across all active contacts" in refused.value.reason


def test_a_contact_is_changed_and_archived(sdk: Sdk):
    contact = made(sdk)

    def change(**fields: Any) -> Any:
        wanted = models.Contacts(contacts=[models.Contact(contact_id=contact.contact_id, **fields)])
        [answered] = sdk.accounting.update_contact(sdk.tenant, contact.contact_id, wanted).contacts
        return answered

    after = change(email_address="office@acme.example")
    assert (after.name, after.email_address) == ("Acme Ltd", "office@acme.example")
    assert change(contact_status="ARCHIVED").contact_status == "ARCHIVED"
    asked = [contact.contact_id]
    assert sdk.accounting.get_contacts(sdk.tenant, i_ds=asked).contacts == []
    [archived] = sdk.accounting.get_contacts(sdk.tenant, i_ds=asked, include_archived=True).contacts
    assert archived.contact_status == "ARCHIVED"
    with pytest.raises(exceptions.AccountingBadRequestException, match="archived contact"):
        change(email_address="late@acme.example")


def test_a_list_by_pages_says_what_is_open(sdk: Sdk):
    whole = sdk.accounting.get_contacts(sdk.tenant, page=1)
    mill = next(each for each in whole.contacts if each.name == "Old Mill Timber Ltd")
    assert mill.balances.accounts_receivable.outstanding > 0
    assert whole.pagination.item_count == len(whole.contacts) == 2
