"""Holds to Xero's description whatever went through the doors of simulated Xeros during a test run: after each module, and at the end.

Requests are judged where they are of our own clients, answers always. Where there is no description nothing is kept, and the last lines say so.
"""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.described import description
from tests.described.differences import call_of, unlisted
from tests.described.exchanges import Exchange, Reader

VARIABLE = "SANDBOX_EXCHANGES"  # sandbox/kit/exchanges.py
OURS = "kommo-xero-bridge"  # how our clients call themselves


class Court:
    """What was kept, judged as it comes."""

    def __init__(self, folder: Path) -> None:
        self._new = Reader(folder, "xero").new
        self.requests = self.answers = 0

    def sit(self) -> list[str]:
        """What is against what came since the last time, once each, with how often."""
        found = Counter(
            charge for exchange in self._new() if description.is_described(exchange) for charge in self._judge(exchange)
        )
        return [f"{times} x {charge}" for charge, times in found.items()]

    def _judge(self, exchange: Exchange) -> Iterator[str]:
        call = call_of(exchange.method, exchange.path, exchange.status)
        if exchange.header("User-Agent").startswith(OURS):
            self.requests += 1
            for words in description.against_request(exchange):
                yield f"our request {call}: {words}"
        if exchange.status is not None:
            self.answers += 1
            for words in unlisted(call, description.against_answer(exchange)):
                yield f"the sandbox's answer to {call}: {words}"

    def shown(self) -> str:
        return f"{self.requests} requests of ours and {self.answers} answers of the sandbox were held to it"


COURT = pytest.StashKey[Court]()
LATE = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    if not description.is_there():
        return
    folder = os.environ[VARIABLE] = tempfile.mkdtemp(prefix="exchanges-")
    config.stash[COURT] = Court(Path(folder))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    config.add_cleanup(lambda: os.environ.__delitem__(VARIABLE))


@pytest.fixture(scope="module", autouse=True)
def held_to_the_description(pytestconfig: pytest.Config, ground: dict[str, str]) -> Iterator[None]:
    """Fails a module whose calls, or their answers, are not as described; the last lines say how many were held to it."""
    yield
    court = pytestconfig.stash.get(COURT, None)
    charges = court.sit() if court else []
    ground["Xero spec"] = court.shown() if court else f"{description.ABSENT}: nothing was held to it"
    assert not charges, "not as Xero's description has it:\n" + "\n".join(charges)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What came after its module had ended. One of several processes tells the first."""
    late = session.config.stash.setdefault(LATE, [])
    if court := session.config.stash.get(COURT, None):
        late += court.sit()
    if late:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if told := getattr(session.config, "workeroutput", None):
        told["late"] = late


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The first hears it."""
    node.config.stash.setdefault(LATE, []).extend(getattr(node, "workeroutput", {}).get("late", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for charge in config.stash.get(LATE, []):
        terminalreporter.line(f"not as Xero's description has it: {charge}", red=True)
