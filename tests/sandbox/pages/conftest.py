"""Both vendors and their pages in this process, visited as a browser without JavaScript would."""

from collections.abc import Iterator

import pytest

from tests.sandbox.pages.visitor import Visitor


@pytest.fixture(scope="session")
def pages_running() -> Iterator[Visitor]:
    with Visitor() as visitor:
        yield visitor


@pytest.fixture
def visitor(pages_running: Visitor) -> Visitor:
    """Everything as at the start, and nobody on the way."""
    pages_running.tell("/reset", {"seed": "demo"})
    return pages_running
