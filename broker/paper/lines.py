"""One instrument's line through the simulated market: its price, volume, interest and book at any look.

A look is one of the 120 moments of a minute at which the market is seen; every figure is a pure function of
(seed, instrument, day, minute, look). What is kept here is memory only.
"""

from __future__ import annotations

from typing import NamedTuple

from broker.paper.contracts import DAY_MINUTES, Contract, Curve, make_contract
from broker.paper.noise import Noise
from broker.paper.paths import MINUTES, DayPath, MinutePath, Paths
from broker.paper.prices import Basis
from broker.paper.volumes import interest_of_day, lots_of_day, spread_of
from domain.market import DepthLevel, Tick
from domain.model import Instrument, InstrumentKind, StreamMode

_MASK = (1 << 64) - 1


class Day(NamedTuple):
    """What stands still for one instrument on one day; prices in ticks.

    lots      traded by the end of the day, in lots (0: an index)
    interest  open interest in lots at the opening and at the end
    """

    number: int
    end: int
    stretch: int
    previous: int
    lower: int
    upper: int
    opening: int
    lots: int
    interest: tuple[int, int]
    path: DayPath

    def interest_at(self, traded: int) -> int:
        """Open interest in lots once so many lots have traded: it moves by trading alone."""
        first, last = self.interest
        return first + (last - first) * traded // max(self.lots, 1)


class Minute(NamedTuple):
    """What stands still for one minute: highest and lowest of the day before it, in ticks."""

    day: Day
    number: int
    curve: Curve
    high: int
    low: int
    path: MinutePath


class Line:
    """Made once an instrument and asked in any order; cheapest in time order."""

    def __init__(
        self, instrument: Instrument, basis: Basis, paths: Paths, noise: Noise, fear: Basis, phase: int = 0
    ) -> None:
        """`phase` shifts the line's looks by so many milliseconds."""
        self.phase = phase
        self.instrument = instrument
        self.basis = basis
        self.contract: Contract = make_contract(instrument, basis, paths, fear)
        self._paths = paths
        self._noise = noise
        self._is_index = instrument.kind is InstrumentKind.INDEX
        self._key = f"{instrument.exchange.value}|{instrument.symbol}"
        self._salt = noise.word(f"book/{self._key}")
        self._spread = spread_of(instrument, basis)
        self._days: dict[int, Day] = {}
        self._minute: Minute | None = None
        self._swept: tuple[int, int, int, int] = (-1, 0, 0, 0)
        self._settled = (-1, 0, 0)
        self._last: tuple[tuple[int, int, int], Tick] | None = None

    def is_of(self, instrument: Instrument) -> bool:
        """Whether this is still the instrument's line: a master may change its tick or lot overnight."""
        mine = self.instrument
        if mine is instrument:
            return True
        return (mine.tick_size, mine.lot_size, mine.expiry) == (
            instrument.tick_size,
            instrument.lot_size,
            instrument.expiry,
        )

    # -- days and minutes
    def day(self, number: int) -> Day:
        """The day of that number. ValueError after the last day."""
        known = self._days.get(number)
        if known is None:
            known = self._make_day(number)
            if len(self._days) >= 4:
                self._days.pop(next(iter(self._days)), None)
            self._days[number] = known
        return known

    def end_minute(self, number: int) -> int:
        """How many minutes of that day the instrument trades; 0 once it has expired."""
        last = self.contract.last_day
        if last is None or number < last:
            return DAY_MINUTES
        return self.contract.end_minute if number == last else 0

    def curve(self, day: Day, minute: int) -> Curve:
        """The instrument's curve in that minute, kept inside the day's band."""
        return self.contract.curve(day.number, minute // day.stretch, day.lower, day.upper)

    def minute(self, number: int, minute: int) -> Minute:
        known = self._minute
        if known is None or known.number != minute or known.day.number != number:
            day = self.day(number)
            high, low = self._before(day, minute)
            path = self._paths.minute(self.basis.model, number, minute)
            known = self._minute = Minute(day, minute, self.curve(day, minute), high, low, path)
        return known

    def _make_day(self, number: int) -> Day:
        end = self.end_minute(number)
        if not end:
            raise ValueError(f"{self._key} has expired")
        contract, instrument = self.contract, self.instrument
        path = self._paths.day(self.basis.model, number)
        first = path.nodes[0]
        before = contract.curve(number - 1, DAY_MINUTES // contract.stretch(number - 1) - 1)
        previous = max(before(first), 1)
        lower, upper = contract.band(number, previous)
        opening = min(max(contract.curve(number, 0)(first), lower), upper)
        lots = lots_of_day(instrument, self.basis, contract, number, first, self._noise)
        interest = interest_of_day(instrument, self.basis, contract, number, first, self._noise)
        stretch = contract.stretch(number)
        return Day(number, end, stretch, previous, lower, upper, opening, lots, interest, path)

    def _before(self, day: Day, minute: int) -> tuple[int, int]:
        """Highest and lowest of the day's minutes before this one, in ticks; the opening counts."""
        over = minute // day.stretch
        number, swept, high, low = self._swept
        if number != day.number or swept > over:
            swept, high, low = 0, day.opening, day.opening
        for index in range(swept, over):
            top, bottom = self.extent(day, index * day.stretch, (index + 1) * day.stretch)
            high, low = max(high, top), min(low, bottom)
        self._swept = (day.number, over, high, low)
        if minute % day.stretch:
            top, bottom = self.extent(day, over * day.stretch, minute)
            high, low = max(high, top), min(low, bottom)
        return high, low

    def extent(self, day: Day, first: int, last: int) -> tuple[int, int]:
        """Highest and lowest price of the minutes first..last-1, which must lie in one stretch."""
        curve = self.curve(day, first)
        highest, lowest = self._paths.extent(self.basis.model, day.number, first, last)
        return (curve(highest), curve(lowest)) if self.contract.rising else (curve(lowest), curve(highest))

    # -- looks
    def changes(self, day: int, minute: int, look: int) -> bool:
        """Whether this look shows something that the one before it did not; the first of a minute always does."""
        if look == 0:
            return True
        now = self.minute(day, minute)
        prices, activity, lots = now.path.prices, now.path.activity, now.day.lots
        return int(lots * activity[look]) != int(lots * activity[look - 1]) or now.curve(
            prices[look]
        ) != now.curve(prices[look - 1])

    def settled(self, day: int, minute: int, look: int) -> int:
        """The last look of the minute, up to this one, that showed something new."""
        key, known_look, known = self._settled
        this = day * DAY_MINUTES + minute
        floor = known_look if key == this and known_look <= look else 0
        now = self.minute(day, minute)
        curve, lots = now.curve, now.day.lots
        prices, activity = now.path.prices, now.path.activity
        found, price, traded = look, curve(prices[look]), int(lots * activity[look])
        while (
            found > floor and int(lots * activity[found - 1]) == traded and curve(prices[found - 1]) == price
        ):
            found -= 1
        if found == floor and floor:
            found = known
        self._settled = (this, look, found)
        return found

    def tick(self, day: int, minute: int, look: int, moment: int) -> Tick:
        """Everything the market shows at a look; `moment` is its time, epoch ms."""
        key = (day, minute, look)
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        tick = self._make_tick(self.minute(day, minute), look, moment)
        self._last = (key, tick)
        return tick

    def _make_tick(self, now: Minute, look: int, moment: int) -> Tick:
        day, path, curve = now.day, now.path, now.curve
        price, activity = path.prices[look], path.activity[look]
        at = curve(price)
        ends = (curve(path.highs[look]), curve(path.lows[look]))
        high, low = max(now.high, *ends), min(now.low, *ends)
        lots = int(day.lots * activity)
        before = int(day.lots * path.activity[look - 1]) if look else lots
        grid, size = self.contract.grid, self.instrument.lot_size
        bids, asks = ((), ()) if self._is_index else self._book(day, at, lots)
        return Tick(
            exchange=self.instrument.exchange.value,
            symbol=self.instrument.symbol,
            mode=StreamMode.DEPTH,
            last_price=grid.price(at),
            ltt=moment,
            timestamp=moment,
            open=grid.price(day.opening),
            high=grid.price(high),
            low=grid.price(low),
            close=grid.price(day.previous),
            volume=lots * size,
            average_price=grid.price(min(max(self._average(now, price, activity), low), high)),
            last_quantity=(max(lots - before, 1) if lots else 0) * size,
            total_buy_quantity=40 * sum(level.quantity for level in bids),
            total_sell_quantity=40 * sum(level.quantity for level in asks),
            open_interest=day.interest_at(lots) * size,
            bid=bids[0].price if bids else 0.0,
            ask=asks[0].price if asks else 0.0,
            bid_quantity=bids[0].quantity if bids else 0,
            ask_quantity=asks[0].quantity if asks else 0,
            bids=bids,
            asks=asks,
            upper_circuit=0.0 if self._is_index else grid.price(day.upper),
            lower_circuit=0.0 if self._is_index else grid.price(day.lower),
        )

    def _average(self, now: Minute, price: float, activity: float) -> int:
        """The day's mean price by activity, hour by hour, in ticks of today's curve."""
        path, hour = now.day.path, now.number // MINUTES
        if activity <= 0:
            return now.day.opening
        started = path.activity[hour]
        value = path.value[hour] + (activity - started) * (path.nodes[hour] + price) / 2
        return now.curve(value / activity)

    def _book(self, day: Day, at: int, lots: int) -> tuple[tuple[DepthLevel, ...], tuple[DepthLevel, ...]]:
        """Five levels a side about the last price, which always lies on or inside the best two.

        Keyed by price and volume: as long as nothing trades, the book stands.
        """
        word = (self._salt ^ (at * 0x9E3779B97F4A7C15) ^ (lots * 0xC2B2AE3D27D4EB4F) ^ day.number) & _MASK
        word = ((word ^ (word >> 29)) * 0xBF58476D1CE4E5B9) & _MASK
        word ^= word >> 32
        spread = max(int(at * self._spread), 1)
        best_bid = at - (word >> 60) % (spread + 1)
        best_ask = best_bid + spread
        step = max(spread // 2, 1)
        unit = max(day.lots // 200_000, 1) * self.instrument.lot_size
        grid, lower, upper = self.contract.grid, day.lower, day.upper
        bids, asks = [], []
        for level in range(5):
            price = best_bid - level * step
            if price >= lower:
                count = 1 + (word >> (6 * level)) % 64
                bids.append(DepthLevel(grid.price(price), count * unit, 1 + count // 8))
            price = best_ask + level * step
            if price <= upper:
                count = 1 + (word >> (30 + 6 * level)) % 64
                asks.append(DepthLevel(grid.price(price), count * unit, 1 + count // 8))
        return tuple(bids), tuple(asks)
