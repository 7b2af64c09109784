"""The drive and files on leads."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.sandbox.kommo_stand import Stand


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


def begin(stand: Stand, size: int, **more: Any) -> dict[str, Any]:
    content = {"file_name": "INV-1.pdf", "file_size": size, "content_type": "application/pdf", **more}
    found: dict[str, Any] = stand.write("POST", f"{stand.drive_url}/v1.0/sessions", content)
    return found


def send(url: str, part: bytes) -> requests.Response:
    return requests.post(url, data=part, headers={"Content-Type": "application/pdf"}, timeout=5)


def upload(stand: Stand, content: bytes, **more: Any) -> dict[str, Any]:
    session = begin(stand, len(content), **more)
    url, size = session["upload_url"], session["max_part_size"]
    for start in range(0, len(content), size):
        answer = send(url, content[start : start + size])
        assert answer.ok, answer.text
        url = answer.json().get("next_url", "")
    found: dict[str, Any] = answer.json()
    return found


def test_a_file_comes_in_parts(stand: Stand):
    stand.switch(max_part_size=4)
    session = begin(stand, 10)
    first = send(session["upload_url"], b"%PDF")
    assert first.status_code == 202
    assert sorted(first.json()) == ["next_url", "session_id"]
    assert send(session["upload_url"], b"%PDF").status_code == 404
    second = send(first.json()["next_url"], b"-1.7")
    done = send(second.json()["next_url"], b"!!").json()
    assert (done["name"], done["metadata"]["extension"], done["size"]) == ("INV-1", "pdf", 10)
    content = stand.api("GET", done["_links"]["download"]["href"]).content
    assert content == b"%PDF-1.7!!"


def test_parts_and_sessions_have_their_limits(stand: Stand):
    stand.switch(max_part_size=4, part_status=200)
    assert send(begin(stand, 10)["upload_url"], b"12345").status_code == 400
    assert send(begin(stand, 3)["upload_url"], b"1234").status_code == 400
    assert send(begin(stand, 10)["upload_url"], b"1234").status_code == 200
    session = begin(stand, 4)
    stand.tell("/settings", {"clock_shift_s": 86401}, "PATCH")
    assert send(session["upload_url"], b"1234").status_code == 404
    stand.write("POST", f"{stand.drive_url}/v1.0/sessions", {"file_name": "x", "file_size": 0}, 400)


def test_a_new_version_keeps_the_file(stand: Stand):
    first = upload(stand, b"old")
    second = upload(stand, b"newer", file_uuid=first["uuid"])
    assert second["uuid"] == first["uuid"]
    assert second["version_uuid"] != first["version_uuid"]
    assert second["has_multiple_versions"] is True
    [kept] = stand.ask("/books")["kommo"]["files"]
    assert (kept["name"], kept["size"], kept["versions"]) == ("INV-1.pdf", 5, 2)
    versions = stand.get(f"{stand.drive_url}/v1.0/files/{first['uuid']}/versions")["_embedded"]["versions"]
    assert [one["is_main"] for one in versions] == [False, True]


def test_files_hang_on_leads_and_attaching_twice_is_harmless(stand: Stand):
    lead_id, uuid = stand.lead(), upload(stand, b"x")["uuid"]
    assert stand.get(f"/leads/{lead_id}/files") is None
    for _ in range(2):
        assert stand.write("PUT", f"/leads/{lead_id}/files", [{"file_uuid": uuid}]) == {}
    assert [one["file_uuid"] for one in stand.get(f"/leads/{lead_id}/files")["_embedded"]["files"]] == [uuid]
    assert stand.get(f"/files/{uuid}/links")["entities"][0]["id"] == lead_id
    assert len(stand.ask(f"/kommo/leads/{lead_id}")["files"]) == 1
    stand.write("DELETE", f"/leads/{lead_id}/files", [{"file_uuid": uuid}], 202)
    assert stand.get(f"/leads/{lead_id}/files") is None
    stand.write("PUT", "/leads/1/files", [{"file_uuid": uuid}], 404)
    stand.write("PUT", f"/leads/{lead_id}/files", [{"file_uuid": "none"}], 400)


def test_a_file_field_fills_in_what_the_drive_knows(stand: Stand):
    stand.write("POST", "/leads/custom_fields", [{"name": "PDF", "type": "file", "code": "PDF"}], 201)
    lead_id, stored = stand.lead(), upload(stand, b"x")
    value = {"field_code": "PDF", "values": [{"value": {"file_uuid": stored["uuid"]}}]}
    stand.write("PATCH", f"/leads/{lead_id}", {"custom_fields_values": [value]})
    [filled] = stand.get(f"/leads/{lead_id}")["custom_fields_values"]
    assert filled["values"][0]["value"] == {
        "file_uuid": stored["uuid"],
        "version_uuid": stored["version_uuid"],
        "file_name": "INV-1.pdf",
        "file_size": 1,
    }
    assert stand.ask(f"/kommo/leads/{lead_id}")["fields"] == {"PDF": "INV-1.pdf"}


def test_files_need_their_scope(stand: Stand):
    token = stand.tell("/kommo/tokens", {"scopes": ["crm"]})["token"]
    headers = {"Authorization": f"Bearer {token}"}
    sessions = f"{stand.drive_url}/v1.0/sessions"
    assert (
        requests.post(sessions, json={"file_name": "x", "file_size": 1}, headers=headers, timeout=5).status_code == 403
    )
    assert requests.post(sessions, json={"file_name": "x", "file_size": 1}, timeout=5).status_code == 401
    assert requests.get(f"{stand.api_url}/leads/{stand.lead()}/files", headers=headers, timeout=5).status_code == 403


def test_a_trashed_file_is_not_found_until_it_is_restored(stand: Stand):
    uuid = upload(stand, b"x")["uuid"]
    files = f"{stand.drive_url}/v1.0/files"
    assert stand.get(files)["_count"] == 1
    stand.write("DELETE", files, [{"uuid": uuid}])
    assert stand.get(f"{files}/{uuid}") is None
    stand.write("POST", f"{files}/restore", [{"uuid": uuid}])
    assert stand.get(f"{files}/{uuid}")["uuid"] == uuid
