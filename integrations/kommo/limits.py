"""How many calls Kommo takes (kommo.md 3)."""

from dataclasses import replace

from integrations.answer import Answer
from integrations.turns import Heard, Window

# Seven a second. Calls travel at unlike speeds: 7 in 1.2 s draws no refusals, and 6 in 1.0 s still does (measured).
PERIOD = 1.2
# One in so many is left to a connection that has not come yet: two of seven, for a deal's reading and writing.
NEWCOMERS = 3

# Kommo need not say for how long, and answers those who go on with a block that only its support lifts: be generous.
UNSAID = 5.0
# A block is no matter of seconds: its support lifts it. One call in this time tells whether it has.
BLOCK = 15 * 60.0


def windows(*, second: int = 7) -> tuple[Window, ...]:
    """The window of one integration, or of one address: Kommo's texts differ, so that one for the installation is right."""
    return (Window("second", second, PERIOD, is_fair=True, newcomer=second // NEWCOMERS),)


def heard(answer: Answer) -> Heard:
    """For how long to be silent, and whether we are let in at all; Kommo says nothing of what is left."""
    if answer.status == 429:
        return Heard(stop=retry_after(answer))
    if is_block(answer):
        return Heard(block=BLOCK)
    return Heard(admitted=True)


def heard_of_drive(answer: Answer) -> Heard:
    """The same of the drive, which is another host: that it lets us in says nothing of the account."""
    return replace(heard(answer), admitted=False)


def retry_after(answer: Answer) -> float:
    """Seconds; in the body, if anywhere (kommo.md 3: no header is documented)."""
    said = answer.said()
    named = said.get("retry_after") if isinstance(said, dict) else answer.headers.get("Retry-After")
    try:
        return max(float(str(named)), 1.0)
    except ValueError:
        return UNSAID


def is_block(answer: Answer) -> bool:
    """A 403 that is nginx's page and not the API's own word: we are shut out for too many calls (kommo.md 3, 12)."""
    return answer.status == 403 and not answer.is_json
