"""The connections file: what it means, and what is told of a faulty one: the line, the connection, the mend."""

from collections.abc import Callable
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.connections import (
    Connection,
    ConnectionsError,
    DealRules,
    InvoiceLabel,
    InvoiceRules,
    Limits,
    Trigger,
    load,
)
from worker.settings import SettingsError

ROOT = Path(__file__).parents[2]
TENANT = "fe79f7dd-0000-4000-8000-0000000000aa"
ACME = """\
[[connection]]
name = "acme"
kommo_subdomain = "acme"
[connection.trigger]
pipeline = "Sales"
stage = "Payment approved"
[connection.invoice]
account_code = "200"
"""


@pytest.fixture
def loaded(tmp_path):
    """`loaded(text)`: the connections of a file with this text."""

    def load_text(text):
        path = tmp_path / "connections.toml"
        path.write_text(text, encoding="utf-8")
        return load(path)

    return load_text


@pytest.fixture
def told(loaded):
    """`told(text)`: the faults of a file with this text, as (line, sentence)."""

    def faults_of(text):
        with pytest.raises(ConnectionsError) as caught:
            loaded(text)
        told = [fault.partition("line ")[2].partition(": ") for fault in caught.value.faults]
        return [(int(line), sentence) for line, _, sentence in told]

    return faults_of


def test_the_least_that_can_be_written_has_the_documented_defaults(loaded):
    assert loaded(ACME) == (
        Connection(
            name="acme",
            kommo_subdomain="acme",
            triggers=(Trigger("Sales", "Payment approved"),),
            invoice=InvoiceRules(account_code="200"),
        ),
    )
    (acme,) = loaded(ACME)
    assert (acme.xero_tenant_id, acme.deal, acme.limits, acme.stages) == (None, None, Limits(None, 60, 7), {})
    assert (acme.invoice.status, acme.invoice.line_amounts, acme.invoice.due_days) == ("AUTHORISED", "Exclusive", 14)
    assert (acme.invoice.reference, acme.invoice.online_link) == ("Deal {lead_id}", False)


def test_everything_can_be_written(loaded):
    (acme,) = loaded(
        f'''
[[connection]]
name = "acme"
kommo_subdomain = "acme"
xero_tenant_id = "{TENANT.upper()}"
[[connection.trigger]]
pipeline = 8572511
stage = 142
[[connection.trigger]]
pipeline = "Projects"
stage = " To be invoiced "
[connection.invoice]
status = "DRAFT"
account_code = "200"
tax_type = "OUTPUT2"
tax_field = 17
line_amounts = "NoTax"
due_days = 0
currency_field = "Invoice currency"
description_field = "Services"
reference = "{{lead_name}} ({{lead_id}})"
online_link = true
[connection.deal]
pipeline = "Sales"
stage = "Invoiced in Xero"
since = 2026-01-01
drafts = true
amount = "net"
[connection.limits]
xero_day = 1000
xero_minute = 30
kommo_second = 5
[connection.stages]
paid = "Closed - won"
voided = 143
'''
    )
    assert acme == Connection(
        name="acme",
        kommo_subdomain="acme",
        xero_tenant_id=TENANT,
        triggers=(Trigger(8572511, 142), Trigger("Projects", "To be invoiced")),
        invoice=InvoiceRules(
            "200",
            "DRAFT",
            "OUTPUT2",
            17,
            "NoTax",
            0,
            "Invoice currency",
            "Services",
            "{lead_name} ({lead_id})",
            online_link=True,
        ),
        deal=DealRules("Sales", "Invoiced in Xero", date(2026, 1, 1), drafts=True, amount="net"),
        limits=Limits(1000, 30, 5),
        stages={"paid": "Closed - won", "voided": 143},
    )


def test_the_example_loads_as_it_stands_and_names_every_key():
    load(ROOT / "connections.example.toml")
    words = set(
        (ROOT / "connections.example.toml")
        .read_text()
        .replace("[", " ")
        .replace(".", " ")
        .replace("]", " ")
        .replace(",", " ")
        .split()
    )
    keys = {one.name for kind in (Connection, Trigger, InvoiceRules, DealRules, Limits) for one in fields(kind)} - {
        "triggers"
    }
    assert (keys | set(get_args(InvoiceLabel))) - words == set()


def test_a_trigger_may_be_written_in_one_line(loaded):
    one = ACME.replace(
        '[connection.trigger]\npipeline = "Sales"\nstage = "Payment approved"',
        'trigger = { pipeline = "Sales", stage = 1 }',
    )
    assert loaded(one)[0].triggers == (Trigger("Sales", 1),)


def test_a_mark_that_some_editors_write_first_is_no_fault(loaded):
    assert loaded("\ufeff" + ACME)


def test_every_fault_is_told_at_once_with_line_and_connection(told):
    assert told(
        """\
foo = 1
[[connection]]
name = "Acme"
kommo_subdomain = "https://acme.kommo.com"
xero_tenant_id = "fe79f7dd"
[[connection.trigger]]
pipeline = true
stage = ""
[[connection.trigger]]
pipeline = 5
stag = "x"
[connection.invoice]
status = "AUTHORIZED"
acount_code = 200
due_days = "14"
reference = "Deal {lead"
[connection.deal]
pipeline = "Sales"
since = "2026-01-01"
[connection.stages]
payed = "x"
paid = -1
[connection.limits]
xero_day = 0
xero_minute = 1000000
"""
    ) == [
        (1, 'unknown key "foo"; everything belongs into a [[connection]]'),
        (3, 'connection "Acme": name = "Acme": write small letters, digits and hyphens only'),
        (
            4,
            (
                'connection "Acme": kommo_subdomain = "https://acme.kommo.com": write only the first part of the account\'s address: '
                '"acme" for https://acme.kommo.com'
            ),
        ),
        (
            5,
            (
                'connection "Acme": xero_tenant_id = "fe79f7dd": it is an id like fe79f7dd-1d6c-4a58-b8f1-0c5a3a0d4f2e; '
                "leave the line out when the grant covers one organisation"
            ),
        ),
        (7, 'connection "Acme": pipeline = true: write its name in quotes, as "Sales", or its id as a number'),
        (8, 'connection "Acme": stage = "": write its name in quotes, as "Sales", or its id as a number'),
        (9, 'connection "Acme": stage is missing: add stage = "..." (its name, or its id as a number)'),
        (11, 'connection "Acme": unknown key "stag"; did you mean "stage"?'),
        (
            12,
            'connection "Acme": account_code is missing: add account_code = "200" (the code of your sales account in Xero)',
        ),
        (13, 'connection "Acme": status = "AUTHORIZED": it must be one of DRAFT, SUBMITTED, AUTHORISED'),
        (14, 'connection "Acme": unknown key "acount_code"; did you mean "account_code"?'),
        (15, 'connection "Acme": due_days = "14": write a whole number of days, as 14'),
        (16, 'connection "Acme": reference = "Deal {lead": a brace is not closed; write it like "Deal {lead_id}"'),
        (17, 'connection "Acme": stage is missing: add stage = "..." (its name, or its id as a number)'),
        (19, 'connection "Acme": since = "2026-01-01": write a date without quotes, as 2026-01-01'),
        (21, 'connection "Acme": unknown label "payed"; did you mean "paid"?'),
        (22, 'connection "Acme": paid = -1: write its name in quotes, as "Sales", or its id as a number'),
        (24, 'connection "Acme": xero_day = 0: write a whole number of calls, from 1 to 100000'),
        (25, 'connection "Acme": xero_minute = 1000000: write a whole number of calls, from 1 to 100000'),
    ]


def test_what_is_missing_is_told_at_its_connection(told):
    assert told(
        '[[connection]]\nname = "a"\n\n[[connection]]\nkommo_subdomain = "b"\ntrigger = []\ninvoice = "x"\n'
    ) == [
        (
            1,
            'connection "a": invoice is missing: add [connection.invoice] with account_code = "200" (the code of your sales account in Xero)',
        ),
        (
            1,
            'connection "a": kommo_subdomain is missing: add kommo_subdomain = "acme" when the account is at https://acme.kommo.com',
        ),
        (
            1,
            (
                'connection "a": trigger is missing: add [connection.trigger] with pipeline = "..." and stage = "...": '
                "a deal that enters that stage gets an invoice"
            ),
        ),
        (4, 'connection 2: name is missing: add name = "..." (small letters, digits and hyphens)'),
        (
            6,
            (
                'connection 2: trigger = []: add [connection.trigger] with pipeline = "..." and stage = "...": '
                "a deal that enters that stage gets an invoice"
            ),
        ),
        (
            7,
            'connection 2: invoice = "x": add [connection.invoice] with account_code = "200" (the code of your sales account in Xero)',
        ),
    ]


def test_a_code_must_be_in_quotes_or_its_zeros_are_lost(told):
    assert told(ACME.replace('"200"', "200")) == [(8, 'connection "acme": account_code = 200: put it in quotes: "200"')]


def test_a_key_without_a_near_one_is_told_with_all_of_them(told):
    assert told(ACME + "[connection.limits]\nq = 1\n") == [
        (10, 'connection "acme": unknown key "q"; known are xero_day, xero_minute, kommo_second, kommo_shared')
    ]


def second(name: str = "other", subdomain: str = "acme", stage: str = "payment approved") -> str:
    """Another connection, which clashes with the first in its trigger unless told otherwise."""
    named = ACME.replace('name = "acme"', f'name = "{name}"').replace(
        'subdomain = "acme"', f'subdomain = "{subdomain}"'
    )
    return named.replace("Payment approved", stage)


def test_two_connections_may_not_have_one_name(told):
    assert told(ACME + second("acme", "b")) == [
        (10, 'connection "acme": its name is taken; choose another than that of "acme"')
    ]


def test_two_connections_of_one_account_may_not_have_one_trigger(told):
    assert told(ACME + second()) == [
        (12, 'connection "other": a deal would be invoiced twice; the same stage already triggers "acme"'),
    ]


def test_two_accounts_may_have_stages_of_one_name(loaded):
    assert len(loaded(ACME + second(subdomain="other"))) == 2


def test_one_organisation_has_one_connection_that_makes_deals(told):
    deal = '[connection.deal]\npipeline = "Sales"\nstage = "New"\n'
    tenant = f'xero_tenant_id = "{TENANT}"\n[connection.trigger]'
    both = [(text + deal).replace("[connection.trigger]", tenant) for text in (ACME, second(subdomain="other"))]
    assert told("".join(both)) == [
        (
            22,
            'connection "other": an invoice would become two deals; keep [connection.deal] of only one, it is in "acme"',
        ),
    ]


def test_clashes_are_told_beside_other_faults(told):
    assert [line for line, _ in told(ACME + second() + '[[connection]]\nname = "third"\nfoo = 1\n')] == [
        12,
        17,
        17,
        17,
        19,
    ]


def test_an_empty_file_is_told(told):
    assert told("# nothing\n") == [(1, "there is no [[connection]] in it; connections.example.toml shows one")]


def test_single_brackets_are_told(told):
    assert told(ACME.replace("[[connection]]", "[connection]")) == [
        (1, "write [[connection]] with two brackets, for there may be several")
    ]


@pytest.mark.parametrize("text", ["connection = 7\n", "connection = [7]\n", 'connection = ["x"]\n'])
def test_a_connection_that_is_no_table_is_told(told, text):
    assert told(text)


def whole(load_it: Callable[[], object]) -> str:
    with pytest.raises(SettingsError) as caught:
        load_it()
    return str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    text = whole(lambda: load(tmp_path / "none.toml"))
    assert text.startswith("Mend the connections file:\n")
    assert "none.toml is not there: copy connections.example.toml to it and fill it in, or set CONNECTIONS_FILE" in text


def test_a_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe")
    assert "can't be read as text in UTF-8" in whole(lambda: load(tmp_path / "c.toml"))


def test_what_is_no_toml_is_told_with_its_line(loaded):
    assert "at line 2, column" in whole(lambda: loaded("[[connection]]\nname = acme\n"))


def test_a_trigger_that_is_written_twice_is_told_how_to_repeat(loaded):
    twice = ACME + '[connection.trigger]\npipeline = "x"\nstage = "y"\n'
    assert "a table that repeats has two brackets: [[connection.trigger]]" in whole(lambda: loaded(twice))


def test_lines_are_found_past_long_strings_comments_and_dotted_keys(told):
    text = (
        ACME.replace(
            'account_code = "200"', 'reference = """a\n[[connection]]\nname = 7\n"""  # """\naccount_code = "200"'
        )
        + 'foo.bar = 1\n"bar" = 2\n'
    )
    assert [(line, sentence.split('"')[3]) for line, sentence in told(text)] == [(13, "foo"), (14, "bar")]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["name", "kommo_subdomain", "trigger", "invoice", "deal", "limits", "stages", "xero_tenant_id", "x"]
            ),
            st.sampled_from(['"a"', "1", "true", "[]", "{}", "[{}]", "{ a = 1 }", "1.5", "2026-01-01", "[1]", "[[1]]"]),
        ),
        unique_by=lambda pair: pair[0],
    )
)
def test_any_values_are_taken_or_told(loaded, pairs):
    text = "[[connection]]\n" + "".join(f"{key} = {value}\n" for key, value in pairs)
    with pytest.raises(ConnectionsError):
        loaded(text)
