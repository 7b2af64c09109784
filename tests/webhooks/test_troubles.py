"""When our own servers fail: the vendors are answered in time, and told the truth."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlencode

import pytest

from tests.webhooks.conftest import ACCOUNT, APPROVED, SALES, TOKEN
from webhooks.deadline import Deadline, TooLate
from webhooks.ringing import MOST_WAITING, Ringer
from worker.jobs import Kind, Ring

MOVE = {"leads[status][0][id]": 7, "leads[status][0][status_id]": APPROVED, "leads[status][0][pipeline_id]": SALES}
BODY = urlencode({"account[id]": ACCOUNT, **MOVE}).encode()
KOMMOS_PATIENCE = 2.0


def rings(count: int) -> list[Ring]:
    return [Ring(number, Kind.CREATE_INVOICE, f"lead {number}") for number in range(count)]


def timed_post(stand) -> tuple[int, float]:
    begun = time.monotonic()
    answer = stand.app.test_client().post(f"/webhooks/kommo/{TOKEN}", data=BODY)
    return answer.status_code, time.monotonic() - begun


# --- the database ------------------------------------------------------------------------------------------------------


def test_a_locked_database_is_a_503_in_time_and_what_is_sent_again_is_one_job(stand, tmp_path, until):
    with closing(sqlite3.connect(tmp_path / "receiver.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        status, took = timed_post(stand)
        other.execute("ROLLBACK")
    assert status == 503
    assert took < KOMMOS_PATIENCE
    until(lambda: timed_post(stand)[0] == 200)
    assert len(stand.jobs()) == 1


def test_a_fault_of_ours_is_a_503_too(make_stand):
    stand = make_stand(now=lambda: 1 // 0)
    assert timed_post(stand)[0] == 503
    assert stand.deliveries() == []


def test_work_that_hangs_is_given_up_and_what_waits_behind_it_soon(until):
    deadline = Deadline(0.5, threads=1)
    release, ended = threading.Event(), threading.Event()

    def hang() -> None:
        release.wait(10)
        ended.set()

    with pytest.raises(TooLate):
        deadline(hang)
    begun = time.monotonic()
    with pytest.raises(TooLate):
        deadline(lambda: pytest.fail("its thread hangs"))
    assert time.monotonic() - begun < 0.4
    release.set()
    assert ended.wait(10)
    assert until(lambda: _answer(deadline)) == 7


def test_work_that_waits_in_line_too_long_is_never_begun(until):
    deadline = Deadline(0.2, threads=1)
    release, begun, done = threading.Event(), threading.Event(), []

    def hang() -> None:
        begun.set()
        release.wait(10)

    first = threading.Thread(target=_answer, args=(deadline, hang))
    first.start()
    assert begun.wait(10)
    assert _answer(deadline, lambda: done.append("it was given up")) is None
    release.set()
    first.join()
    assert until(lambda: _answer(deadline)) == 7
    assert done == []


def _answer(deadline: Deadline, work: Callable[[], object] = lambda: 7) -> object:
    try:
        return deadline(work)
    except TooLate:
        return None


def test_a_fault_of_the_work_is_its_callers():
    with pytest.raises(ZeroDivisionError):
        Deadline(5, threads=1)(lambda: 1 // 0)


# --- the broker --------------------------------------------------------------------------------------------------------


def test_an_answer_does_not_wait_for_a_ring(make_stand, until):
    release, rung = threading.Event(), []

    def slow(rings):
        release.wait(10)
        rung.extend(rings)

    stand = make_stand(ring=slow)
    answers = [timed_post(stand) for _ in range(3)]
    assert [status for status, _ in answers] == [200] * 3
    assert max(took for _, took in answers) < 1.0
    release.set()
    assert until(lambda: len(rung) == 3)


def test_rings_that_pile_up_go_in_one_and_in_order(until):
    entered, release, calls = threading.Event(), threading.Event(), []

    def ring(asked):
        calls.append([one.job_id for one in asked])
        entered.set()
        release.wait(10)

    ringer = Ringer(ring)
    ringer(rings(1))
    assert entered.wait(10)
    ringer(rings(3))
    ringer(rings(2))
    release.set()
    assert until(lambda: len(calls) == 2)
    assert calls == [[0], [0, 1, 2, 0, 1]]


def test_rings_beyond_the_limit_are_left_to_the_sweep(until):
    entered, release, calls = threading.Event(), threading.Event(), []

    def ring(asked):
        calls.append(len(asked))
        entered.set()
        release.wait(10)

    ringer = Ringer(ring)
    ringer(rings(1))
    assert entered.wait(10)
    ringer(rings(MOST_WAITING + 500))
    release.set()
    assert until(lambda: calls == [1, MOST_WAITING])


def test_no_rings_start_no_thread():
    before = threading.active_count()
    Ringer(lambda _: pytest.fail("there is nothing to ring for"))([])
    assert threading.active_count() == before
