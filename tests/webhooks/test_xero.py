"""Who sent a body of Xero's, and what it tells."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhooks.bodies import sample
from webhooks.xero import MOST_EVENTS, Event, Notice, is_authentic, read, sign

KEY = "V6cMrWQtCIlb7bjZsBKNZo6RrIvGqPwEl+q0qz0gCzmVwXk0A1Fcoqqi93jl3wp6wWN1k2Z8Qkn4GDF6d5CS5w=="
TENANT = "4e3e0000-0000-4000-8000-000000000000"
INVOICE = "fc5b0d6c-0000-4000-8000-000000000000"


def event(**changes: object) -> dict[str, object]:
    """An event as Xero sends it."""
    return {
        "resourceUrl": f"https://api.xero.com/api.xro/2.0/Invoices/{INVOICE}", "resourceId": INVOICE, "tenantId": TENANT,
        "tenantType": "ORGANISATION", "eventCategory": "INVOICE", "eventType": "UPDATE", "eventDateUtc": "2025-05-01T14:32:04.198",
        **changes,
    }  # fmt: skip


def told(*events: object) -> Notice:
    return read(json.dumps({"events": events, "firstEventSequence": 1, "lastEventSequence": 1}).encode())


def test_the_intent_to_receive_has_no_events():
    assert read(sample("xero_intent_to_receive.json")) == Notice()


def test_a_real_update_is_understood():
    at = datetime(2025, 5, 1, 14, 32, 4, 198000, tzinfo=UTC)
    assert read(sample("xero_invoice_update.json")) == Notice((Event(TENANT, INVOICE, "INVOICE", "UPDATE", at),))


def test_the_kind_is_in_capitals_whatever_is_sent():
    assert told(event(eventType="Update", eventCategory="Invoice")).events[0].kind == "UPDATE"


def test_a_time_without_a_zone_is_utc_and_one_with_a_zone_is_taken_at_its_word():
    times = [
        told(event(eventDateUtc=text)).events[0].at for text in ("2025-05-01T14:32:04", "2025-05-01T14:32:04Z", "soon")
    ]
    assert times == [datetime(2025, 5, 1, 14, 32, 4, tzinfo=UTC), datetime(2025, 5, 1, 14, 32, 4, tzinfo=UTC), None]


def test_ids_are_in_lower_case():
    assert told(event(resourceId=INVOICE.upper())).events[0].resource_id == INVOICE


def test_the_resources_address_does_where_its_id_is_missing():
    assert told(event(resourceId=None)).events[0].resource_id == INVOICE


def test_categories_that_nobody_knows_yet_are_events_like_others():
    assert [found.category for found in told(event(eventCategory="PREPAYMENT"), event(eventCategory=7)).events] == [
        "PREPAYMENT",
        "",
    ]


@pytest.mark.parametrize(
    "odd", [7, None, [], "x", event(tenantId="acme"), event(resourceId=None, resourceUrl="https://x/Invoices")]
)
def test_an_event_about_nothing_is_left_out_and_told(odd):
    notice = told(odd, event())
    assert len(notice.events) == 1
    assert notice.problem == "1 of 2 events name no organisation or no resource"


@pytest.mark.parametrize("body", [b"", b"x", b"\xff\xfe", b"[" * 100_000, b"9" * 5000, b'"\\ud800"'])
def test_what_is_not_json_is_told(body):
    assert read(body).problem is not None


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'{"events": {}}'])
def test_what_has_no_events_is_told(body):
    assert read(body).problem == "this is no webhook of Xero's: it has no list of events"


def test_events_beyond_the_limit_are_told():
    notice = told(*[event()] * (MOST_EVENTS + 1))
    assert len(notice.events) == MOST_EVENTS
    assert notice.problem == "more than 2000 events: the rest was not read"


@given(st.binary(max_size=200))
def test_any_bytes_give_a_notice(body):
    read(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=40) | st.just(TENANT),
    lambda under: (
        st.lists(under, max_size=3)
        | st.dictionaries(
            st.sampled_from(["events", "tenantId", "resourceId", "eventDateUtc", "eventType"]), under, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_any_events_give_a_notice(events):
    told(*events)


@given(st.binary(max_size=200))
def test_what_was_signed_is_authentic(body):
    assert is_authentic(body, sign(body, KEY).decode(), [KEY])


@given(st.binary(min_size=1, max_size=200), st.data())
def test_no_flipped_bit_is_authentic(body, data):
    place, bit = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(0, 7))
    flipped = body[:place] + bytes([body[place] ^ 1 << bit]) + body[place + 1 :]
    assert not is_authentic(flipped, sign(body, KEY).decode(), [KEY])


@given(st.data())
def test_one_other_character_in_the_signature_is_not_authentic(data):
    right = sign(b"{}", KEY).decode()
    place = data.draw(st.integers(0, len(right) - 1))
    wrong = right[:place] + right[place].swapcase() + right[place + 1 :]
    other = right[:place] + ("A" if right[place] != "A" else "B") + right[place + 1 :]
    assert not is_authentic(b"{}", other, [KEY])
    assert wrong == right or not is_authentic(b"{}", wrong, [KEY])


@given(st.text(max_size=60))
def test_any_text_is_a_wrong_signature(text):
    assert not is_authentic(b"{}", text, [KEY])


def test_each_of_several_keys_signs_while_they_are_rotated():
    body = sample("xero_intent_to_receive.json")
    assert all(is_authentic(body, sign(body, key).decode(), ["new", "old"]) for key in ("new", "old"))
    assert not is_authentic(body, sign(body, "older").decode(), ["new", "old"])


def test_without_a_key_nothing_is_authentic():
    assert not is_authentic(b"{}", "", [])


def test_the_signature_is_the_one_that_openssl_makes():
    """printf '%s' '{"events":[]}' | openssl dgst -sha256 -hmac key -binary | base64"""
    assert sign(b'{"events":[]}', "key") == b"Qrz9n8NSnnBLDlKIZEhYxzL4J+L5wKUqtKk3FuhGKW0="
