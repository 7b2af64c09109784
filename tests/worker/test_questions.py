"""What Xero's refusal of an invoice comes down to (xero.md 8.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.questions import Kind, Mend, from_refusal


@pytest.mark.parametrize(
    ("message", "kind", "mend"),
    [
        ("Organisation is not subscribed to currency USD", Kind.CURRENCY_NOT_ENABLED, Mend.BOOKS),
        ("The current organisation is not subscribed to currency 'EUR'.", Kind.CURRENCY_NOT_ENABLED, Mend.BOOKS),
        ("Account code '999' is not a valid code for this document.", Kind.ACCOUNT_UNKNOWN, Mend.BOOKS),
        (
            "Account code '299' has been archived, or has been deleted. Each line item must reference a valid account.",
            Kind.ACCOUNT_ARCHIVED,
            Mend.BOOKS,
        ),
        ("The TaxType code 'OUTPUT2' cannot be used with account code '200'.", Kind.TAX_UNKNOWN, Mend.BOOKS),
        ("Tax rate must be valid.", Kind.TAX_UNKNOWN, Mend.BOOKS),
        ("Email address must be valid.", Kind.CLIENT_REFUSED, Mend.CLIENT),
        ("Contact Name cannot be empty.", Kind.NO_CLIENT_NAME, Mend.CLIENT),
        (
            "The document date cannot be before the period lock date, currently set at 31 March 2026",
            Kind.LOCKED_PERIOD,
            Mend.BOOKS,
        ),
        (
            "The document date cannot be before the end of year lock date, currently set at 31 March 2026",
            Kind.LOCKED_PERIOD,
            Mend.BOOKS,
        ),
        ("You have reached the limit of invoices you can approve", Kind.PLAN_LIMIT, Mend.BOOKS),
    ],
)
def test_a_known_refusal_is_told_in_our_words(message, kind, mend):
    question = from_refusal([message])
    assert (question.kind, question.mend) == (kind, mend)
    assert message not in question.sentence
    assert len(question.sentence) <= 250


def test_an_unknown_refusal_quotes_xero():
    question = from_refusal(["Moon is not full.", "Tide is out."])
    assert question.kind is Kind.REFUSED
    assert question.sentence == "Xero did not take the invoice: Moon is not full.; Tide is out."


@given(st.lists(st.text()))
def test_any_refusal_makes_one_short_line(messages):
    sentence = from_refusal(messages).sentence
    assert 20 < len(sentence) <= 250
    assert "\n" not in sentence
