"""JSON that two readers could read differently is refused; everything else is read exactly once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restx_api.body import NotJson, decode, encode

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_any_json_value_is_read_as_it_was_written(value: Any) -> None:
    assert decode(json.dumps(value).encode()) == value


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4), st.integers(0, 3), st.integers(0, 5))
def test_a_repeated_key_is_refused_at_any_depth(value: dict[str, Any], pick: int, depth: int) -> None:
    key = sorted(value)[pick % len(value)]
    pairs = [*value.items(), (key, value[key])]
    text = "{" + ",".join(f"{json.dumps(k)}:{json.dumps(v)}" for k, v in pairs) + "}"
    for _ in range(depth):
        text = '{"a:b":[1,' + text + "]}"
    with pytest.raises(NotJson, match="twice"):
        decode(text.encode())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"   ",
        b"not json",
        b"NaN",
        b'{"price": NaN}',
        b'{"price": Infinity}',
        b'{"price": 1e400}',
        b'{"a": "\\ud800"}',
        b"\xff\xfe{}",
        b'{"a": 1,}',
        b"apikey=abc&symbol=RELIANCE",
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"a":":",' + b'"b":' * 1 + b"[" * 10_000,
    ],
)
def test_what_is_not_json_is_said_to_be_so(raw: bytes) -> None:
    with pytest.raises(NotJson, match="valid JSON"):
        decode(raw)


def test_huge_integers_and_a_byte_order_mark_are_read() -> None:
    assert decode(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert decode(b'{"a:": ' + b"1" * 300 + b"}") == {"a:": pytest.approx(1.1111111111111112e299)}


def test_keys_are_sorted_and_nan_becomes_null() -> None:
    assert encode({"b": float("nan"), "a": {"d": 1, "c": float("inf")}}) == b'{"a":{"c":null,"d":1},"b":null}'
