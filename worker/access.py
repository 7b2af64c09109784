"""How a connection's access to each vendor stands, in words for people: what it opens, how it is had, how long it lasts, why it is refused."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from worker import facts, grants, overview
from worker.facts import Facts
from worker.grants import GrantKind, Standing
from worker.wording import VENDORS, day

KINDS = {
    GrantKind.LONG_LIVED: "long-lived token",
    GrantKind.CLIENT_CREDENTIALS: "custom connection",
    GrantKind.OAUTH: "consent",
}


class Stands(StrEnum):
    """How good it is."""

    GOOD = "good"
    ENDS_SOON = "ends soon"
    LOST = "lost"
    ABSENT = "not connected"


@dataclass(frozen=True, slots=True)
class Access:
    """One vendor's. Texts are empty where there is nothing to say; `opens` is known from the first setup on, `mend` is what a person must do."""

    vendor: str
    stands: Stands
    opens: str = ""
    kind: str = ""
    left: str = ""
    mend: str = ""

    @property
    def title(self) -> str:
        """The vendor's name."""
        return VENDORS[self.vendor]


def of(session: Session, connection: str, now: datetime) -> Iterator[Access]:
    """Both accesses of a connection, Kommo's first."""
    known = facts.last_known(session, connection)
    for vendor in VENDORS:
        yield _access(vendor, grants.standing(session, vendor, connection), _opens(vendor, known), now)


def _access(vendor: str, grant: Standing | None, opens: str, now: datetime) -> Access:
    if grant is None:
        return Access(vendor, Stands.ABSENT, opens)
    days, mend = overview.days_left(grant, now), overview.mend_of(grant, now=now)
    left = "renewed by itself" if days is None or grant.expires_at is None else _left(days, grant.expires_at)
    is_lost = grant.refusal is not None or (days is not None and days < 0)
    stands = Stands.LOST if is_lost else Stands.ENDS_SOON if mend else Stands.GOOD
    return Access(vendor, stands, opens, KINDS[grant.kind], left, _sentence(mend or ""))


def _left(days: int, end: datetime) -> str:
    return f"{days} days left, until {day(end.date())}" if days >= 0 else f"ended on {day(end.date())}"


def _sentence(mend: str) -> str:
    """Without the command that does it, for where there is a button beside it."""
    told = re.sub(r" \(admin connect [^)]*\)", "", mend)
    return f"{told[0].upper()}{told[1:]}." if told else ""


def _opens(vendor: str, known: Facts | None) -> str:
    if known is None:
        return ""
    if vendor == "kommo":
        return f"{known.kommo.name} ({known.kommo.subdomain}.kommo.com)"
    return f"{known.organisation.name}, books in {known.organisation.base_currency}"
