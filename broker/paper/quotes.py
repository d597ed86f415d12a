"""A market's tick in the shapes that reads answer with, and times as ticks carry them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.market import Depth, Quote, Tick
from domain.model import Instrument, StreamMode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def epoch_ms(at: datetime) -> int:
    """Whole milliseconds since 1970, rounded down."""
    return (at - _EPOCH) // _MILLISECOND


def quote_of(instrument: Instrument, tick: Tick) -> Quote:
    """The quote that a full tick is."""
    return Quote(
        symbol=tick.symbol,
        exchange=instrument.exchange,
        last_price=tick.last_price,
        open=tick.open,
        high=tick.high,
        low=tick.low,
        close=tick.close,
        volume=tick.volume,
        at=datetime.fromtimestamp(tick.ltt / 1000, UTC),
        bid=tick.bid,
        ask=tick.ask,
        bid_quantity=tick.bid_quantity,
        ask_quantity=tick.ask_quantity,
        open_interest=tick.open_interest,
        last_quantity=tick.last_quantity,
        average_price=tick.average_price,
    )


def depth_of(instrument: Instrument, tick: Tick) -> Depth:
    """The depth that a full tick is."""
    return Depth(
        quote=quote_of(instrument, tick),
        bids=tick.bids,
        asks=tick.asks,
        total_buy_quantity=tick.total_buy_quantity,
        total_sell_quantity=tick.total_sell_quantity,
        upper_circuit=tick.upper_circuit or None,
        lower_circuit=tick.lower_circuit or None,
    )


def tick_of(depth: Depth) -> Tick:
    """The full tick that a depth is, for listeners who have just come."""
    quote = depth.quote
    at = epoch_ms(quote.at)
    return Tick(
        exchange=quote.exchange.value,
        symbol=quote.symbol,
        mode=StreamMode.DEPTH,
        last_price=quote.last_price,
        ltt=at,
        timestamp=at,
        open=quote.open,
        high=quote.high,
        low=quote.low,
        close=quote.close,
        volume=quote.volume,
        average_price=quote.average_price,
        last_quantity=quote.last_quantity,
        total_buy_quantity=depth.total_buy_quantity,
        total_sell_quantity=depth.total_sell_quantity,
        open_interest=quote.open_interest,
        bid=quote.bid,
        ask=quote.ask,
        bid_quantity=quote.bid_quantity,
        ask_quantity=quote.ask_quantity,
        bids=depth.bids,
        asks=depth.asks,
        upper_circuit=depth.upper_circuit or 0.0,
        lower_circuit=depth.lower_circuit or 0.0,
    )
