"""Requests to Xero that a test saw, before its official description."""

from tests.described import description
from tests.described.exchanges import Exchange
from tests.integrations.vendor import Seen


def is_there() -> bool:
    """Whether requests can be checked."""
    return description.is_there()


def check(seen: Seen) -> None:
    """Fail where Xero's description knows no such request: path, parameters, their names and types, body."""
    path = seen.path[seen.path.index(description.ACCOUNTING) :]
    said = description.against_request(
        Exchange(seen.method, path, tuple(seen.query), dict(seen.headers.items()), seen.body)
    )
    assert not said, f"{seen.method} {path}: {said}"
