"""Why a deal has no invoice yet: what is missing, and who mends it where, in one sentence for the deal. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from worker.wording import cut, plain


class Mend(StrEnum):
    """Where the mend is made, and so whose next event wakes the deal."""

    LEAD = "lead"
    CLIENT = "client"
    BOOKS = "books"  # in Xero, or in the connection's rules


class Kind(StrEnum):
    """What is missing."""

    NO_CLIENT = "no_client"
    NO_CLIENT_NAME = "no_client_name"
    CLIENT_REFUSED = "client_refused"
    NO_AMOUNT = "no_amount"
    NEGATIVE = "negative"
    TOO_LARGE = "too_large"
    CURRENCY_UNKNOWN = "currency_unknown"
    CURRENCY_NOT_ENABLED = "currency_not_enabled"
    ACCOUNT_UNKNOWN = "account_unknown"
    ACCOUNT_ARCHIVED = "account_archived"
    ACCOUNT_UNSUITABLE = "account_unsuitable"
    TAX_UNKNOWN = "tax_unknown"
    LOCKED_PERIOD = "locked_period"
    PLAN_LIMIT = "plan_limit"
    REFUSED = "refused"


# What fits on a deal's card without being opened.
SENTENCE_LENGTH = 250


@dataclass(frozen=True, slots=True)
class Question:
    """There is no invoice until a person mends this. `sentence` says what is missing and what to do, in at most 250 characters."""

    kind: Kind
    mend: Mend
    sentence: str


# Xero's messages have no codes and may change their wording: they are known by a part of their text (xero.md 8.5).
_REFUSALS: tuple[tuple[str, Kind, Mend, str], ...] = (
    (
        "not subscribed to currency",
        Kind.CURRENCY_NOT_ENABLED,
        Mend.BOOKS,
        "Xero does not have the deal's currency. Add it in Xero, or change the currency on the deal.",
    ),
    (
        "has been archived, or has been deleted",
        Kind.ACCOUNT_ARCHIVED,
        Mend.BOOKS,
        "The account that deals are booked on is archived in Xero. Restore it there, or choose another in the connection.",
    ),
    (
        "is not a valid code for this document",
        Kind.ACCOUNT_UNKNOWN,
        Mend.BOOKS,
        "Xero does not take the account that deals are booked on. Choose a revenue account in the connection.",
    ),
    (
        "cannot be used with account code",
        Kind.TAX_UNKNOWN,
        Mend.BOOKS,
        "In Xero this tax rate can't be used with the account that deals are booked on. Choose another of the two.",
    ),
    (
        "tax rate must be valid",
        Kind.TAX_UNKNOWN,
        Mend.BOOKS,
        "Xero does not know the deal's tax rate. Choose one that is active in Xero.",
    ),
    (
        "email address must be valid",
        Kind.CLIENT_REFUSED,
        Mend.CLIENT,
        "Xero does not take the client's e-mail address. Correct it on the client's card.",
    ),
    (
        "archived contact",
        Kind.CLIENT_REFUSED,
        Mend.BOOKS,
        "The deal's client is archived in Xero. Restore the contact there, and the invoice follows.",
    ),
    (
        "contact could not be found",
        Kind.CLIENT_REFUSED,
        Mend.BOOKS,
        "Xero no longer knows the deal's client. Move the deal to its stage again, and the client is looked for anew.",
    ),
    (
        "contact name cannot be empty",
        Kind.NO_CLIENT_NAME,
        Mend.CLIENT,
        "The client has no name. Give the client a name, and the invoice follows.",
    ),
    (
        "lock date",
        Kind.LOCKED_PERIOD,
        Mend.BOOKS,
        "The invoice's date lies in a period that is locked in Xero. Open the period there, or raise the invoice by hand.",
    ),
    (
        "reached the limit of invoices you can approve",
        Kind.PLAN_LIMIT,
        Mend.BOOKS,
        "Xero's plan allows no more approved invoices this month. Change the plan in Xero, or wait for the next month.",
    ),
)


def from_refusal(messages: Sequence[str]) -> Question:
    """The question that Xero's refusal of an invoice comes down to; an unknown one quotes Xero (xero.md 8.5)."""
    said = plain("; ".join(messages))
    for part, kind, mend, sentence in _REFUSALS:
        if part in said.lower():
            return Question(kind, mend, sentence)
    sentence = f"Xero did not take the invoice: {said or 'it gave no reason'}"
    return Question(Kind.REFUSED, Mend.BOOKS, cut(sentence, SENTENCE_LENGTH))
