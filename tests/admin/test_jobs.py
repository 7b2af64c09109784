"""`jobs`, `trace` and `status`: what the ledger has written down, for people and for programs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from integrations.errors import Refusal
from tests.admin.conftest import Desk
from worker import canary, deliveries, jobs, links
from worker.attempts import Attempt
from worker.database import Database
from worker.deliveries import Received
from worker.grants import Grant
from worker.jobs import InvoiceRef, Job, Kind, LeadRef, State, Wanted
from worker.links import Link

ACCOUNT, TENANT = 30896271, "5b96e86b-418e-48d8-8949-308c14aec278"
INVOICE = "60aa5d55-a47e-4665-a974-874bb50263b9"
BODY = b"leads[status][0][id]=7&leads[status][0][name]=Website+%26+shop&leads%5Bstatus%5D%5B1%5D%5Bname%5D=Another"
SENTENCE = "Xero does not accept this: [bold]no[/bold]"


@pytest.fixture
def story(desk: Desk, ledger: Database) -> Desk:
    """Deal 7 with invoice INV-0042: its job done at the second try, a failed one for its PDF, and one that waits for deal 8."""
    desk.connect()
    desk.do("setup", "demo")
    then = datetime.now(UTC) - timedelta(hours=1)
    lead, invoice = LeadRef(ACCOUNT, 7), InvoiceRef(TENANT, INVOICE)
    with ledger.begin() as session:
        told = Received("kommo", BODY, "form", then, connection="demo", subjects=frozenset({f"lead:{lead}"}))
        delivery, _ = deliveries.keep(session, [told, Received("xero", b"{", "json", then, problem="no JSON")])
        wishes = [
            Wanted("demo", Kind.CREATE_INVOICE, lead=lead, delivery_id=delivery),
            Wanted("demo", Kind.ATTACH_INVOICE, lead=lead, invoice=invoice),
            Wanted("demo", Kind.CREATE_INVOICE, lead=LeadRef(ACCOUNT, 8)),
        ]
        done, failed, waiting = (jobs.record(session, [wish], now=then + timedelta(seconds=1))[0] for wish in wishes)
        end(session, done, State.DONE, "INV-0042 over 1,150.00 NZD awaits payment.", then + timedelta(seconds=9))
        end(session, failed, State.FAILED, SENTENCE, then + timedelta(seconds=20))
        session.execute(
            sa.update(Job)
            .where(Job.id == waiting)
            .values(due_at=datetime.now(UTC) + timedelta(hours=2), sentence="Xero is not well", attempts=3)
        )
        call = {
            "vendor": "xero", "method": "PUT", "path": "/api.xro/2.0/Invoices", "status": 503, "ms": 120,
            "request_id": "abc-1", "at": (then + timedelta(seconds=2)).isoformat(), "turn_ms": 40,
        }  # fmt: skip
        elsewhere = call | {"path": "/api/v4/leads/9/files", "vendor": "kommo", "method": "PUT", "status": 200}
        wrote = [
            {
                "at": call["at"],
                "lead_id": number,
                "wrote": {"XERO_INVOICE_NUMBER": "INV-0042", "XERO_SYNC_MESSAGE": "…"},
                "stage": None,
            }
            for number in (7, 9)
        ]
        session.add(
            Attempt(
                job_id=done, ended_at=then + timedelta(seconds=3), verdict="wait", sentence="Xero is not well",
                batch=2, calls=[call, elsewhere, *wrote],
            )
        )  # fmt: skip
        session.add(Attempt(job_id=done, ended_at=then + timedelta(seconds=9), verdict="done", sentence="", calls=[]))
        session.add(
            Link(
                connection="demo", origin=links.Origin.DEAL, account_id=ACCOUNT, lead_id=7, tenant_id=TENANT,
                invoice_id=INVOICE, number="INV-0042", made_at=then + timedelta(seconds=2), label="Awaiting payment",
                linked_at=then + timedelta(seconds=8), noted_at=then + timedelta(seconds=9), remarks=[],
            )
        )  # fmt: skip
    return desk


def end(session: Any, job_id: int, state: State, sentence: str, at: datetime) -> None:
    """What settling writes."""
    session.execute(sa.update(Job).where(Job.id == job_id).values(state=state, sentence=sentence, ended_at=at))


def by_state(desk: Desk) -> dict[str, list[Any]]:
    """The ledger's jobs, by state."""
    told: dict[str, list[Any]] = {}
    for job in desk.ask("jobs", "list"):
        told.setdefault(job["state"], []).append(job)
    return told


def test_the_list_shows_the_newest_first(story):
    told = story.ask("jobs", "list")
    assert [job["lead_id"] for job in told] == [8, 7, 7]
    assert told[1]["invoice_number"] == "INV-0042"
    assert told[1]["deal_name"] == "Website & shop"
    assert told[1]["deal_page"] == "https://acme.kommo.com/leads/detail/7"
    assert told[1]["invoice_page"].endswith(INVOICE)
    assert [job["id"] for job in story.ask("jobs", "list", "--limit", "1")] == [told[0]["id"]]


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--state", "failed"), 1),
        (("--kind", "create_invoice"), 2),
        (("--connection", "demo"), 3),
        (("--error", "NOT ACCEPT"), 1),
        (("--error", "%"), 0),
        (("--since", "2h"), 3),
        (("--since", "5m"), 0),
        (("--since", "2020-01-01"), 3),
        (("--state", "queued", "--kind", "create_invoice"), 1),
    ],
)
def test_the_list_is_filtered(story, words, count):
    assert len(story.ask("jobs", "list", *words)) == count


def test_a_person_sees_sentences_as_they_are(story):
    said = story.do("jobs", "list")
    assert SENTENCE in said
    assert "3 jobs." in said


def test_one_job_is_told_with_every_attempt(story):
    (job,) = by_state(story)["done"]
    said = story.do("jobs", "show", str(job["id"]))
    assert "https://acme.kommo.com/leads/detail/7" in said
    assert "Website & shop" in said
    assert "on deal 7: XERO_INVOICE_NUMBER = INV-0042, XERO_SYNC_MESSAGE = …" in said
    assert "leads/9" not in said
    assert "deal 9" not in said
    assert "xero: PUT /api.xro/2.0/Invoices: 503 in 120 ms, waited 40 ms for its turn, request abc-1" in said
    assert "wait: Xero is not well (one of 2 together)" in said
    assert [entry["what"] for entry in story.ask("jobs", "show", str(job["id"]))["entries"]] == [
        "job", "call", "wrote", "attempt", "attempt",
    ]  # fmt: skip


def test_a_failed_job_says_what_to_do(story):
    (job,) = by_state(story)["failed"]
    assert f"jobs replay {job['id']}" in story.do("jobs", "show", str(job["id"]))


def test_a_waiting_job_says_when(story):
    (job,) = by_state(story)["queued"]
    said = story.do("jobs", "show", str(job["id"]))
    assert "goes on by itself at" in said
    assert "3 in a row" in said


def test_no_such_job(story):
    assert "there is no job 99" in story.refused("jobs", "show", "99")


def test_a_failed_job_is_queued_again_and_rung_for(story, redis):
    (job,) = by_state(story)["failed"]
    said = story.do("jobs", "replay", str(job["id"]))
    assert f"job {job['id']} is queued again, as job" in said
    assert redis.llen("bridge:attach_invoice") == 1
    assert "is queued already" in story.do("jobs", "replay", str(job["id"]))


def test_what_can_not_be_replayed_is_refused_and_the_rest_is_done(story):
    states = by_state(story)
    words = [str(states[state][0]["id"]) for state in ("done", "queued", "failed")]
    result = story.run("jobs", "replay", *words, "99")
    assert result.exit_code == 1
    assert "there is nothing to replay" in result.stderr
    assert "goes on by itself" in result.stderr
    assert "there is no job 99" in result.stderr
    assert "is queued again" in result.stdout


def test_a_dry_run_changes_nothing(story, redis):
    before = story.ask("jobs", "list")
    assert "would be queued again" in story.do("jobs", "replay", "--state", "failed", "--dry-run")
    assert [(job["id"], job["state"]) for job in story.ask("jobs", "list")] == [
        (job["id"], job["state"]) for job in before
    ]
    assert redis.llen("bridge:attach_invoice") == 0


def test_replay_takes_filters(story):
    assert "No job is meant by that." in story.do("jobs", "replay", "--state", "failed", "--kind", "create_deal")
    assert "is queued again" in story.do("jobs", "replay", "--state", "failed", "--error", "accept")


@pytest.mark.parametrize(
    "words", [(), ("1", "--state", "failed"), ("1", "--kind", "create_deal"), ("--kind", "create_deal")]
)
def test_replay_wants_jobs_or_a_state(story, words):
    assert story.run("jobs", "replay", *words).exit_code == 2


def test_jobs_are_taken_back(story):
    states = by_state(story)
    ids = [str(states[state][0]["id"]) for state in ("queued", "failed")]
    story.do("jobs", "cancel", *ids)
    assert len(by_state(story)["cancelled"]) == 2
    assert "is cancelled already" in story.refused("jobs", "cancel", ids[0])
    assert "is queued again" in story.do("jobs", "replay", "--state", "cancelled")


def test_a_running_job_is_not_taken_back(story, ledger):
    (job,) = by_state(story)["queued"]
    with ledger.begin() as session:
        session.execute(sa.update(Job).where(Job.id == job["id"]).values(state=State.RUNNING, holder="somebody"))
    assert "can't be called back" in story.refused("jobs", "cancel", str(job["id"]))
    assert "wait for its end" in story.refused("jobs", "replay", str(job["id"]))
    assert "a worker is at it" in story.do("jobs", "show", str(job["id"]))


def test_a_done_job_is_not_taken_back(story):
    (job,) = by_state(story)["done"]
    assert "nothing to cancel" in story.refused("jobs", "cancel", str(job["id"]))


@pytest.mark.parametrize("words", [("--lead", "7"), ("--invoice", "inv-0042"), ("--invoice", INVOICE.upper())])
def test_the_whole_story_of_a_deal(story, words):
    told = story.ask("trace", *words)
    assert [entry["what"] for entry in told["entries"]] == [
        "delivery", "job", "job", "call", "wrote", "link", "attempt", "link", "attempt", "link",
    ]  # fmt: skip
    times = [entry["at"] for entry in told["entries"]]
    assert times == sorted(times)
    (link,) = told["links"]
    assert (link["lead_id"], link["number"], link["status"]) == (7, "INV-0042", "Awaiting payment")
    said = story.do("trace", *words)
    assert "demo: Website & shop" in said
    assert "https://acme.kommo.com/leads/detail/7" in said
    assert "linked: deal 7 is invoice INV-0042" in said
    assert f"Kommo sent {len(BODY)} bytes: leads status" in said
    (wrote,) = [entry for entry in told["entries"] if entry["what"] == "wrote"]
    assert wrote["fields"] == {"XERO_INVOICE_NUMBER": "INV-0042", "XERO_SYNC_MESSAGE": "…"}
    assert told["entries"][0]["body"].encode() == BODY


def test_a_deal_without_a_link_has_a_story_too(story):
    told = story.ask("trace", "--lead", "8")
    assert told["links"] == []
    assert [entry["what"] for entry in told["entries"]] == ["job"]


@pytest.mark.parametrize("words", [("--lead", "9"), ("--invoice", "INV-9"), ("--invoice", INVOICE.replace("6", "7"))])
def test_what_nobody_knows_is_said(story, words):
    assert "nothing is known of" in story.refused("trace", *words)


@pytest.mark.parametrize("words", [(), ("--lead", "7", "--invoice", "INV-0042")])
def test_a_trace_is_of_one_thing(story, words):
    assert story.run("trace", *words).exit_code == 2


def test_the_status_fits_on_one_screen(story):
    story.env["COLUMNS"] = "80"
    said = story.do("status")
    lines = said.splitlines()
    assert len(lines) <= 24 + 3, "three more are for what was not understood"
    for part in (
        "! no worker has heard a ring yet: start worker and beat (Procfile)",
        "! 1 failed job: see jobs list --state failed",
        "! 1 webhook was not understood: see below",
        "create_invoice       1        0     1       0          0",
        "renewed by itself",
        "minute",
        "of 5,000 left, lasts the day.",
        "no JSON",
    ):
        assert part in said
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("refusal", "days", "mend"),
    [
        (
            Refusal.REVOKED,
            300,
            "! demo: Kommo no longer accepts our token: connect it again (admin connect kommo demo)",
        ),
        (Refusal.UNPAID, 300, "! demo: the Kommo account is not paid: its owner must renew it"),
        (None, 12, "! demo: Kommo's token ends in 12 days: connect it again (admin connect kommo demo)"),
        (None, -1, "! demo: the token of Kommo has ended: connect it again (admin connect kommo demo)"),
    ],
)
def test_the_status_begins_with_a_grant_that_needs_a_person(story, ledger, refusal, days, mend):
    ends = datetime.now(UTC) + timedelta(days=days, hours=1)
    with ledger.begin() as session:
        kommo = sa.update(Grant).where(Grant.vendor == "kommo")
        session.execute(kommo.values(refusal=refusal, refused_at=datetime.now(UTC), expires_at=ends))
    said = story.do("status")
    assert mend in said
    assert said.index(mend) < said.index("create_invoice")


def test_the_status_names_what_was_never_connected(desk):
    said = desk.do("status")
    assert "! demo: no access to Kommo yet: admin connect kommo demo" in said
    assert "! demo: no access to Xero yet: admin connect xero demo" in said


def test_the_status_when_nothing_is_wrong(desk, redis):
    desk.connect()
    canary.sing(redis, datetime.now(UTC))
    assert desk.do("status").startswith("Nothing needs a person.")


def test_the_status_as_json(story):
    told = story.ask("status")
    assert {(one["kind"], one["state"]): one["jobs"] for one in told["jobs"]} == {
        ("create_invoice", "done"): 1, ("attach_invoice", "failed"): 1, ("create_invoice", "queued"): 1,
    }  # fmt: skip
    assert told["oldest_due"] is None
    assert [one["problem"] for one in told["problems"]] == ["no JSON"]
    assert {one["vendor"] for one in told["grants"]} == {"kommo", "xero"}
    assert {(one["source"], one["at"] is None) for one in told["heard"]} == {("kommo", False), ("xero", True)}
    assert told["budgets"][1]["left"]["day"] > 0
    assert told["is_canary_late"]


def test_the_status_without_redis(story):
    story.env["REDIS_URL"] = "redis://127.0.0.1:1/0"
    told = story.ask("status")
    assert {one["problem"] for one in told["budgets"]} == {"Redis does not answer"}
    assert "! Redis does not answer (REDIS_URL): jobs wait until it does" in story.do("status")
