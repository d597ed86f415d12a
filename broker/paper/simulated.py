"""A market that never closes, computed from a seed: the same seed shows the same prices for ever.

Nothing is stored: a quote of last year costs what today's does. The trading day rolls at 03:00 IST on every date of
the year. Underlyings move together (`paths.py`), derivatives follow them (`contracts.py`), one line an instrument.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter

from broker import facts
from broker.paper.bars import Bars, minutes_of
from broker.paper.contracts import DAY_MINUTES, day_number, opening_of
from broker.paper.lines import Line
from broker.paper.market import rolling_day
from broker.paper.noise import Noise
from broker.paper.paths import LOOKS, Paths
from broker.paper.prices import References
from broker.paper.quotes import depth_of, epoch_ms, quote_of
from domain.clock import Clock
from domain.market import Candle, Depth, Quote, Tick
from domain.model import Exchange, Instrument

STEP = 60_000 // LOOKS
"""Milliseconds between two looks."""

_LOOKS_A_DAY = DAY_MINUTES * LOOKS
_ORIGIN = int(opening_of(0).timestamp() * 1000)
_MOST_LINES = 10_000
"""Instruments kept at hand; more are forgotten and made again when asked for (some 7 KB each)."""
_WARMED = 8
"""Lines whose next minute is made ahead at each call for ticks, so that minutes do not begin with a stall."""

SEED = 1
"""Of the market that every install trades on."""


class SimulatedMarket:
    """`levels` overrides reference levels by the underlying's symbol; `clock` hides the future from bars."""

    def __init__(
        self, seed: int, clock: Clock, levels: dict[str, float] | None = None, feed: str = "paper"
    ) -> None:
        self.feed = feed
        self._clock = clock
        self._noise = Noise(seed)
        self._paths = Paths(seed)
        self._references = References(seed, levels)
        self._lines: dict[tuple[str, str], Line] = {}
        self._warm = 0

    def trading_day(self, at: datetime) -> date:
        return rolling_day(at)

    def quote(self, instrument: Instrument, at: datetime) -> Quote | None:
        """The last tick at or before the moment; None once the instrument has expired."""
        tick = self.last_tick(instrument, at)
        return None if tick is None else quote_of(instrument, tick)

    def depth(self, instrument: Instrument, at: datetime) -> Depth | None:
        tick = self.last_tick(instrument, at)
        return None if tick is None else depth_of(instrument, tick)

    def last_tick(self, instrument: Instrument, at: datetime) -> Tick | None:
        """What `ticks` showed last at that moment; None once the instrument has expired."""
        line = self._line(instrument)
        number = (epoch_ms(at) - _ORIGIN - line.phase) // STEP
        day, minute, look = _split(number)
        if minute >= line.end_minute(day):
            return None
        settled = line.settled(day, minute, look)
        return line.tick(day, minute, settled, _moment(number - look + settled, line))

    def ticks(self, instruments: Iterable[Instrument], since: datetime, until: datetime) -> list[Tick]:
        first, last = epoch_ms(since) - _ORIGIN, epoch_ms(until) - _ORIGIN
        lines = [self._line(instrument) for instrument in instruments]
        found: list[Tick] = []
        for line in lines:
            for number in range((first - line.phase) // STEP + 1, (last - line.phase) // STEP + 1):
                day, minute, look = _split(number)
                if minute < line.end_minute(day) and line.changes(day, minute, look):
                    found.append(line.tick(day, minute, look, _moment(number, line)))
        self._make_ahead(lines, last)
        found.sort(key=attrgetter("ltt"))
        return found

    def candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        length = minutes_of(interval)
        line = self._line(instrument)
        bars = Bars(line, self._paths)
        today, minute, look = _split((epoch_ms(self._clock.now()) - _ORIGIN - line.phase) // STEP)
        found: list[Candle] = []
        for number in range(day_number(start), min(day_number(end), today) + 1):
            found.extend(bars.of_day(number, length, (minute, look) if number == today else None))
        return found

    def levels(self, day: date) -> dict[tuple[Exchange, str], Decimal]:
        """Where every underlying stands at the opening of a day, by its derivatives' exchange: for listing strikes."""
        number = day_number(day)
        found = {}
        for each in facts.underlyings():
            price = self._paths.start(self._references.underlying(each).model, number)
            found[each.exchange, each.symbol] = Decimal(f"{price:.2f}")
        return found

    def _line(self, instrument: Instrument) -> Line:
        key = (instrument.exchange.value, instrument.symbol)
        line = self._lines.get(key)
        if line is not None and line.is_of(instrument):
            return line
        basis = self._references.basis(instrument)
        phase = self._noise.word(f"phase/{basis.model.key}") % STEP
        line = Line(instrument, basis, self._paths, self._noise, self._references.fear(), phase)
        if len(self._lines) >= _MOST_LINES:
            self._lines.clear()
        self._lines[key] = line
        return line

    def _make_ahead(self, lines: list[Line], moment: int) -> None:
        if not lines:
            return
        day, minute, _ = _split(moment // STEP + LOOKS)
        for index in range(self._warm, self._warm + min(_WARMED, len(lines))):
            line = lines[index % len(lines)]
            if minute < line.end_minute(day):
                self._paths.minute(line.basis.model, day, minute)
        self._warm = (self._warm + _WARMED) % len(lines)


def _split(number: int) -> tuple[int, int, int]:
    """Day, minute of the day and look of the minute."""
    day, rest = divmod(number, _LOOKS_A_DAY)
    minute, look = divmod(rest, LOOKS)
    return day, minute, look


def _moment(number: int, line: Line) -> int:
    """Epoch ms of a look."""
    return _ORIGIN + number * STEP + line.phase
