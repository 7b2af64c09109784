"""Budgets: what each vendor counts our calls by, which connections share it, and how it stands, in words.

What an account's plan allows is said in the connections file ([connection.limits]); connections that share a budget must not ask
for more than the most careful of them.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from integrations import forecast
from integrations.kommo import limits as kommo_limits
from integrations.turns import RESERVES, SLOWED, Priority, Turns, Window
from integrations.xero import limits as xero_limits
from worker.connections import Connection

_CLASSES = {Priority.PDF: "PDFs", Priority.RECONCILE: "reconciliation", Priority.BACKFILL: "back-fill"}


@dataclass(frozen=True, slots=True)
class Budgeted:
    """A vendor account as its vendor counts calls: one key, one budget, whoever calls. `party` is the connection that asks here."""

    key: str
    windows: tuple[Window, ...]
    places: int | None
    party: str
    parties: tuple[str, ...]


def kommo_budget(connection: Connection, among: Collection[Connection] = ()) -> Budgeted:
    """Kommo counts by integration or by address (kommo.md 3): one budget for the installation is right either way.

    An account that is said not to share it (`kommo_shared = false`) has an integration and an address of its own.
    """
    is_shared, subdomain = connection.limits.kommo_shared, connection.kommo_subdomain
    sharing = [
        one for one in among if one.limits.kommo_shared is is_shared and (is_shared or one.kommo_subdomain == subdomain)
    ]
    second = min(one.limits.kommo_second for one in (connection, *sharing))
    key = "kommo" if is_shared else f"kommo:{subdomain}"
    return _budgeted(key, kommo_limits.windows(second=second), None, connection, sharing)


def xero_budget(
    connection: Connection, tenant_id: str, among: Collection[Connection] = (), *, client_id: str | None = None
) -> Budgeted:
    """Xero counts by app and organisation (xero.md 2.1), and what an app asks of all organisations; `among` are connections to this one.

    A day's limit that is not said is learned from its headers.
    """
    limits = [one.limits for one in (connection, *among)]
    windows = xero_limits.windows(
        minute=min(one.xero_minute for one in limits),
        day=min(one.xero_day or xero_limits.DAY_LIMIT for one in limits),
        client_id=client_id,
    )
    return _budgeted(f"xero:{tenant_id}", windows, xero_limits.PLACES, connection, among)


def _budgeted(
    key: str, windows: tuple[Window, ...], places: int | None, connection: Connection, sharing: Collection[Connection]
) -> Budgeted:
    parties = sorted({connection.name, *(one.name for one in sharing)})
    return Budgeted(key, windows, places, connection.name, tuple(parties))


@dataclass(frozen=True, slots=True)
class Budget:
    """What is `left` of a vendor account's calls and places, and of how many; `stop` is for how many seconds nothing may be sent.

    `day_gone_at`: when the day's calls are gone at the pace of the last hour, None where they last; `slowed` are the classes that
    go on slowly so that they do. `blocked_since` and `next_try` tell of a block. `problem`: why nothing is known.
    """

    key: str
    connections: tuple[str, ...]
    left: dict[str, int] | None
    limits: dict[str, int] | None = None
    stop: float = 0.0
    day_gone_at: datetime | None = None
    slowed: tuple[str, ...] = ()
    blocked_since: datetime | None = None
    next_try: datetime | None = None
    problem: str | None = None

    @property
    def vendor(self) -> str:
        """Whose account it is, as people write it."""
        return self.key.partition(":")[0].title()


def look(turns: Turns, budgeted: Budgeted, *, now: datetime) -> Budget:
    """How a budget stands. RateLimited (our own) where Redis does not answer."""
    standing, course = turns.standing(), turns.course()
    gone = forecast.gone_in(course) if course else None
    slow = [one for one in SLOWED if course and forecast.pace(course, reserve=RESERVES[one])]
    return Budget(
        key=budgeted.key,
        connections=budgeted.parties,
        left=dict(standing.left),
        limits=dict(standing.limits),
        stop=standing.stop,
        day_gone_at=None if gone is None else now + timedelta(seconds=gone),
        slowed=tuple(_CLASSES[one] for one in slow),
        blocked_since=None if standing.blocked is None else now - timedelta(seconds=standing.blocked),
        next_try=None if standing.blocked is None else now + timedelta(seconds=standing.next_try),
    )


def sentences(budget: Budget, *, now: datetime) -> Iterator[str]:
    """What a person should know of a budget: its day, and why nothing is sent where nothing is. Times are UTC."""
    name = f"{budget.vendor} ({', '.join(budget.connections)})"
    if budget.problem:
        yield f"{name}: {budget.problem}."
        return
    if budget.blocked_since and budget.next_try:
        yield (
            f"{name} has shut us out since {_at(budget.blocked_since, now)} for too many calls: write to its support. "
            f"One call at a time tries whether it lets us in again, the next at {_at(budget.next_try, now)}."
        )
    if budget.stop:
        yield f"{name} asked us to send nothing until {_at(now + timedelta(seconds=budget.stop), now)}."
    if budget.left and budget.limits and "day" in budget.limits:
        yield f"{name} day budget: {budget.left['day']:,} of {budget.limits['day']:,} left, {_outlook(budget, now)}."


def _outlook(budget: Budget, now: datetime) -> str:
    if budget.day_gone_at is None:
        told = "lasts the day"
    elif budget.day_gone_at <= now:
        told = "jobs wait until calls come back"
    else:
        told = f"gone about {_at(budget.day_gone_at, now)} at this pace"
    return told + (f"; slowed so that it lasts: {', '.join(budget.slowed)}" if budget.slowed else "")


def _at(time: datetime, now: datetime) -> str:
    return f"{time:%H:%M}" if time.date() == now.date() else f"{time:%H:%M on %d %B}"
