"""A tick written for clients reads back as the same tick."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.market import DepthLevel, Tick
from services.tick_codec import decode, encode

prices = st.floats(0, 1e7, allow_nan=False)
counts = st.integers(0, 2**53)
levels = st.lists(st.builds(DepthLevel, prices, counts, counts), max_size=5).map(tuple)
ticks = st.builds(
    Tick,
    st.just("NSE"),
    st.just("INFY"),
    st.just(3),
    prices,
    counts,
    counts,
    *[prices] * 4,
    counts,
    prices,
    *[counts] * 4,
    prices,
    prices,
    counts,
    counts,
    levels,
    levels,
    prices,
    prices,
)


@given(ticks)
def test_a_full_tick_survives(tick: Tick) -> None:
    assert decode(encode(tick, 3), 3, "NSE", "INFY") == tick


@given(ticks)
def test_a_quote_keeps_all_but_the_levels(tick: Tick) -> None:
    back = decode(encode(tick, 2), 2, "NSE", "INFY")
    assert back == tick._replace(mode=2, bids=(), asks=(), upper_circuit=0.0, lower_circuit=0.0)


@given(ticks)
def test_change_is_against_the_previous_close(tick: Tick) -> None:
    data = json.loads(encode(tick, 2))
    assert data["change"] == (round(tick.last_price - tick.close, 4) if tick.close else 0.0)
    assert data["avg_trade_price"] == data["average_price"]
    assert data["last_quantity"] == data["last_trade_quantity"] == data["ltq"]


def test_what_is_no_number_is_null_never_bad_json() -> None:
    tick = Tick("NSE", "X", 1, float("nan"), 1, 1)
    assert json.loads(encode(tick, 1))["ltp"] is None


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"ltp":"x"}', b"\xff"])
def test_other_bytes_are_no_tick(payload: bytes) -> None:
    for mode in (1, 2, 3):
        with pytest.raises(ValueError, match="not a tick"):
            decode(payload, mode, "NSE", "X")
