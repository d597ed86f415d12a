"""A recorded day shown again: the order of its moments, its bars, its closes, and an order that meets it."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from broker import facts
from broker.paper.exchange import PaperExchange
from broker.paper.numbers import Numbers
from broker.paper.replay import ReplayClock, ReplayMarket
from broker.paper.rules import Terms
from broker.paper.tapes import CandleTape, Moment, TickTape, read_candles, read_ticks
from domain.calendar import Calendar
from domain.clock import IST
from domain.market import Candle, DepthLevel
from domain.model import OrderState, OrderType, PlaceOrder, Product, Side
from domain.outcomes import Accepted
from tests.broker.paper.market_kit import HandClock, index, share

SHARED = Path(__file__).parents[4] / "shared" / "data" / "candles"
DAY = date(2025, 8, 26)
RELIANCE = share(tick="0.05")
OPENS = datetime(2025, 8, 26, 9, 15, tzinfo=IST)


def calendar() -> Calendar:
    return Calendar(facts.holidays(), facts.sessions())


def bar(minute: int, opening: float, high: float, low: float, close: float, volume: int = 40) -> Candle:
    return Candle(int(OPENS.timestamp()) + minute * 60, opening, high, low, close, volume)


YESTERDAY = Candle(int((OPENS - timedelta(days=1)).timestamp()), 99.0, 99.5, 98.5, 99.2, 10)
BARS = [
    YESTERDAY,
    bar(0, 100.0, 102.0, 99.0, 101.0),
    bar(5, 101.0, 101.5, 97.0, 98.0, 43),
    bar(10, 98.0, 98.0, 98.0, 98.0),
]


def market(bars: list[Candle] | None = None, at: datetime = OPENS + timedelta(hours=7)) -> ReplayMarket:
    tape = CandleTape(bars or BARS, 300)
    return ReplayMarket({RELIANCE.key: tape}, calendar(), HandClock(at))


def later(**parts: int) -> datetime:
    return OPENS + timedelta(**parts)


def test_a_rising_bar_dips_before_it_climbs_and_a_falling_one_climbs_first() -> None:
    ticks = market().ticks([RELIANCE], later(seconds=-1), later(minutes=10, seconds=-1))
    assert [tick.last_price for tick in ticks] == [100.0, 99.0, 102.0, 101.0, 101.0, 101.5, 97.0, 98.0]
    offsets = [tick.ltt - int(OPENS.timestamp() * 1000) for tick in ticks]
    assert offsets == [0, 100_000, 200_000, 299_000, 300_000, 400_000, 500_000, 599_000]
    assert [tick.volume for tick in ticks] == [10, 20, 30, 40, 50, 60, 70, 83]
    assert [(tick.open, tick.high, tick.low, tick.close) for tick in ticks[4:6]] == [
        (100.0, 102.0, 99.0, 99.2)
    ] * 2


def test_ticks_of_touching_spans_are_all_the_ticks_once() -> None:
    shown, whole = market(), market().ticks([RELIANCE], later(seconds=-1), later(minutes=15))
    cuts = [later(seconds=-1), later(seconds=100), later(seconds=199), later(minutes=7), later(minutes=15)]
    parts = [tick for first, last in pairwise(cuts) for tick in shown.ticks([RELIANCE], first, last)]
    assert parts == whole
    assert len(whole) == 12


def test_a_quote_is_the_last_tick_even_over_a_night() -> None:
    shown = market()
    assert shown.quote(RELIANCE, later(days=-2)) is None
    early = shown.quote(RELIANCE, later(seconds=-1))
    assert early is not None
    assert early.last_price == 99.2
    quote = shown.quote(RELIANCE, later(seconds=250))
    assert quote is not None
    assert (quote.last_price, quote.close, quote.bid, quote.ask, quote.at) == (
        102.0,
        99.2,
        102.0,
        102.0,
        later(seconds=200),
    )
    depth = shown.depth(RELIANCE, later(seconds=250))
    assert depth is not None
    assert depth.bids == (DepthLevel(102.0, 10, 1),)
    assert shown.quote(share("TCS"), later(hours=1)) is None


def test_bars_join_by_the_exchanges_opening_and_hide_what_is_to_come() -> None:
    whole = market().candles(RELIANCE, "15m", DAY, DAY)
    assert whole == [Candle(int(OPENS.timestamp()), 100.0, 102.0, 97.0, 98.0, 123)]
    assert market().candles(RELIANCE, "5m", DAY, DAY) == BARS[1:]
    assert market().candles(RELIANCE, "3m", DAY, DAY) == []
    growing = market(at=later(minutes=6, seconds=50)).candles(RELIANCE, "5m", DAY, DAY)
    assert growing == [BARS[1], Candle(BARS[2].start, 101.0, 101.5, 101.0, 101.5, 20)]
    day = market().candles(RELIANCE, "D", date(2025, 8, 25), DAY)
    assert [one.start for one in day] == [int(datetime(2025, 8, d, tzinfo=UTC).timestamp()) for d in (25, 26)]
    with pytest.raises(ValueError, match="45s"):
        market().candles(RELIANCE, "45s", DAY, DAY)


def test_an_hour_begins_at_a_quarter_past() -> None:
    bars = [bar(minute, 100.0, 101.0, 99.0, 100.0) for minute in range(0, 120, 5)]
    hours = market(bars).candles(RELIANCE, "1h", DAY, DAY)
    assert [datetime.fromtimestamp(one.start, IST).strftime("%H:%M") for one in hours] == ["09:15", "10:15"]
    assert [one.volume for one in hours] == [480, 480]


def test_a_day_bar_spreads_over_the_exchanges_hours() -> None:
    tape = CandleTape(
        [Candle(int(datetime(2025, 8, 26, tzinfo=UTC).timestamp()), 10.0, 12.0, 9.0, 11.0, 400)]
    )
    shown = ReplayMarket({RELIANCE.key: tape}, calendar(), HandClock(later(days=1)))
    ticks = shown.ticks([RELIANCE], later(hours=-9), later(hours=9))
    assert [tick.last_price for tick in ticks] == [10.0, 9.0, 12.0, 11.0]
    assert [datetime.fromtimestamp(t.ltt / 1000, IST).strftime("%H:%M:%S") for t in ticks] == [
        *("09:15:00", "11:20:00", "13:25:00"),
        "15:29:59",
    ]
    assert shown.candles(RELIANCE, "D", DAY, DAY) == tape.bars
    assert shown.candles(RELIANCE, "1h", DAY, DAY) == []


def test_an_index_has_no_book() -> None:
    nifty = index()
    shown = ReplayMarket({nifty.key: CandleTape(BARS, 300)}, calendar(), HandClock(later(hours=7)))
    depth = shown.depth(nifty, later(minutes=1))
    assert depth is not None
    assert (depth.bids, depth.asks, depth.quote.bid) == ((), (), 0.0)


def test_trades_replay_as_they_were_recorded() -> None:
    start = int(OPENS.timestamp() * 1000)
    tape = TickTape([Moment(start + 61_000, 101.0, 7, 100.9, 101.1, 3, 4), Moment(start, 100.0, 5)])
    shown = ReplayMarket({RELIANCE.key: tape}, calendar(), HandClock(later(hours=1)))
    first, second = shown.ticks([RELIANCE], later(seconds=-1), later(minutes=5))
    assert (first.last_price, first.volume, second.volume) == (100.0, 5, 12)
    assert (second.bids, second.asks) == ((DepthLevel(100.9, 3, 1),), (DepthLevel(101.1, 4, 1),))
    assert [one.close for one in shown.candles(RELIANCE, "1m", DAY, DAY)] == [100.0, 101.0]
    assert len(shown.candles(RELIANCE, "5m", DAY, DAY)) == 1


@pytest.mark.clock
def test_a_clock_that_runs_a_hundred_times_as_fast() -> None:
    real = HandClock()
    fast = ReplayClock(real, OPENS, speed=100)
    assert fast.now() == OPENS
    real.seconds += 3
    assert fast.now() == later(minutes=5)
    with pytest.raises(ValueError, match="speed"):
        ReplayClock(real, OPENS, speed=0)


def test_files_are_read_with_their_faults_named(tmp_path: Path) -> None:
    good = tmp_path / "a.csv.gz"
    with gzip.open(good, "wt") as file:
        file.write("timestamp,open,high,low,close,volume\n2025-08-26 09:15:00+05:30,1,3,1,2,10\n")
    assert read_candles(good) == [Candle(int(OPENS.timestamp()), 1.0, 3.0, 1.0, 2.0, 10)]
    for text, fault in (
        ("2025-08-26,1,3,nan,2,10", "not a price"),
        ("2025-08-26,1,3,2,2,10", "between low and high"),
        ("2025-08-26 09:15:00,1,3,1,2,10", "without an offset"),
        ("2025-08-26,1", "row 2"),
    ):
        bad = tmp_path / "b.csv"
        bad.write_text(f"timestamp,open,high,low,close,volume\n{text}\n")
        with pytest.raises(ValueError, match=fault):
            read_candles(bad)
    ticks = tmp_path / "t.csv"
    ticks.write_text("timestamp,last_price,volume,bid\n1756179900000,100.5,5,100.4\n1756179901,101,12,\n")
    assert read_ticks(ticks) == [
        Moment(1756179900000, 100.5, 5, 100.4),
        Moment(1756179901000, 101.0, 7),
    ]


# -- with the exchange's engine
def stop(trigger: str, quantity: int = 10) -> PlaceOrder:
    return PlaceOrder(
        client_order_id="a" * 16,
        instrument=RELIANCE,
        side=Side.SELL,
        quantity=Decimal(quantity),
        order_type=OrderType.STOP_MARKET,
        product=Product.INTRADAY,
        trigger_price=Decimal(trigger),
    )


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
def test_a_resting_stop_fires_in_the_right_bar_of_a_real_day_at_100x() -> None:
    """RELIANCE on 26 August 2025: the stop is hit in the first bar whose low reaches it, at no price outside it."""
    tape = CandleTape(read_candles(SHARED / "NSE_RELIANCE_5m.csv.gz"))
    bars = tape.bars_of(DAY)
    lowest = min(bars[3:], key=lambda one: one.low)
    trigger = Decimal(str(round(lowest.low + 0.5, 1)))
    expected = next(one for one in bars[3:] if one.low <= float(trigger))
    real = HandClock()
    clock = ReplayClock(real, later(minutes=15), speed=100)
    shown = ReplayMarket({RELIANCE.key: tape}, calendar(), clock)
    venue = PaperExchange(shown, Numbers(lambda _: 0, lambda _: 0), Terms(), lambda order, at: Decimal(0))
    outcome = venue.place("1", stop(str(trigger)), clock.now())
    assert isinstance(outcome, Accepted)
    seen = clock.now()
    while seen < later(hours=6, minutes=15):
        real.seconds += 0.25
        now = clock.now()
        for tick in shown.ticks(venue.watched(), seen, now):
            venue.on_tick(tick)
        seen = now
    order = venue.accounts["1"].orders[outcome.order_id]
    trade = venue.accounts["1"].trades[0]
    assert order.state is OrderState.COMPLETE
    fired = trade.traded_at.timestamp()
    assert expected.start <= fired < expected.start + 300
    assert expected.low <= float(trade.price) <= float(trigger)
