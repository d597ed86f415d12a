"""The simulated market agrees with itself: quotes, ticks and bars are one path, and derivatives follow it."""

from __future__ import annotations

from bisect import bisect_right
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from math import log, sqrt
from statistics import pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.paper.bars import date_stamp, join, minutes_of
from broker.paper.lines import Line
from broker.paper.market import INTERVALS
from broker.paper.noise import Noise
from broker.paper.paths import Model, Paths
from broker.paper.prices import Basis, References
from broker.paper.simulated import SimulatedMarket
from domain.clock import IST
from domain.market import Tick
from domain.model import Exchange, Instrument, InstrumentKind
from domain.options import implied_volatility
from tests.broker.paper.market_kit import EXPIRY, NOW, TODAY, HandClock, future, index, option, share

CALL, PUT = InstrumentKind.CALL, InstrumentKind.PUT
BOARD = [
    share(),
    share("20MICRONS", "0.01"),
    share("RELIANCE", "0.05", Exchange.BSE),
    index(),
    future(),
    option(24000),
    option(24500, PUT),
    option(24200, CALL, expiry=TODAY),
    option(99600, PUT, "GOLD", date(2026, 12, 4), 100, "0.50", Exchange.MCX),
    future("USDINR", date(2026, 12, 29), 1000, "0.0025", Exchange.CDS),
]
ONES = st.sampled_from(BOARD)


def _price(tick: Tick) -> float:
    return tick.last_price


def market(seed: int = 11, at: datetime = NOW) -> SimulatedMarket:
    return SimulatedMarket(seed, HandClock(at))


def near(at: datetime, **parts: float) -> datetime:
    return at + timedelta(**parts)


# -- one path
@settings(max_examples=25, deadline=None)
@given(one=ONES, back=st.integers(0, 6 * 3600 * 1000), seed=st.integers(0, 3))
def test_a_quote_is_the_last_tick_at_any_moment(one: Instrument, back: int, seed: int) -> None:
    at = near(NOW, milliseconds=-back)
    ticks = market(seed).ticks([one], near(at, seconds=-61), at)
    shown = market(seed)
    tick = shown.last_tick(one, at)
    assert tick == ticks[-1]
    quote, depth = shown.quote(one, at), shown.depth(one, at)
    assert quote is not None and depth is not None
    assert (quote.last_price, quote.volume, quote.bid, quote.ask) == (
        *(ticks[-1].last_price, ticks[-1].volume),
        *(ticks[-1].bid, ticks[-1].ask),
    )
    assert (depth.quote, depth.bids, depth.asks) == (quote, ticks[-1].bids, ticks[-1].asks)


@settings(max_examples=20, deadline=None)
@given(one=ONES, minute=st.integers(0, 480), seed=st.integers(0, 3))
def test_a_minutes_bar_is_its_ticks(one: Instrument, minute: int, seed: int) -> None:
    shown = market(seed)
    start = datetime(2026, 11, 24, 3, 0, tzinfo=IST) + timedelta(minutes=minute)
    ticks = shown.ticks([one], near(start, milliseconds=-1), near(start, milliseconds=59_999))
    bar = next(b for b in shown.candles(one, "1m", TODAY, TODAY) if b.start == int(start.timestamp()))
    prices = [tick.last_price for tick in ticks]
    assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
    assert bar.volume == ticks[-1].volume - ticks[0].volume
    assert bar.open_interest == ticks[-1].open_interest


@settings(max_examples=12, deadline=None)
@given(
    one=ONES, interval=st.sampled_from(INTERVALS[1:]), days_back=st.integers(0, 300), seed=st.integers(0, 3)
)
def test_longer_bars_are_their_minutes(one: Instrument, interval: str, days_back: int, seed: int) -> None:
    shown, day = market(seed), TODAY - timedelta(days=days_back)
    minutes = shown.candles(one, "1m", day, day)
    length = minutes_of(interval) * 60
    for bar in shown.candles(one, interval, day, day):
        start = minutes[0].start if interval == "D" else bar.start
        inside = [piece for piece in minutes if start <= piece.start < start + length]
        assert join(inside, bar.start) == bar
    if interval == "D":
        assert bar.start == date_stamp(day)


def test_bars_stop_at_now_and_grow_with_it() -> None:
    shown, one = market(), option(24000)
    bars = shown.candles(one, "5m", TODAY, TODAY + timedelta(days=3))
    assert datetime.fromtimestamp(bars[-1].start, IST) in (NOW, near(NOW, minutes=-5))
    for interval in ("1m", "30m", "D"):
        quote = shown.quote(one, NOW)
        bar = shown.candles(one, interval, TODAY, TODAY)[-1]
        assert quote is not None
        assert bar.close == quote.last_price
    assert (bar.open, bar.high, bar.low, bar.volume) == (quote.open, quote.high, quote.low, quote.volume)
    assert shown.candles(one, "D", TODAY + timedelta(days=1), TODAY + timedelta(days=3)) == []


def test_a_day_opens_at_the_close_before_it() -> None:
    for one in (share(), index()):
        bars = market().candles(one, "D", TODAY - timedelta(days=30), TODAY)
        assert len(bars) == 31
        assert [later.open for later in bars[1:]] == [bar.close for bar in bars[:-1]]
        quote = market().quote(one, NOW)
        assert quote is not None
        assert quote.close == bars[-2].close


def test_ticks_come_in_time_order_and_touching_spans_lose_none() -> None:
    whole = market().ticks(BOARD, near(NOW, seconds=-5), NOW)
    assert [tick.ltt for tick in whole] == sorted(tick.ltt for tick in whole)
    shown, parts, since = market(), [], near(NOW, seconds=-5)
    for _ in range(20):
        parts += shown.ticks(BOARD, since, near(since, milliseconds=250))
        since = near(since, milliseconds=250)

    def key(tick: Tick) -> tuple[int, str, str]:
        return tick.ltt, tick.exchange, tick.symbol

    assert sorted(parts, key=key) == sorted(whole, key=key)
    assert len(whole) > 50


def test_the_same_seed_shows_the_same_market_and_another_another() -> None:
    same = [market(1).quote(one, NOW) for one in BOARD]
    assert same == [market(1).quote(one, NOW) for one in BOARD]
    assert same != [market(2).quote(one, NOW) for one in BOARD]


def test_what_was_asked_before_does_not_matter() -> None:
    walked = market()
    for back in range(5000, 0, -700):
        walked.quote(option(24000), near(NOW, seconds=-back))
    walked.candles(option(24000), "1m", TODAY - timedelta(days=2), TODAY)
    past = near(NOW, days=-3, seconds=-7)
    for at in (NOW, past, NOW):
        assert walked.quote(option(24000), at) == market().quote(option(24000), at)


def test_no_share_stands_still() -> None:
    """Prices that the path would carry past an hour's extremes were once pinned there, for up to 39 minutes."""
    shown = market(1)
    for one, begins in ((share(), "2026-11-22T12:00+05:30"), (share("SBIN"), "2026-11-22T16:30+05:30")):
        since = datetime.fromisoformat(begins)
        moves = [
            tick.ltt
            for _, run in groupby(shown.ticks([one], since, near(since, hours=2)), _price)
            for tick in [next(run)]
        ]
        stood = [later - earlier for earlier, later in pairwise(moves)]
        assert max(stood) < 75_000
        assert sum(gap for gap in stood if gap > 20_000) < 0.05 * sum(stood)


# -- the book
@settings(max_examples=25, deadline=None)
@given(one=ONES, back=st.integers(0, 8 * 3600 * 1000))
def test_the_book_stands_about_the_last_price_on_the_grid(one: Instrument, back: int) -> None:
    tick = market().last_tick(one, near(NOW, milliseconds=-back))
    assert tick is not None
    prices = [tick.last_price, tick.open, tick.high, tick.low, tick.close]
    if one.kind is InstrumentKind.INDEX:
        assert (tick.bids, tick.asks, tick.bid, tick.volume) == ((), (), 0.0, 0)
    else:
        prices += [level.price for level in (*tick.bids, *tick.asks)]
        assert tick.bid <= tick.last_price <= tick.asks[0].price
        assert tick.bid < tick.asks[0].price
        assert tick.lower_circuit <= min(prices[:5]) <= max(prices[:5]) <= tick.upper_circuit
        assert len(tick.asks) == 5
        assert len(tick.bids) == 5 or tick.last_price < 1
        for level in (*tick.bids, *tick.asks):
            assert level.quantity > 0
            assert level.quantity % one.lot_size == 0
        assert [b.price for b in tick.bids] == sorted((b.price for b in tick.bids), reverse=True)
        assert [a.price for a in tick.asks] == sorted(a.price for a in tick.asks)
        assert tick.volume % one.lot_size == tick.open_interest % one.lot_size == 0
    assert tick.low <= min(tick.last_price, tick.open, tick.average_price)
    assert tick.high >= max(tick.last_price, tick.open, tick.average_price)
    for price in prices:
        assert Decimal(repr(price)) % one.tick_size == 0


def test_circuits_hold_and_empty_one_side() -> None:
    """A share far livelier than its band: no tick beyond it, and at a circuit nobody stands on the other side."""
    wild = Basis(model=Model("WILD", 100.0, 0.08, (), 1.0), volatility=1.5, turnover=1e9, band=0.02)
    shown = market()
    one = share("WILD", "0.05")
    shown._lines["NSE", "WILD"] = Line(one, wild, Paths(9), Noise(9), References(9).fear())
    ticks = shown.ticks([one], near(NOW, hours=-9), NOW)
    assert min(tick.low for tick in ticks) >= ticks[0].lower_circuit
    assert max(tick.high for tick in ticks) <= ticks[0].upper_circuit
    locked = [tick for tick in ticks if tick.last_price in (tick.upper_circuit, tick.lower_circuit)]
    assert locked
    assert all(
        not (tick.asks if tick.last_price == tick.upper_circuit else tick.bids)
        for tick in locked
        if (tick.ask if tick.last_price == tick.upper_circuit else tick.bid) == 0.0
    )
    assert any(tick.ask == 0.0 or tick.bid == 0.0 for tick in locked)


def test_a_shares_circuits_are_its_band_about_the_last_close_rounded_inward() -> None:
    depth = market().depth(share(), NOW)
    assert depth is not None
    close = Decimal(repr(depth.quote.close))
    assert depth.upper_circuit == pytest.approx(
        float(close * Decimal("1.1") // Decimal("0.1") * Decimal("0.1"))
    )
    assert depth.lower_circuit is not None
    assert Decimal(repr(depth.lower_circuit)) >= close * Decimal("0.9")


# -- derivatives
def last(shown: SimulatedMarket, one: Instrument, at: datetime = NOW) -> float:
    quote = shown.quote(one, at)
    assert quote is not None
    return quote.last_price


@settings(max_examples=20, deadline=None)
@given(back=st.integers(0, 8 * 3600 * 1000), strike=st.sampled_from(range(23_000, 25_500, 50)))
def test_put_call_parity_to_the_tick(back: int, strike: int) -> None:
    shown, at = market(), near(NOW, milliseconds=-back)
    call, put = last(shown, option(strike), at), last(shown, option(strike, PUT), at)
    if min(call, put) > 0.05:
        assert call - put == pytest.approx(last(shown, future(), at) - strike, abs=0.1001)


def test_a_call_is_worth_less_the_higher_its_strike_and_a_put_more() -> None:
    shown = market()
    calls = [last(shown, option(strike)) for strike in range(22_000, 26_500, 100)]
    puts = [last(shown, option(strike, PUT)) for strike in range(22_000, 26_500, 100)]
    assert calls == sorted(calls, reverse=True)
    assert puts == sorted(puts)
    middle = [a - 2 * b + c for a, b, c in zip(calls, calls[1:], calls[2:], strict=False)]
    assert min(middle) >= -0.1001


def test_an_index_smiles_and_fear_lifts_it() -> None:
    shown, years = market(), (EXPIRY - TODAY).days / 365 + 3.5 / 24 / 365
    forward = last(shown, future())

    def sigma(strike: int, kind: InstrumentKind) -> float:
        found = implied_volatility(kind is CALL, last(shown, option(strike, kind)), forward, strike, years)
        assert found is not None
        return found

    low, money = sigma(round(forward / 50 - 14) * 50, PUT), sigma(round(forward / 50) * 50, CALL)
    assert low > money * 1.05
    vix = last(shown, index("INDIAVIX")) / 100
    assert money == pytest.approx(vix, rel=0.15)


def test_a_future_carries_until_its_last_day_and_then_is_the_spot() -> None:
    shown = market()
    spot = last(shown, index())
    ahead = last(shown, future(expiry=date(2026, 12, 29)))
    assert ahead / spot == pytest.approx(1 + 0.065 * 35 / 365, abs=2e-4)
    assert last(shown, future(expiry=TODAY)) == pytest.approx(spot, abs=0.1)


def test_contracts_end_at_half_past_three() -> None:
    one, shown = option(24000, expiry=TODAY), market(at=near(NOW, days=2))
    close = datetime(2026, 11, 24, 15, 30, tzinfo=IST)
    final = last(shown, one, near(close, milliseconds=-1))
    assert final == pytest.approx(max(last(shown, index(), near(close, milliseconds=-1)) - 24_000, 0), abs=6)
    assert shown.quote(one, near(close, seconds=1)) is None
    assert shown.quote(one, near(close, days=1)) is None
    assert shown.ticks([one], near(close, seconds=1), near(close, hours=1)) == []
    bars = shown.candles(one, "1h", TODAY, TODAY + timedelta(days=1))
    assert (len(bars), bars[-1].close) == (13, final)


# -- the board
def test_sectors_move_together_and_classes_differ_in_temper() -> None:
    shown = market()
    first = TODAY - timedelta(days=400)

    def moves(one: Instrument) -> list[float]:
        return [log(bar.close / bar.open) for bar in shown.candles(one, "D", first, TODAY)]

    def yearly(one: Instrument) -> float:
        return pstdev(moves(one)) * sqrt(365)

    assert yearly(share("LIQUIDBEES", "0.01")) < 0.01
    assert 0.10 < yearly(index()) < 0.17 < yearly(share()) < 0.32 < yearly(share("20MICRONS", "0.01"))
    assert yearly(future("USDINR", date(2027, 12, 29), 1000, "0.0025", Exchange.CDS)) < 0.08


def test_a_listing_at_both_exchanges_has_one_price() -> None:
    shown = market()
    assert last(shown, share(exchange=Exchange.BSE)) == last(shown, share())


def test_goods_in_several_sizes_move_alike() -> None:
    shown = market()
    ratio = [
        last(shown, future(name, date(2026, 12, 4), 1, "1", Exchange.MCX), at)
        for name in ("GOLD", "GOLDPETAL")
        for at in (NOW, near(NOW, days=-9))
    ]
    assert ratio[0] / ratio[1] == pytest.approx(ratio[2] / ratio[3], rel=1e-3)


def test_levels_can_be_given_and_unknown_names_have_their_own() -> None:
    given_ = SimulatedMarket(1, HandClock(), {"RELIANCE": 50.0})
    assert 40 < last(given_, share()) < 60
    unknown = last(given_, share("NOBODYKNOWS"))
    assert unknown == last(SimulatedMarket(1, HandClock()), share("NOBODYKNOWS"))
    assert unknown > 0


def test_a_new_tick_size_makes_a_new_line() -> None:
    shown = market()
    last(shown, share(tick="0.10"))
    assert Decimal(repr(last(shown, share(tick="5")))) % 5 == 0


@pytest.mark.clock
def test_the_day_rolls_at_three_in_india() -> None:
    shown, roll = market(), datetime(2026, 11, 24, 3, 0, tzinfo=IST)
    assert shown.trading_day(near(roll, milliseconds=-1)) == date(2026, 11, 23)
    assert shown.trading_day(roll) == date(2026, 11, 24)
    before, after = (shown.quote(share(), near(roll, seconds=step)) for step in (-0.001, 1))
    assert before is not None and after is not None
    assert after.close == before.last_price
    assert after.volume < before.volume


def test_an_unknown_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="45s"):
        market().candles(share(), "45s", TODAY, TODAY)


def test_ticks_are_found_among_their_times() -> None:
    """The look-up that quotes promise: what a reader of ticks would find by time is what a quote says."""
    shown, one = market(), share("20MICRONS", "0.01")
    ticks = shown.ticks([one], near(NOW, minutes=-3), NOW)
    times = [tick.ltt for tick in ticks]
    for back in range(0, 100_000, 7_919):
        at = near(NOW, milliseconds=-back)
        found = ticks[bisect_right(times, int(at.timestamp() * 1000)) - 1]
        assert shown.last_tick(one, at) == found


def test_levels_say_where_every_underlying_opened() -> None:
    shown = market()
    levels = shown.levels(TODAY)
    quote = shown.quote(index(), NOW)
    assert quote is not None
    assert float(levels[Exchange.NFO, "NIFTY"]) == pytest.approx(quote.open, abs=0.05)
    assert levels[Exchange.MCX, "GOLD"] > 50_000
    assert len(levels) > 200
