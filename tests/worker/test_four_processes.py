"""Fifty jobs at once on tokens that have expired, in four processes: each vendor is asked for a new pair once."""

import os
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from stack.children import Children
from stack.plan import is_ours
from stack.processes import ROOT, inherited
from worker import grants
from worker.jobs import InvoiceRef, Job, Kind, LeadRef, State, Wanted

from .consents import TOKEN_CALL, VENDORS, consent, requests_for_tokens
from .shop import Shop

PROCESSES, JOBS = 4, 50


@pytest.fixture
def consented(shop: Shop):
    for vendor in VENDORS:
        shop.sandbox.delete(f"{vendor}/grants")
        consent(shop.workshop, shop.sandbox, vendor)
    yield shop
    shop.sandbox.patch("settings", {vendor: {"refresh_rotation": "grace"} for vendor in VENDORS})
    for vendor in VENDORS:
        shop.sandbox.delete(f"{vendor}/grants")


def environment(shop: Shop) -> dict[str, str]:
    settings = shop.workshop.settings
    return inherited(os.environ, without=is_ours) | {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "CONNECTIONS_FILE": str(settings.connections_file),
        "SECRET_KEYS": settings.secret_keys[0].get_secret_value(),
        "KOMMO_API_URL": settings.kommo_api_url,
        "XERO_API_URL": settings.xero_api_url,
        "XERO_IDENTITY_URL": settings.xero_identity_url,
        "BRIDGE_TIME_FACTOR": "50",
    }


def fifty_jobs(shop: Shop) -> None:
    """Half of them ask Kommo for deals that are not there, half ask Xero for such invoices; each runs by itself."""
    leads = [
        Wanted("demo", Kind.CREATE_INVOICE, lead=LeadRef(shop.account_id, 900_000 + one)) for one in range(JOBS // 2)
    ]
    invoices = [
        Wanted("demo", Kind.CREATE_DEAL, invoice=InvoiceRef(shop.tenant_id, f"00000000-0000-4000-8000-{one:012}"))
        for one in range(JOBS // 2)
    ]
    shop.record(*leads, *invoices)
    with shop.workshop.database.begin() as session:
        session.execute(sa.update(Job).values(alone=True))


@pytest.mark.parametrize("lost", [False, True], ids=["", "the answer lost"])
def test_each_vendor_is_asked_for_a_new_pair_once(
    consented: Shop, children: Children, tmp_path: Path, until, lost: bool
):
    """With strict rotation; and where the answer is lost, with grace, once more by the same one."""
    rotation = "grace" if lost else "strict"
    consented.sandbox.patch("settings", {vendor: {"refresh_rotation": rotation} for vendor in VENDORS})
    fifty_jobs(consented)
    go = tmp_path / "go"
    command = [sys.executable, "-m", "tests.worker.labour", str(go)]
    workers = [
        children.start(f"labour.{one}", command, env=environment(consented), cwd=ROOT) for one in range(PROCESSES)
    ]
    for worker in workers:
        until(lambda worker=worker: "ready" in worker.output(), 120)
    for vendor in VENDORS:
        consented.sandbox.post(f"{vendor}/grants/expire", {"what": "access"})
        if lost:
            consented.fault(vendor, TOKEN_CALL[vendor], "reset")
    go.touch()
    for worker in workers:
        worker.process.wait(280)
    for vendor in VENDORS:
        asked = requests_for_tokens(consented.sandbox, vendor)
        assert [one["error"] for one in asked] == [""] * (2 if lost else 1)
    with consented.workshop.database.reading() as session:
        assert set(session.scalars(sa.select(Job.state))) == {State.DONE}
        assert {one.refusal for one in grants.standings(session)} == {None}
