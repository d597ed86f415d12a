"""Quotes and depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marshmallow import Schema

from domain.market import Depth, DepthLevel, Quote
from restx_api.fields import records
from restx_api.fields.base import Keyed, Several, exchange, symbol
from restx_api.fields.shapes import INTEGER, NUMBER, STRING, array, data, obj, success

_LEVELS = 5
_NO_LEVEL = {"price": 0.0, "quantity": 0}


class Instrument(Keyed):
    """Which instrument."""

    symbol = symbol()
    exchange = exchange()


class Pair(Schema):
    """One instrument of several."""

    symbol = symbol()
    exchange = exchange()


class Instruments(Keyed):
    """Which instruments, in the order in which they are answered."""

    symbols = Several(Pair, least=1)


def quote(seen: Quote) -> dict[str, Any]:
    """`prev_close` is the previous day's close."""
    return {
        "open": records.seen(seen.open),
        "high": records.seen(seen.high),
        "low": records.seen(seen.low),
        "ltp": records.seen(seen.last_price),
        "ask": records.seen(seen.ask),
        "bid": records.seen(seen.bid),
        "prev_close": records.seen(seen.close),
        "volume": seen.volume,
        "oi": seen.open_interest,
        "bid_qty": seen.bid_quantity,
        "ask_qty": seen.ask_quantity,
    }


def depth(seen: Depth) -> dict[str, Any]:
    """Five levels a side, best first; missing ones are zero."""
    of = seen.quote
    return {
        "open": records.seen(of.open),
        "high": records.seen(of.high),
        "low": records.seen(of.low),
        "ltp": records.seen(of.last_price),
        "ltq": of.last_quantity,
        "prev_close": records.seen(of.close),
        "volume": of.volume,
        "oi": of.open_interest,
        "totalbuyqty": seen.total_buy_quantity,
        "totalsellqty": seen.total_sell_quantity,
        "bids": _levels(seen.bids),
        "asks": _levels(seen.asks),
    }


def _levels(side: Sequence[DepthLevel]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"price": records.seen(level.price), "quantity": level.quantity} for level in side[:_LEVELS]
    ]
    return rows + [_NO_LEVEL] * (_LEVELS - len(rows))


_DAY = {
    **dict.fromkeys(("open", "high", "low", "ltp", "prev_close"), NUMBER),
    "volume": INTEGER,
    "oi": INTEGER,
}
_QUOTE = obj({**_DAY, "ask": NUMBER, "bid": NUMBER, "bid_qty": INTEGER, "ask_qty": INTEGER})
_SIDE = array(obj({"price": NUMBER, "quantity": INTEGER}), least=_LEVELS, most=_LEVELS)

QUOTE = data(_QUOTE)
QUOTES = success(
    {"results": array(obj({"symbol": STRING, "exchange": STRING}, {"data": _QUOTE, "error": STRING}))}
)
DEPTH = data(
    obj(
        {
            **_DAY,
            "ltq": INTEGER,
            "totalbuyqty": INTEGER,
            "totalsellqty": INTEGER,
            "bids": _SIDE,
            "asks": _SIDE,
        }
    )
)
