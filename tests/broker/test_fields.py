"""Field readers: a finite number or an error, absent is None, never a made-up zero where money is meant."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import fields
from broker.fields import FieldError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@given(JSON)
def test_money_is_finite_or_an_error(value: object) -> None:
    try:
        number = fields.decimal({"x": value}, "x")
    except FieldError as error:
        assert "x" in str(error)
    else:
        assert number.is_finite() and abs(number) <= 10**15


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "1e400", True, "12,5", "abc", [], {"a": 1}, float("nan")]
)
def test_what_is_not_a_number_is_refused(value: object) -> None:
    with pytest.raises(FieldError):
        fields.decimal({"x": value}, "x")


def test_absent_is_none_and_required_is_an_error() -> None:
    assert fields.maybe_decimal({}, "price") is None
    assert fields.maybe_decimal({"price": ""}, "price") is None
    assert fields.positive({"price": 0}, "price") is None
    with pytest.raises(FieldError):
        fields.decimal({"price": None}, "price")


def test_floats_keep_their_shortest_text() -> None:
    assert fields.decimal({"x": 0.1 + 0.2}, "x") == Decimal("0.3")
    assert fields.decimal({"x": 109.35}, "x") == Decimal("109.35")
    assert str(fields.decimal({"x": 1500.0}, "x")) in ("1500", "1.5E+3")


def test_negative_quantities_are_refused() -> None:
    with pytest.raises(FieldError):
        fields.quantity({"q": -1}, "q")


def test_times_are_aware_and_indian() -> None:
    at = fields.ist_time({"at": "2026-11-25 09:15:00"}, "at")
    assert at.isoformat() == "2026-11-25T09:15:00+05:30"
    with pytest.raises(FieldError):
        fields.ist_time({"at": "yesterday"}, "at")
