"""Market data: quotes, depth and candles mean what the market showed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from broker import catalog
from broker.paper.market import day_start
from domain.errors import NotSupported
from domain.model import QUOTE_ONLY, Exchange, InstrumentKind
from tests.broker.contract.world import World


@pytest.mark.reads("quotes")
@pytest.mark.parametrize("exchange", Exchange)
def test_a_quote_shows_the_day(world: World, exchange: Exchange) -> None:
    one = world.one_of(exchange)
    if exchange not in world.can.exchanges or one is None:
        pytest.skip(f"no {exchange}")
    low = float(world.last_price(one))
    high = round(low + 10 * float(one.tick_size), 4)
    world.tick(one, high)
    world.tick(one, low)
    (quote,) = world.broker.fetch_quotes([one])
    assert quote is not None
    assert (quote.symbol, quote.exchange) == (one.symbol, exchange)
    assert (quote.last_price, quote.high, quote.low) == (low, high, low)
    assert 0 < quote.close < quote.last_price
    if exchange not in QUOTE_ONLY:
        tick = float(one.tick_size)
        assert quote.bid == pytest.approx(low - tick) and quote.ask == pytest.approx(low + tick)
        assert quote.volume > 0
    if one.expiry:
        assert quote.open_interest > 0


@pytest.mark.reads("quotes")
def test_many_quotes_come_in_the_order_asked(world: World) -> None:
    asked = list(world.instruments.values())
    quotes = world.broker.fetch_quotes(asked)
    assert [quote.symbol if quote else None for quote in quotes] == [one.symbol for one in asked]


@pytest.mark.reads("quotes")
def test_a_screenful_of_quotes_fits_the_declared_rates(world: World) -> None:
    """Without the haste of these tests: an option chain's worth of quotes is not more than the broker lets us ask."""
    unhurried = catalog.load(world.name)(world.session(), world.find, world.clock)
    asked = list(world.instruments.values()) * 2
    assert len(asked) > 60
    try:
        quotes = unhurried.fetch_quotes(asked)
    finally:
        unhurried.close()
    assert [quote.symbol if quote else None for quote in quotes] == [one.symbol for one in asked]


@pytest.mark.reads("quotes")
def test_an_unknown_instrument_is_none_among_the_others(world: World) -> None:
    gone = replace(world.instrument(), symbol="GONE", broker_symbol="GONE", broker_token="9999999")
    first, second, third = world.broker.fetch_quotes(
        [world.instrument(), gone, world.instrument(symbol="TCS")]
    )
    assert first and first.symbol == "INFY"
    assert second is None
    assert third and third.symbol == "TCS"


def test_depth_has_its_levels_best_first(world: World) -> None:
    if "depth" not in world.can.reads:
        with pytest.raises(NotSupported):
            world.broker.fetch_depth(world.instrument())
        return
    depth = world.broker.fetch_depth(world.instrument())
    bids, asks = [level.price for level in depth.bids], [level.price for level in depth.asks]
    assert len(bids) == len(asks) == 5
    assert bids == sorted(bids, reverse=True) and asks == sorted(asks)
    assert bids[0] < depth.quote.last_price < asks[0]
    assert all(level.quantity == 1000 and level.orders > 0 for level in (*depth.bids, *depth.asks))


def _a_week(world: World) -> tuple[date, date]:
    today = world.clock.now().astimezone(day_start(date.today()).tzinfo).date()
    return today - timedelta(days=6), today


def test_every_declared_interval_gives_its_bars(world: World) -> None:
    if "candles" not in world.can.reads:
        pytest.skip("not declared")
    one = world.instrument()
    week, end = _a_week(world)
    weekday = end - timedelta(days=max(end.weekday() - 4, 0))
    for interval in world.can.intervals:
        start = weekday if interval.endswith("s") else week
        bars = world.broker.fetch_candles(one, interval, start, end)
        there = world.simulator.instrument("NSE", "INFY")
        wanted = world.simulator.market.candles(there, interval, start, end)
        assert [bar[:6] for bar in bars] == [bar[:6] for bar in wanted], interval


def test_an_undeclared_interval_never_leaves(world: World) -> None:
    with pytest.raises(NotSupported):
        world.broker.fetch_candles(world.instrument(), "7m", *_a_week(world))
    assert world.simulator.requests == []


def test_a_long_span_is_asked_in_windows_and_comes_whole(world: World) -> None:
    if "D" not in world.can.intervals:
        pytest.skip("not declared")
    window = world.can.candles.get("D")
    days = window.days if window and window.days else 400
    end = _a_week(world)[1]
    start = end - timedelta(days=days + 40)
    bars = world.broker.fetch_candles(world.instrument(), "D", start, end)
    moments = [bar.start for bar in bars]
    assert moments == sorted(set(moments))
    assert all(datetime.fromtimestamp(at, UTC).hour == 0 for at in moments)
    first = datetime.fromtimestamp(moments[0], UTC).date()
    assert first - start <= timedelta(days=4)
    assert len(bars) >= (days + 40) * 5 // 7 - 5


def test_contracts_carry_open_interest_where_declared(world: World) -> None:
    future = next((i for i in world.instruments.values() if i.kind is InstrumentKind.FUTURE), None)
    if future is None or "candles" not in world.can.reads:
        pytest.skip("not declared")
    start, end = _a_week(world)
    bars = world.broker.fetch_candles(future, "1m", start, end)
    assert bars and all(bar.open_interest > 0 for bar in bars)
