"""Trying a token that is not stored yet: what it opens, asked with it and with no other."""

from collections.abc import Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from integrations.errors import Refusal, Unauthorised
from integrations.kommo.client import Kommo
from integrations.kommo.entities import Account
from integrations.turns import Priority, Turns
from integrations.wire import Wire
from integrations.xero.client import Xero
from integrations.xero.entities import Organisation, Tenant
from worker import tenants
from worker.connections import Connection
from worker.workshop import Workshop


class Tried:
    """A token that is only tried: there is no other one to be had."""

    def __init__(self, vendor: str, token: str) -> None:
        self.vendor, self._token = vendor, token

    def current(self) -> str:
        """The token."""
        return self._token

    def renew(self, stale: str) -> str:
        """Never: Unauthorised."""
        raise Unauthorised(self.vendor, "token", f"{len(stale)} characters were refused", reason=Refusal.REVOKED)

    def let_in(self, call: str) -> None:
        """There is nothing to take back."""


def account(workshop: Workshop, connection: Connection, token: str, subdomain: str) -> Account:
    """The Kommo account that a token opens at this subdomain."""
    turns = workshop.turns(workshop.kommo_budget(connection))
    with _wire(workshop, Tried("kommo", token), turns) as wire:
        address = workshop.settings.kommo_base(subdomain)
        return Kommo(wire, base_url=address, timezone=ZoneInfo("UTC"), priority=Priority.NEW).account()


def organisations(workshop: Workshop, connection: Connection, token: str) -> list[Tenant] | None:
    """The Xero organisations that a token reaches; None where it may not list them."""
    with _xero(workshop, connection, token, connection.xero_tenant_id or "") as xero:
        return tenants.reached(xero)


def organisation(workshop: Workshop, connection: Connection, token: str, tenant_id: str) -> Organisation:
    """The organisation itself, which must be the one of that id (NotDone)."""
    with _xero(workshop, connection, token, tenant_id) as xero:
        found = xero.organisation()
    tenants.must_be(connection, tenant_id, found)
    return found


@contextmanager
def _xero(workshop: Workshop, connection: Connection, token: str, tenant_id: str) -> Iterator[Xero]:
    turns = workshop.turns(workshop.xero_budget(connection, tenant_id))
    with _wire(workshop, Tried("xero", token), turns) as wire:
        yield Xero(wire, base_url=workshop.settings.xero_api_url, tenant_id=tenant_id, priority=Priority.NEW)


@contextmanager
def _wire(workshop: Workshop, tokens: Tried, turns: Turns) -> Iterator[Wire]:
    timing = workshop.settings.timing
    wire = Wire(
        vendor=tokens.vendor, tokens=tokens, turns=turns, connect_timeout=timing.connect_timeout_seconds,
        read_timeout=timing.read_timeout_seconds,
    )  # fmt: skip
    try:
        yield wire
    finally:
        wire.close()
