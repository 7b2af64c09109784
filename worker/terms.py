"""When an invoice is due (xero.md 6.2). Pure."""

from calendar import monthrange
from datetime import date, timedelta

from integrations.xero.entities import Terms


def due_on(issued_on: date, *, terms: Terms | None, due_days: int) -> date:
    """The due date by the client's own terms in Xero; `due_days` after the invoice where there are none that we know.

    A day that a month does not have is its last day. A day that has passed in the invoice's own month is the invoice's day:
    nothing is overdue as it is made.
    """
    if terms is None:
        return issued_on + timedelta(days=due_days)
    match terms.kind:
        case "DAYSAFTERBILLDATE":
            return issued_on + timedelta(days=terms.day)
        case "DAYSAFTERBILLMONTH":
            return _day_of_month(issued_on, months=0, day=31) + timedelta(days=terms.day)
        case "OFCURRENTMONTH":
            return max(issued_on, _day_of_month(issued_on, months=0, day=terms.day))
        case "OFFOLLOWINGMONTH":
            return _day_of_month(issued_on, months=1, day=terms.day)
        case _:
            return issued_on + timedelta(days=due_days)


def _day_of_month(start: date, *, months: int, day: int) -> date:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    last = monthrange(year, month + 1)[1]
    return date(year, month + 1, max(1, min(day, last)))
