"""The ledger on a database of its own, on both kinds."""

from collections.abc import Iterator

import pytest

from worker.database import Database, open_database
from worker.tables import METADATA


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty ledger."""
    opened = open_database(database_url)
    METADATA.create_all(opened.engine)
    yield opened
    opened.close()
