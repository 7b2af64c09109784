"""No token and no secret lies in clear in a log, a table or a trace, whatever has happened; and whoever looks would see one."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from stack.children import Children
from tests.system import secrecy
from tests.system.product import Product
from tests.system.product import product as running

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def product(children: Children, ground_folder: Path) -> Iterator[Product]:
    """One process of each kind: what they leave behind is the same as with many. Those of the other files are searched at their end."""
    folder = Path(tempfile.mkdtemp(prefix="secrets-", dir=ground_folder))
    few = {"CELERY_WORKER_CONCURRENCY": "2", "WEB_CONCURRENCY": "1"}
    with running(children, folder, kinds={"web": 1, "worker": 1, "beat": 1}, on_sqlite=True, more=few) as product:
        yield product


@pytest.fixture
def logs(ground_folder: Path) -> Path:
    return ground_folder / "logs"


def leaks(product: Product, logs: Path) -> list[str]:
    settings = product.processes.environment
    wanted = secrecy.secrets(product.sandbox, settings)
    assert len(wanted) > len(secrecy.SECRET_SETTINGS)
    return secrecy.leaks(wanted, logs=logs, database_url=settings["DATABASE_URL"])


def test_a_story_with_all_its_troubles_leaves_no_secret_behind(product: Product, logs: Path):
    """A deal and its invoice, a lost answer, a token that ran out, one that was refused, a wrong signature, the commands of an operator."""
    sandbox, settings = product.sandbox, product.processes.environment
    sandbox.post(
        "faults", {"vendor": "xero", "call": "POST /connect/token", "when": "after", "do": "reset", "times": 1}
    )
    sandbox.post("xero/tokens/expire")
    product.approve(product.deal("Website", company={"name": "Acme Ltd", "email": "pay@acme.example"}))
    product.settle()
    sandbox.patch("settings", {"kommo": {"paid": False}})
    product.approve(product.deal("Refused", company={"name": "Acme Ltd", "email": "pay@acme.example"}))
    sandbox.wait_idle(quiet=2, timeout=60)
    sandbox.patch("settings", {"kommo": {"paid": True}})
    web = product.processes["web.1"].url
    sandbox.post("kommo/integration/uninstall", {"hook": True})
    for path in ("kommo/wrong-token", f"kommo/{settings['KOMMO_WEBHOOK_TOKEN']}/uninstall?signature=wrong", "xero"):
        secrecy.poke(f"{web}/webhooks/{path}")
    product.processes.admin(("status",), ("keys", "rotate"), ("jobs", "list"))
    assert leaks(product, logs) == []


def test_one_that_lies_in_a_log_or_a_table_is_seen(product: Product, logs: Path):
    settings = product.processes.environment
    planted = logs / "planted.log"
    planted.write_text(f"Authorization: Bearer {product.sandbox.ready['kommo_token']}")
    engine = sa.create_engine(settings["DATABASE_URL"], poolclass=sa.NullPool)
    said = {"body": settings["XERO_WEBHOOK_KEY"].encode(), "at": "2026-09-14 03:00:00"}
    with engine.begin() as connection:
        kept = "INSERT INTO deliveries (source, received_at, content_type, body) VALUES ('kommo', :at, '', :body)"
        connection.execute(sa.text(kept), said)
    try:
        assert sorted(leaks(product, logs)) == [
            "planted.log holds kommo_token",
            "table deliveries holds XERO_WEBHOOK_KEY",
        ]
    finally:
        planted.unlink()
        with engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM deliveries WHERE body = :body"), {"body": said["body"]})
        engine.dispose()
