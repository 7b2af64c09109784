"""One product for a file of system tests; each leaves it idle and whole, and no secret in clear."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.children import Children
from tests import servers
from tests.system import product as system
from tests.system import secrecy


@pytest.fixture(scope="module")
def product(children: Children, ground_folder: Path, ground: dict[str, str]) -> Iterator[system.Product]:
    """2 web, 2 workers and 2 beats from the Procfile, on PostgreSQL and Redis, against the sandbox."""
    folder = Path(tempfile.mkdtemp(prefix="system-", dir=ground_folder))
    folder.chmod(0o711)
    try:
        with system.product(children, folder) as running:
            ground |= running.stands_on()
            yield running
            settings = running.processes.environment
            wanted = secrecy.secrets(running.sandbox, settings)
            assert secrecy.leaks(wanted, logs=ground_folder / "logs", database_url=settings["DATABASE_URL"]) == []
    except servers.Absent as absent:
        pytest.skip(str(absent).splitlines()[0])
