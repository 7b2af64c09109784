"""Jobs without a turn go back to the ledger, each to a time of its own, and cost neither an attempt nor a call."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from integrations.errors import RateLimited, Unreachable
from integrations.turns import BRIEFLY, Heard, Priority
from tests.worker.shop import Shop
from worker import budgets
from worker.attempts import Attempt
from worker.budgets import kommo_budget, xero_budget
from worker.grants import Grant
from worker.handlers import MOST
from worker.handlers.singly import one_by_one
from worker.jobs import Job, Kind, State
from worker.run import attempt
from worker.workshop import Workshop

MINUTE, PDFS_MAY = 40, 32  # calls: the rest is left to what is new, and to statuses


def jobs(*ids: int):
    return [SimpleNamespace(id=one) for one in ids]


def refuse(*refused: int, error: Exception):
    """Work that these jobs can't do."""

    def work(job):
        if job.id in refused:
            raise error
        return "done"

    return work


def test_each_of_a_batch_asks_for_a_turn_of_its_own():
    error = RateLimited("xero", "GET", retry_after=61, own=True, in_line=True)
    assert one_by_one(jobs(1, 2, 3), refuse(1, 3, error=error)) == {1: error, 2: "done", 3: error}


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("xero", "GET", retry_after=5, own=True),  # Redis is down: each ask would wait for it
        RateLimited("xero", "GET", retry_after=5),  # the vendor's own word
        Unreachable("xero", "GET"),
    ],
)
def test_what_all_would_meet_is_met_once(error: Exception):
    assert one_by_one(jobs(1, 2, 3), refuse(2, error=error)) == {1: "done", 2: error, 3: error}


@pytest.fixture
def patient(shop: Shop, tmp_path: Path) -> Iterator[Workshop]:
    """A worker whose minutes last a minute, and which may make few calls in one."""
    known = shop.workshop.settings
    file = tmp_path / "few.toml"
    file.write_text(f"{known.connections_file.read_text()}[connection.limits]\nxero_minute = {MINUTE}\n")
    timing = known.timing.model_copy(update={"time_factor": 1})
    opened = Workshop(known.model_copy(update={"timing": timing, "connections_file": file}), now=shop.now)
    yield opened
    opened.close()


def pdfs(shop: Shop) -> list[Job]:
    with shop.workshop.database.reading() as session:
        return list(session.scalars(sa.select(Job).where(Job.kind == Kind.ATTACH_INVOICE).order_by(Job.id)))


def invoiced(shop: Shop, count: int) -> list[Job]:
    """So many deals of one client whose invoices are made; their PDFs are wanted."""
    first = shop.deal()
    company = shop.company_of(first)
    for some in ([first], [shop.deal(f"Deal {n}", company=company) for n in range(count - 1)]):
        for job_id in shop.entered(*some)[:1]:
            attempt(shop.workshop, Kind.CREATE_INVOICE, job_id)
    wanted = pdfs(shop)
    assert len(wanted) == count
    return wanted


def test_pdfs_without_a_turn_come_back_one_by_one(shop: Shop, patient: Workshop):
    waiting = invoiced(shop, MOST[Kind.ATTACH_INVOICE])
    budgeted = xero_budget(patient.connection("demo"), shop.tenant_id)
    turns = patient.turns(budgeted)
    patient.redis.set(f"turns:xero:{shop.tenant_id}:minute:since", 1)  # its log is complete
    while turns.left()["minute"] > MINUTE - PDFS_MAY + 1:
        with turns.take(Priority.NEW, patience=3):
            pass
    since = shop.sandbox.mark()
    attempt(patient, Kind.ATTACH_INVOICE, waiting[0].id)
    left = [job for job in pdfs(shop) if job.state == State.QUEUED]
    assert len(left) >= 2
    assert {job.attempts for job in left} == {0}
    assert {job.not_before for job in left} == {None}
    assert len({job.due_at for job in left}) == len(left)
    assert all(job.due_at > shop.now() for job in left[1:])
    fetched = [call for call in shop.calls(since) if call.startswith("xero GET")]
    assert len(fetched) == len(waiting) - len(left)


def test_a_pdf_in_hand_waits_for_kommo_rather_than_being_fetched_again(shop: Shop, patient: Workshop):
    (waiting,) = invoiced(shop, 1)
    since = shop.sandbox.mark()
    kommo = patient.turns(kommo_budget(patient.connection("demo"), patient.connections.values()))
    kommo.heard(Heard(stop=BRIEFLY + 1), member="any")
    attempt(patient, Kind.ATTACH_INVOICE, waiting.id)
    assert pdfs(shop)[0].state == State.DONE
    assert sum(call.startswith("xero GET") for call in shop.calls(since)) == 1


def test_who_came_back_too_soon_is_told_again_and_loses_nothing(shop: Shop, patient: Workshop):
    (waiting,) = invoiced(shop, 1)
    turns = patient.turns(xero_budget(patient.connection("demo"), shop.tenant_id))
    turns.heard(Heard(stop=30), member="any")
    for _ in range(3):
        attempt(patient, Kind.ATTACH_INVOICE, waiting.id)
        shop.pass_time(31)
    with shop.workshop.database.reading() as session:
        told = session.scalars(sa.select(Attempt.verdict).where(Attempt.job_id == waiting.id)).all()
    assert told == ["wait"] * 3
    assert pdfs(shop)[0].attempts == 0


def test_a_block_is_tried_by_one_call_at_a_time_and_told_until_it_is_lifted(shop: Shop):
    ids = [job_id for lead_id in [shop.deal() for _ in range(3)] for job_id in shop.entered(lead_id)]
    shop.sandbox.post("kommo/block")
    since = shop.sandbox.mark()
    calls_of(shop, ids)
    assert len(shop.calls(since)) == 1
    assert any("shut us out" in sentence for sentence in told_of_kommo(shop))
    a_period_later(shop)
    calls_of(shop, ids)
    assert len(shop.calls(since)) == 2
    shop.sandbox.post("kommo/unblock")
    a_period_later(shop)
    shop.pass_time(3600)
    shop.work()
    assert told_of_kommo(shop) == []
    with shop.workshop.database.reading() as session:
        assert grants_refused(session) == []


def calls_of(shop: Shop, ids: list[int]) -> None:
    """Each of these jobs is tried alone."""
    shop.pass_time(3600)
    for job_id in ids:
        attempt(shop.workshop, Kind.CREATE_INVOICE, job_id)


def a_period_later(shop: Shop) -> None:
    """The quarter of an hour in which nobody tries is over."""
    shop.workshop.redis.hset("turns:kommo:block", "next", 0)


def told_of_kommo(shop: Shop) -> list[str]:
    budgeted = shop.workshop.kommo_budget(shop.workshop.connection("demo"))
    now = shop.now()
    return list(budgets.sentences(budgets.look(shop.workshop.turns(budgeted), budgeted, now=now), now=now))


def grants_refused(session: Session) -> list[str | None]:
    return list(session.scalars(sa.select(Grant.refusal).where(Grant.refusal.is_not(None))))
