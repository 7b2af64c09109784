"""What a handler works with: both systems, the ledger, the rules of its connection, and the time. Nothing in it is global."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

from redis import Redis
from sqlalchemy.orm import Session

from integrations.errors import LeaseLost
from integrations.kommo.client import Kommo
from integrations.xero.client import Xero
from worker import marks
from worker.claims import holds
from worker.connections import Connection
from worker.database import Database
from worker.facts import Facts, KnownFacts
from worker.invoicing import Books, Rules
from worker.routes import Route, find_connections
from worker.wrote import Wrote, forget


@dataclass(frozen=True)
class World:
    """One connection's world, for one attempt. `quiet` is how long to leave a write alone whose outcome is unknown."""

    connection: Connection
    route: Route
    database: Database
    kommo: Kommo
    xero: Xero
    known: KnownFacts
    now: Callable[[], datetime]
    quiet: timedelta
    read_timeout: timedelta
    redis: Redis
    vendors_minute: timedelta = timedelta(minutes=1)  # as it passes here: tests shrink it
    holder: str | None = None  # the claim that works here; None where nobody needs a lease
    on_write: Callable[[Wrote], None] = forget  # keeps what was written on deals, for their stories

    @contextmanager
    def begin(self) -> Generator[Session]:
        """One writing transaction, behind the fence: whoever has lost the lease writes nothing that a successor may have written since.

        What a vendor answered is a fact whoever holds the lease: that is written with `database.begin`. Raises LeaseLost.
        """
        with self.database.begin() as session:
            if self.holder is not None and not holds(session, self.holder):
                raise LeaseLost("the ledger")
            yield session

    @property
    def facts(self) -> Facts:
        """What both systems say of themselves."""
        return self.known.get()

    @property
    def books(self) -> Books:
        """What an invoice must fit."""
        return books_of(self.facts)

    @cached_property
    def rules(self) -> Rules:
        """The connection's rules, with the ids that `setup` found for what it names."""
        invoice, deal, fields = self.connection.invoice, self.connection.deal, self.route.fields
        return Rules(
            account_code=invoice.account_code,
            triggers=self.route.triggers,
            status=invoice.status,
            tax_type=invoice.tax_type,
            line_amounts=invoice.line_amounts,
            due_days=invoice.due_days,
            reference=invoice.reference,
            currency_field=fields.get("currency"),
            description_field=fields.get("description"),
            tax_field=fields.get("tax"),
            deal_amount=deal.amount if deal else "total",
        )

    @property
    def today(self) -> date:
        """The organisation's calendar day: a due date passes there."""
        return self.books.day(self.now())

    def deal_url(self, lead_id: int) -> str:
        """The deal's page: our mark on its invoice."""
        return marks.deal_url(self.route.subdomain, lead_id)

    def lead_of(self, url: str) -> int | None:
        """The deal whose mark this is, under any subdomain that the account ever had."""
        return marks.marked_lead(url, self.route.subdomains)

    def connection_of(self, url: str) -> str | None:
        """The connection whose deal's mark this is: ours, or one of another Kommo account with the same organisation."""
        routes = (self.route, *self._neighbours)
        return next((one.connection for one in routes if marks.marked_lead(url, one.subdomains) is not None), None)

    @cached_property
    def _neighbours(self) -> tuple[Route, ...]:
        with self.database.reading() as session:
            found = find_connections(session, tenant_id=self.route.tenant_id)
        return tuple(route for route in found if route.connection != self.route.connection)


def books_of(facts: Facts) -> Books:
    """The books as the facts tell."""
    return Books.of(facts.organisation, currencies=facts.currencies, accounts=facts.accounts, tax_rates=facts.tax_rates)
