"""Whether the guards are guarded: each of them is taken out of a copy of the tree, and the tests that are named for it must fail there.

A mutant is a change of text in one place. A text that is not found fails loudly: whoever rewrites a guard moves its mutant along. The same tests pass
in an unchanged copy first, so that a copy that can't run at all is not taken for a catch.
"""

import itertools
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("worker", "integrations", "sandbox", "stack", "tests", "webhooks", "admin")
COPIED = (*ROOMS, "conftest.py", "pyproject.toml", "celeryconfig.py", "Procfile")

# The machine finds these mutants in its first examples; how to make a failure small is nobody's question here.
QUICK = """
from hypothesis import Phase, settings
settings.register_profile("mutants", phases=(Phase.generate,), derandomize=True, database=None)
settings.load_profile("mutants")
"""

# Xero's description is not there, and to load what reads it takes a third of the time.
DESCRIBED = re.compile(r"^pytest_plugins = .*$", re.MULTILINE)

CLAIMS, JOBS, SWEEP, LEASE = "worker/claims.py", "worker/jobs.py", "worker/sweep.py", "worker/lease.py"
OUTCOMES, DEALMAKING, SHOWING = "worker/outcomes.py", "worker/dealmaking.py", "worker/showing.py"
WIRE, LINKS, SENDING = "integrations/wire.py", "worker/links.py", "worker/sending.py"
TAKING = "worker/taking.py"

TESTS = {
    "claims": "tests/worker/test_claims.py",
    "fence": "tests/worker/handlers/test_the_fence.py",
    "back": "tests/worker/handlers/test_the_way_back.py",
    "guards": "tests/worker/test_guards.py",
    "indexes": "tests/worker/test_indexes.py",
    "jobs": "tests/worker/test_jobs.py",
    "lease": "tests/worker/test_lease.py",
    "outcomes": "tests/worker/handlers/test_outcomes.py",
    "stories": "tests/worker/test_ledger_stories.py",
    "sweep": "tests/worker/test_sweep.py",
    "wire": "tests/integrations/test_wire.py",
    "xero": "tests/integrations/test_xero_client.py",
    "doubles": "tests/worker/handlers/test_restores_and_doubles.py",
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is broken, where and how, and the tests that must notice, each as "file::test"."""

    what: str
    file: str
    old: str
    new: str
    caught_by: tuple[str, ...]

    @property
    def tests(self) -> tuple[str, ...]:
        """Their ids for pytest."""
        parts = (name.split("::") for name in self.caught_by)
        return tuple(f"{TESTS[file]}::{test}" for file, test in parts)


STORIES = "stories::test_the_ledger_holds_in_stories_that_lack_nothing"

MUTANTS = (
    Mutant(
        "settling does not ask who holds the job",
        CLAIMS, "_STILL_MINE = _ALL_OF_MINE.where(", "_STILL_MINE = sa.select(Job.id).where(",
        ("claims::test_whoever_lost_the_lease_settles_nothing",
         "claims::test_a_late_settler_takes_no_queued_event_with_it", STORIES),
    ),
    Mutant(
        "the ledger's own writes do not ask who holds the job",
        CLAIMS, "return bool(_whole(session, holder))", "return True",
        ("fence::test_a_frozen_creator_that_knows_nothing_of_its_successor_is_stopped_before_it_sends",
         "fence::test_what_a_frozen_worker_read_never_covers_what_its_successor_wrote",
         "fence::test_a_frozen_attacher_puts_no_second_file_on_the_deal"),
    ),
    Mutant(
        "a lease lasts for ever in its worker's hands",
        LEASE, "return not self._lost and boot_seconds() < self._until", "return True",
        ("lease::test_a_worker_that_was_frozen_past_it_may_not_write",
         "lease::test_whoever_was_replaced_notices"),
    ),
    Mutant(
        "the wire sends without asking for the lease",
        WIRE, "if tries.write and not self.fence():", "if False:",
        ("wire::test_the_fence_is_the_last_step_before_a_write", "wire::test_the_fence_also_guards_the_second_try"),
    ),
    Mutant(
        "a renewal keeps what others hold",
        CLAIMS, '.where(Job.id.in_(sa.bindparam("ids", expanding=True)))\n    .values(leased_until=', ".where(is_in(State.RUNNING))\n    .values(leased_until=",
        ("guards::test_a_renewal_keeps_only_what_is_its_own",),
    ),
    Mutant(
        "a batch that has lost a job goes on",
        CLAIMS, "if mine and len(mine) == mine[0].batch else []", "if mine else []",
        ("claims::test_who_has_lost_one_job_of_a_batch_has_lost_the_batch",),
    ),
    Mutant(
        "what a lost answer left on a deal stays",
        SHOWING, "    known = [link for link in about if link.synced is not None]\n", "    known: list[Link] = []\n",
        ("back::test_what_a_lost_answer_left_on_the_deal_does_not_stay", "back::test_what_a_dead_worker_left_on_the_deal_does_not_stay"),
    ),
    Mutant(
        "a subject may wait twice",
        JOBS, '"uq_jobs_queued", "connection", "kind", "subject", unique=True', '"uq_jobs_queued", "connection", "kind", "subject"',
        ("indexes::test_one_job_waits_for_a_subject", STORIES),
    ),
    Mutant(
        "two jobs about one lead may run",
        JOBS, '"uq_jobs_running_lead", "lead", unique=True,', '"uq_jobs_running_lead", "lead",',
        ("indexes::test_one_job_about_a_lead_runs",),
    ),
    Mutant(
        "two jobs about one invoice may run",
        JOBS, '"uq_jobs_running_invoice", "invoice", unique=True,', '"uq_jobs_running_invoice", "invoice",',
        ("indexes::test_one_job_about_an_invoice_runs",),
    ),
    Mutant(
        "a migrated ledger has no such index",
        "worker/migrations/versions/0001_the_ledger.py",
        "'uq_jobs_running_lead', ['lead'], unique=True", "'uq_jobs_running_lead', ['lead'], unique=False",
        ("indexes::test_one_job_about_a_lead_runs",),
    ),
    Mutant(
        "a claim takes what is claimed",
        TAKING, "_opaque(is_in(State.QUEUED), Job.due_at <= _NOW, sa.not_(busy(Job)))",
        "_opaque(Job.due_at <= _NOW, sa.not_(busy(Job)))",
        ("claims::test_a_job_is_claimed_once", STORIES),
    ),
    Mutant(
        "an event pulls a job before the end that a vendor named",
        CLAIMS, '"earliest": due if verdict.hard else None', '"earliest": None',
        ("jobs::test_no_event_pulls_a_job_before_the_end_that_a_vendor_named",),
    ),
    Mutant(
        "a job that waits leaves the event that came meanwhile where it is",
        CLAIMS, "if absorb_twin(session, job.id, job.slot):", "if False:",
        ("claims::test_a_job_that_waits_takes_in_the_event_that_came_meanwhile",),
    ),
    Mutant(
        "a job whose worker died leaves the event that came meanwhile where it is",
        SWEEP, "if absorb_twin(session, job.id, _slot(job)):", "if False:",
        ("sweep::test_the_event_that_came_while_a_worker_died_is_taken_in", STORIES),
    ),
    Mutant(
        "a death in a batch tells against all of it, and they run together again",
        SWEEP, "job.alone = job.alone or together", "pass",
        ("sweep::test_a_death_in_a_batch_tells_against_nobody_but_each_runs_alone_after_it",),
    ),
    Mutant(
        "nobody looks before the second try of an invoice",
        OUTCOMES, "hits = hits_for(world, link, nobodys, drafts.get(link.id))", "hits: list[Invoice] = []",
        ("outcomes::test_a_batch_is_resolved_element_by_element_even_if_a_person_edits_the_marks",),
    ),
    Mutant(
        "what was tried is forgotten",
        OUTCOMES, "unknown = sends.unresolved(session, [link.id for _, link in cases])", "unknown: dict[int, Send] = {}",
        ("outcomes::test_an_invoice_that_was_deleted_meanwhile_is_not_made_again",),
    ),
    Mutant(
        "there is no quiet period",
        OUTCOMES, "if rest > 0:", "if False:",
        ("guards::test_a_successor_lets_the_quiet_period_of_the_dead_pass_before_it_looks",),
    ),
    Mutant(
        "nobody looks before the second try of a deal or a client",
        DEALMAKING, "found = creation.find(send.sent_at)", "found = None",
        ("outcomes::test_a_deal_or_client_whose_answer_was_lost_is_made_once",),
    ),
    Mutant(
        "nobody looks before the second try of a note",
        SHOWING, "return any(one.text.startswith(begins) or (one.created_at >= since and TELLS.match(one.text)) for one in notes)", "return False",
        ("outcomes::test_a_note_whose_answer_was_lost_is_written_once",),
    ),
    Mutant(
        "a late answer takes a link that has its invoice",
        LINKS, "if link.invoice_id in (None, invoice_id):", "if True:",
        ("guards::test_an_answer_that_comes_after_the_successors_leaves_the_successors_invoice",),
    ),
    Mutant(
        "a list is read by the numbers of its pages",
        "integrations/walking.py", "    return times[-1], 1\n", "    return begin, page + 1\n",
        ("xero::test_none_is_passed_over_where_one_that_was_read_changes_and_all_behind_it_move_up",),
    ),
    Mutant(
        "a restored ledger makes deals again",
        DEALMAKING, " and not _remembered(world, invoice, link, creation)", "",
        ("doubles::test_a_deal_that_the_ledger_forgot_is_not_made_again_for_its_invoice",),
    ),
    Mutant(
        "the last living invoice of a deal is voided",
        "worker/handlers/create_deal.py", "if _was_kept(invoice, linked):", "if False:",
        ("doubles::test_of_two_invoices_the_one_that_a_person_kept_is_the_deals",),
    ),
    Mutant(
        "a lost invoice whose mark was edited becomes a deal",
        "worker/handlers/create_deal.py", "if is_any_lost or world.connection_of(invoice.url)", "if world.connection_of(invoice.url)",
        ("doubles::test_an_invoice_of_ours_whose_mark_was_edited_before_we_knew_of_it_becomes_no_deal",),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of all that the tests need."""
    folder = tmp_path_factory.mktemp("mutants")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    conftest = folder / "conftest.py"
    conftest.write_text(DESCRIBED.sub("", conftest.read_text(encoding="utf-8")) + QUICK, encoding="utf-8")
    yield folder
    shutil.rmtree(folder)


def outcomes(tree: Path, tests: tuple[str, ...], *, within: float = 250) -> dict[str, set[str]]:
    """What became, in so many seconds, of each of these in the copy, on SQLite: passed, failure or error, where it has several variants perhaps several."""
    report = tree / "report.xml"
    report.unlink(missing_ok=True)
    # what measures this run must not measure copies
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    without = [word for plugin in ("cacheprovider", "xdist", "cov") for word in ("-p", f"no:{plugin}")]
    command = [sys.executable, "-m", "pytest", "-q", *without, "--timeout=120", f"--junitxml={report}"]
    done = subprocess.run(
        [*command, "-k", "not postgres", *tests], cwd=tree, env=kept, capture_output=True, text=True, timeout=within, check=False
    )  # fmt: skip
    assert report.exists(), done.stdout + done.stderr
    told: dict[str, set[str]] = {test: set() for test in tests}
    for case in ET.parse(report).iter("testcase"):
        name = case.attrib["name"].partition("[")[0]
        (test,) = [test for test in tests if test.endswith(f"::{name}")]
        told[test].add(next((child.tag for child in case), "passed"))
    assert all(told.values()), done.stdout
    return told


@pytest.mark.timeout(600)
def test_the_tests_pass_where_nothing_is_broken(tree: Path):
    every = tuple(dict.fromkeys(test for mutant in MUTANTS for test in mutant.tests))
    assert {test: how for test, how in outcomes(tree, every, within=550).items() if how != {"passed"}} == {}


STAMPS = itertools.count(2_000_000_000)


def write(path: Path, text: str) -> None:
    """With a time that the file never had, so that no .pyc of what it was is taken for what it is."""
    path.write_text(text, encoding="utf-8")
    stamp = next(STAMPS)
    os.utime(path, (stamp, stamp))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.what.replace(" ", "-"))
def test_it_is_caught(mutant: Mutant, tree: Path):
    path = tree / mutant.file
    whole = path.read_text(encoding="utf-8")
    assert whole.count(mutant.old) == 1, f"{mutant.file} has this {whole.count(mutant.old)} times: {mutant.old}"
    started = time.monotonic()
    write(path, whole.replace(mutant.old, mutant.new))
    try:
        told = outcomes(tree, mutant.tests)
    finally:
        write(path, whole)
    print(f"{mutant.what}: caught by {len(told)} in {time.monotonic() - started:.1f} s")
    assert {test: how for test, how in told.items() if "failure" not in how} == {}
