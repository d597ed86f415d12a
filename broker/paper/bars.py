"""Bars of the simulated market, built from the same paths as its ticks: nothing is sampled, every extreme is exact.

Also the interval vocabulary and the joining of bars that replay uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice
from math import gcd

from broker.paper.contracts import DAY_MINUTES, ORIGIN, Curve, day_of, opening_of
from broker.paper.lines import Day, Line
from broker.paper.market import INTERVALS
from broker.paper.paths import Paths
from domain.market import Candle

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
        self._model = line.basis.model

    def of_day(self, number: int, length: int, until: tuple[int, int] | None = None) -> Iterator[Candle]:
        """The day's bars of `length` minutes; `until` (minute, look) is now: no look after it counts."""
        end = self._line.end_minute(number)
        if not end:
            return
        day = self._line.day(number)
        opening = date_stamp(day_of(number)) if length == DAY_MINUTES else int(opening_of(number).timestamp())
        last_minute = end - 1 if until is None else min(until[0], end - 1)
        pieces = self._pieces(day, gcd(length, day.stretch), end, until)
        for first in range(0, last_minute + 1, length):
            stamp = opening if length == DAY_MINUTES else opening + first * 60
            count = (min(first + length, last_minute + 1) - first - 1) // gcd(length, day.stretch) + 1
            parts = list(islice(pieces, count))
            yield join(parts, stamp) if count > 1 else parts[0]._replace(start=stamp)

    def _pieces(self, day: Day, step: int, end: int, until: tuple[int, int] | None) -> Iterator[Candle]:
        """Bars of `step` minutes, each inside one stretch, the last one cut at `until`."""
        node = self._paths.node(self._model, day.number, 0)
        stretch, curve = -1, self._line.curve(day, 0)
        for first in range(0, end, step):
            last = min(first + step, end)
            if first // day.stretch != stretch:
                stretch, curve = first // day.stretch, self._line.curve(day, first)
            if until is not None and until[0] < last:
                yield self._cut(day, curve, first, node, until)
                return
            highest, lowest = self._paths.extent(self._model, day.number, first, last)
            after = self._paths.node(self._model, day.number, last)
            yield self._candle(day, curve, (node[0], highest, lowest, after[0]), node[1], after[1])
            node = after

    def _cut(
        self, day: Day, curve: Curve, first: int, node: tuple[float, float], until: tuple[int, int]
    ) -> Candle:
        """A bar that is still growing: whole minutes first, then the looks of this one."""
        minute, look = until
        path = self._paths.minute(self._model, day.number, minute)
        highest, lowest = path.highs[look], path.lows[look]
        if minute > first:
            before = self._paths.extent(self._model, day.number, first, minute)
            highest, lowest = max(highest, before[0]), min(lowest, before[1])
        return self._candle(
            day, curve, (node[0], highest, lowest, path.prices[look]), node[1], path.activity[look]
        )

    def _candle(
        self, day: Day, curve: Curve, prices: tuple[float, float, float, float], before: float, after: float
    ) -> Candle:
        """From the underlying's open, high, low and close; a falling contract's high is at its low."""
        numerator, denominator = self._line.contract.grid
        size = self._line.instrument.lot_size
        opening, highest, lowest, closing = prices
        if not self._line.contract.rising:
            highest, lowest = lowest, highest
        traded = int(day.lots * after)
        return Candle(
            0,
            curve(opening) * numerator / denominator,
            curve(highest) * numerator / denominator,
            curve(lowest) * numerator / denominator,
            curve(closing) * numerator / denominator,
            (traded - int(day.lots * before)) * size,
            day.interest_at(traded) * size,
        )
