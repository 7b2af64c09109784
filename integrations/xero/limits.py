"""How many calls Xero takes, by app and organisation (xero.md 2)."""

from integrations.answer import Answer
from integrations.turns import Heard, Window

# Sixty a minute, in fixed windows that begin when they please: no sliding minute of ours holds more than sixty, so none of
# theirs does. Calls travel at unlike speeds, hence the second and a half on top.
MINUTE = 61.5
DAY = 24 * 3600.0
# From the Core tier upwards; that it is the lower one is learned from the headers.
DAY_LIMIT = 5_000
STARTER_DAY_LIMIT = 1_000
# Of the app, for all organisations together.
APP_MINUTE = 10_000
# At once. Others wait for a place.
PLACES = 5

# One in so many of the minute is left to a connection that has not come yet: six calls, for a deal.
NEWCOMERS = 10

# By the headers' names; each may be missing.
LEFT = {
    "minute": "X-MinLimit-Remaining",
    "day": "X-DayLimit-Remaining",
    "app": "X-AppMinLimit-Remaining",
}
# A refusal for too many at once has no Retry-After (xero.md 2.2): some call ends within this.
CONCURRENT_RETRY = 2.0
# Nor need others have one. A quarter of a minute's window is neither a storm nor a standstill.
UNSAID = 15.0


def windows(*, minute: int = 60, day: int = DAY_LIMIT, client_id: str | None = None) -> tuple[Window, ...]:
    """The windows of one organisation. `day` is 1,000 on the Starter tier (which is also learned from the headers).

    Xero's own counts begin anew at times that nobody knows, so what it says is left may lengthen ours, but for the calls that
    are under way. With the app's `client_id`, also its minute, which all organisations that the app serves share.
    """
    own = (
        Window("minute", minute, MINUTE, slack=PLACES, is_fair=True, newcomer=minute // NEWCOMERS),
        Window("day", day, DAY, slack=PLACES, plans=(STARTER_DAY_LIMIT,), is_day=True),
    )
    return own if client_id is None else (*own, Window("app", APP_MINUTE, MINUTE, shared=f"xero-app:{client_id}"))


def heard(answer: Answer) -> Heard:
    """What Xero says is left, and how long to be silent: every answer of the accounting API may tell."""
    left = {name: int(said) for name, header in LEFT.items() if (said := answer.headers.get(header, "")).isdecimal()}
    if answer.status != 429:
        return Heard(left=left)
    problem = kind(answer)
    # A Retry-After of the day ends with the day: what is sent after it is counted anew.
    spent = "day" if problem == "day" and _said(answer) else None
    return Heard(left=left, stop=0.0 if problem == "concurrent" else retry_after(answer), spent=spent)


def retry_after(answer: Answer) -> float:
    """Seconds, of a 429: tens of thousands where the day is used up."""
    if said := _said(answer):
        return max(float(said), 1.0)
    return CONCURRENT_RETRY if kind(answer) == "concurrent" else UNSAID


def kind(answer: Answer) -> str:
    """Which limit a 429 is about: minute, day, concurrent, app, or nothing where it does not say. The names are undocumented."""
    said = answer.headers.get("X-Rate-Limit-Problem", "").lower()
    known = {"app": "app", "conc": "concurrent", "day": "day", "min": "minute"}
    return next((name for part, name in known.items() if part in said), "")


def _said(answer: Answer) -> str:
    """The seconds of Retry-After, where they are named."""
    said = answer.headers.get("Retry-After", "").strip()
    return said if said.isdecimal() else ""
