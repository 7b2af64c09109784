"""Percentiles, checks, numbers, and the page that they are written into."""

import math

import pytest

from tests.benchmarks import paper
from tests.benchmarks.figures import Check, Section, Table, median, number, percentile, ratio, seconds


def test_a_percentile_lies_between_neighbours():
    assert percentile([4, 1, 3, 2], 0.5) == 2.5
    assert percentile(range(101), 0.99) == 99
    assert percentile([7], 0.95) == 7


def test_the_percentile_of_nothing_is_no_number():
    assert math.isnan(median([]))


def test_a_ratio_to_nothing_is_infinite():
    assert ratio(3, 2) == 1.5
    assert ratio(3, 0) == math.inf


@pytest.mark.parametrize(
    ("value", "at_least", "passes"), [(1, False, True), (2, False, True), (3, False, False), (1, True, False)]
)
def test_a_check_compares_with_its_limit(value, at_least, passes):
    assert Check("it", value, 2, at_least=at_least).passes == passes


@pytest.mark.parametrize("at_least", [True, False])
def test_what_was_not_measured_does_not_pass(at_least):
    assert not Check("it", math.nan, 2, at_least=at_least).passes


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.01234, "0.0123"), (1.15, "1.15"), (12.345, "12.3"), (1234.5, "1,234"), (math.inf, "∞"), (math.nan, "none")],
)  # fmt: skip
def test_numbers_have_the_digits_that_say_something(value, shown):
    assert number(value) == shown


def test_short_times_are_milliseconds():
    assert (seconds(0.0123), seconds(-0.2), seconds(12.34)) == ("12 ms", "-200 ms", "12.3 s")


def test_a_failed_check_is_seen_in_the_table():
    assert Check("calls", 2, 1.15).row == ("calls", "2.00", "at most 1.15", "**FAIL**")


SECTION = Section("idle", "Idle", "How.", (Table("Times", ("", "p50"), (("all", "1 s"),)),), (Check("it", 1, 2),))


def test_a_section_is_written_with_its_checks_and_tables():
    text = paper.markdown(SECTION, "sqlite")
    assert "| it | 1.00 | at most 2.00 | pass |" in text
    assert "| all | 1 s |" in text
    assert text.endswith("_sqlite_")


def test_the_page_keeps_what_is_around_a_section():
    page = paper.put("# Performance\n\nIntroduction.\n", "idle", "first")
    page = paper.put(page + "\nThe end.\n", "idle", r"second \1")
    assert "first" not in page
    assert r"second \1" in page
    assert page.startswith("# Performance\n\nIntroduction.")
    assert page.endswith("The end.\n")


def test_verdicts_are_counted():
    assert paper.verdicts([SECTION, SECTION]) == (2, 2)
