"""The receiver over its own routes: who is let in, what is kept, what is recorded, and what is answered."""

import json
import sqlite3
from contextlib import closing
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.webhooks.bodies import KOMMO, XERO, sample
from tests.webhooks.conftest import (
    ACCOUNT,
    APPROVED,
    INVOICE,
    KEY,
    NOON,
    OFFER,
    OLD_KEY,
    OLD_TOKEN,
    SALES,
    TENANT,
    TOKEN,
    Stand,
    connect,
)
from webhooks.xero import sign
from worker import deliveries
from worker.links import Link

FORM = "application/x-www-form-urlencoded"
MEGABYTE = 1024 * 1024


def entry(lead_id: int = 7, action: str = "status", status_id: int = APPROVED, number: int = 0) -> dict[str, object]:
    """A lead under an action, as Kommo sends it."""
    head = f"leads[{action}][{number}]"
    return {f"{head}[id]": lead_id, f"{head}[status_id]": status_id, f"{head}[pipeline_id]": SALES}


def form(*parts: dict[str, object], account: int = ACCOUNT, subdomain: str = "acme") -> bytes:
    own = {"account[subdomain]": subdomain, "account[id]": account}
    return urlencode({key: value for part in (own, *parts) for key, value in part.items()}).encode()


def from_kommo(stand: Stand, body: bytes, token: str = TOKEN):
    return stand.app.test_client().post(f"/webhooks/kommo/{token}", data=body, content_type=FORM)


def from_xero(stand: Stand, body: bytes, signature: str | None = None):
    headers = {
        "x-xero-signature": signed(body) if signature is None else signature,
        "Content-Type": "application/json; charset=utf-8",
    }
    return stand.app.test_client().post("/webhooks/xero", data=body, headers=headers)


def signed(body: bytes, key: str = KEY) -> str:
    return sign(body, key).decode()


def invoice_event(category: str = "INVOICE", tenant: str = TENANT, invoice: str = INVOICE) -> dict[str, str]:
    return {
        "resourceId": invoice, "tenantId": tenant, "tenantType": "ORGANISATION",
        "eventCategory": category, "eventType": "UPDATE", "eventDateUtc": "2026-11-24T11:59:30.123",
    }  # fmt: skip


def body_of(*events: dict[str, str]) -> bytes:
    return json.dumps(
        {"events": events, "firstEventSequence": 1, "lastEventSequence": len(events), "entropy": "X"}
    ).encode()


def link(**values: object) -> Link:
    row = {
        "connection": "acme",
        "origin": "deal",
        "account_id": ACCOUNT,
        "lead_id": 7,
        "tenant_id": TENANT,
        "remarks": [],
    }
    return Link(**{**row, "made_at": NOON, **values})


# --- who is let in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [TOKEN, OLD_TOKEN])
def test_each_token_lets_in_while_it_is_rotated(stand, token):
    assert from_kommo(stand, form(entry()), token).status_code == 200


@pytest.mark.parametrize("token", ["wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "%00", "%ff", "é"])
def test_a_wrong_token_is_not_found_and_leaves_nothing(stand, token):
    answer = from_kommo(stand, form(entry()), token)
    assert (answer.status_code, answer.data) == (404, b"")
    assert stand.deliveries() == stand.jobs() == []


@pytest.mark.parametrize("key", [KEY, OLD_KEY])
def test_each_key_signs_while_it_is_rotated(stand, key):
    body = body_of(invoice_event())
    assert from_xero(stand, body, signed(body, key)).status_code == 200


@pytest.mark.parametrize("signature", ["", "x", "é", signed(b"another body"), signed(b"{}", "another key")])
def test_a_wrong_signature_is_refused_and_leaves_nothing(stand, signature):
    answer = from_xero(stand, b"{}", signature)
    assert (answer.status_code, answer.data) == (401, b"")
    assert stand.deliveries() == stand.jobs() == []


def test_a_missing_signature_is_a_wrong_one(stand):
    assert stand.app.test_client().post("/webhooks/xero", data=b"{}").status_code == 401


def test_the_intent_to_receive_is_answered_by_its_signature(stand):
    probe = sample("xero_intent_to_receive.json")
    right = signed(probe)
    letter = next(character for character in right if character.isalpha())
    wrong = right.replace(letter, letter.swapcase(), 1)
    answers = [from_xero(stand, probe, signature) for signature in (right, wrong)]
    assert [(answer.status_code, answer.data, answer.headers.get("Set-Cookie")) for answer in answers] == [
        (200, b"", None),
        (401, b"", None),
    ]


@pytest.mark.parametrize("path", [f"/webhooks/kommo/{TOKEN}", "/webhooks/xero"])
def test_only_post_delivers(stand, path):
    answer = stand.app.test_client().get(path)
    assert (answer.status_code, answer.data) == (405, b"")


@pytest.mark.parametrize("path", ["/", "/webhooks", "/webhooks/kommo/", "/static/x", f"/webhooks/kommo/{TOKEN}/more"])
def test_there_is_nothing_else(stand, path):
    answer = stand.app.test_client().get(path)
    assert (answer.status_code, answer.data) == (404, b"")


# --- how much ----------------------------------------------------------------------------------------------------------


def test_a_body_of_a_mebibyte_is_taken_and_one_byte_more_is_not(stand):
    assert from_kommo(stand, form(entry()).ljust(MEGABYTE, b"&")).status_code == 200
    answer = from_kommo(stand, form(entry()).ljust(MEGABYTE + 1, b"&"))
    assert (answer.status_code, answer.data) == (413, b"")
    assert len(stand.deliveries()) == 1


def test_a_stranger_with_a_great_body_learns_nothing(stand):
    assert from_kommo(stand, b"a" * (MEGABYTE + 1), "wrong").status_code == 404


# --- Kommo -------------------------------------------------------------------------------------------------------------


def test_a_lead_in_the_trigger_stage_becomes_a_job(stand, until):
    answer = from_kommo(stand, form(entry()))
    assert (answer.status_code, answer.data, answer.headers.get("Set-Cookie")) == (200, b"", None)
    assert stand.jobs() == [("acme", "create_invoice", f"{ACCOUNT}:7", None)]
    assert until(lambda: [(ring.job_id, ring.kind) for ring in stand.rung]) == [(1, "create_invoice")]


def test_a_delivery_is_kept_byte_for_byte_with_what_it_speaks_of(stand):
    body = form(entry(7), entry(8, "update", OFFER))
    from_kommo(stand, body)
    (kept,) = stand.deliveries()
    assert (kept.source, kept.body, kept.content_type, kept.connection, kept.problem) == (
        "kommo",
        body,
        FORM,
        "acme",
        None,
    )
    with stand.database.reading() as session:
        assert [found.id for found in deliveries.about(session, [f"lead:{ACCOUNT}:8"])] == [kept.id]


def test_a_job_names_the_delivery_that_asked_for_it(stand):
    from_kommo(stand, form(entry(7, "update", OFFER)))
    from_kommo(stand, form(entry(7)))
    with stand.database.reading() as session:
        assert session.execute(sa.text("SELECT delivery_id FROM jobs")).scalars().all() == [2]


def test_several_leads_and_actions_in_one_body_are_all_judged(stand):
    from_kommo(
        stand,
        form(
            entry(7),
            entry(8, number=1),
            entry(9, "add"),
            entry(10, "update"),
            entry(7, "update", number=1),
            entry(11, "delete"),
        ),
    )
    assert [job[2] for job in stand.jobs()] == [f"{ACCOUNT}:{lead}" for lead in (10, 7, 8, 9)]


def test_a_repeated_webhook_is_one_job_and_rings_again(stand, until):
    for _ in range(3):
        assert from_kommo(stand, form(entry())).status_code == 200
    assert len(stand.jobs()) == 1
    assert len(stand.deliveries()) == 3
    assert until(lambda: len(stand.rung) == 3)


def test_a_lead_elsewhere_is_kept_and_makes_no_job(stand):
    from_kommo(stand, form(entry(7, status_id=OFFER)))
    assert stand.jobs() == []
    assert [kept.problem for kept in stand.deliveries()] == [None]


@pytest.mark.parametrize(
    "news",
    [
        {"leads[update][0][id]": 7},
        {"leads[delete][0][id]": 7},
        {"leads[responsible][0][id]": 7},
        {"contacts[update][0][id]": 70, "contacts[update][0][type]": "contact"},
        {"contacts[update][0][id]": 71, "contacts[update][0][type]": "company"},
        {"contacts[update][0][id]": 71},
        {"contacts[add][0][id]": 99, "contacts[add][0][linked_leads_id][7][ID]": 7},
    ],
)
def test_news_of_what_a_lead_waits_for_wakes_it(stand, news):
    stand.write(link(waiting=True, waits_contact=70, waits_company=71))
    from_kommo(stand, form(news))
    assert stand.jobs() == [("acme", "create_invoice", f"{ACCOUNT}:7", None)]


@pytest.mark.parametrize(
    "news",
    [
        {"leads[update][0][id]": 8},
        {"contacts[update][0][id]": 71, "contacts[update][0][type]": "contact"},
        {"contacts[update][0][id]": 70, "contacts[update][0][type]": "company"},
    ],
)
def test_other_news_lets_it_wait(stand, news):
    stand.write(link(waiting=True, waits_contact=70, waits_company=71))
    from_kommo(stand, form(news))
    assert stand.jobs() == []


def test_a_lead_that_waits_no_more_is_not_woken(stand):
    stand.write(link(waiting=False, waits_contact=70))
    from_kommo(stand, form({"contacts[update][0][id]": 70, "contacts[update][0][type]": "contact"}))
    assert stand.jobs() == []


def test_an_account_is_found_by_any_subdomain_it_ever_had(stand):
    with stand.database.begin() as session:
        connect(session, subdomains=("acme-new",))
    from_kommo(stand, urlencode({"account[subdomain]": "acme", **entry()}).encode())
    assert stand.jobs() == [("acme", "create_invoice", f"{ACCOUNT}:7", None)]


def test_an_account_that_is_not_connected_is_kept_and_told(stand):
    assert from_kommo(stand, form(entry(), account=5, subdomain="other")).status_code == 200
    assert stand.jobs() == []
    assert [kept.problem for kept in stand.deliveries()] == ["no connection has the account 5 other"]


@pytest.mark.parametrize("body", [b"", b"nonsense", b"\x00\xff", b'{"leads": {}}'])
def test_nonsense_from_kommo_is_kept_and_told(stand, body):
    assert from_kommo(stand, body).status_code == 200
    (kept,) = stand.deliveries()
    assert kept.body == body
    assert kept.problem.startswith("this is no webhook of Kommo's")


@pytest.mark.parametrize("name", KOMMO)
def test_every_sample_of_kommos_is_taken(stand, name):
    assert from_kommo(stand, sample(name)).status_code == 200
    assert stand.deliveries()[0].body == sample(name)


def test_an_odd_content_type_is_shown_harmlessly(stand):
    stand.app.test_client().post(f"/webhooks/kommo/{TOKEN}", data=b"x", content_type="x/\xe9" + "y" * 300)
    assert stand.deliveries()[0].content_type == ("x/?" + "y" * 300)[:200]


# --- Kommo's uninstall hook --------------------------------------------------------------------------------------------


def test_a_revoked_access_is_kept_for_the_worker_to_judge(stand):
    query = f"client_uuid=cdd8ad2a&account_id={ACCOUNT}&signature=9ebb1cf3"
    answer = stand.app.test_client().get(f"/webhooks/kommo/{TOKEN}/uninstall?{query}")
    assert (answer.status_code, answer.data) == (200, b"")
    (kept,) = stand.deliveries()
    assert (kept.source, kept.body, kept.connection) == ("kommo-uninstall", query.encode(), "acme")


def test_a_revoked_access_of_a_stranger_is_kept_and_told(stand):
    stand.app.test_client().get(f"/webhooks/kommo/{TOKEN}/uninstall?account_id=x")
    assert stand.deliveries()[0].problem == "no connection has this account"


def test_the_uninstall_hook_wants_the_token_too(stand):
    assert stand.app.test_client().get("/webhooks/kommo/wrong/uninstall").status_code == 404
    assert stand.deliveries() == []


# --- Xero --------------------------------------------------------------------------------------------------------------


def test_an_event_of_a_linked_invoice_syncs_it(stand, until):
    stand.write(link(invoice_id=INVOICE))
    answer = from_xero(stand, body_of(invoice_event()))
    assert (answer.status_code, answer.data) == (200, b"")
    assert stand.jobs() == [("acme", "sync_status", f"{ACCOUNT}:7", f"{TENANT}:{INVOICE}")]
    assert until(lambda: [ring.kind for ring in stand.rung]) == ["sync_status"]


def test_an_event_of_an_unknown_invoice_may_make_a_deal(stand):
    from_xero(stand, sample("xero_invoice_update.json"))
    assert stand.jobs() == [("acme", "create_deal", None, f"{TENANT}:{INVOICE}")]
    with stand.database.reading() as session:
        assert len(deliveries.about(session, [f"invoice:{TENANT}:{INVOICE}"])) == 1


def test_several_events_about_one_invoice_are_one_job(stand):
    from_xero(stand, body_of(invoice_event(), invoice_event(), invoice_event(invoice=INVOICE.replace("fc5b", "fc5c"))))
    assert len(stand.jobs()) == 2


def test_organisations_that_are_not_connected_are_kept_and_told(stand):
    other = TENANT.replace("4e3e", "4e3f")
    assert from_xero(stand, body_of(invoice_event(tenant=other), invoice_event())).status_code == 200
    assert [job[3] for job in stand.jobs()] == [f"{TENANT}:{INVOICE}"]
    assert [kept.problem for kept in stand.deliveries()] == [f"no connection has the organisation {other}"]


@pytest.mark.parametrize("category", ["CONTACT", "CREDITNOTE", "PREPAYMENT", "SOMETHING NEW"])
def test_other_categories_are_kept_and_make_no_job(stand, category):
    assert from_xero(stand, body_of(invoice_event(category))).status_code == 200
    assert stand.jobs() == []
    assert [kept.problem for kept in stand.deliveries()] == [None]


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'{"events": [{"tenantId": "\\u0000"}]}'])
def test_signed_nonsense_is_kept_and_told(stand, body):
    assert from_xero(stand, body).status_code == 200
    (kept,) = stand.deliveries()
    assert kept.body == body
    assert kept.problem


@pytest.mark.parametrize("name", XERO)
def test_every_sample_of_xeros_is_taken(stand, name):
    assert from_xero(stand, sample(name)).status_code == 200
    assert stand.deliveries()[0].body == sample(name)


# --- any bytes ---------------------------------------------------------------------------------------------------------

MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(body=st.binary(max_size=200) | st.text(alphabet="leadscontacts[]=&0179%5BDid", max_size=120).map(str.encode))
def test_any_bytes_from_kommo_are_taken(stand, body):
    assert from_kommo(stand, body).status_code == 200


@MANY
@given(body=st.binary(max_size=200))
def test_any_signed_bytes_are_taken(stand, body):
    assert from_xero(stand, body).status_code == 200


@MANY
@given(
    path=st.text(max_size=30),
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE"]),
    body=st.binary(max_size=30),
)
def test_any_request_is_answered_without_a_fault_of_ours(stand, path, method, body):
    answer = stand.app.test_client().open("/webhooks/" + path.replace("://", ""), method=method, data=body)
    assert answer.status_code < 500


# --- health ------------------------------------------------------------------------------------------------------------


def test_the_process_answers(stand):
    answer = stand.app.test_client().get("/healthz")
    assert (answer.status_code, answer.data) == (200, b"")


def test_a_receiver_without_a_broker_is_ready_and_says_so(make_stand):
    stand = make_stand(redis_url="redis://127.0.0.1:1/0")
    answer = stand.app.test_client().get("/readyz")
    assert (answer.status_code, answer.json) == (200, {"broker": False, "database": True})


def test_a_receiver_with_a_broker_says_so(make_stand, redis_url):
    answer = make_stand(redis_url=redis_url).app.test_client().get("/readyz")
    assert (answer.status_code, answer.json) == (200, {"broker": True, "database": True})


def test_a_receiver_without_a_database_is_not_ready(make_stand, tmp_path):
    stand = make_stand(redis_url="redis://127.0.0.1:1/0")
    stand.database.close()
    (tmp_path / "receiver.db").unlink()
    (tmp_path / "receiver.db").mkdir()
    answer = stand.app.test_client().get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"broker": False, "database": False})


def test_tables_that_are_not_there_are_a_503_and_not_a_trace(stand, tmp_path):
    with closing(sqlite3.connect(tmp_path / "receiver.db")) as other:
        other.execute("DROP TABLE mentions")
        other.execute("DROP TABLE deliveries")
    answer = from_kommo(stand, form(entry()))
    assert (answer.status_code, answer.data) == (503, b"")
