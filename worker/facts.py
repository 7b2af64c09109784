"""Facts: what both systems say of themselves (currencies, zones, accounts, taxes, pipelines), kept with the time of the reading.

They change a few times a year, so they are read once and shared by all workers through the database; whoever finds them older than their age reads
them again, and so does whoever was told by a vendor that they are out of date.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from integrations.kommo.client import Kommo
from integrations.kommo.entities import Account as KommoAccount
from integrations.kommo.entities import Pipeline
from integrations.xero.client import Xero
from integrations.xero.entities import Account, Organisation, TaxRate
from worker.database import Base, Database, UtcTime

# A new currency or account is used minutes after it was made; the question "is it enabled?" reads again at once (`fresh`), so this may be long.
AGE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Facts:
    """What both systems say of themselves."""

    kommo: KommoAccount
    pipelines: tuple[Pipeline, ...]
    organisation: Organisation
    currencies: frozenset[str]
    accounts: tuple[Account, ...]
    tax_rates: tuple[TaxRate, ...]


WRITTEN = TypeAdapter(Facts)


class FactsRow(Base):
    """The last reading of one connection's facts."""

    __tablename__ = "facts"

    connection: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    read_at: Mapped[datetime] = mapped_column(UtcTime)
    written: Mapped[dict[str, Any]] = mapped_column(sa.JSON)


def ask(kommo: Kommo, xero: Xero) -> Facts:
    """Read them from both vendors: two calls to Kommo and four to Xero."""
    return Facts(
        kommo=kommo.account(),
        pipelines=tuple(kommo.pipelines()),
        organisation=xero.organisation(),
        currencies=xero.currencies(),
        accounts=tuple(xero.accounts()),
        tax_rates=tuple(xero.tax_rates()),
    )


def keep(session: Session, connection: str, facts: Facts, *, now: datetime) -> None:
    """Write a reading down for everybody."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    values = {"read_at": now, "written": WRITTEN.dump_python(facts, mode="json")}
    statement = insert(FactsRow).values(connection=connection, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["connection"], set_=values))


def last_known(session: Session, connection: str) -> Facts | None:
    """The last reading, however old."""
    row = session.get(FactsRow, connection)
    return WRITTEN.validate_python(row.written) if row else None


class KnownFacts:
    """The facts of one connection, for one attempt: from the database while they are young, else from the vendors."""

    def __init__(
        self, database: Database, connection: str, read: Callable[[], Facts], now: Callable[[], datetime]
    ) -> None:
        self._database, self._connection, self._read, self._now = database, connection, read, now
        self._facts: Facts | None = None
        self._read_here = False

    def get(self) -> Facts:
        """What is known, at most a day old."""
        if self._facts is None:
            with self._database.reading() as session:
                row = session.get(FactsRow, self._connection)
            young = row is not None and self._now() - row.read_at < AGE
            self._facts = WRITTEN.validate_python(row.written) if row is not None and young else self.fresh()
        return self._facts

    def fresh(self) -> Facts:
        """Asked again now, but only once in an attempt."""
        if self._facts is None or not self._read_here:
            self._facts, self._read_here = self._read(), True
            with self._database.begin() as session:
                keep(session, self._connection, self._facts, now=self._now())
        return self._facts
