"""The bodies of webhooks against the verbatim samples of kommo.md 4.4 and 4.9."""

from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from sandbox.kommo.hookbody import (
    account_body,
    client_entry,
    deleted_client_entry,
    deleted_lead_entry,
    encode,
    lead_entry,
    note_entry,
    stage_body,
)
from sandbox.kommo.nouns import Account, Client, FieldDef, Lead, Note, User

CAPTURED_ADD = (
    "account%5Bsubdomain%5D=unirock&account%5Bid%5D=16700680&account%5B_links%5D%5Bself%5D=https%3A%2F%2Funirock.amocrm.ru"
    "&leads%5Badd%5D%5B0%5D%5Bid%5D=30052055&leads%5Badd%5D%5B0%5D%5Bname%5D=TEST+MISHA+%28SORRY%29"
    "&leads%5Badd%5D%5B0%5D%5Bstatus_id%5D=17944873&leads%5Badd%5D%5B0%5D%5Bprice%5D=0"
    "&leads%5Badd%5D%5B0%5D%5Bresponsible_user_id%5D=2852878&leads%5Badd%5D%5B0%5D%5Blast_modified%5D=1744532875"
    "&leads%5Badd%5D%5B0%5D%5Bmodified_user_id%5D=2852878&leads%5Badd%5D%5B0%5D%5Bcreated_user_id%5D=2852878"
    "&leads%5Badd%5D%5B0%5D%5Bdate_create%5D=1744532875&leads%5Badd%5D%5B0%5D%5Bpipeline_id%5D=936736"
    "&leads%5Badd%5D%5B0%5D%5Baccount_id%5D=16700680&leads%5Badd%5D%5B0%5D%5Bcreated_at%5D=1744532875"
    "&leads%5Badd%5D%5B0%5D%5Bupdated_at%5D=1744532875"
)
STATUS = (
    "account%5Bsubdomain%5D=example&account%5Bid%5D=12345678&account%5B_links%5D%5Bself%5D=https%3A%2F%2Fexample.kommo.com"
    "&leads%5Bstatus%5D%5B0%5D%5Bid%5D=15318175&leads%5Bstatus%5D%5B0%5D%5Bname%5D=Order+77"
    "&leads%5Bstatus%5D%5B0%5D%5Bstatus_id%5D=67548619&leads%5Bstatus%5D%5B0%5D%5Bold_status_id%5D=67548607"
    "&leads%5Bstatus%5D%5B0%5D%5Bprice%5D=1000&leads%5Bstatus%5D%5B0%5D%5Bresponsible_user_id%5D=12345678"
    "&leads%5Bstatus%5D%5B0%5D%5Blast_modified%5D=1726572758&leads%5Bstatus%5D%5B0%5D%5Bmodified_user_id%5D=11087123"
    "&leads%5Bstatus%5D%5B0%5D%5Bcreated_user_id%5D=11087123&leads%5Bstatus%5D%5B0%5D%5Bdate_create%5D=1726572752"
    "&leads%5Bstatus%5D%5B0%5D%5Bpipeline_id%5D=8572511&leads%5Bstatus%5D%5B0%5D%5Btags%5D%5B0%5D%5Bid%5D=2164"
    "&leads%5Bstatus%5D%5B0%5D%5Btags%5D%5B0%5D%5Bname%5D=Ex&leads%5Bstatus%5D%5B0%5D%5Baccount_id%5D=12345678"
    "&leads%5Bstatus%5D%5B0%5D%5Bcustom_fields%5D%5B0%5D%5Bid%5D=1118164"
    "&leads%5Bstatus%5D%5B0%5D%5Bcustom_fields%5D%5B0%5D%5Bname%5D=Benefit"
    "&leads%5Bstatus%5D%5B0%5D%5Bcustom_fields%5D%5B0%5D%5Bvalues%5D%5B0%5D%5Bvalue%5D=1000"
    "&leads%5Bstatus%5D%5B0%5D%5Bcustom_fields%5D%5B1%5D%5Bid%5D=1246489"
    "&leads%5Bstatus%5D%5B0%5D%5Bcustom_fields%5D%5B1%5D%5Bname%5D=Select"
    "&leads%5Bstatus%5D%5B0%5D%5Bcustom_fields%5D%5B1%5D%5Bvalues%5D%5B0%5D%5Bvalue%5D=2"
    "&leads%5Bstatus%5D%5B0%5D%5Bcustom_fields%5D%5B1%5D%5Bvalues%5D%5B0%5D%5Benum%5D=908107"
    "&leads%5Bstatus%5D%5B0%5D%5Bcustom_fields%5D%5B2%5D%5Bid%5D=1246491"
    "&leads%5Bstatus%5D%5B0%5D%5Bcustom_fields%5D%5B2%5D%5Bname%5D=Date"
    "&leads%5Bstatus%5D%5B0%5D%5Bcustom_fields%5D%5B2%5D%5Bvalues%5D%5B0%5D=1725915600"
    "&leads%5Bstatus%5D%5B0%5D%5Bcreated_at%5D=1726572752&leads%5Bstatus%5D%5B0%5D%5Bupdated_at%5D=1726572758"
)
DIGITAL_PIPELINE = (
    "leads%5Bstatus%5D%5B0%5D%5Bid%5D=10754147&leads%5Bstatus%5D%5B0%5D%5Bstatus_id%5D=54423922"
    "&leads%5Bstatus%5D%5B0%5D%5Bpipeline_id%5D=6344290&leads%5Bstatus%5D%5B0%5D%5Bold_status_id%5D=54435014"
    "&leads%5Bstatus%5D%5B0%5D%5Bold_pipeline_id%5D=6344290&account%5Bid%5D=30307558&account%5Bsubdomain%5D=anyor"
)
CONTACT = """contacts[add][0][id]=17611273
contacts[add][0][name]=Contact Name
contacts[add][0][responsible_user_id]=11087123
contacts[add][0][date_create]=1726573127
contacts[add][0][last_modified]=1726573127
contacts[add][0][created_user_id]=11087123
contacts[add][0][modified_user_id]=11087123
contacts[add][0][account_id]=32720107
contacts[add][0][custom_fields][0][id]=771906
contacts[add][0][custom_fields][0][name]=Phone
contacts[add][0][custom_fields][0][values][0][value]=1234567890
contacts[add][0][custom_fields][0][values][0][enum]=552476
contacts[add][0][custom_fields][0][code]=PHONE
contacts[add][0][created_at]=1726573127
contacts[add][0][updated_at]=1726573127
contacts[add][0][type]=contact"""
NOTE = """leads[note][0][note][text]=note text
leads[note][0][note][attachement]=
leads[note][0][note][date_create]=2024-09-17 16:38:11
leads[note][0][note][note_type]=4
leads[note][0][note][element_type]=2
leads[note][0][note][element_id]=15320411
leads[note][0][note][catalog_id]=0
leads[note][0][note][group_id]=0
leads[note][0][note][timestamp_x]=2024-09-17 16:38:49
leads[note][0][note][account_id]=32720107
leads[note][0][note][metadata]={"event_source":{"id":11087123,"author_name":"Jean Pierre","type":1}}
leads[note][0][note][created_by]=11087123
leads[note][0][note][modified_by]=11087123
leads[note][0][note][main_user_id]=11087123
leads[note][0][note][id]=4600471
leads[note][0][note][created_at]=1726580291
leads[note][0][note][updated_at]=1726580329"""

ACCOUNT = Account(id=32720107, subdomain="example", timezone="Europe/Moscow")


def decoded(body: bytes) -> str:
    return "\n".join(f"{name}={value}" for name, value in parse_qsl(body.decode(), keep_blank_values=True))


def lead(**more) -> Lead:
    facts: dict[str, Any] = {
        "id": 1,
        "kind": "leads",
        "name": "",
        "responsible_user_id": 2,
        "created_by": 3,
        "updated_by": 4,
        "created_at": 5,
        "updated_at": 6,
    }
    return Lead(**(facts | more))


def client(**more) -> Client:
    facts: dict[str, Any] = {
        "id": 17611273,
        "kind": "contacts",
        "name": "Contact Name",
        "responsible_user_id": 11087123,
        "created_by": 11087123,
    }
    facts |= {"updated_by": 11087123, "created_at": 1726573127, "updated_at": 1726573127}
    return Client(**(facts | more))


def test_a_new_lead_reads_as_it_was_captured():
    account = Account(id=16700680, subdomain="unirock", domain="amocrm.ru")
    user = 2852878
    made = lead(
        id=30052055, name="TEST MISHA (SORRY)", status_id=17944873, pipeline_id=936736,
        responsible_user_id=user, created_by=user, created_at=1744532875, updated_at=1744532875,
    )  # fmt: skip
    body = account_body(account, {"leads": {"add": [lead_entry(made, {}, account, modified_by=user)]}})
    assert body.decode() == CAPTURED_ADD


def test_a_moved_lead_reads_as_the_docs_have_it():
    account = Account(id=12345678, subdomain="example")
    fields = {
        1118164: FieldDef(1118164, "leads", "Benefit", "numeric"),
        1246489: FieldDef(1246489, "leads", "Select", "select"),
        1246491: FieldDef(1246491, "leads", "Date", "date"),
    }
    moved = lead(
        id=15318175, name="Order 77", status_id=67548619, pipeline_id=8572511, price=Decimal("1000.4"),
        responsible_user_id=12345678, created_by=11087123, created_at=1726572752, updated_at=1726572758,
        tags=[{"id": 2164, "name": "Ex", "color": None}],
        fields={1118164: [{"value": "1000"}], 1246489: [{"value": "2", "enum_id": 908107, "enum_code": None}], 1246491: [{"value": 1725915600}]},
    )  # fmt: skip
    entry = lead_entry(moved, fields, account, modified_by=11087123, old_status_id=67548607)
    assert account_body(account, {"leads": {"status": [entry]}}).decode() == STATUS


def test_the_digital_pipeline_is_short_and_its_account_comes_last():
    account = Account(id=30307558, subdomain="anyor")
    moved = lead(id=10754147, status_id=54423922, pipeline_id=6344290)
    assert stage_body(account, moved, (6344290, 54435014)).decode() == DIGITAL_PIPELINE
    made = stage_body(account, moved, None).decode()
    assert made.startswith("leads%5Badd%5D%5B0%5D%5Bid%5D=10754147&leads%5Badd%5D%5B0%5D%5Bstatus_id%5D=54423922&")
    assert "old_" not in made


def test_a_contact_reads_as_the_docs_have_it():
    fields = {771906: FieldDef(771906, "contacts", "Phone", "multitext", "PHONE", is_predefined=True)}
    made = client(fields={771906: [{"value": "1234567890", "enum_id": 552476, "enum_code": "WORK"}]})
    assert (
        decoded(encode({"contacts": {"add": [client_entry(made, fields, ACCOUNT, modified_by=11087123)]}})) == CONTACT
    )


def test_a_company_comes_as_a_contact_of_another_type_with_its_leads():
    made = client(kind="companies", leads={15319601})
    lines = decoded(encode({"contacts": {"add": [client_entry(made, {}, ACCOUNT, modified_by=1)]}})).splitlines()
    assert lines[-4:] == [
        "contacts[add][0][linked_leads_id][15319601][ID]=15319601",
        "contacts[add][0][created_at]=1726573127",
        "contacts[add][0][updated_at]=1726573127",
        "contacts[add][0][type]=company",
    ]


def test_what_is_deleted_is_named_and_no_more():
    gone = lead(id=12345678, status_id=67548607, pipeline_id=8572511)
    assert decoded(encode({"leads": {"delete": [deleted_lead_entry(gone)]}})) == (
        "leads[delete][0][id]=12345678\nleads[delete][0][status_id]=67548607\nleads[delete][0][pipeline_id]=8572511"
    )
    assert decoded(encode({"contacts": {"delete": [deleted_client_entry(client())]}})) == (
        "contacts[delete][0][id]=17611273\ncontacts[delete][0][type]=contact"
    )


def test_a_note_reads_as_the_docs_have_it():
    user = 11087123
    written = Note(
        4600471, "leads", 15320411, "common", {"text": "note text"}, user, user, 1726580291, 1726580329, user
    )
    entry = note_entry(written, ACCOUNT, User(user, "Jean Pierre", "jean@example.com"))
    assert decoded(encode({"leads": {"note": [entry]}})) == NOTE


def test_each_type_of_field_has_its_own_encoding():
    types = {
        1: ("checkbox", [{"value": True}]),
        2: ("radiobutton", [{"value": "2", "enum_id": 566642, "enum_code": None}]),
        3: (
            "multiselect",
            [{"value": "a", "enum_id": 7, "enum_code": None}, {"value": "b", "enum_id": 8, "enum_code": None}],
        ),
        4: ("birthday", [{"value": 316472400}]),
        5: ("date_time", [{"value": 1729717200}]),
    }
    fields = {number: FieldDef(number, "leads", "F", kind, code="CODE") for number, (kind, _) in types.items()}
    made = lead(fields={number: values for number, (_, values) in types.items()})
    entry = {"custom_fields": lead_entry(made, fields, ACCOUNT, modified_by=0)["custom_fields"]}
    found = [line for line in decoded(encode(entry)).splitlines() if "[values]" in line]
    assert found == [
        "custom_fields[0][values][0][value]=1",
        "custom_fields[1][values][value]=2",
        "custom_fields[1][values][enum]=566642",
        "custom_fields[2][values][0][value]=a",
        "custom_fields[2][values][0][enum]=7",
        "custom_fields[2][values][1][value]=b",
        "custom_fields[2][values][1][enum]=8",
        "custom_fields[3][values][0][value]=12.01.1980",
        "custom_fields[4][values][0]=1729717200",
    ]


def test_older_accounts_put_the_account_last_and_call_it_by_the_old_name():
    body = account_body(ACCOUNT, {"leads": {"add": [{"id": 1}]}}, last=True, domain="amocrm.com").decode()
    assert body.startswith("leads%5Badd%5D%5B0%5D%5Bid%5D=1&account%5Bsubdomain%5D=example")
    assert body.endswith("=https%3A%2F%2Fexample.amocrm.com")


def test_letters_beyond_ascii_and_a_tilde_are_encoded_as_php_does():
    assert encode({"a": "é~ &=", "b": None, "c": False}) == b"a=%C3%A9%7E+%26%3D&c=0"
