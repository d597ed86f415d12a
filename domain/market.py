"""What is seen of the market: quotes, depth, ticks and bars. Floats, because they are relayed and charted in bulk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgspec

from domain.model import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What an instrument looks like now. `close` is the previous day's; volume is the day's, units.

    at  exchange time of the last trade where known, else when it was read
    """

    symbol: str
    exchange: Exchange
    last_price: float
    open: float
    high: float
    low: float
    close: float
    volume: int
    at: datetime
    bid: float = 0.0
    ask: float = 0.0
    bid_quantity: int = 0
    ask_quantity: int = 0
    open_interest: int = 0
    last_quantity: int = 0
    average_price: float = 0.0


class DepthLevel(msgspec.Struct, frozen=True, gc=False):
    """One price level of the market's book; `orders` 0 where the broker does not count them."""

    price: float
    quantity: int
    orders: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """A quote with its levels, best first."""

    quote: Quote
    bids: tuple[DepthLevel, ...]
    asks: tuple[DepthLevel, ...]
    total_buy_quantity: int = 0
    total_sell_quantity: int = 0
    upper_circuit: float | None = None
    lower_circuit: float | None = None


class Tick(NamedTuple):
    """One market update of a feed: the one record made for bulk (NamedTuple, floats, epoch ms).

    mode   what the feed knows: LTP fills last_price only, QUOTE the day, DEPTH the levels too
    ltt    last trade time, epoch ms, exchange clock; timestamp is when the feed had it, epoch ms
    """

    exchange: str
    symbol: str
    mode: int
    last_price: float
    ltt: int
    timestamp: int
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: int = 0
    average_price: float = 0.0
    last_quantity: int = 0
    total_buy_quantity: int = 0
    total_sell_quantity: int = 0
    open_interest: int = 0
    bid: float = 0.0
    ask: float = 0.0
    bid_quantity: int = 0
    ask_quantity: int = 0
    bids: tuple[DepthLevel, ...] = ()
    asks: tuple[DepthLevel, ...] = ()
    upper_circuit: float = 0.0
    lower_circuit: float = 0.0


class Candle(NamedTuple):
    """One bar.

    start  the opening instant, epoch seconds UTC; of a day bar: 00:00 UTC of its IST date
    """

    start: int
    open: float
    high: float
    low: float
    close: float
    volume: int
    open_interest: int = 0
