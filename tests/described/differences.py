"""Where the sandbox answers otherwise than Xero's official description says, and why: the reference sheet decides (xero.md).

`python -m tests.described.differences` writes docs/sandbox-differences.md; a test holds the two together.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.described.description import ACCOUNTING

PAGE = Path(__file__).parents[2] / "docs" / "sandbox-differences.md"
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Difference:
    """`call` is "METHOD path status" below /api.xro/2.0, or "webhook"; `said` is the description's words; `*` stands for anything.

    `why` is a sentence for people, `source` the section of the sheet, `sure` how well it is known there.
    """

    call: str
    said: str
    why: str
    source: str
    sure: str

    def covers(self, call: str, said: str) -> bool:
        """Whether this is the reason for what was said about a call."""
        return _glob(self.call, call) and _glob(self.said, said)


RECORDED, DOCUMENTED, REPORTED, GUESSED = "recorded", "documented", "reported", "a guess"

DIFFERENCES = (
    # bodies that were recorded with more in them than is described
    *(
        Difference("* 200", f"{name} is not described", "Every answer comes in an envelope.", "4.2", RECORDED)
        for name in ("Id", "Status", "ProviderName", "DateTimeUTC")
    ),
    *(
        Difference("* 200", f"*{name} is not described", "On the wire, though undocumented.", "4.3, 4.5", RECORDED)
        for name in ("DateString", "DueDateString", "InvoicePaymentServices", "LineItems[].ValidationErrors")
    ),
    Difference("* 200", "*CreditNote*.ID is not described", "A credit note carries its id twice.", "4.5, 5.7", RECORDED),
    *(
        Difference(
            "* /Invoices/{id}/History 200", f"HistoryRecords[].{name} is not described",
            "Notes come with a date as text, and new ones with their errors.", "5.5", RECORDED,
        )
        for name in ("DateUTCString", "ValidationErrors")
    ),
    Difference(
        "GET /TrackingCategories 200", "TrackingCategories[].Options[].* is not described",
        "Options say of themselves whether they are active, archived, deleted and valid.", "7.6", GUESSED,
    ),
    Difference(
        "GET /connections 200", "[].*DateUtc: * is not a 'date-time'",
        "Instants of connections have no zone and seven digits.", "1.5", RECORDED,
    ),
    # errors
    Difference(
        "* 400", "Elements[].* is not described",
        "A refusal repeats the element that was sent; the description knows only its errors.", "6.3, 8.4", RECORDED,
    ),
    Difference(
        "PUT /Invoices 200", "Invoices[].Type: * is not one of *",
        "With summarizeErrors=false an element that is refused repeats what was sent, whatever that was.", "4.6", RECORDED,
    ),
    Difference("GET * 400", "status 400", "A where, order or header that can't be read; an invoice without an online page.", "8.1, 10.2", REPORTED),
    Difference("* 401", "status 401", "No token, a dead one, or a scope that is missing.", "8.2, 10.2", REPORTED),
    Difference("* 403", "status 403", "An organisation that the app is not connected to.", "8.3, 10.2", REPORTED),
    Difference("* 404", "status 404", "What is not there; an empty page that says that it is HTML.", "8.1, 10.2", RECORDED),
    Difference("* 406", "status 406", "Only with the switch no_accept=refuse, which shows a client that it forgot Accept.", "4.1", GUESSED),
    Difference("* 409", "status 409", "Only with the switch in_flight_duplicate=conflict.", "3", GUESSED),
    *(
        Difference(
            "* 400", said,
            "An Idempotency-Key that is used with another request, or is too long; its envelope was never captured.", "3", GUESSED,
        )
        for said in (
            "Title is not described", "Status is not described", "Detail is not described", "Instance is not described",
            "Extensions is not described", "Type: None *",
        )
    ),
    Difference("* 429", "status 429", "A rate limit; without a body.", "2.2, 10.2", RECORDED),
    *(
        Difference(f"* {status}", f"status {status}", why, "8.4, 10.2", REPORTED)
        for status, why in (
            (500, "A fault within Xero, on order of a test."),
            (502, "A gateway's own page, on order of a test."),
            (503, "Maintenance, as plain text, on order of a test."),
            (504, "A gateway's own page, on order of a test."),
        )
    ),
    # forms
    Difference("* 200", "media type text/xml; charset=utf-8", "XML for who does not ask for JSON.", "4.1", DOCUMENTED),
    Difference("* 400", "media type text/xml; charset=utf-8", "XML for who does not ask for JSON.", "4.1", DOCUMENTED),
    Difference(
        "GET /Invoices/{id}/Attachments/* 200", "media type *", "A file comes with its own type.", "5.4", RECORDED,
    ),
    *(
        Difference(
            "DELETE /CreditNotes/{id}/Allocations/{id} 200", said,
            "The description's own example has AllocationId for AllocationID, and no Amount.", "5.7", "described otherwise in its example",
        )
        for said in ("AllocationId is not described", ": 'Amount' is a required property")
    ),
    # webhooks
    Difference("webhook", "events[].eventDateUtc: * is not a 'date-time'", "Instants of events have no zone.", "9.2", REPORTED),
    Difference(
        "webhook", "*EventSequence: 0 is less than the minimum of 1",
        "An intent to receive has no events, and the sequence 0.", "9.2, 10.2", REPORTED,
    ),
    Difference(
        "webhook", "events[].eventCategory: *",
        "Only with the switch hook_strange_share: categories that came after the description (PREPAYMENT, OVERPAYMENT).", "9.2, 10.2", REPORTED,
    ),
)  # fmt: skip


def call_of(method: str, path: str, status: int | None) -> str:
    """A call as the list names it."""
    return f"{method} {ID.sub('{id}', path.removeprefix(ACCOUNTING)).replace('/Connections', '/connections')} {status}"


def unlisted(call: str, said: Iterable[str]) -> list[str]:
    """What was said about a call's answer for which the list has no reason."""
    return [words for words in said if not any(each.covers(call, words) for each in DIFFERENCES)]


def _glob(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text, re.DOTALL) is not None


HEAD = """# Where the sandbox differs from Xero's official description

Every answer of the simulated Xero in the tests is held to Xero's OpenAPI description, strictly: a name that is not described counts as a
difference. So is every request of this service; none of those may differ. Where answers do, here is why, with the section of the reference
sheet (xero.md) that decided and how sure it is. What is not in this list fails the tests.

This page is made of `tests/described/differences.py`: change the list there, and run `python -m tests.described.differences`.

| call | what the description says against it | why it is answered so all the same | sheet | how sure |
| --- | --- | --- | --- | --- |
"""


CLIENTS = """
## Other people's clients

`xero-python` (Xero's own SDK) and `aioamocrm` run unchanged against the sandbox (`tests/sandbox/third_party`); they are told its address and
who they are, and nothing else. Where one of them expects otherwise, the sheets decide too:

| client | what it expects | what the sandbox does | sheet |
| --- | --- | --- | --- |
| aioamocrm | A call every seventh of a second is never refused. | Kommo's second slides, so that now and then an eighth call falls into it: 429, and the client asks again. Which kind of window Kommo has is not documented. | kommo.md 3 |
| aioamocrm | A contact's `name` can be sent beside its `first_name`. | First and last name make the name. | kommo.md 7.1 |
| xero-python | A PUT or GET whose answer was lost may be sent again, up to four times; so may one that was told to wait. | Each is a call of its own: it counts, and takes effect unless it carries the same key. | xero.md 10.1 |
"""


def render() -> str:
    """The page."""
    rows = [(each.call, each.said, each.why, each.source, each.sure) for each in DIFFERENCES]
    return HEAD + "".join(
        f"| `{call}` | `{said}` | {why} | {source} | {sure} |\n" for call, said, why, source, sure in rows
    )


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
