"""Who does something, where and when: what every rule of the books is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from sandbox.xero.organisation import Organisation

Emit = Callable[[Organisation, str, str, str, datetime], None]


@dataclass(frozen=True, slots=True)
class Act:
    """`client` is the app's id; None for a person in the browser. `decimals` is 4 under `unitdp=4`."""

    held: Organisation
    now: datetime
    switches: Mapping[str, Any]
    emit: Emit
    client: str | None = None
    decimals: int = 2

    @property
    def today(self) -> date:
        """In the organisation's zone, as for an invoice without a date."""
        return self.now.astimezone(ZoneInfo(self.held.profile.zone)).date()

    def tell(self, category: str, kind: str, resource_id: str) -> None:
        """Fires an event: category INVOICE, CONTACT or CREDITNOTE, kind CREATE or UPDATE (xero.md 9.2)."""
        self.emit(self.held, category, kind, resource_id, self.now)


def new_id() -> str:
    return str(uuid4())


def lock_errors(act: Act, day: date) -> list[str]:
    """What a document of that day may not be, for the books are closed (xero.md 8.5)."""
    profile = act.held.profile
    named = ((profile.period_lock_date, "period lock date"), (profile.year_lock_date, "end of year lock date"))
    return [
        f"The document date cannot be before the {name}, currently set at {lock.day} {lock:%B %Y}"
        for lock, name in named
        if lock is not None and day <= lock
    ]
