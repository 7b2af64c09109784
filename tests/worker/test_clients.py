"""Which Xero contact a Kommo client is, and which Kommo client a Xero contact is."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.kommo.entities import Address, Client, Lead
from integrations.xero.entities import Contact
from tests.worker.builders import ACCOUNT_ID, CONTACT_ID, company, contact, filled, lead, person
from worker.clients import (
    XERO_CONTACT_ID,
    Merged,
    New,
    bill_to,
    choose,
    choose_client,
    contact_draft,
    person_beside,
    usable_email,
)

MARK = "kommo:30896271:company:20"
OTHERS_MARK = "kommo:30896271:company:21"
NOBODY: frozenset[str] = frozenset()


def chosen(*candidates: Contact, client: Client | None = None, taken=NOBODY, person=None) -> Contact | Merged | New:
    return choose(client or company(), candidates, account_id=ACCOUNT_ID, taken=taken, person=person)


def made(*candidates: Contact, client: Client | None = None, taken=NOBODY) -> New:
    found = chosen(*candidates, client=client, taken=taken)
    assert isinstance(found, New), found
    return found


# --- whom the invoice is for


def payer(
    deal: Lead | None = None, companies: Sequence[Client] = (), people: Sequence[Client] = ()
) -> tuple[Client | None, Client | None]:
    """Whom the invoice is for, and the person beside."""
    deal, contacts = deal or lead(), {client.id: client for client in people}
    client = bill_to(deal, companies={client.id: client for client in companies}, contacts=contacts)
    return client, person_beside(deal, client, contacts=contacts) if client else None


def test_the_company_pays_and_the_person_stands_beside():
    assert payer(companies=[company()], people=[person()]) == (company(), person())
    assert payer(companies=[company()]) == (company(), None)


def test_without_a_company_the_main_contact_pays():
    assert payer(lead(company_id=None), people=[person()]) == (person(), None)


def test_without_a_main_contact_the_first_one_counts():
    assert payer(lead(company_id=None, main_contact_id=None), people=[person()]) == (person(), None)


def test_without_anybody_nobody_pays():
    assert payer(lead(company_id=None, main_contact_id=None, contact_ids=())) == (None, None)
    assert payer() == (None, None)


def test_who_was_deleted_does_not_pay():
    assert payer(companies=[company(is_deleted=True)], people=[person()]) == (person(), None)
    assert payer(companies=[company()], people=[person(is_deleted=True)]) == (company(), None)


def test_a_company_without_a_name_gives_way_to_a_person_with_one():
    assert payer(companies=[company(name=" ")], people=[person()]) == (person(), None)
    assert payer(companies=[company(name="")], people=[person(name="")])[0] == company(name="")


# --- the contact to be made


def test_a_new_contact_carries_our_mark_and_what_kommo_knows():
    drafted = contact_draft(
        company(address=Address("1 High St", city="Auckland", country="New Zealand")), account_id=ACCOUNT_ID
    )
    assert (drafted.number, drafted.name, drafted.email, drafted.phone) == (
        MARK,
        "Acme Ltd",
        "billing@acme.example",
        "+64 9 555 0100",
    )
    assert (drafted.address_line1, drafted.city, drafted.country) == ("1 High St", "Auckland", "New Zealand")


def test_a_company_takes_what_it_lacks_from_the_person():
    bare = company(email="", phone="")
    drafted = contact_draft(bare, account_id=ACCOUNT_ID, person=person(phone="5", address=Address(city="Napier")))
    assert (drafted.name, drafted.email, drafted.phone, drafted.city) == ("Acme Ltd", "jo@acme.example", "5", "Napier")
    assert (drafted.first_name, drafted.last_name) == ("Jo", "Marsh")


def test_what_the_company_has_stays():
    assert contact_draft(company(), account_id=ACCOUNT_ID, person=person()).email == "billing@acme.example"


def test_a_name_is_cleaned_for_xero():
    assert contact_draft(company(name="  Acme <Group>\t Ltd\n"), account_id=ACCOUNT_ID).name == "Acme Group Ltd"


@pytest.mark.parametrize("email", ["a@b.nz", " o'neil+x@mail.acme-group.example ", "A.B@ACME.EXAMPLE"])
def test_a_plausible_email_is_sent(email):
    assert usable_email(email) == email.strip()


@pytest.mark.parametrize(
    "email", ["", "jo", "jo@", "@acme.nz", "jo@acme", "jo marsh@acme.nz", "jö@acme.nz", "jo@ä.nz", "a@b.nz, c@d.nz"]
)
def test_an_impossible_email_is_left_out_since_it_would_cost_the_invoice(email):
    assert contact_draft(company(email=email), account_id=ACCOUNT_ID).email == ""


def test_a_country_that_is_none_is_left_out():
    assert contact_draft(company(address=Address("x", country="NZ 1010")), account_id=ACCOUNT_ID).country == ""


@given(
    st.builds(
        Client,
        st.just("companies"),
        st.just(20),
        *[st.text(max_size=600)] * 5,
        st.builds(Address, *[st.text(max_size=600)] * 6),
    )
)
def test_any_client_fits_into_xeros_limits(client):
    drafted = contact_draft(client, account_id=ACCOUNT_ID)
    for text in (drafted.name, drafted.first_name, drafted.last_name):
        assert len(text) <= 255
        assert not re.search(r"[<>]|  |^ | $", text)
    assert len(drafted.phone) <= 50
    assert len(drafted.postal_code) <= 50
    assert len(drafted.address_line1) <= 500


# --- the Xero contact of a client


def test_our_own_mark_comes_first_whatever_the_name_is_now():
    marked = contact(id="m", name="Acme Renamed", number=MARK, email="new@acme.example")
    assert chosen(contact(), marked) == marked


def test_email_and_name_together_are_the_client():
    assert chosen(contact(email="BILLING@acme.example", name="ACME  LTD")) == contact(
        email="BILLING@acme.example", name="ACME  LTD"
    )


def test_email_and_name_together_are_the_client_even_if_a_twin_in_kommo_has_it():
    """Two entries of one client in Kommo are one client in the books."""
    assert chosen(contact(number=OTHERS_MARK), taken=frozenset({CONTACT_ID})) == contact(number=OTHERS_MARK)


@pytest.mark.parametrize(("ours", "theirs"), [("", "billing@acme.example"), ("billing@acme.example", ""), ("", "")])
def test_the_name_alone_is_enough_if_an_email_is_missing(ours, theirs):
    assert chosen(contact(email=theirs), client=company(email=ours)) == contact(email=theirs)


def test_an_email_alone_is_not_enough():
    assert made(contact(name="Acme Holding")).contact.name == "Acme Ltd"


def test_the_name_alone_is_not_enough_if_the_emails_differ():
    new = made(contact(email="other@firm.example"))
    assert (new.contact.name, new.contact.number) == ("Acme Ltd (20)", MARK)
    assert new.remark == 'Xero already has another client called "Acme Ltd", so this one got (20) behind its name.'


@pytest.mark.parametrize(
    ("number", "taken"),
    [("", frozenset({CONTACT_ID})), (OTHERS_MARK, NOBODY), ("kommo:1:company:20", NOBODY)],
    ids=["by our table", "by its mark", "by another account's mark"],
)
def test_the_name_alone_is_not_enough_if_it_is_another_clients(number, taken):
    assert made(contact(number=number, email=""), taken=taken).contact.name == "Acme Ltd (20)"


def test_a_persons_email_may_confirm_a_contact_but_not_rule_one_out():
    bare = company(email="")
    confirmed = contact(email="jo@acme.example", number=OTHERS_MARK)
    assert chosen(confirmed, client=bare, person=person()) == confirmed
    assert chosen(contact(), client=bare, person=person()) == contact()


def test_nobody_in_xero_makes_a_new_contact_without_a_remark():
    assert made() == New(contact_draft(company(), account_id=ACCOUNT_ID))


def test_archived_contacts_are_never_chosen_and_do_not_block_the_name():
    assert made(contact(is_active=False)).contact.name == "Acme Ltd"


def test_an_archived_contact_that_bears_our_mark_keeps_it():
    new = made(contact(is_active=False, number=MARK))
    assert (new.contact.number, new.contact.name) == (f"{MARK}:2", "Acme Ltd")


def test_the_second_contact_of_a_client_is_found_by_its_second_mark():
    second = contact(id="b", name="Acme Again", number=f"{MARK}:2")
    assert chosen(contact(id="a", is_active=False, number=MARK), second) == second


def test_the_mark_of_another_client_is_not_ours_though_it_begins_alike():
    assert made(contact(name="Other", number=f"{MARK}0"))


def test_a_merged_contact_is_followed():
    merged = contact(number=MARK, is_active=False, merged_to="b")
    assert chosen(merged) == Merged("b")
    assert chosen(merged, contact(id="b", name="Acme Holding")) == contact(id="b", name="Acme Holding")


def test_a_merged_contact_is_followed_further():
    merged = (
        contact(id="a", number=MARK, is_active=False, merged_to="b"),
        contact(id="b", is_active=False, merged_to="c"),
    )
    assert chosen(*merged) == Merged("c")


def test_contacts_merged_in_a_ring_end_in_a_new_one():
    ring = (
        contact(id="a", number=MARK, is_active=False, merged_to="b"),
        contact(id="b", is_active=False, merged_to="a"),
    )
    assert made(*ring)


def test_a_contact_merged_into_an_archived_one_ends_in_a_new_one():
    assert made(contact(id="a", number=MARK, is_active=False, merged_to="b"), contact(id="b", is_active=False))


def test_a_taken_name_is_taken_whatever_its_capitals_and_accents():
    assert made(contact(name="CAFÉ", email="x@y.example"), client=company(name="Cafe")).contact.name == "Cafe (20)"


def test_a_taken_suffix_gets_a_number():
    others = (contact(id="a", email="x@y.example"), contact(id="b", name="acme ltd (20)", email="z@y.example"))
    assert made(*others).contact.name == "Acme Ltd (20-2)"


def test_a_long_name_is_cut_before_the_suffix():
    name = made(contact(name="x" * 255, email="x@y.example"), client=company(name="x" * 300)).contact.name
    assert (len(name), name[-6:]) == (255, "x (20)")


# --- the Kommo client of a Xero contact


def kommo_client(*candidates: Client, xero: Contact | None = None, **options) -> Client | None:
    return choose_client(xero or contact(), candidates, account_id=ACCOUNT_ID, **options)


def marked(client_id: int, xero_id: str, **changes) -> Client:
    return company(id=client_id, fields=(filled(9, xero_id, code=XERO_CONTACT_ID),), **changes)


def test_a_client_that_we_made_is_found_by_its_mark():
    assert kommo_client(company(), marked(21, CONTACT_ID, name="Renamed")) == marked(21, CONTACT_ID, name="Renamed")


def test_a_client_whose_mark_the_contact_bears_is_found():
    renamed = company(name="Renamed")
    assert kommo_client(company(id=21), renamed, xero=contact(number=MARK)) == renamed


def test_a_client_with_the_same_email_and_name_comes_before_one_with_the_name_only():
    assert kommo_client(company(id=21, email=""), company()) == company()


def test_a_client_with_the_name_only_is_enough_if_an_email_is_missing():
    assert kommo_client(company(email="")) == company(email="")
    assert kommo_client(company(), xero=contact(email="")) == company()


def test_a_client_with_another_email_is_another_client():
    assert kommo_client(company(email="other@firm.example")) is None


def test_a_client_that_is_another_contact_already_is_not_taken():
    assert kommo_client(marked(20, "another", email="")) is None
    assert kommo_client(company(email=""), taken=frozenset({20})) is None


def test_a_deleted_client_is_not_found():
    assert kommo_client(company(is_deleted=True), marked(21, CONTACT_ID, is_deleted=True)) is None


def test_a_person_is_looked_for_by_the_persons_name():
    assert kommo_client(person(email=""), name="Jo Marsh") == person(email="")
    assert kommo_client(person(email="")) is None


def test_a_name_that_is_empty_is_nobodys():
    assert kommo_client(company(name=""), xero=contact(name="")) is None
