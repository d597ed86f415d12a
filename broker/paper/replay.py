"""A recorded market shown again, at the pace of whatever clock the exchange is given (`ReplayClock` for any speed).

The recorded prices are the only ones: a tape of candles has no book, so one level stands at the last price on both
sides, as deep as what then traded. Trading days are the exchange's own calendar.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, groupby
from operator import attrgetter
from typing import Protocol

from broker.paper.bars import date_stamp, join, minutes_of
from broker.paper.quotes import depth_of, epoch_ms, quote_of
from broker.paper.tapes import DAY_SECONDS, CandleTape, Moment, Tape
from domain.calendar import Session
from domain.clock import IST, Clock
from domain.market import Candle, Depth, DepthLevel, Quote, Tick
from domain.model import Exchange, Instrument, InstrumentKey, StreamMode


class TradingDays(Protocol):
    """The part of a calendar that replay needs."""

    def sessions(self, exchange: Exchange, day: date, *, closing_auction: bool = False) -> list[Session]: ...

    def trading_day(self, at: datetime) -> date: ...


class ReplayClock:
    """Market time that runs `speed` times as fast as the given clock, from `start` on."""

    def __init__(self, clock: Clock, start: datetime, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"not a speed: {speed}")
        self._clock = clock
        self._start = start.astimezone(UTC)
        self._from = clock.monotonic()
        self._speed = speed

    def now(self) -> datetime:
        return self._start + timedelta(seconds=(self._clock.monotonic() - self._from) * self._speed)

    def monotonic(self) -> float:
        """Seconds of real time."""
        return self._clock.monotonic()


class _Day:
    """One instrument's recorded day, with what each moment's tick says of the day so far."""

    def __init__(self, moments: list[Moment], previous: float) -> None:
        self.moments = moments
        self.previous = previous
        self.times = [moment.at for moment in moments]
        self.highs = list(accumulate((moment.price for moment in moments), max))
        self.lows = list(accumulate((moment.price for moment in moments), min))
        self.volumes = list(accumulate(moment.volume for moment in moments))
        self.values = list(accumulate(moment.price * moment.volume for moment in moments))


class ReplayMarket:
    """Market of the instruments whose tapes it has. `clock` hides what is yet to come from bars."""

    def __init__(
        self,
        tapes: Mapping[InstrumentKey, Tape],
        calendar: TradingDays,
        clock: Clock,
        feed: str = "replay",
    ) -> None:
        self.feed = feed
        self._tapes = dict(tapes)
        self._calendar = calendar
        self._clock = clock
        self._days = {key: tape.days() for key, tape in self._tapes.items()}
        self._day = lru_cache(maxsize=256)(self._make_day)

    def trading_day(self, at: datetime) -> date:
        return self._calendar.trading_day(at)

    def quote(self, instrument: Instrument, at: datetime) -> Quote | None:
        """None before the first recorded day, and for an instrument without a tape."""
        tick = self.last_tick(instrument, at)
        return None if tick is None else quote_of(instrument, tick)

    def depth(self, instrument: Instrument, at: datetime) -> Depth | None:
        tick = self.last_tick(instrument, at)
        return None if tick is None else depth_of(instrument, tick)

    def last_tick(self, instrument: Instrument, at: datetime) -> Tick | None:
        """The last recorded tick at or before the moment, of whatever day."""
        moment = epoch_ms(at)
        days = self._days.get(instrument.key, [])
        for index in range(bisect_right(days, at.astimezone(IST).date()) - 1, -1, -1):
            day = self._day(instrument.key, days[index])
            found = bisect_right(day.times, moment) - 1
            if found >= 0:
                return _tick(instrument, day, found)
        return None

    def ticks(self, instruments: Iterable[Instrument], since: datetime, until: datetime) -> list[Tick]:
        first, last = epoch_ms(since), epoch_ms(until)
        found: list[Tick] = []
        for instrument in instruments:
            days = self._days.get(instrument.key, [])
            low = max(bisect_right(days, since.astimezone(IST).date()) - 1, 0)
            high = bisect_right(days, until.astimezone(IST).date())
            for index in range(low, high):
                day = self._day(instrument.key, days[index])
                span = range(bisect_right(day.times, first), bisect_right(day.times, last))
                found.extend(_tick(instrument, day, number) for number in span)
        found.sort(key=attrgetter("ltt"))
        return found

    def candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        """[] for an interval finer than the tape."""
        length = minutes_of(interval) * 60
        tape = self._tapes.get(instrument.key)
        if tape is None or length % (tape.length or 60):
            return []
        found: list[Candle] = []
        for day in self._days[instrument.key]:
            if start <= day <= end:
                found.extend(self._bars(instrument, tape, day, length))
        return found

    def _bars(self, instrument: Instrument, tape: Tape, day: date, length: int) -> list[Candle]:
        """The day's bars as far as the clock has come."""
        pieces = self._pieces(instrument, tape, day)
        if not pieces:
            return []
        if length >= DAY_SECONDS:
            return [join(pieces, date_stamp(day))]
        opening = int(hours_of(self._calendar, instrument.exchange, day)[0].timestamp())
        buckets = groupby(pieces, key=lambda bar: opening + (bar.start - opening) // length * length)
        return [join(bars, start) for start, bars in buckets]

    def _pieces(self, instrument: Instrument, tape: Tape, day: date) -> list[Candle]:
        """Bars of the tape's own length (of a minute, for trades), the last one of what has happened in it."""
        now = epoch_ms(self._clock.now())
        recorded = self._day(instrument.key, day).moments
        if not isinstance(tape, CandleTape):
            minutes = groupby((m for m in recorded if m.at <= now), key=lambda m: m.at // 60_000 * 60)
            return [_bar(start, list(moments)) for start, moments in minutes]
        whole: list[Candle] = []
        if tape.length < DAY_SECONDS:
            whole = [bar for bar in tape.bars_of(day) if (bar.start + tape.length) * 1000 <= now]
        after = (whole[-1].start + tape.length) * 1000 if whole else 0
        rest = [moment for moment in recorded if after <= moment.at <= now]
        return [*whole, _bar(rest[0].at // 1000, rest)] if rest else whole

    def _make_day(self, key: InstrumentKey, day: date) -> _Day:
        tape, days = self._tapes[key], self._days[key]
        moments = list(tape.moments(day, lambda date_: hours_of(self._calendar, key.exchange, date_)))
        place = bisect_left(days, day)
        previous = tape.close_of(days[place - 1]) if place else moments[0].price
        return _Day(moments, previous)


def hours_of(calendar: TradingDays, exchange: Exchange, day: date) -> tuple[datetime, datetime]:
    """Of a day that was recorded though the calendar has it closed, the usual hours of shares."""
    sessions = calendar.sessions(exchange, day)
    if sessions:
        return sessions[0][0], sessions[-1][1]
    midnight = datetime(day.year, day.month, day.day, tzinfo=IST)
    return midnight + timedelta(hours=9, minutes=15), midnight + timedelta(hours=15, minutes=30)


def _tick(instrument: Instrument, day: _Day, number: int) -> Tick:
    moment, volume = day.moments[number], day.volumes[number]
    deep = 0 if instrument.exchange.value.endswith("_INDEX") else max(moment.volume, instrument.lot_size)
    bid, ask = moment.bid or moment.price, moment.ask or moment.price
    bids = (DepthLevel(bid, moment.bid_quantity or deep, 1),) if deep else ()
    asks = (DepthLevel(ask, moment.ask_quantity or deep, 1),) if deep else ()
    return Tick(
        exchange=instrument.exchange.value,
        symbol=instrument.symbol,
        mode=StreamMode.DEPTH,
        last_price=moment.price,
        ltt=moment.at,
        timestamp=moment.at,
        open=day.moments[0].price,
        high=day.highs[number],
        low=day.lows[number],
        close=day.previous,
        volume=volume,
        average_price=day.values[number] / volume if volume else moment.price,
        last_quantity=moment.volume,
        total_buy_quantity=sum(level.quantity for level in bids),
        total_sell_quantity=sum(level.quantity for level in asks),
        open_interest=moment.open_interest,
        bid=bids[0].price if bids else 0.0,
        ask=asks[0].price if asks else 0.0,
        bid_quantity=bids[0].quantity if bids else 0,
        ask_quantity=asks[0].quantity if asks else 0,
        bids=bids,
        asks=asks,
    )


def _bar(start: int, moments: list[Moment]) -> Candle:
    prices = [moment.price for moment in moments]
    return Candle(
        start=start,
        open=prices[0],
        high=max(prices),
        low=min(prices),
        close=prices[-1],
        volume=sum(moment.volume for moment in moments),
        open_interest=moments[-1].open_interest,
    )
