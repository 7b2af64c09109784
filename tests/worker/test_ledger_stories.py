"""The ledger's machine once more, with every kind of step in every story.

Hypothesis' own driver leaves kinds of steps out of a story to reach odd corners of the rest. What the fence is for needs nearly all of them together
(an event, a ring, a worker frozen, time, a sweep, and its thaw), which that driver hardly ever plays; here each story may take any step at any time.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.worker.test_ledger_machine import LEADS, VERDICTS, Ledger
from worker.database import Database, open_database
from worker.tables import METADATA

PICK = st.integers(0, 5)

DELIVER = st.fixed_dictionaries(
    {"step": st.just("deliver"), "lead": LEADS, "kind": st.sampled_from(["create", "sync"])}
)
RING = st.fixed_dictionaries({"step": st.just("ring"), "pick": PICK, "most": st.sampled_from([1, 50])})
REPLACE = st.fixed_dictionaries({"step": st.just("replace"), "pick": PICK})
THAW = st.fixed_dictionaries({"step": st.just("thaw"), "pick": PICK, "verdict": VERDICTS})
END = st.fixed_dictionaries({"step": st.just("end"), "pick": PICK, "verdict": VERDICTS})
PASS_TIME = st.fixed_dictionaries({"step": st.just("pass_time"), "seconds": st.sampled_from([1, 11])})
SWEEP = st.fixed_dictionaries({"step": st.just("sweep")})

# Rings are heard more often than attempts end, so that there is somebody to be replaced, and to come back.
STEPS = st.one_of(DELIVER, RING, RING, REPLACE, THAW, END, PASS_TIME, SWEEP)
STORIES = st.lists(STEPS, min_size=15, max_size=40)
TOLD = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.fixture(scope="module")
def on_sqlite() -> Iterator[Database]:
    with TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'ledger.db'}")
        METADATA.create_all(database.engine)
        yield database
        database.close()


class Told(Ledger):
    """The machine, and what it can ask only where a story is told to its end."""

    def replace(self, pick: int) -> None:
        """A worker stands still until its lease has lapsed and others have been rung for its jobs."""
        self.freeze(pick=pick)
        self.pass_time(seconds=11)
        self.sweep()

    def the_living_keep_theirs(self) -> None:
        """Whoever lives and renews its lease is robbed of nothing."""
        for taken in self.held:
            assert {self.row(job.id).holder for job in taken.jobs} == {taken.holder}


@TOLD
@given(story=STORIES)
def test_the_ledger_holds_in_stories_that_lack_nothing(on_sqlite: Database, story: list[dict[str, Any]]):
    machine = type("LedgerOn", (Told,), {"database": on_sqlite})()
    for told in story:
        more = {name: value for name, value in told.items() if name != "step"}
        getattr(machine, told["step"])(**more)
        machine.one_at_a_time()
        machine.nothing_hangs()
        machine.the_living_keep_theirs()
    machine.teardown()
