"""Webhooks on their way: what fires them, who gets them, what becomes of them."""

from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest

from tests.conftest import wait_until
from tests.sandbox.kommo_stand import APPROVED, OFFER, SALES, WON, Stand
from tests.sandbox.receiver import Receiver


@pytest.fixture(scope="module")
def running() -> Iterator[Stand]:
    made = Stand()
    yield made
    made.stop()


@pytest.fixture
def stand(running: Stand) -> Stand:
    running.tell("/reset", {"seed": "demo"})
    running.tell("/settings", {"limits": False}, "PATCH")
    return running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


def entries(body: str) -> dict[str, str]:
    return dict(parse_qsl(body, keep_blank_values=True))


def actions(body: str) -> list[str]:
    """`leads[status]` and the like, in order, without repeats."""
    names = [name.split("]")[0] + "]" for name, _ in parse_qsl(body) if not name.startswith("account")]
    return list(dict.fromkeys(names))


def test_leads_moved_in_one_action_come_in_one_body(stand: Stand, receiver: Receiver):
    ids = [stand.lead(stage="Offer") for _ in range(3)]
    stand.subscribe(receiver.url, "status_lead")
    stand.tell("/kommo/leads/move", {"ids": ids, "stage": "Payment approved"})
    [body] = receiver.wait(1)
    found = entries(body)
    assert [int(found[f"leads[status][{number}][id]"]) for number in range(3)] == ids
    assert found["leads[status][2][status_id]"] == str(APPROVED)
    assert found["leads[status][2][old_status_id]"] == str(OFFER)
    assert found["leads[status][2][pipeline_id]"] == str(SALES)
    assert found["account[subdomain]"] == "acme"
    assert found["account[id]"] == "30896271"
    assert body.startswith("account%5Bsubdomain%5D=acme&account%5Bid%5D=30896271&account%5B_links%5D%5Bself%5D=")


def test_a_hook_has_kommos_headers(stand: Stand, receiver: Receiver):
    stand.subscribe(receiver.url, "add_lead")
    stand.lead()
    receiver.wait(1)
    headers = receiver.headers[0]
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert headers["user-agent"] == "amoCRM-Webhooks/3.0"
    assert headers["accept-encoding"] == "gzip"
    assert len(headers["x-amocrm-requestid"]) == 36


def test_writes_by_the_api_fire_hooks_too(stand: Stand, receiver: Receiver):
    lead_id = stand.lead()
    stand.subscribe(receiver.url, "update_lead", "status_lead", "note_lead", "add_contact")
    stand.write("PATCH", "/leads", [{"id": lead_id, "name": "Mine"}])
    stand.write("POST", "/contacts", [{"name": "Acme Ltd"}])
    stand.write(
        "POST",
        f"/leads/{lead_id}/notes",
        [{"note_type": "service_message", "params": {"service": "Xero", "text": "hello"}}],
    )
    bodies = receiver.wait(3)
    assert [actions(body) for body in bodies] == [["leads[update]"], ["contacts[add]"], ["leads[note]"]]
    assert entries(bodies[0])["leads[update][0][modified_user_id]"] == "8375357"
    stand.switch(api_user_in_hooks="robot")
    stand.write("PATCH", f"/leads/{lead_id}", {"name": "Again"})
    assert entries(receiver.wait(4)[3])["leads[update][0][modified_user_id]"] == "0"


def test_a_stage_move_comes_as_status_and_as_update_unless_switched(stand: Stand, receiver: Receiver):
    lead_id = stand.lead()
    stand.subscribe(receiver.url, "update_lead", "status_lead")
    stand.write("PATCH", f"/leads/{lead_id}", {"status_id": APPROVED})
    assert [actions(body) for body in receiver.wait(2)] == [["leads[status]"], ["leads[update]"]]
    stand.switch(status_also_updates=False)
    stand.write("PATCH", f"/leads/{lead_id}", {"status_id": WON})
    stand.switch(status_also_updates=True, bodies="all")
    stand.write("PATCH", f"/leads/{lead_id}", {"status_id": OFFER})
    assert [actions(body) for body in receiver.wait(4)][2:] == [["leads[status]"], ["leads[status]", "leads[update]"]]


def test_bodies_can_be_varied_as_older_accounts_have_them(stand: Stand, receiver: Receiver):
    stand.subscribe(receiver.url, "add_lead")
    stand.switch(bodies="entity", account_block="last", account_domain="amocrm.com", empty_names=True)
    stand.tell("/kommo/leads", [{"name": "A"}, {"name": "B"}])
    bodies = receiver.wait(2)
    assert bodies[0].endswith("acme.amocrm.com")
    assert entries(bodies[1])["leads[add][0][name]"] == ""


def test_companies_come_under_contacts_with_their_type(stand: Stand, receiver: Receiver):
    stand.subscribe(receiver.url, "add_company", "update_company", "delete_company")
    company = stand.tell("/kommo/companies", {"name": "Acme Ltd", "email": "office@acme.example"})["id"]
    stand.tell(f"/kommo/companies/{company}", {"phone": "+44 20 7946 0000"}, "PATCH")
    stand.tell(f"/kommo/companies/{company}", method="DELETE")
    bodies = receiver.wait(3)
    assert [actions(body) for body in bodies] == [["contacts[add]"], ["contacts[update]"], ["contacts[delete]"]]
    assert entries(bodies[0])["contacts[add][0][type]"] == "company"


def test_deleting_restoring_and_copying_fire_their_own(stand: Stand, receiver: Receiver):
    lead_id = stand.lead(fields={"Invoice currency": "EUR"})
    stand.subscribe(receiver.url, "add_lead", "delete_lead", "restore_lead")
    copy = stand.tell(f"/kommo/leads/{lead_id}/copy")["id"]
    stand.tell(f"/kommo/leads/{lead_id}", method="DELETE")
    assert stand.get(f"/leads/{lead_id}") is None
    stand.tell(f"/kommo/leads/{lead_id}/restore")
    bodies = receiver.wait(3)
    assert [actions(body) for body in bodies] == [["leads[add]"], ["leads[delete]"], ["leads[restore]"]]
    assert stand.ask(f"/kommo/leads/{copy}")["fields"] == {"Invoice currency": "EUR"}


def test_the_digital_pipeline_fires_on_its_stage_only(stand: Stand, receiver: Receiver):
    stand.tell("/kommo/digital-pipeline", {"pipeline": "Sales", "stage": "Payment approved", "url": receiver.url})
    moved = stand.lead(stage="Offer")
    stand.tell("/kommo/leads/move", {"ids": [moved], "stage": "Payment approved"})
    made = stand.lead(stage="Payment approved")
    bodies = receiver.wait(2)
    assert bodies[0] == (
        f"leads%5Bstatus%5D%5B0%5D%5Bid%5D={moved}&leads%5Bstatus%5D%5B0%5D%5Bstatus_id%5D={APPROVED}"
        f"&leads%5Bstatus%5D%5B0%5D%5Bpipeline_id%5D={SALES}&leads%5Bstatus%5D%5B0%5D%5Bold_status_id%5D={OFFER}"
        f"&leads%5Bstatus%5D%5B0%5D%5Bold_pipeline_id%5D={SALES}&account%5Bid%5D=30896271&account%5Bsubdomain%5D=acme"
    )
    assert entries(bodies[1])["leads[add][0][id]"] == str(made)


@pytest.mark.parametrize(("status", "attempts"), [(404, 3), (302, 3), (500, 5), (499, 5)])
def test_the_ladder_of_retries(stand: Stand, receiver: Receiver, status: int, attempts: int):
    stand.tell("/settings", {"time_factor": 20000}, "PATCH")
    stand.subscribe(receiver.url, "add_lead")
    receiver.statuses = [status] * 9
    stand.lead()
    [lost] = wait_until(lambda: stand.ask("/webhooks?state=lost"))
    assert [attempt["status"] for attempt in lost["attempts"]] == [status] * attempts
    assert len(set(receiver.bodies)) == 1


@pytest.mark.parametrize(("counts_as", "attempts"), [(0, 3), (499, 5)])
def test_a_late_answer_is_none(stand: Stand, receiver: Receiver, counts_as: int, attempts: int):
    stand.tell("/settings", {"time_factor": 20000}, "PATCH")
    stand.switch(hook_timeout_s=0.1, timeout_class=counts_as)
    stand.subscribe(receiver.url, "add_lead")
    receiver.statuses = [0] * 5
    stand.lead()
    [lost] = wait_until(lambda: stand.ask("/webhooks?state=lost"))
    assert [attempt["error"] for attempt in lost["attempts"]] == ["timeout"] * attempts


def test_too_many_bad_answers_switch_a_webhook_off(stand: Stand, receiver: Receiver):
    stand.switch(disable_after=3)
    stand.subscribe(receiver.url, "add_lead")
    receiver.statuses = [500] * 4
    for _ in range(4):
        stand.lead()
    wait_until(lambda: stand.get("/webhooks")["_embedded"]["webhooks"][0]["disabled"])
    stand.lead()
    assert len(stand.ask("/webhooks")) == 4
    stand.subscribe(receiver.url, "add_lead")
    assert stand.get("/webhooks")["_embedded"]["webhooks"][0]["disabled"] is True
    stand.tell("/kommo/webhooks/enable", {"destination": receiver.url})
    stand.lead()
    assert stand.get("/webhooks")["_embedded"]["webhooks"][0]["disabled"] is False
    assert len(stand.ask("/webhooks")) == 5


def test_subscriptions_are_kept_by_destination(stand: Stand):
    assert stand.get("/webhooks") is None
    made = stand.write(
        "POST", "/webhooks", {"destination": "https://a.example/h", "settings": ["add_lead"], "sort": 10}
    )
    assert list(made) == [
        "id",
        "destination",
        "created_at",
        "updated_at",
        "account_id",
        "created_by",
        "sort",
        "disabled",
        "settings",
    ]
    stand.write("POST", "/webhooks", {"destination": "https://a.example/h", "settings": ["status_lead"]})
    [found] = stand.get("/webhooks", **{"filter[destination]": "https://a.example/h"})["_embedded"]["webhooks"]
    assert (found["id"], found["settings"]) == (made["id"], ["status_lead"])
    stand.switch(webhook_repost="merge", webhook_post_status=201)
    again = stand.write("POST", "/webhooks", {"destination": "https://a.example/h", "settings": ["add_lead"]}, 201)
    assert again["settings"] == ["status_lead", "add_lead"]
    assert (
        stand.api("POST", "/webhooks", {"destination": "https://a.example/h", "settings": ["nonsense"]}).status_code
        == 400
    )
    stand.write("DELETE", "/webhooks", {"destination": "https://a.example/h"}, 204)
    stand.write("DELETE", "/webhooks", {"destination": "https://a.example/h"}, 404)


def test_the_base_plan_has_no_webhooks_but_those_of_a_stage(stand: Stand, receiver: Receiver):
    stand.subscribe(f"{receiver.url}/account", "add_lead", "status_lead")
    stand.tell("/kommo/digital-pipeline", {"pipeline": "Sales", "stage": "Payment approved", "url": receiver.url})
    stand.switch(plan="Base")
    assert stand.api("GET", "/webhooks").status_code == 402
    stand.switch(no_plan_status=403)
    assert stand.api("POST", "/webhooks", {"destination": receiver.url, "settings": ["add_lead"]}).status_code == 403
    lead = stand.lead()
    stand.tell("/kommo/leads/move", {"ids": [lead], "stage": "Payment approved"})
    receiver.wait(1)
    assert [hook["target"] for hook in stand.ask("/webhooks")] == [receiver.url]
    stand.switch(plan="Advanced")
    assert stand.get("/webhooks")["_total_items"] == 1


def test_a_merge_deletes_one_lead_and_updates_the_other(stand: Stand, receiver: Receiver):
    gone, kept = stand.lead(fields={"Services": "Painting"}), stand.lead()
    stand.subscribe(receiver.url, "delete_lead", "update_lead")
    stand.tell(f"/kommo/leads/{gone}/merge", {"into": kept})
    assert sorted(actions(body)[0] for body in receiver.wait(2)) == ["leads[delete]", "leads[update]"]
    assert stand.ask(f"/kommo/leads/{kept}")["fields"] == {"Services": "Painting"}
    [event] = stand.get("/events", **{"filter[type]": "entity_merged"})["_embedded"]["events"]
    assert event["entity_id"] == kept
