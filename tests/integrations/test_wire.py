"""What became of a call: by what came back, or did not, and by what the call would have done."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import requests

from integrations import line
from integrations.answer import Answer, Effect
from integrations.errors import (
    Broken,
    CallError,
    LeaseLost,
    OutcomeUnknown,
    RateLimited,
    Refusal,
    Unauthorised,
    Unreachable,
)
from integrations.script import open_redis
from integrations.turns import Heard, Priority, Turns, Window
from integrations.wire import CallRecord, Wire
from integrations.xero import dialect
from tests.integrations.conftest import Grant, OpenBudget
from tests.integrations.vendor import Reply, Vendor, empty, page, said

Wires = Callable[..., Wire]
EXPIRED = said({"Detail": "TokenExpired: token expired at 08/12/2022 07:00:40", "Status": 401}, 401)


def call(wire: Wire, url: str, *, effect: Effect = "none", method: str = "GET", **more) -> Answer:
    settings = {"write": effect != "none", "priority": Priority.NEW, "meaning": dialect.meaning, **more}
    return wire.send(method, url, effect=effect, **settings)


@pytest.fixture
def wire(wires: Wires) -> Wire:
    return wires(read_timeout=0.3)


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}/api"


@pytest.mark.parametrize("effect", ["none", "same", "create"])
def test_a_connection_that_was_never_made_is_unreachable_for_every_call(wire: Wire, nobody: str, effect: Effect):
    with pytest.raises(Unreachable, match="not connected"):
        call(wire, nobody, effect=effect)


@pytest.mark.parametrize("effect", ["none", "create"])
def test_a_name_that_nobody_has_is_unreachable(wire: Wire, effect: Effect):
    with pytest.raises(Unreachable, match="not connected"):
        call(wire, "http://no-such-host.invalid/api", effect=effect)


@pytest.mark.parametrize("url", ["http:///api", "nonsense://host/api", "//host/api"])
def test_an_address_that_is_none_is_unreachable(wire: Wire, url: str):
    with pytest.raises(Unreachable, match="not connected"):
        call(wire, url, effect="create", shown="/api")


@pytest.mark.parametrize("act", ["reset", "silence", "half"])
@pytest.mark.parametrize(
    ("effect", "error"), [("none", Unreachable), ("same", Unreachable), ("create", OutcomeUnknown)]
)
def test_a_lost_answer_leaves_the_outcome_of_a_create_unknown(wire: Wire, vendor: Vendor, act, effect, error):
    vendor.will(Reply(200, b'{"Invoices": []}', {"Content-Type": "application/json"}, act=act))
    with pytest.raises(CallError, match="no answer") as lost:
        call(wire, vendor.url, effect=effect, method="PUT", content=b"{}")
    assert type(lost.value) is error
    assert len(vendor.seen) == 1  # and nothing was sent again


@pytest.mark.parametrize(
    "reply",
    [
        said({"Title": "An error occurred", "Status": 500}, 500),
        page("<html>502 Bad Gateway</html>", 502),
        page("<html>504</html>", 504),
        Reply(503, b"The Xero API is temporarily unavailable", {"Content-Type": "text/plain"}),
        empty(302, Location="http://127.0.0.1:1/elsewhere"),
        page("<html>not JSON at all</html>", 400),
    ],
)
@pytest.mark.parametrize(("effect", "error"), [("none", Broken), ("same", Broken), ("create", OutcomeUnknown)])
def test_a_vendors_own_failure_leaves_the_outcome_of_a_create_unknown(wire: Wire, vendor: Vendor, reply, effect, error):
    vendor.will(reply)
    with pytest.raises(CallError) as failure:
        call(wire, vendor.url, effect=effect)
    assert type(failure.value) is error
    assert failure.value.status == reply.status
    assert len(vendor.seen) == 1


@pytest.mark.parametrize(
    "reply",
    [
        said(b'{"Invoices": [', 200),
        page("<html>maintenance</html>", 200),
        Reply(200, b"\xff\xfe", {}),
        said({"no": "invoices"}),
        said([1, 2]),
        said(b'{"Invoices": NaN}'),
        said(b"[" * 5000),
    ],
)
@pytest.mark.parametrize(("effect", "error"), [("none", Broken), ("create", OutcomeUnknown)])
def test_an_answer_that_can_not_be_read_is_no_success(wire: Wire, vendor: Vendor, reply, effect, error):
    vendor.will(reply)
    answer = call(wire, vendor.url, effect=effect)
    with pytest.raises(error):
        answer.parse(lambda found: found["Invoices"][0])


def test_numbers_come_exact(wire: Wire, vendor: Vendor):
    vendor.will(said(b'{"Total": 24.15, "Rate": 1e-2}', 200))
    assert call(wire, vendor.url).json() == {"Total": Decimal("24.15"), "Rate": Decimal("0.01")}


def test_an_empty_answer_is_none(wire: Wire, vendor: Vendor):
    vendor.will(empty(204))
    answer = call(wire, vendor.url)
    assert answer.json() is None
    assert answer.media_type == ""


def test_json_is_json_by_its_content_type(wire: Wire, vendor: Vendor):
    vendor.will(Reply(200, b"{}", {"Content-Type": "Application/hal+JSON; charset=utf-8"}))
    assert call(wire, vendor.url).json() == {}


def test_the_fence_is_the_last_step_before_a_write(wires: Wires, vendor: Vendor, budget: OpenBudget):
    seen = []

    def fence() -> bool:
        seen.append((len(budget.asked), budget.held))
        return False

    wire = wires(fence=fence)
    with pytest.raises(LeaseLost):
        call(wire, vendor.url, effect="create", method="PUT", content=b"{}")
    assert seen == [(1, 1)]  # its turn was there already
    assert budget.held == 0
    assert vendor.seen == []


def test_reads_need_no_fence(wires: Wires, vendor: Vendor):
    vendor.will(said({}))
    assert call(wires(fence=lambda: False), vendor.url).json() == {}


def test_the_same_wire_serves_another_job_under_its_own_fence(wires: Wires, vendor: Vendor):
    vendor.will(said({}), said({}))
    mine: list[CallRecord] = []
    theirs: list[CallRecord] = []
    wire = wires(on_call=mine.append)
    other = wire.fenced(lambda: False, theirs.append)
    call(wire, vendor.url, effect="same")
    call(other, vendor.url)
    with pytest.raises(LeaseLost):
        call(other, vendor.url, effect="same")
    assert (len(mine), len(theirs)) == (1, 1)
    assert len({seen.connection for seen in vendor.seen}) == 1


def test_a_token_that_ran_out_is_renewed_once_and_the_call_goes_on(wire: Wire, vendor: Vendor, grant: Grant, budget):
    vendor.will(EXPIRED, said({"ok": True}))
    assert call(wire, vendor.url, effect="create", method="PUT", json_body={"a": 1}).json() == {"ok": True}
    assert [seen.headers["Authorization"] for seen in vendor.seen] == ["Bearer first", "Bearer second"]
    assert [seen.json for seen in vendor.seen] == [{"a": 1}, {"a": 1}]
    assert grant.stale == ["first"]
    assert len(grant.worked) == 1
    assert len(budget.asked) == 2  # the vendor counts refused calls too


def test_a_new_token_that_is_refused_means_that_a_person_must_connect_again(wire: Wire, vendor: Vendor, grant: Grant):
    vendor.will(EXPIRED, EXPIRED)
    with pytest.raises(Unauthorised, match="with a new token") as refused:
        call(wire, vendor.url)
    assert refused.value.reason is Refusal.REVOKED
    assert grant.stale == ["first"]


def test_a_refusal_that_no_token_mends_is_not_tried_again(wire: Wire, vendor: Vendor, grant: Grant):
    vendor.will(said({"Detail": "AuthorizationUnsuccessful"}, 401))
    with pytest.raises(Unauthorised) as refused:
        call(wire, vendor.url)
    assert refused.value.reason is Refusal.SCOPE
    assert grant.stale == grant.worked == []


def test_another_refusal_after_the_renewal_keeps_its_own_reason(wire: Wire, vendor: Vendor):
    vendor.will(EXPIRED, said({"Detail": "AuthenticationUnsuccessful"}, 403))
    with pytest.raises(Unauthorised) as refused:
        call(wire, vendor.url)
    assert refused.value.reason is Refusal.DISCONNECTED


def test_the_fence_also_guards_the_second_try(wires: Wires, vendor: Vendor):
    holds = iter([True, False])
    vendor.will(EXPIRED)
    with pytest.raises(LeaseLost):
        call(wires(fence=lambda: next(holds)), vendor.url, effect="create")
    assert len(vendor.seen) == 1


def test_a_refusal_by_rate_is_never_an_unknown_outcome(wire: Wire, vendor: Vendor, budget: OpenBudget):
    vendor.will(empty(429, Retry_After="26"))
    with pytest.raises(RateLimited) as refused:
        call(wire, vendor.url, effect="create", limits=lambda _: Heard(stop=26))
    assert (refused.value.retry_after, refused.value.own) == (26, False)
    assert budget.told == [Heard(stop=26)]


def test_no_turn_no_call(wires: Wires, vendor: Vendor, grant: Grant):
    closed = Turns(open_redis("redis://127.0.0.1:1/0"), key="any", windows=[Window("minute", 1, 60)])
    wire = Wire(vendor="xero", tokens=grant, turns=closed)
    with pytest.raises(RateLimited) as refused:
        call(wire, f"{vendor.url}/Invoices")
    assert refused.value.own
    assert (refused.value.vendor, refused.value.call) == ("xero", "GET /Invoices")
    assert vendor.seen == []


def test_patience_is_the_callers(wire: Wire, vendor: Vendor, budget: OpenBudget):
    vendor.will(said({}))
    call(wire, vendor.url, priority=Priority.PDF, patience=0.5)
    assert budget.asked == [(Priority.PDF, 0.5)]


def test_redirects_are_not_followed(wire: Wire, vendor: Vendor, drive: Vendor):
    vendor.will(empty(307, Location=drive.url))
    with pytest.raises(Broken):
        call(wire, vendor.url)
    assert drive.seen == []


def test_cookies_are_not_kept(wire: Wire, vendor: Vendor):
    vendor.will(said({}, Set_Cookie="session=1"), said({}))
    call(wire, vendor.url)
    call(wire, vendor.url)
    assert vendor.last.headers["Cookie"] is None


def test_no_netrc_takes_the_place_of_the_token(wires: Wires, vendor: Vendor, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("default login mallory password guessed")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    vendor.will(said({}))
    session = wires()._line._session
    prepared = session.prepare_request(requests.Request("GET", vendor.url, auth=line.Bearer("mine")))
    assert prepared.headers["Authorization"] == "Bearer mine"


def test_a_proxy_is_not_asked_for_this_machine(wire: Wire, vendor: Vendor, monkeypatch, nobody: str):
    monkeypatch.setenv("HTTP_PROXY", nobody)
    monkeypatch.setenv("http_proxy", nobody)
    vendor.will(said({}))
    call(wire, vendor.url)
    with pytest.raises(Unreachable, match="ProxyError"):
        call(wire, "http://vendor.example/api", effect="create")


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://localhost:1", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:9", True),
        ("https://api.xero.com", False),
    ],
)
def test_which_addresses_are_this_machine(url: str, own: bool):
    assert line.is_loopback(url) is own


def test_connections_are_kept_for_reads(wire: Wire, vendor: Vendor):
    vendor.will(said({}), said({}), said({}))
    for _ in range(3):
        call(wire, vendor.url)
    assert len({seen.connection for seen in vendor.seen}) == 1


def test_a_create_goes_over_a_fresh_connection_when_the_last_call_is_long_ago(wires: Wires, vendor: Vendor):
    for wire, connections in ((wires(), 1), (wires(fresh=0.0), 2)):
        vendor.will(said({}), said({}))
        call(wire, vendor.url)
        call(wire, vendor.url, effect="create")
        assert len({seen.connection for seen in vendor.seen[-2:]}) == connections


def test_a_connection_that_the_server_has_closed_is_not_used_again(wire: Wire, vendor: Vendor, until):
    vendor.will(Reply(200, b"{}", {"Content-Type": "application/json"}, leave=True), said({}))
    call(wire, vendor.url)
    until(lambda: vendor.closed == 1, 5)
    assert call(wire, vendor.url).json() == {}


def test_a_record_holds_what_happened_and_nothing_personal(wires: Wires, vendor: Vendor, records):
    at = datetime(2026, 3, 1, 9, tzinfo=UTC)
    wire = wires("xero", now=lambda: at)
    vendor.will(said({}, Xero_Correlation_Id="c-1"), said({}, X_Request_Id="r-1"), Reply(act="reset"))
    query = [("where", 'Name=="Ada"'), ("page", 1), ("filter[id][]", 1), ("filter[id][]", 2)]
    call(wire, f"{vendor.url}/api/Contacts", params=query)
    call(wire, f"{vendor.url}/upload/secret-token", shown="/upload")
    with pytest.raises(Unreachable, match=r"GET /api/Contacts: no answer") as lost:
        call(wire, f"{vendor.url}/api/Contacts", params=query)
    assert "Ada" not in str(lost.value)
    contacts, upload, dropped = records
    assert contacts.path == "/api/Contacts?where&page&filter[id][]"
    assert (contacts.vendor, contacts.method, contacts.status, contacts.request_id) == ("xero", "GET", 200, "c-1")
    assert contacts.at == at
    assert contacts.ms >= 0
    assert contacts.turn_ms >= 0
    assert (upload.path, upload.request_id) == ("/upload", "r-1")
    assert (dropped.status, dropped.request_id) == (None, None)


def test_time_outs_are_never_left_to_chance(wires: Wires):
    assert all(timeout > 0 for timeout in wires()._timeouts)
