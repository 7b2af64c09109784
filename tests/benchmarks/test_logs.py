"""What the sandbox's logs tell about a run."""

from urllib.parse import urlencode

import pytest

from tests.benchmarks import calllog, hooklog
from tests.benchmarks.idle import passage
from tests.benchmarks.watching import tell


def call(vendor: str, method: str, path: str, ended: float, *, ms: int = 100, status: int = 200) -> dict[str, object]:
    at = f"2026-11-24T10:00:{ended:09.6f}+00:00"
    effect = "refused" if status >= 400 else "none" if method == "GET" else "taken"
    return {"at": at, "vendor": vendor, "method": method, "path": path, "status": status, "ms": ms, "effect": effect}


def hook(
    action: str, fields: dict[str, str], *, at: float, lead_id: int = 7, vendor: str = "kommo"
) -> dict[str, object]:
    pairs = {f"leads[{action}][0][id]": str(lead_id)}
    for index, (name, value) in enumerate(fields.items()):
        pairs[f"leads[{action}][0][custom_fields][{index}][id]"] = "1"
        pairs[f"leads[{action}][0][custom_fields][{index}][name]"] = name
        pairs[f"leads[{action}][0][custom_fields][{index}][values][0][value]"] = value
    when = f"2026-11-24T10:00:{at:09.6f}+00:00"
    return {"vendor": vendor, "body": urlencode(pairs), "created": when, "attempts": [{"at": when}]}


START = calllog.read([call("kommo", "GET", "/api/v4/leads", 0)])[0].ended


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/api/v4/leads/7593932/files", "/leads/{id}/files"),
        ("/api/v4/leads", "/leads"),
        ("/api.xro/2.0/Invoices/5b96e86b-418e-48d8-8949-308c14aec278", "/Invoices/{id}"),
        ("/api.xro/2.0/Contacts/kommo:1:company:2", "/Contacts/{id}"),
        ("/upload/" + "0a" * 32, "/upload/{id}"),
        ("/v1.0/sessions", "/v1.0/sessions"),
    ],
)
def test_calls_are_counted_by_the_shape_of_their_path(path, shape):
    assert calllog.read([call("kommo", "GET", path, 1)])[0].shape == shape


def test_requests_for_tokens_are_no_calls():
    assert calllog.read([call("xero", "POST", "/connect/token", 1)]) == []


def test_answers_at_the_same_time_count_once():
    calls = calllog.read(
        [call("kommo", "GET", "/a", 1.0), call("xero", "GET", "/b", 1.05), call("xero", "GET", "/c", 2.0)]
    )
    assert calllog.answering(calls, since=START, until=START + 3) == pytest.approx(0.25)


def test_only_the_part_of_an_answer_within_the_window_counts():
    calls = calllog.read([call("kommo", "GET", "/a", 1.0)])
    assert calllog.answering(calls, since=START + 0.95, until=START + 0.98) == pytest.approx(0.03)


def test_refusals_are_counted_by_vendor():
    calls = calllog.read([call("kommo", "GET", "/a", 1, status=429), call("xero", "GET", "/a", 1, status=404)])
    assert calllog.refusals(calls) == {"kommo": 1}
    assert calllog.of(calls, "kommo") == []


def test_the_first_time_that_a_deal_showed_a_field_is_found():
    hooks = [
        hook("update", {"Xero invoice status": "Paid", "Other": "x"}, at=3),
        hook("update", {"Xero invoice status": "Awaiting payment"}, at=2),
        hook("update", {"Other": "Paid"}, at=1),
    ]
    assert hooklog.first_shown(hooks, "Xero invoice status") == {7: START + 2}
    assert hooklog.first_shown(hooks, "Xero invoice status", "Paid") == {7: START + 3}


def test_fields_of_two_leads_in_one_body_are_not_mixed():
    two = "leads[update][0][id]=1&leads[update][1][id]=2&leads[update][1][custom_fields][0][name]=A&leads[update][1][custom_fields][0][values][0][value]=x"
    assert dict(hooklog.entries(two)) == {1: {}, 2: {"A": "x"}}


def test_a_passage_is_all_of_the_way_and_the_part_that_was_waited_for():
    calls = calllog.read(
        [
            call("kommo", "GET", "/api/v4/leads", 1.2),
            call("xero", "PUT", "/api.xro/2.0/Invoices", 1.4),
            call("kommo", "PATCH", "/api/v4/leads", 1.6),
            call("kommo", "POST", "/api/v4/leads/notes", 1.8),
        ]
    )
    hooks = [hook("status", {}, at=1.0), hook("update", {"Xero invoice number": "INV-1"}, at=1.52)]
    way = passage(calls, hooks, 7)
    assert (way.total, way.answering, way.overhead) == pytest.approx((0.6, 0.3, 0.3))
    assert way.calls == ("kommo GET /leads", "xero PUT /Invoices", "kommo PATCH /leads")


def test_a_story_counts_from_the_last_webhook():
    calls = calllog.read(
        [
            call("xero", "PUT", "/api.xro/2.0/Invoices", 3),
            call("xero", "PUT", "/api.xro/2.0/Invoices", 9, status=429),
            call("kommo", "PUT", "/api/v4/leads/7/files", 5),
        ]
    )
    hooks = [hook("status", {}, at=1), hook("status", {}, at=2), hook("update", {"Xero invoice status": "Paid"}, at=4)]
    story = tell(2, calls, hooks, by_field=True)
    assert (story.hooks, story.invoice, story.status, story.pdf) == pytest.approx((1, 1, 2, 3))
    assert story.from_first == pytest.approx(2)
    assert story.per_invoice("xero") == 1
    assert story.shown == pytest.approx((3,))
