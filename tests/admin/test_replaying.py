"""Two hundred failed jobs of three causes, in an operator's hands: those of one cause are listed, tried dry, and done again, each once."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa
from redis import Redis

from integrations.errors import Broken, Rejected
from tests.admin.conftest import ROOT, Desk
from worker import jobs
from worker.database import Database, open_database
from worker.handlers.sync_status import GONE
from worker.jobs import InvoiceRef, Job, Kind, LeadRef, State, Wanted
from worker.ring import MOST_UNHEARD
from worker.verdicts import MAX_ATTEMPTS, Failed, verdict_on

ACCOUNT, TENANT = 30896271, "5b96e86b-418e-48d8-8949-308c14aec278"
REFUSED, GAVE_UP, UNKNOWN = 100, 60, 40
TEXT = "not a valid code for this document"


def refused(number: int) -> str:
    """As a handler has it: a refusal is final."""
    error = Rejected("xero", "PUT /api.xro/2.0/Invoices", f"Account code '{4000 + number}' is {TEXT}.")
    verdict = verdict_on(error, 0, quiet=60)
    assert isinstance(verdict, Failed)
    return verdict.sentence


def gave_up(number: int) -> str:
    """As the last attempt of many has it."""
    error = Broken("kommo", f"PUT /api/v4/leads/{number}/files", "Bad Gateway", status=502)
    verdict = verdict_on(error, MAX_ATTEMPTS - 1, quiet=60)
    assert isinstance(verdict, Failed)
    return verdict.sentence


def fail(session: Any, wish: Wanted, sentence: str, at: datetime) -> int:
    (job_id,) = jobs.record(session, [wish], now=at)
    ended = sa.update(Job).where(Job.id == job_id)
    session.execute(ended.values(state=State.FAILED, sentence=sentence, ended_at=at + timedelta(seconds=1)))
    return job_id


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Database]:
    """The desk's database, of both kinds."""
    if request.param == "postgres":
        desk.env["DATABASE_URL"] = request.getfixturevalue("fresh_postgres_url")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DATABASE_URL", desk.env["DATABASE_URL"])
            alembic.command.upgrade(alembic.config.Config(toml_file=ROOT / "pyproject.toml"), "head")
    opened = open_database(desk.env["DATABASE_URL"])
    yield opened
    opened.close()


@pytest.fixture
def failures(ledger: Database) -> dict[str, list[int]]:
    """The ids of failed jobs, by cause; the first deal was refused twice, and its earlier job is among them."""
    then = datetime.now(UTC) - timedelta(hours=1)
    found: dict[str, list[int]] = {"refused": [], "gave up": [], "unknown": []}
    with ledger.begin() as session:
        for number in (0, *range(REFUSED - 1)):
            wish = Wanted("demo", Kind.CREATE_INVOICE, lead=LeadRef(ACCOUNT, 1000 + number))
            found["refused"].append(fail(session, wish, refused(number), then))
        for number in range(GAVE_UP):
            wish = Wanted(
                "demo",
                Kind.ATTACH_INVOICE,
                lead=LeadRef(ACCOUNT, 2000 + number),
                invoice=InvoiceRef(TENANT, f"a{number}"),
            )
            found["gave up"].append(fail(session, wish, gave_up(2000 + number), then))
        for number in range(UNKNOWN):
            wish = Wanted(
                "demo", Kind.SYNC_STATUS, lead=LeadRef(ACCOUNT, 3000 + number), invoice=InvoiceRef(TENANT, f"s{number}")
            )
            found["unknown"].append(fail(session, wish, GONE, then))
    return found


def rows(ledger: Database) -> list[Any]:
    """All that the table of jobs says."""
    with ledger.reading() as session:
        return list(session.execute(sa.select(*Job.__table__.columns).order_by(Job.id)))


def failed(desk: Desk, *words: str) -> set[int]:
    return {job["id"] for job in desk.ask("jobs", "list", "--state", "failed", "--limit", "1000", *words)}


def test_each_cause_lists_exactly_its_own(desk, failures):
    for text, cause in ((TEXT, "refused"), ("Bad Gateway", "gave up"), ("never deletes any", "unknown")):
        assert failed(desk, "--error", text) == set(failures[cause])
    assert failed(desk) == {job_id for ids in failures.values() for job_id in ids}


def test_the_list_ends_with_the_causes_and_each_ones_command(desk, failures):
    said = desk.do("jobs", "list", "--state", "failed", "--limit", "10")
    assert [int(count) for count in re.findall(r"(?m)^(\d+) like this: ", said)] == [REFUSED, GAVE_UP, UNKNOWN]
    texts = re.findall(r"jobs replay --state failed --error '([^']+)' --dry-run", said)
    assert [len(failed(desk, "--error", text)) for text in texts] == [REFUSED, GAVE_UP, UNKNOWN]


def test_what_an_error_was_asked_for_is_replayed_by_it_and_nothing_more(desk, failures):
    for text in ("/leads/2007/", TEXT, "e"):
        said = desk.do("jobs", "list", "--state", "failed", "--error", text)
        (told,) = re.findall(r"mended: jobs replay --state failed --error (\S+|'[^']+') --dry-run", said)
        assert told.strip("'") == text
    assert "1 like this: " in desk.do("jobs", "list", "--state", "failed", "--error", "/leads/2007/")


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(desk, ledger, failures, redis: Redis):
    before = rows(ledger)
    lines = desk.do("jobs", "replay", "--state", "failed", "--error", TEXT, "--dry-run").splitlines()
    first, again = failures["refused"][:2]
    assert lines[:-1] == [
        f"job {job_id} is about the same as job {first}: one run serves both"
        if job_id == again
        else f"job {job_id} would be queued again"
        for job_id in failures["refused"]
    ]
    assert lines[-1].startswith("100 jobs: 99 would be queued again, 1 would be served by another job's run.")
    assert rows(ledger) == before
    assert redis.keys("bridge:create_invoice") == []


def test_a_replay_does_each_once_and_leaves_the_others(desk, ledger, failures, redis: Redis):
    said = desk.do("jobs", "replay", "--state", "failed", "--error", TEXT)
    assert "100 jobs: 99 queued again, 1 served by another job's run." in said
    queued = [job["lead_id"] for job in desk.ask("jobs", "list", "--state", "queued", "--limit", "1000")]
    assert sorted(queued) == [1000 + number for number in range(REFUSED - 1)]
    assert redis.llen("bridge:create_invoice") == MOST_UNHEARD  # each of them rings for more
    assert failed(desk) == {job_id for ids in failures.values() for job_id in ids}, (
        "they stay until a success closes them"
    )


def test_twice_in_a_row_is_once(desk, ledger, failures):
    desk.do("jobs", "replay", "--state", "failed", "--error", TEXT)
    before = {row.id for row in rows(ledger)}
    said = desk.do("jobs", "replay", "--state", "failed", "--error", TEXT)
    assert said.count("about the same is queued already; it goes on now") == REFUSED - 1
    assert "100 jobs: 100 served by another job's run." in said
    assert {row.id for row in rows(ledger)} == before


def test_all_of_them_at_once(desk, failures):
    assert "200 jobs: 199 queued again, 1 served by another job's run." in desk.do(
        "jobs", "replay", "--state", "failed"
    )
