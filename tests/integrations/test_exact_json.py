"""JSON without floats."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations import exact_json

NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_what_is_written_reads_the_same(value):
    assert exact_json.read(exact_json.write(value)) == value


@given(VALUES)
def test_what_is_written_is_json_to_others(value):
    json.loads(exact_json.write(value))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("10.50"), b"10.50"),
        (Decimal("1E+3"), b"1000"),
        (Decimal("1E-7"), b"0.0000001"),
        ({"a": [Decimal("0.1"), True, None, "é"]}, '{"a":[0.1,true,null,"é"]}'.encode()),
    ],
)
def test_numbers_are_written_as_they_are(value, written: bytes):
    assert exact_json.write(value) == written


@pytest.mark.parametrize("value", [0.1, {"a": [1.0]}, b"bytes", object()])
def test_floats_and_strangers_are_refused(value):
    with pytest.raises(TypeError):
        exact_json.write(value)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity")])
def test_what_is_no_number_is_refused(value: Decimal):
    with pytest.raises(ValueError, match="no number"):
        exact_json.write(value)


@pytest.mark.parametrize("content", [b"NaN", b"[Infinity]", b"{", b"\xff", b""])
def test_what_is_no_json_is_refused(content: bytes):
    with pytest.raises(ValueError):  # noqa: PT011  # which kind of ValueError is the json module's own
        exact_json.read(content)
