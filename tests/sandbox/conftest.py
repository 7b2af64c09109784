"""One simulated Xero for all of its tests, as new for each."""

from collections.abc import Iterator

import pytest

from sandbox.kit.stand import Sandbox
from sandbox.xero import open_vendor
from tests.sandbox.xero_office import Office


@pytest.fixture(scope="session")
def xero_stand() -> Iterator[Office]:
    with Sandbox([open_vendor]) as sandbox:
        office = Office(sandbox)
        yield office
        office.session.close()


@pytest.fixture
def xero(xero_stand: Office) -> Office:
    xero_stand.open()
    return xero_stand
