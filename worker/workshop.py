"""The workshop: what one worker process keeps between jobs, and how it makes a world for an attempt."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from zoneinfo import ZoneInfo

from redis import Redis

from integrations import oauth
from integrations.kommo.client import Kommo
from integrations.script import open_redis
from integrations.turns import Priority, Turns
from integrations.wire import CallRecord, Wire, always, ignore
from integrations.xero.client import Xero
from worker import asking, facts, grants, routes
from worker import connections as connections_file
from worker.budgets import Budgeted, kommo_budget, xero_budget
from worker.choosing import USUAL_CHILDREN, Worker
from worker.connections import Connection
from worker.database import Database, open_database
from worker.facts import Facts, KnownFacts
from worker.grants import Credentials
from worker.renewing import GrantTokens
from worker.ring import Bell, client_address
from worker.routes import Route
from worker.settings import Settings
from worker.vault import Vault
from worker.world import World
from worker.wrote import Wrote, forget

# After so long it is asked again who shares a budget: a connection may have been set up since, and then each leaves the other its part.
BUDGET_AGE = timedelta(minutes=1)

# Workers wait longer for the database than the receiver may: nobody waits for them.
DATABASE_PATIENCE = 20.0


class NotSetUp(Exception):
    """The connection's file or its `setup` is missing: a person must act, and the text says how."""


def utcnow() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A wire, and what its budget was made of."""

    wire: Wire
    budgeted: Budgeted
    asked_at: datetime


class Workshop:
    """Everything that outlives an attempt: the database, Redis, and each vendor account's wire with its connections."""

    def __init__(
        self, settings: Settings, *, now: Callable[[], datetime] = utcnow, children: int = USUAL_CHILDREN
    ) -> None:
        self.settings = settings
        self.now = now
        self.database: Database = open_database(settings.database_url, patience=DATABASE_PATIENCE)
        self.ring = Bell(settings.redis_url)
        # Its children claim under one name: they have it for a parent.
        self.worker = Worker(f"{socket.gethostname()}:{os.getppid()}", children)
        self._wires: dict[tuple[str, str, str], _Kept] = {}

    @cached_property
    def connections(self) -> dict[str, Connection]:
        """The connections file, by name."""
        return {connection.name: connection for connection in connections_file.load(self.settings.connections_file)}

    @cached_property
    def vault(self) -> Vault:
        """What tokens are sealed with."""
        return Vault(self.settings.secret_keys)

    @cached_property
    def redis(self) -> Redis:
        """The budgets' Redis."""
        return open_redis(client_address(self.settings.redis_url))

    def connection(self, name: str) -> Connection:
        """The connection of this name. Raises NotSetUp."""
        if name not in self.connections:
            raise NotSetUp(
                f"{self.settings.connections_file} has no connection {name!r} (any more): put it back, then replay"
            )
        return self.connections[name]

    def route(self, name: str) -> Route:
        """What `setup` has learned of it. Raises NotSetUp."""
        with self.database.reading() as session:
            route = routes.load(session, name)
        if route is None:
            raise NotSetUp(f"the connection {name!r} was never set up: run admin setup {name}")
        return route

    def world(
        self,
        name: str,
        *,
        priority: Priority,
        fence: Callable[[], bool] = always,
        on_call: Callable[[CallRecord], None] = ignore,
        on_write: Callable[[Wrote], None] = forget,
        holder: str | None = None,
    ) -> World:
        """The world for one attempt on this connection's jobs."""
        connection, route = self.connection(name), self.route(name)
        zone = self._zone(name)
        kommo = self.kommo(connection, route.subdomain, zone, priority=priority, fence=fence, on_call=on_call)
        xero = self.xero(connection, route.tenant_id, priority=priority, fence=fence, on_call=on_call)
        known = KnownFacts(self.database, name, lambda: facts.ask(kommo, xero), self.now)
        timing = self.settings.timing
        return World(
            connection=connection,
            route=route,
            database=self.database,
            kommo=kommo,
            xero=xero,
            known=known,
            now=self.now,
            quiet=timedelta(seconds=timing.quiet_seconds),
            read_timeout=timedelta(seconds=timing.read_timeout_seconds),
            redis=self.redis,
            vendors_minute=timedelta(minutes=1 / timing.time_factor),
            holder=holder,
            on_write=on_write,
        )

    def kommo(
        self,
        connection: Connection,
        subdomain: str,
        zone: ZoneInfo,
        *,
        priority: Priority,
        fence: Callable[[], bool] = always,
        on_call: Callable[[CallRecord], None] = ignore,
    ) -> Kommo:
        """A client for the connection's Kommo account."""
        wire = self._wire("kommo", connection, lambda: self.kommo_budget(connection))
        return Kommo(
            wire.fenced(fence, on_call), base_url=self.settings.kommo_base(subdomain), timezone=zone, priority=priority
        )

    def xero(
        self,
        connection: Connection,
        tenant_id: str,
        *,
        priority: Priority,
        fence: Callable[[], bool] = always,
        on_call: Callable[[CallRecord], None] = ignore,
    ) -> Xero:
        """A client for the connection's Xero organisation."""
        wire = self._wire("xero", connection, lambda: self.xero_budget(connection, tenant_id), tenant_id)
        return Xero(
            wire.fenced(fence, on_call), base_url=self.settings.xero_api_url, tenant_id=tenant_id, priority=priority
        )

    def kommo_budget(self, connection: Connection) -> Budgeted:
        """How Kommo counts this connection's calls, and with whose."""
        return kommo_budget(connection, self.connections.values())

    def xero_budget(self, connection: Connection, tenant_id: str) -> Budgeted:
        """How Xero counts the calls that this connection makes to an organisation, and with whose."""
        with self.database.reading() as session:
            routed = routes.find_connections(session, tenant_id=tenant_id)
            grant = grants.find(session, "xero", connection.name)
        among = [self.connections[route.connection] for route in routed if route.connection in self.connections]
        client_id = grant.client_id if grant and grant.client_id else self.settings.xero_client_id
        return xero_budget(connection, tenant_id, among, client_id=client_id)

    def turns(self, budgeted: Budgeted) -> Turns:
        """The shared budget of a vendor account."""
        timing = self.settings.timing
        return Turns(
            self.redis,
            key=budgeted.key,
            windows=budgeted.windows,
            places=budgeted.places,
            party=budgeted.party,
            parties=len(budgeted.parties),
            factor=timing.time_factor,
            patience=timing.patience_seconds,
        )

    def tokens(self, vendor: str, connection: str) -> GrantTokens:
        """The connection's tokens at this vendor."""
        return GrantTokens(
            self.database, self.vault, vendor=vendor, connection=connection, request=partial(self._request_token, vendor),
            now=self.now,
        )  # fmt: skip

    def close(self) -> None:
        """Close what is open."""
        for kept in self._wires.values():
            kept.wire.close()
        self.database.close()

    def _wire(self, vendor: str, connection: Connection, budget: Callable[[], Budgeted], tenant_id: str = "") -> Wire:
        name = (vendor, connection.name, tenant_id)
        kept = self._wires.get(name)
        if kept is None or self.now() - kept.asked_at > BUDGET_AGE:
            budgeted = budget()
            if kept is None or kept.budgeted != budgeted:
                wire = self._open(vendor, connection, budgeted)
                if kept:
                    kept.wire.close()
            else:
                wire = kept.wire
            kept = self._wires[name] = _Kept(wire, budgeted, self.now())
        return kept.wire

    def _open(self, vendor: str, connection: Connection, budgeted: Budgeted) -> Wire:
        timing = self.settings.timing
        return Wire(
            vendor=vendor,
            tokens=self.tokens(vendor, connection.name),
            turns=self.turns(budgeted),
            connect_timeout=timing.connect_timeout_seconds,
            read_timeout=timing.read_timeout_seconds,
        )

    def _request_token(self, vendor: str, credentials: Credentials) -> oauth.TokenSet:
        return asking.ask(self.settings, vendor, credentials, now=self.now())

    def _zone(self, name: str) -> ZoneInfo:
        with self.database.reading() as session:
            known: Facts | None = facts.last_known(session, name)
        return ZoneInfo(known.kommo.timezone if known else "UTC")
