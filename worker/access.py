"""How a connection's access to each vendor stands, in words for people: what it opens, how it is had, how long it lasts, why it is refused."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from integrations.errors import Refusal
from worker import facts, grants, overview
from worker.facts import Facts
from worker.grants import GrantKind, Standing
from worker.verdicts import RECONNECT
from worker.wording import day

VENDORS = {"kommo": "Kommo", "xero": "Xero"}

# Days: a month's notice of a token's end outlasts a holiday.
ENDS_SOON = 30

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
    """One vendor's. Texts are empty where there is nothing to say; `opens` is known from the first setup on."""

    vendor: str
    stands: Stands
    opens: str = ""
    kind: str = ""
    left: str = ""
    refusal: str = ""

    @property
    def title(self) -> str:
        """The vendor's name."""
        return VENDORS[self.vendor]


def of(session: Session, connection: str, now: datetime) -> Iterator[Access]:
    """Both accesses of a connection, Kommo's first."""
    known = facts.last_known(session, connection)
    for vendor in VENDORS:
        yield _access(vendor, connection, grants.standing(session, vendor, connection), _opens(vendor, known), now)


def _access(vendor: str, connection: str, grant: Standing | None, opens: str, now: datetime) -> Access:
    if grant is None:
        return Access(vendor, Stands.ABSENT, opens)
    kind, days = KINDS[grant.kind], overview.days_left(grant, now)
    left = "renewed by itself" if days is None or grant.expires_at is None else _left(days, grant.expires_at)
    if grant.refusal:
        return Access(vendor, Stands.LOST, opens, kind, left, refusal(vendor, connection, grant.refusal))
    if days is not None and days < 0:
        return Access(vendor, Stands.LOST, opens, kind, left, f"Its token has ended: connect {VENDORS[vendor]} again.")
    soon = days is not None and days < ENDS_SOON
    return Access(vendor, Stands.ENDS_SOON if soon else Stands.GOOD, opens, kind, left)


def refusal(vendor: str, connection: str, reason: Refusal) -> str:
    """Why the vendor does not let us in, and what a person does about it: a sentence."""
    told = RECONNECT[reason].format(vendor=VENDORS[vendor], command=vendor).replace("NAME", connection)
    return told[0].upper() + told[1:] + "."


def _left(days: int, end: datetime) -> str:
    return f"{days} days left, until {day(end.date())}" if days >= 0 else f"ended on {day(end.date())}"


def _opens(vendor: str, known: Facts | None) -> str:
    if known is None:
        return ""
    if vendor == "kommo":
        return f"{known.kommo.name} ({known.kommo.subdomain}.kommo.com)"
    return f"{known.organisation.name} ({known.organisation.country})"
