"""When our own servers fail: the vendors are answered in time, and told the truth."""

import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlencode

import pytest

from tests.webhooks.conftest import ACCOUNT, APPROVED, SALES, TOKEN
from webhooks.deadline import Deadline, TooLate
from webhooks.ringing import LONG_REST, MOST_WAITING, Ringer
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
    release, ended = threading.Event(), threading.Event()

    def hang(_: Sequence[str]) -> None:
        release.wait(10)
        ended.set()

    deadline = Deadline(hang, 0.5, threads=1)
    with pytest.raises(TooLate):
        deadline("hangs")
    begun = time.monotonic()
    with pytest.raises(TooLate):
        deadline("its thread hangs")
    assert time.monotonic() - begun < 0.4
    release.set()
    assert ended.wait(10)
    assert until(lambda: is_done(deadline, "another"))


def test_work_that_waits_in_line_too_long_is_never_begun(until):
    work = Work(hanging={"first"})
    deadline = Deadline(work, 0.2, threads=1)
    first = threading.Thread(target=is_done, args=(deadline, "first"))
    first.start()
    assert work.begun.wait(10)
    assert not is_done(deadline, "it was given up")
    work.release.set()
    first.join()
    assert until(lambda: is_done(deadline, "later"))
    assert "it was given up" not in {item for batch in work.batches for item in batch}


def test_what_comes_while_work_is_under_way_is_done_together_afterwards(until):
    work = Work(hanging={"first"})
    deadline = Deadline(work, 20, threads=1)
    with ThreadPoolExecutor(5) as senders:
        first = senders.submit(is_done, deadline, "first")
        assert work.begun.wait(10)
        others = [senders.submit(is_done, deadline, str(number)) for number in range(4)]
        until(lambda: deadline._waiting.qsize() == 4)
        work.release.set()
        assert all(one.result() for one in [first, *others])
    assert [sorted(batch) for batch in work.batches] == [["first"], ["0", "1", "2", "3"]]


def test_work_that_waits_for_a_lock_is_passed_by_others():
    work = Work(hanging={"locked"})
    deadline = Deadline(work, 20, threads=2)
    with ThreadPoolExecutor(1) as senders:
        locked = senders.submit(is_done, deadline, "locked")
        assert work.begun.wait(10)
        assert is_done(deadline, "free")
        assert not locked.done()
        work.release.set()
        assert locked.result()


def test_whoever_is_at_fault_fails_alone(until):
    work = Work(hanging={"first"}, wrong={"1"})
    deadline = Deadline(work, 20, threads=1)
    with ThreadPoolExecutor(4) as senders:
        first = senders.submit(deadline, "first")
        assert work.begun.wait(10)
        others = [senders.submit(deadline, str(number)) for number in range(3)]
        until(lambda: deadline._waiting.qsize() == 3)
        work.release.set()
        faults = [one.exception() for one in [first, *others]]
    assert [type(fault) for fault in faults] == [type(None), type(None), ValueError, type(None)]


class Work:
    """Remembers what it did together; hangs, until it is released, over the items that are so named, and fails over those that are wrong."""

    def __init__(self, *, hanging: set[str], wrong: set[str] | frozenset[str] = frozenset()) -> None:
        self.batches: list[list[str]] = []
        self.begun, self.release = threading.Event(), threading.Event()
        self._hanging, self._wrong = hanging, wrong

    def __call__(self, items: Sequence[str]) -> None:
        self.batches.append(list(items))
        if self._hanging & set(items):
            self.begun.set()
            self.release.wait(10)
        if self._wrong & set(items):
            raise ValueError(items)


def is_done(deadline: Deadline[str], item: str) -> bool:
    """Whether it was done in time."""
    try:
        deadline(item)
    except TooLate:
        return False
    return True


def fail(_: Sequence[str]) -> None:
    raise ZeroDivisionError


def test_a_fault_of_the_work_is_its_callers():
    with pytest.raises(ZeroDivisionError):
        Deadline(fail, 5, threads=1)("anything")


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


def test_a_broker_that_is_gone_is_not_asked_for_every_webhook(until):
    asked = []

    def fail(rings):
        asked.append(len(rings))
        return False

    ringer = Ringer(fail)
    begun = time.monotonic()
    while time.monotonic() < begun + 2 * LONG_REST:
        ringer(rings(1))
    assert until(lambda: len(asked) > 1)
    assert len(asked) <= 2 + (time.monotonic() - begun) / LONG_REST


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
