"""Bars of the simulated market, built from the same paths as its ticks: nothing is sampled, every extreme is exact.

Also the interval vocabulary and the joining of bars that replay uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from math import gcd

from broker.paper.contracts import DAY_MINUTES, ORIGIN, day_of, opening_of
from broker.paper.lines import Day, Line
from broker.paper.market import INTERVALS
from broker.paper.paths import Paths
from domain.model import Candle

_UTC_ORIGIN = 946_684_800
"""2000-01-01 00:00 UTC, epoch seconds."""


def minutes_of(interval: str) -> int:
    """How long a bar is; a day's is 1440. ValueError for an interval that the market does not keep."""
    if interval not in INTERVALS:
        raise ValueError(f"no interval '{interval}'")
    if interval == "D":
        return DAY_MINUTES
    return int(interval[:-1]) * (60 if interval.endswith("h") else 1)


def date_stamp(day: date) -> int:
    """How a day's bar is stamped: 00:00 UTC of its date in India, epoch seconds."""
    return _UTC_ORIGIN + (day - ORIGIN).days * 86_400


def join(bars: Iterable[Candle], start: int) -> Candle:
    """One bar over several, which come in time order and are at least one."""
    pieces = list(bars)
    return Candle(
        start=start,
        open=pieces[0].open,
        high=max(bar.high for bar in pieces),
        low=min(bar.low for bar in pieces),
        close=pieces[-1].close,
        volume=sum(bar.volume for bar in pieces),
        open_interest=pieces[-1].open_interest,
    )


class Bars:
    """One line's bars."""

    def __init__(self, line: Line, paths: Paths) -> None:
        self._line = line
        self._paths = paths

    def of_day(self, number: int, length: int, until: tuple[int, int] | None = None) -> Iterator[Candle]:
        """The day's bars of `length` minutes; `until` (minute, look) is now: no look after it counts."""
        end = self._line.end_minute(number)
        if not end:
            return
        day = self._line.day(number)
        piece = gcd(length, day.stretch)
        opening = date_stamp(day_of(number)) if length == DAY_MINUTES else int(opening_of(number).timestamp())
        for first in range(0, end, length):
            if until is not None and first > until[0]:
                return
            last = min(first + length, end)
            parts = [
                bar
                for start in range(first, last, piece)
                if (bar := self._piece(day, start, min(start + piece, last), until)) is not None
            ]
            stamp = opening if length == DAY_MINUTES else opening + first * 60
            yield parts[0]._replace(start=stamp) if len(parts) == 1 else join(parts, stamp)

    def _piece(self, day: Day, first: int, last: int, until: tuple[int, int] | None) -> Candle | None:
        """A bar inside one stretch; cut at `until`, None when that lies before it."""
        if until is not None and until[0] < last:
            return self._cut(day, first, *until) if first <= until[0] else None
        line, model, number = self._line, self._line.basis.model, day.number
        curve = line.curve(day, first)
        high, low = line.extent(day, first, last)
        opening, before = self._paths.node(model, number, first)
        closing, after = self._paths.node(model, number, last)
        return self._candle(day, (curve(opening), high, low, curve(closing)), before, after)

    def _cut(self, day: Day, first: int, minute: int, look: int) -> Candle:
        """A bar that is still growing: whole minutes first, then the looks of this one."""
        line, model, number = self._line, self._line.basis.model, day.number
        curve = line.curve(day, first)
        path = self._paths.minute(model, number, minute)
        ends = [curve(path.highs[look]), curve(path.lows[look])]
        if minute > first:
            ends += line.extent(day, first, minute)
        opening, before = self._paths.node(model, number, first)
        prices = (curve(opening), max(ends), min(ends), curve(path.prices[look]))
        return self._candle(day, prices, before, path.activity[look])

    def _candle(self, day: Day, prices: tuple[int, int, int, int], before: float, after: float) -> Candle:
        grid, size = self._line.contract.grid, self._line.instrument.lot_size
        opening, high, low, closing = prices
        traded = int(day.lots * after)
        return Candle(
            start=0,
            open=grid.price(opening),
            high=grid.price(high),
            low=grid.price(low),
            close=grid.price(closing),
            volume=(traded - int(day.lots * before)) * size,
            open_interest=day.interest_at(traded) * size,
        )
