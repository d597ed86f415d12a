"""The JSON of a tick as clients read it: one encoder, so that a frame is written once for everybody.

The fields are the canonical superset of the public stream, by mode; one number has several spellings.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from domain.market import DepthLevel, Tick
from domain.model import StreamMode


class _Ltp(msgspec.Struct):
    ltp: float
    ltt: int
    timestamp: int


class _Quote(msgspec.Struct):
    ltp: float
    ltt: int
    timestamp: int
    open: float
    high: float
    low: float
    close: float
    volume: int
    average_price: float
    avg_trade_price: float
    last_quantity: int
    last_trade_quantity: int
    ltq: int
    total_buy_quantity: int
    total_sell_quantity: int
    change: float
    change_percent: float
    oi: int
    bid_price: float
    ask_price: float
    bid_size: int
    ask_size: int


class _Sides(msgspec.Struct):
    buy: tuple[DepthLevel, ...]
    sell: tuple[DepthLevel, ...]


class _Depth(_Quote):
    upper_circuit: float
    lower_circuit: float
    depth_level: int
    depth: _Sides


_encode = msgspec.json.Encoder().encode
_quote_of: Callable[..., _Quote] = _Quote
_depth_of: Callable[..., _Depth] = _Depth
_decoders: dict[int, Callable[[bytes], _Ltp | _Quote]] = {
    StreamMode.LTP: msgspec.json.Decoder(_Ltp).decode,
    StreamMode.QUOTE: msgspec.json.Decoder(_Quote).decode,
    StreamMode.DEPTH: msgspec.json.Decoder(_Depth).decode,
}


_TOO_MUCH = float("inf")
"""What a change becomes against a close next to nothing: no percentage that JSON or a reader could hold."""


def encode(tick: Tick, mode: int) -> bytes:
    """The tick as `mode` shows it. Numbers that are not finite become null."""
    if mode == StreamMode.LTP:
        return _encode(_Ltp(tick.last_price, tick.ltt, tick.timestamp))
    if mode == StreamMode.QUOTE:
        return _encode(_quote_of(*_quote(tick)))
    levels, sides = max(len(tick.bids), len(tick.asks)), _Sides(tick.bids, tick.asks)
    return _encode(_depth_of(*_quote(tick), tick.upper_circuit, tick.lower_circuit, levels, sides))


def _quote(tick: Tick) -> tuple[float, ...]:
    last, close, quantity = tick.last_price, tick.close, tick.last_quantity
    change = round(last - close, 4) if close else 0.0
    percent = round(change / close * 100, 2) if close else 0.0
    if percent in (_TOO_MUCH, -_TOO_MUCH):
        percent = 0.0
    return (
        last,
        tick.ltt,
        tick.timestamp,
        tick.open,
        tick.high,
        tick.low,
        close,
        tick.volume,
        tick.average_price,
        tick.average_price,
        quantity,
        quantity,
        quantity,
        tick.total_buy_quantity,
        tick.total_sell_quantity,
        change,
        percent,
        tick.open_interest,
        tick.bid,
        tick.ask,
        tick.bid_quantity,
        tick.ask_quantity,
    )


def decode(payload: bytes, mode: int, exchange: str, symbol: str) -> Tick:
    """The Tick that `encode` wrote; what the mode does not carry is 0. Raises ValueError for all else."""
    try:
        seen = _decoders[mode](payload)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a tick of mode {mode}") from error
    if isinstance(seen, _Ltp):
        return Tick(exchange, symbol, mode, seen.ltp, seen.ltt, seen.timestamp)
    return _tick(seen, mode, exchange, symbol)


def _tick(seen: _Quote, mode: int, exchange: str, symbol: str) -> Tick:
    deep = seen if isinstance(seen, _Depth) else None
    return Tick(
        exchange=exchange,
        symbol=symbol,
        mode=mode,
        last_price=seen.ltp,
        ltt=seen.ltt,
        timestamp=seen.timestamp,
        open=seen.open,
        high=seen.high,
        low=seen.low,
        close=seen.close,
        volume=seen.volume,
        average_price=seen.average_price,
        last_quantity=seen.last_quantity,
        total_buy_quantity=seen.total_buy_quantity,
        total_sell_quantity=seen.total_sell_quantity,
        open_interest=seen.oi,
        bid=seen.bid_price,
        ask=seen.ask_price,
        bid_quantity=seen.bid_size,
        ask_quantity=seen.ask_size,
        bids=deep.depth.buy if deep else (),
        asks=deep.depth.sell if deep else (),
        upper_circuit=deep.upper_circuit if deep else 0.0,
        lower_circuit=deep.lower_circuit if deep else 0.0,
    )
