"""The kit alone, with a vendor of three lines."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask, request

from sandbox.kit import Answer, Kit, Vendor, note
from sandbox.kit.faults import Fault
from sandbox.kit.stand import Sandbox
from tests.conftest import wait_until
from tests.sandbox.receiver import Receiver


def open_toy(kit: Kit, _seed: str) -> Vendor:
    app = Flask("toy")
    made: list[str] = []
    sender = kit.hooks.sender(
        "kommo", patience=lambda: 0.3, ladder=lambda tried: [5.0, 5.0, None][len(tried.attempts) - 1]
    )

    @app.post("/things")
    def make() -> str:
        note().client = "someone"
        made.append(request.get_data(as_text=True))
        return "made"

    @app.get("/things")
    def read() -> str:
        return json.dumps(made)

    @app.post("/hook")
    def hook() -> str:
        sender.submit(request.args["to"], request.get_data(), {"content-type": "text/plain", "user-agent": "toy/1"})
        return ""

    def fault_answer(fault: Fault) -> Answer | None:
        return Answer(429, [("Retry-After", "7")]) if fault.do == 429 else None

    return Vendor(
        name="kommo",
        ports={"kommo": kit.front("kommo", app, fault_answer)},
        books=lambda: {"things": made},
        reset=lambda _seed: made.clear(),
    )


@pytest.fixture
def toy() -> Iterator["Toy"]:
    with Sandbox([open_toy]) as sandbox, requests.Session() as session:
        yield Toy(sandbox, session)


class Toy:
    def __init__(self, sandbox: Sandbox, session: requests.Session) -> None:
        self.url = sandbox.kit.urls["kommo"]
        self.control = sandbox.kit.urls["control"] + "/_sandbox"
        self.session = session

    def make(self, what: str = "x", **more: Any) -> requests.Response:
        return self.session.post(f"{self.url}/things", data=what, timeout=5, **more)

    def ask(self, path: str) -> Any:
        return requests.get(self.control + path, timeout=5).json()

    def tell(self, path: str, content: Any = None, method: str = "POST") -> requests.Response:
        answer = requests.request(method, self.control + path, json=content, timeout=20)
        answer.raise_for_status()
        return answer

    def fault(self, **wanted: Any) -> None:
        self.tell("/faults", {"vendor": "kommo", "call": "POST /things", **wanted})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver(late_s=0.5)
    yield made
    made.stop()


def test_connections_live_on(toy: Toy):
    with requests.Session() as session:
        for number in range(3):
            answer = session.post(f"{toy.url}/things", data=str(number), stream=True, timeout=5)
            assert answer.headers["Connection"] == "keep-alive"
            assert answer.content == b"made"
    assert toy.ask("/books") == {"kommo": {"things": ["0", "1", "2"]}}


def test_a_body_in_chunks_is_read(toy: Toy):
    assert toy.session.post(f"{toy.url}/things", data=iter([b"ab", b"cd"]), timeout=5).ok
    assert toy.ask("/books")["kommo"]["things"] == ["abcd"]


def test_a_fault_before_leaves_no_effect_and_one_after_does(toy: Toy):
    toy.fault(when="before", do=500)
    assert toy.make("never").status_code == 500
    toy.fault(when="after", do=504)
    lost = toy.make("lost")
    assert (lost.status_code, lost.headers["Content-Type"]) == (504, "text/html")
    assert toy.make("plain").status_code == 200
    assert toy.ask("/books")["kommo"]["things"] == ["lost", "plain"]
    assert [(fault["do"], fault["fired"]) for fault in toy.ask("/faults")] == [(500, 1), (504, 1)]


def test_a_vendor_words_its_own_faults(toy: Toy):
    toy.fault(do=429)
    assert toy.make().headers["Retry-After"] == "7"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_reset_is_seen_by_the_client(toy: Toy, when: str):
    toy.fault(when=when, do="reset")
    with pytest.raises(requests.ConnectionError):
        toy.make("cut")
    assert toy.ask("/books")["kommo"]["things"] == (["cut"] if when == "after" else [])
    assert toy.ask("/calls")[-1]["status"] is None
    assert toy.make("next").ok


def test_silence_lasts_until_the_client_gives_up(toy: Toy):
    toy.fault(do="timeout")
    with pytest.raises(requests.ReadTimeout):
        toy.session.post(f"{toy.url}/things", data="x", timeout=0.2)


def test_a_held_answer_waits_for_its_release(toy: Toy):
    toy.fault(when="after", do="hold")
    answers: list[int] = []
    asking = threading.Thread(
        target=lambda: answers.append(requests.post(f"{toy.url}/things", data="x", timeout=10).status_code)
    )
    asking.start()
    held = wait_until(lambda: toy.ask("/held"))
    assert toy.ask("/books")["kommo"]["things"] == ["x"]
    assert answers == []
    toy.tell(f"/held/{held[0]['id']}/release")
    asking.join(5)
    assert answers == [200]
    assert toy.ask("/held") == []


def test_a_fault_can_skip_calls_and_names_an_exact_path(toy: Toy):
    toy.fault(call="POST /thing$", do=500)
    toy.fault(call="POST /thi*", do=503, skip=1, times=2)
    assert [toy.make().status_code for _ in range(4)] == [200, 503, 503, 200]


def test_a_fault_that_makes_no_sense_is_refused(toy: Toy):
    answer = requests.post(f"{toy.control}/faults", json={"call": "POST /things", "do": "explode"}, timeout=5)
    assert answer.status_code == 400
    assert "explode" not in toy.ask("/faults")


def test_calls_are_logged_and_counted(toy: Toy):
    seq = toy.tell("/calls/mark").json()["seq"]
    toy.make()
    toy.session.get(f"{toy.url}/nowhere?a=1", timeout=5)
    calls = toy.ask(f"/calls?after={seq}&vendor=kommo")
    assert [
        (call["method"], call["path"], call["query"], call["status"], call["effect"], call["client"]) for call in calls
    ] == [
        ("POST", "/things", "", 200, "taken", "someone"),
        ("GET", "/nowhere", "a=1", 404, "refused", ""),
    ]
    assert toy.ask(f"/calls/count?after={seq}")["total"] == {"kommo": 2}


def test_an_answer_takes_as_long_as_it_is_told(toy: Toy):
    toy.tell("/settings", {"answer_ms": {"kommo": 120}}, "PATCH")
    assert toy.make().elapsed.total_seconds() >= 0.12


def test_an_unknown_setting_is_refused_and_a_reset_brings_the_defaults_back(toy: Toy):
    assert requests.patch(f"{toy.control}/settings", json={"answer_ms": {"nobody": 1}}, timeout=5).status_code == 400
    toy.tell("/settings", {"time_factor": 9}, "PATCH")
    toy.make()
    toy.fault(do=500)
    toy.tell("/reset", {"seed": "demo"})
    assert toy.ask("/settings")["time_factor"] == 1.0
    assert toy.ask("/faults") == []
    assert toy.ask("/books") == {"kommo": {"things": []}}


def test_hooks_are_sent_in_order_with_the_headers_given(toy: Toy, receiver: Receiver):
    for number in range(20):
        toy.session.post(f"{toy.url}/hook", params={"to": receiver.url}, data=str(number), timeout=5)
    wait_until(lambda: toy.ask("/webhooks/pending")["count"] == 0)
    assert receiver.bodies == [str(number) for number in range(20)]
    assert toy.ask("/webhooks")[0]["headers"] == {"content-type": "text/plain", "user-agent": "toy/1"}


def test_a_hook_is_tried_again_and_at_last_lost(toy: Toy, receiver: Receiver):
    toy.tell("/settings", {"time_factor": 100}, "PATCH")
    receiver.statuses = [500, 0, 404]
    toy.session.post(f"{toy.url}/hook", params={"to": receiver.url}, data="x", timeout=5)
    [sent] = wait_until(lambda: [hook for hook in toy.ask("/webhooks") if hook["state"] == "lost"])
    assert [(attempt["status"], attempt["error"]) for attempt in sent["attempts"]] == [
        (500, ""),
        (None, "timeout"),
        (404, ""),
    ]


def test_a_flush_does_not_wait_for_the_ladder(toy: Toy, receiver: Receiver):
    receiver.statuses = [500]
    toy.session.post(f"{toy.url}/hook", params={"to": receiver.url}, data="x", timeout=5)
    wait_until(lambda: toy.ask("/webhooks?state=retrying"))
    assert toy.tell("/webhooks/flush").json() == {"sent": 1, "pending": 0}
    assert receiver.bodies == ["x", "x"]


def test_paused_hooks_wait(toy: Toy, receiver: Receiver):
    toy.tell("/settings", {"hooks_paused": True}, "PATCH")
    toy.session.post(f"{toy.url}/hook", params={"to": receiver.url}, data="x", timeout=5)
    assert toy.ask("/webhooks/pending") == {"count": 1}
    assert toy.tell("/webhooks/flush").json() == {"sent": 1, "pending": 0}


def test_noise_drops_doubles_and_reorders_by_its_seed(toy: Toy, receiver: Receiver):
    noise = {"drop": 0.3, "duplicate": 0.3, "reorder": 0.5, "seed": 7}
    toy.tell("/settings", {"noise": noise}, "PATCH")
    for number in range(40):
        toy.session.post(f"{toy.url}/hook", params={"to": receiver.url}, data=str(number), timeout=5)
    wait_until(lambda: toy.ask("/webhooks/pending")["count"] == 0)
    dropped = toy.ask("/webhooks?state=dropped")
    doubled = [hook for hook in toy.ask("/webhooks") if hook["copy_of"]]
    arrived = [int(body) for body in receiver.bodies]
    assert 3 < len(dropped) < 22
    assert 2 < len(doubled) < 20
    assert len(arrived) == 40 - len(dropped) + len(doubled)
    assert arrived != sorted(arrived)
