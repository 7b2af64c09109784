"""Causes: sentences that differ in names and numbers only are one, and a part of them names exactly those."""

from worker.causes import causes

REFUSED = [
    f'Xero does not accept this: Account code "{code}" is not valid for deal {deal}.'
    for code, deal in (("200", 1), ("4000", 2))
]
GONE = "Xero no longer knows this invoice, although it never deletes any. Check the organisation, then replay."


def lost(number: int) -> str:
    return f"Gave up after {number} attempts. The last one: Kommo could not be reached (GET /api/v4/leads: no answer)."


def test_names_and_numbers_make_no_cause():
    found = causes([*REFUSED, GONE, lost(27), lost(26), lost(25)])
    assert [cause.jobs for cause in found] == [3, 2, 1]
    assert found[0].sentence == lost(27)


def test_its_text_is_in_all_of_its_sentences_and_in_no_other():
    groups = [REFUSED, [GONE], [lost(27), lost(26)]]
    told = [one for group in groups for one in group]
    for cause in causes(told):
        (own,) = [group for group in groups if cause.sentence in group]
        assert [one for one in told if cause.text.lower() in one.lower()] == own


def test_a_text_is_short_where_that_will_do():
    assert max(len(cause.text) for cause in causes([*REFUSED, GONE, lost(27)])) <= 40


def test_one_that_begins_like_another_is_told_by_the_rest():
    first, second = causes(
        ["It is gone from Kommo, and nobody knows when", "It is gone from Kommo, and nobody knows why"]
    )
    assert first.text.endswith("when")
    assert second.text.endswith("why")


def test_one_whose_words_others_have_too_says_how_many():
    short, long = "It was refused", 'It was refused, although "x" is right'
    (first, second) = causes([short, short, long])
    assert (first.text, first.besides) == (short, 1)
    assert second.besides == 0


def test_its_text_is_of_one_line_and_can_be_typed():
    (cause,) = causes(["an error in this program: first\n\x1b[31msecond of them"])
    assert cause.text in ("an error in this program: first", "[31msecond of them", "second of them")


def test_a_sentence_of_nothing_but_numbers_is_its_own_text():
    (cause,) = causes(["404"])
    assert cause.text == "404"


def test_no_sentences_have_no_causes():
    assert causes([]) == []
