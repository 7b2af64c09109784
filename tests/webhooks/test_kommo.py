"""What Kommo's bodies tell, by what it really sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhooks.bodies import KOMMO, sample
from webhooks.decode import decode
from webhooks.kommo import MOST_EVENTS, ClientEvent, LeadEvent, Notice, read

TOLD = {
    "kommo_leads_add.form": Notice(16700680, "unirock", (LeadEvent("add", 30052055, 936736, 17944873),)),
    "kommo_leads_update.form": Notice(16700680, "unirock", (LeadEvent("update", 30052055, 936736, 17944873),)),
    "kommo_leads_status.form": Notice(12345678, "example", (LeadEvent("status", 15318175, 8572511, 67548619),)),
    "kommo_leads_responsible.form": Notice(
        12345678, "example", (LeadEvent("responsible", 15318175, 8572511, 67548619),)
    ),
    "kommo_leads_restore.form": Notice(16700680, "unirock", (LeadEvent("restore", 30052055, 936736, 17944873),)),
    "kommo_leads_delete.form": Notice(leads=(LeadEvent("delete", 12345678, 8572511, 67548607),)),
    "kommo_leads_note.form": Notice(),
    "kommo_contacts_add.form": Notice(32720107, clients=(ClientEvent("add", 17611273, "contact"),)),
    "kommo_contacts_delete.form": Notice(clients=(ClientEvent("delete", 17611273, "contact"),)),
    "kommo_companies_add.form": Notice(
        32720107, leads=(LeadEvent("linked", 15319601),), clients=(ClientEvent("add", 17611275, "company"),)
    ),
    "kommo_digital_pipeline.form": Notice(30307558, "anyor", (LeadEvent("status", 10754147, 6344290, 54423922),)),
    "kommo_digital_pipeline_add.form": Notice(30307558, "anyor", (LeadEvent("add", 10754147, 6344290, 54423922),)),
    "kommo_unsorted_accept.form": Notice(12345678, "example"),
}


def told(body: str) -> Notice:
    return read(decode(body.encode()))


def test_there_is_an_expectation_for_every_sample():
    assert sorted(TOLD) == KOMMO


@pytest.mark.parametrize("name", KOMMO)
def test_a_real_body_tells_what_it_should(name):
    assert read(decode(sample(name))) == TOLD[name]


@pytest.mark.parametrize("name", KOMMO)
def test_the_order_of_a_bodys_pairs_does_not_matter(name):
    turned = b"&".join(reversed(sample(name).split(b"&")))
    assert read(decode(turned)) == TOLD[name]


def test_one_body_may_carry_several_leads_and_several_actions():
    notice = told(
        "leads[status][0][id]=7&leads[status][0][status_id]=1&leads[status][0][pipeline_id]=2"
        "&leads[update][0][id]=7&leads[status][1][id]=8&leads[add][5][id]=9&account[id]=3"
    )
    assert [(event.action, event.lead_id) for event in notice.leads] == [
        ("status", 7), ("status", 8), ("update", 7), ("add", 9),
    ]  # fmt: skip
    assert notice.leads[0] == LeadEvent("status", 7, 2, 1)
    assert notice.leads[1] == LeadEvent("status", 8)


def test_an_empty_name_and_a_date_without_value_are_no_trouble():
    notice = told(
        "account[id]=3&leads[add][0][id]=7&leads[add][0][name]=&leads[add][0][custom_fields][0][values][0]=1729717200"
    )
    assert notice == Notice(3, leads=(LeadEvent("add", 7),))


def test_a_client_of_no_known_type_may_be_either():
    assert told("account[id]=3&contacts[update][0][id]=7").clients == (ClientEvent("update", 7, None),)


def test_a_link_to_something_without_a_number_is_none():
    assert told("account[id]=3&contacts[add][0][id]=7&contacts[add][0][linked_leads_id][x][ID]=x").leads == ()


def test_the_account_may_stand_in_an_entry_only():
    assert told("leads[add][0][id]=7&leads[add][0][account_id]=30896271").account_id == 30896271


@pytest.mark.parametrize("number", ["0", "-1", "1e3", "7.0", "\uff19", "9" * 19, "seven", ""])
def test_what_is_no_id_is_no_event(number):
    notice = told(f"account[id]={number}&leads[add][0][id]={number}&contacts[add][0][id]={number}")
    assert (notice.account_id, notice.leads, notice.clients) == (None, (), ())


@pytest.mark.parametrize("subdomain", ["a b", "a%00", "x" * 64, "", "a.b"])
def test_what_is_no_subdomain_is_none(subdomain):
    assert told(f"account[subdomain]={subdomain}").subdomain == ""


def test_a_body_that_names_nothing_of_kommos_is_told_as_such():
    assert told('{"leads": 7}').problem == "this is no webhook of Kommo's: it names no account, no lead, no contact"


def test_entries_beyond_the_limit_are_told():
    notice = told("account[id]=3&" + "&".join(f"leads[add][{n}][id]={n + 1}" for n in range(MOST_EVENTS + 1)))
    assert len(notice.leads) == MOST_EVENTS
    assert notice.problem == "more than 2000 entries: the rest was not read"


@given(st.binary(max_size=300))
def test_any_bytes_give_a_notice(body):
    read(decode(body))


FORMS = st.lists(
    st.tuples(
        st.sampled_from(
            ["leads", "contacts", "account", "leads[add]", "contacts[add]", "leads[add][0]", "contacts[add][0]"]
        ),
        st.sampled_from(["", "[id]", "[0]", "[account_id]", "[type]", "[linked_leads_id][7]", "[subdomain]", "[]"]),
        st.text(max_size=4),
    ),
    max_size=12,
)


@given(FORMS)
def test_any_form_gives_a_notice(pairs):
    told("&".join(f"{section}{key}={value}" for section, key, value in pairs))
