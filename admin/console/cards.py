"""What the console shows of each connection: its access to both systems, whether it is set up, what fails, and when each system last spoke."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from worker import access, notices, overview, routes, watching
from worker.access import Access, Stands
from worker.connections import Connection
from worker.notices import NOBODYS, Notice
from worker.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Card:
    """One connection. `heard` is when each vendor's last webhook came, `failing` what the last look found."""

    connection: Connection
    accesses: tuple[Access, ...]
    is_set_up: bool
    heard: dict[str, datetime | None]
    failing: tuple[Notice, ...]

    @property
    def next_step(self) -> str:
        """What a person does next; empty where nothing is to be done."""
        for one in self.accesses:
            if one.stands is Stands.ABSENT:
                return f"connect {one.title}"
            if one.stands is Stands.LOST:
                return f"connect {one.title} again"
        return "" if self.is_set_up else "set it up"


@dataclass(frozen=True, slots=True)
class Desk:
    """All connections, and what fails of the installation; `looked_at` is when everything was last looked at."""

    cards: tuple[Card, ...]
    failing: tuple[Notice, ...]
    looked_at: datetime | None


def look(workshop: Workshop) -> Desk:
    """All of it, in the order of the connections file. No call to a vendor is made."""
    with workshop.database.reading() as session:
        standing = notices.standing(session)
        cards = tuple(_cards(session, list(workshop.connections.values()), standing, workshop.now()))
        nobodys = tuple(one for one in standing if one.connection == NOBODYS)
        return Desk(cards, nobodys, watching.looked_at(session))


def _cards(session: Session, connections: list[Connection], standing: list[Notice], now: datetime) -> Iterator[Card]:
    for connection in connections:
        name = connection.name
        yield Card(
            connection,
            accesses=tuple(access.of(session, name, now)),
            is_set_up=routes.load(session, name) is not None,
            heard={one.source: one.at for one in overview.heard(session, [name])},
            failing=tuple(one for one in standing if one.connection == name),
        )
