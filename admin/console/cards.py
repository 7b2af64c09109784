"""What the console shows of each connection: its access to both systems, whether it is set up, and when each system last spoke."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from worker import access, overview, routes
from worker.access import Access, Stands
from worker.connections import Connection
from worker.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Card:
    """One connection. `heard` is when each vendor's last webhook came."""

    connection: Connection
    accesses: tuple[Access, ...]
    is_set_up: bool
    heard: dict[str, datetime | None]

    @property
    def next_step(self) -> str:
        """What a person does next; empty where nothing is to be done."""
        for one in self.accesses:
            if one.stands in {Stands.ABSENT, Stands.LOST}:
                return f"connect {one.title}"
        return "" if self.is_set_up else "set it up"


def look(workshop: Workshop) -> list[Card]:
    """All connections, in the file's order. No call to a vendor is made."""
    with workshop.database.reading() as session:
        return list(_cards(session, list(workshop.connections.values()), workshop.now()))


def _cards(session: Session, connections: list[Connection], now: datetime) -> Iterator[Card]:
    for connection in connections:
        heard = {one.source: one.at for one in overview.heard(session, [connection.name])}
        is_set_up = routes.load(session, connection.name) is not None
        yield Card(connection, tuple(access.of(session, connection.name, now)), is_set_up, heard)
