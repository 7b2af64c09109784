"""Many deals that failed for one cause, which is then mended: replayed by that cause, each is invoiced exactly once."""

import json
import os
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from stack.children import Children, until
from tests.system.product import Product, product

pytestmark = pytest.mark.system

# Each is refused by itself before it has failed: a call each, at the vendor's pace.
DEALS = 200 if os.environ.get("LONG") == "yes" else 40


def jobs(running: Product, *words: str) -> list[dict[str, Any]]:
    (told,) = running.processes.admin(("jobs", "list", "--limit", "1000", "--json", *words))
    found: list[dict[str, Any]] = json.loads(told)
    return found


def failures(running: Product) -> int:
    """How many jobs have failed: asked of the ledger itself, since a command costs a second or two of a processor."""
    engine = sa.create_engine(running.processes.environment["DATABASE_URL"], poolclass=sa.NullPool)
    with engine.connect() as connection:
        return int(connection.scalar(sa.text("SELECT count(*) FROM jobs WHERE state = 'failed'")) or 0)


def test_what_failed_for_a_mended_cause_is_done_once(children: Children, ground_folder: Path):
    with product(
        children, ground_folder / "replays", kinds={"web": 1, "worker": 2, "beat": 1}, on_sqlite=True
    ) as running:
        client = running.company("Acme Ltd")
        deals = [running.deal(f"Deal {number}", company=client) for number in range(DEALS)]
        running.settle()
        # what Xero answers to a client that it does not understand: a person must act, so nothing is tried again
        refusal = {"vendor": "xero", "call": "PUT /api.xro/2.0/Invoices", "when": "before", "do": 406, "times": None}
        fault = running.sandbox.post("faults", refusal)
        began = time.monotonic()
        running.approve(*deals)
        until(lambda: failures(running) == DEALS, 240, what="all of them to fail", pause=0.5)
        print(f"{DEALS} failed after {time.monotonic() - began:.1f} s")
        failed = jobs(running, "--state", "failed", "--error", "does not accept this")
        assert sorted(job["lead_id"] for job in failed) == deals
        assert {job["deal_name"] for job in failed} == {f"Deal {number}" for number in range(DEALS)}

        running.sandbox.delete(f"faults/{fault['id']}")
        words = ("jobs", "replay", "--state", "failed", "--error", "does not accept this")
        (dry,) = running.processes.admin((*words, "--dry-run"))
        assert f"{DEALS} jobs: {DEALS} would be queued again." in dry
        assert (failures(running), running.jobs_left()) == (DEALS, 0)
        began = time.monotonic()
        told = running.processes.admin(words, words)  # two operators at the same moment
        assert sum(int(count) for one in told for count in re.findall(r"(\d+) queued again", one)) >= DEALS
        until(
            lambda: all(running.books().deals[lead_id].number for lead_id in deals), 240, what="all invoices", pause=0.5
        )
        print(f"{DEALS} invoiced after {time.monotonic() - began:.1f} s")
        books = running.books()
        made = Counter(lead_id for one in books.invoices for lead_id in deals if one.is_for(lead_id))
        assert made == dict.fromkeys(deals, 1)
        until(lambda: failures(running) == 0, 30, what="successes that close the failures")
