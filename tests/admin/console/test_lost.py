"""A connection that is lost: known everywhere within a minute, nothing fails, and a consent lets all go on by itself."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.serving import make_server

from tests.admin.conftest import Desk
from tests.admin.console.conftest import Browser, words
from tests.admin.console.test_consent import consent, registered  # noqa: F401  (a fixture of all tests there and here)
from tests.admin.console.test_metrics import read
from tests.worker.shop import Shop
from webhooks.receive import create_app
from worker import beat, canary, noticing, uninstalls, watching
from worker.deliveries import Delivery
from worker.jobs import Job, State
from worker.settings import Settings
from worker.verdicts import RECONNECT_WAIT
from worker.workshop import Workshop

HOUR = 3600


@dataclass
class Office:
    """Both systems connected by consent and set up, with a worker whose rounds a test does by hand."""

    desk: Desk
    operator: Browser
    shop: Shop
    until: Callable[..., Any]

    def minute(self) -> None:
        """What beat and the workers do within a minute, jobs apart."""
        uninstalls.judge(self.shop.workshop)
        watching.look_at_access(self.shop.workshop)

    def hour(self) -> None:
        """The hourly look, and the minute after it."""
        self.shop.pass_time(HOUR)
        canary.sing(self.shop.workshop.redis, self.shop.now())
        noticing.look(self.shop.workshop)
        self.minute()

    def deals(self) -> list[int]:
        leads = [self.shop.deal(f"Deal {number}") for number in range(3)]
        self.shop.entered(*leads)
        self.shop.work()
        return leads

    def states(self) -> set[str]:
        with self.shop.workshop.database.reading() as session:
            return set(session.scalars(sa.select(Job.state)))

    def is_idle(self) -> bool:
        self.shop.work()
        return self.states() <= {State.DONE}

    def heard(self, source: str) -> bool:
        with self.shop.workshop.database.reading() as session:
            return session.scalar(sa.select(Delivery.id).where(Delivery.source == source)) is not None

    def says(self, vendor: str) -> dict[str, Any]:
        """What an operator is told of this vendor, wherever they look; `check` last, for it looks by itself."""
        metrics = read(self.operator)
        grants = self.desk.ask("status")["grants"]
        page = words(self.operator.get("/connections/demo"))
        lines = json.loads(self.desk.run("check", "demo", "--json").stdout)
        failed = [
            f"{one['said']} {one['mend']}" for one in lines if one["grade"] == "failed" and vendor in one["about"]
        ]
        return {
            "metrics": metrics["bridge_grant_refused", "demo", vendor],
            "notice": metrics.get(("bridge_check_failing", f"{vendor} grant", "demo"), 0),
            "status": next(one["refusal"] for one in grants if one["vendor"] == vendor),
            "console": "connection lost" in page and f"Connect {vendor.title()} again" in page,
            "check": any(f"connect {vendor} demo" in line for line in failed),
        }


@pytest.fixture
def office(operator: Browser, settings: Settings, desk: Desk, until: Callable[..., Any]) -> Iterator[Office]:
    for vendor in ("kommo", "xero"):
        consent(operator, vendor)
    operator.post("/connections/demo/setup", "/connections/demo")
    workshop = Workshop(settings)
    shop = Shop(desk.sandbox, workshop)
    workshop.now = shop.now
    yield Office(desk, operator, shop, until)
    workshop.close()


@pytest.fixture
def receiver(office: Office, settings: Settings) -> Iterator[None]:
    """The process web, as Kommo reaches it."""
    app = create_app(settings, office.shop.workshop.database, lambda _: None, now=lambda: datetime.now(UTC))
    server = make_server("127.0.0.1", settings.port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_is_done_within_a_minute_takes_less():
    assert beat.UNINSTALLS_EVERY + beat.ACCESS_EVERY + beat.TELL_EVERY < 60


def lost(vendor: str, refusal: str) -> dict[str, Any]:
    return {"metrics": 1, "notice": 1, "status": refusal, "console": True, "check": True}


def found(office: Office, vendor: str) -> None:
    """A consent again, and nothing else that anybody does."""
    assert "Connected with" in consent(office.operator, vendor)
    office.until(office.is_idle, 60)  # who has no turn at Kommo waits a second or two
    office.minute()
    told = office.says(vendor)
    assert (told["metrics"], told["notice"], told["status"], told["console"]) == (0, 0, None, False)


def test_an_uninstall_hook_tells_at_once_of_an_idle_connection(office: Office, receiver: None, settings: Settings):
    address = f"{settings.kommo_webhook_url()}/uninstall"
    office.desk.sandbox.patch("kommo/integration", {"uninstall_url": address})
    office.desk.sandbox.post("kommo/integration/uninstall", {"hook": True})
    office.until(lambda: office.heard("kommo-uninstall"), 10)
    office.minute()
    assert office.says("kommo") == lost("kommo", "revoked")
    leads = office.deals()
    assert office.states() == {State.QUEUED}
    found(office, "kommo")
    assert all(office.shop.lead(lead).fields["XERO_INVOICE_NUMBER"] for lead in leads)


def removed(office: Office) -> None:
    office.desk.sandbox.post("xero/disconnect", {"client_id": office.desk.sandbox.ready["xero_app_client_id"]})


WAYS: dict[str, tuple[str, Callable[[Office], object], str]] = {
    "revoked at Kommo": ("kommo", lambda office: office.desk.sandbox.post("kommo/grants/revoke"), "revoked"),
    "revoked at Xero": ("xero", lambda office: office.desk.sandbox.post("xero/grants/revoke"), "revoked"),
    "removed at Xero": ("xero", removed, "disconnected"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_first_refused_call_tells(office: Office, way: str):
    vendor, lose, refusal = WAYS[way]
    lose(office)
    leads = office.deals()
    office.minute()
    assert office.says(vendor) == lost(vendor, refusal)
    for _ in range(3):
        office.shop.pass_time(RECONNECT_WAIT + 1)
        office.shop.work()
    assert office.states() == {State.QUEUED}
    found(office, vendor)
    assert all(office.shop.lead(lead).fields["XERO_INVOICE_NUMBER"] for lead in leads)


@pytest.mark.parametrize("way", WAYS)
def test_of_an_idle_connection_the_hourly_look_tells(office: Office, way: str):
    vendor, lose, refusal = WAYS[way]
    lose(office)
    office.hour()
    assert office.says(vendor) == lost(vendor, refusal)
    found(office, vendor)


def test_a_right_that_an_idle_connection_lacks_is_told_by_the_hourly_look(office: Office):
    office.desk.sandbox.post("xero/grants/scopes", {"take": ["accounting.settings.read"]})
    office.hour()
    assert office.says("xero") == lost("xero", "scope")
    found(office, "xero")
