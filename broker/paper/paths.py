"""How underlyings move: correlated paths, computable at any moment, with exact bars at every level.

Factors (the market, a sector, the underlying's own) are keyed Brownian bridges: over 16 days, then the hours
of a day, then the minutes of an hour. An underlying's hour is drawn first: its ends are sums of factors, its
extremes follow the bridge's law. Inside it the minutes swing less where they would pass those extremes, and are
stretched to touch them exactly, and so are the looks inside a minute; a path that were cut off instead would stand
still for minutes. The high of a day is therefore the largest of its hours, of its minutes and of its
looks alike, and no level has to compute the one below. Day numbers count from 2000-01-01, from 03:00 IST.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import exp, log, sqrt
from typing import NamedTuple

from broker.paper.noise import Noise, excursion_table

DAYS = 16
HOURS = 24
MINUTES = 60
LOOKS = 120
"""Looks in a minute: a price is seen each 500 ms."""

_SPREAD = sqrt(DAYS / 2)
"""Deviation of a bridge's ends, in days' moves, so that steps across and inside a bridge are alike."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """What an underlying is made of. Compared by identity: make one an underlying and keep it.

    key    names its own factor
    level  rupees, about which it wanders (within some five days' moves, always)
    daily  deviation of a day's move, as a fraction
    loads  (factor, weight); with the own weight their squares add to 1
    own    weight of its own factor
    """

    key: str
    level: float
    daily: float
    loads: tuple[tuple[str, float], ...]
    own: float


class DayPath(NamedTuple):
    """The hours of a day: 25 node prices, 24 highs and lows.

    activity  share of the day's trading that is over, 25 nodes from 0 to 1
    value     sum of price times activity up to each node: the day's mean price is value / activity
    """

    nodes: array[float]
    highs: array[float]
    lows: array[float]
    activity: array[float]
    value: array[float]


class HourPath(NamedTuple):
    """The minutes of an hour, as DayPath: 61 nodes; `activity` goes on from the day's at this hour."""

    nodes: array[float]
    highs: array[float]
    lows: array[float]
    activity: array[float]


class MinutePath(NamedTuple):
    """The looks of a minute; `highs` and `lows` are of the minute so far. `activity` continues the hour's."""

    prices: array[float]
    highs: array[float]
    lows: array[float]
    activity: array[float]


_LEAST_SWING = 0.35


class Paths:
    """Every path of one seed. Asked again for the same stretch it answers from memory while that lasts."""

    def __init__(self, seed: int) -> None:
        self._noise = Noise(seed)
        self._segment = lru_cache(maxsize=8192)(self._make_segment)
        self._factor_day = lru_cache(maxsize=8192)(self._make_factor_day)
        self._factor_hour = lru_cache(maxsize=4096)(self._make_factor_hour)
        self.day = lru_cache(maxsize=16384)(self._make_day)
        self.hour = lru_cache(maxsize=8192)(self._make_hour)
        self.minute = lru_cache(maxsize=4096)(self._make_minute)

    def value(self, factor: str, day: int) -> float:
        """A factor at the opening of a day, in days' moves."""
        return self._segment(factor, day // DAYS)[day % DAYS]

    def start(self, model: Model, day: int) -> float:
        """The price at a day's opening, cheaper than the whole day."""
        return self._node(model, [self.value(name, day) for name in self._names(model)])

    def extent(self, model: Model, day: int, first: int, last: int) -> tuple[float, float]:
        """Highest and lowest price of the minutes first..last-1 of a day; first < last."""
        hour, minute = divmod(first, MINUTES)
        if last == first + 1:
            part = self.hour(model, day, hour)
            return part.highs[minute], part.lows[minute]
        path = self.day(model, day)
        last_hour, rest = divmod(last, MINUTES)
        if hour == last_hour:
            part = self.hour(model, day, hour)
            return max(part.highs[minute:rest]), min(part.lows[minute:rest])
        highs: list[float] = []
        lows: list[float] = []
        if minute:
            part = self.hour(model, day, hour)
            highs += part.highs[minute:]
            lows += part.lows[minute:]
            hour += 1
        highs += path.highs[hour:last_hour]
        lows += path.lows[hour:last_hour]
        if rest:
            part = self.hour(model, day, last_hour)
            highs += part.highs[:rest]
            lows += part.lows[:rest]
        return max(highs), min(lows)

    def node(self, model: Model, day: int, minute: int) -> tuple[float, float]:
        """Price and activity at the opening of a minute; minute 1440 is the day's end."""
        hour, rest = divmod(minute, MINUTES)
        part: DayPath | HourPath = self.hour(model, day, hour) if rest else self.day(model, day)
        index = rest or hour
        return part.nodes[index], part.activity[index]

    def _make_segment(self, factor: str, segment: int) -> list[float]:
        first = _SPREAD * self._noise.normals(f"N{factor}/{segment}", 1)[0]
        last = _SPREAD * self._noise.normals(f"N{factor}/{segment + 1}", 1)[0]
        return _between(first, last, self._noise.bridge(f"S{factor}/{segment}", DAYS), 1.0)

    def _make_factor_day(self, factor: str, day: int) -> list[float]:
        steps = self._noise.bridge(f"D{factor}/{day}", HOURS)
        return _between(self.value(factor, day), self.value(factor, day + 1), steps, 1 / sqrt(HOURS))

    def _make_factor_hour(self, factor: str, day: int, hour: int) -> list[float]:
        nodes = self._factor_day(factor, day)
        steps = self._noise.bridge(f"H{factor}/{day}/{hour}", MINUTES)
        return _between(nodes[hour], nodes[hour + 1], steps, 1 / sqrt(HOURS * MINUTES))

    def _make_day(self, model: Model, day: int) -> DayPath:
        logs = self._mix(model, [self._factor_day(name, day) for name in self._names(model)])
        deviation = model.daily / sqrt(HOURS)
        words = self._noise.words(f"d{model.key}/{day}", 3 * HOURS)
        highs, lows = _extremes(logs, deviation, words)
        nodes = array("d", map(exp, logs))
        activity = _activity(0.0, 1.0, words[2 * HOURS :])
        parts = (
            (nodes[hour] + nodes[hour + 1]) / 2 * (activity[hour + 1] - activity[hour])
            for hour in range(HOURS)
        )
        value = array("d", accumulate(parts, initial=0.0))
        return DayPath(nodes, array("d", map(exp, highs)), array("d", map(exp, lows)), activity, value)

    def _make_hour(self, model: Model, day: int, hour: int) -> HourPath:
        whole = self.day(model, day)
        logs = self._mix(model, [self._factor_hour(name, day, hour) for name in self._names(model)])
        words = self._noise.words(f"h{model.key}/{day}/{hour}", 3 * MINUTES)
        high, low = whole.highs[hour], whole.lows[hour]
        ceiling, floor = log(high), log(low)
        logs = _inside(logs, floor, ceiling)
        highs, lows = _extremes(logs, model.daily / sqrt(HOURS * MINUTES), words)
        highs, lows = [min(x, ceiling) for x in highs], [max(x, floor) for x in lows]
        stretch = _Stretch(logs, max(highs), min(lows), ceiling, floor)
        top = [exp(x) for x in stretch(highs)]
        bottom = [exp(x) for x in stretch(lows)]
        top[highs.index(stretch.high)] = high
        bottom[lows.index(stretch.low)] = low
        nodes = [exp(x) for x in stretch(logs)]
        nodes[0], nodes[-1] = whole.nodes[hour], whole.nodes[hour + 1]
        activity = _activity(whole.activity[hour], whole.activity[hour + 1], words[2 * MINUTES :])
        return HourPath(array("d", nodes), array("d", top), array("d", bottom), activity)

    def _make_minute(self, model: Model, day: int, minute: int) -> MinutePath:
        hour = self.hour(model, day, minute // MINUTES)
        at = minute % MINUTES
        words = self._noise.words(f"m{model.key}/{day}/{minute}", LOOKS + 1)
        first, last = hour.nodes[at], hour.nodes[at + 1]
        width = first * model.daily / sqrt(HOURS * MINUTES * (LOOKS - 1))
        steps = self._noise.bridge(f"t{model.key}/{day}/{minute}", LOOKS - 1)
        raw = _between(first, last, steps, width)
        high, low = hour.highs[at], hour.lows[at]
        prices = _touching(_folded(raw, low, high), high, low, words[LOOKS])
        return MinutePath(
            array("d", prices),
            array("d", accumulate(prices, max)),
            array("d", accumulate(prices, min)),
            _activity(hour.activity[at], hour.activity[at + 1], words[: LOOKS - 1]),
        )

    def _names(self, model: Model) -> list[str]:
        return [model.key, *(name for name, _ in model.loads)]

    def _node(self, model: Model, values: Sequence[float]) -> float:
        return exp(self._mix(model, [[value] for value in values])[0])

    def _mix(self, model: Model, factors: list[list[float]]) -> list[float]:
        """Log prices from the factors' values: the own one first, then the loads in order."""
        base = log(model.level)
        weights = [model.daily * model.own, *(model.daily * weight for _, weight in model.loads)]
        if len(factors) == 3:
            a, b, c = weights
            return [base + a * x + b * y + c * z for x, y, z in zip(*factors, strict=True)]
        return [
            base + sum(w * x for w, x in zip(weights, values, strict=True))
            for values in zip(*factors, strict=True)
        ]


def _inside(path: list[float], low: float, high: float) -> list[float]:
    """The path between the same ends, its swings above and below their straight line each made small enough for
    low..high, so that it goes on moving with what moved it; folded where they would have to become too small."""
    first, last, steps = path[0], path[-1], len(path) - 1
    line = [first + (last - first) * at / steps for at in range(len(path))]
    swings = [x - y for x, y in zip(path, line, strict=True)]
    above = min(((high - y) / s for y, s in zip(line, swings, strict=True) if y + s > high), default=1.0)
    below = min(((low - y) / s for y, s in zip(line, swings, strict=True) if y + s < low), default=1.0)
    above, below = max(above, _LEAST_SWING), max(below, _LEAST_SWING)
    return _folded(
        [y + s * (above if s > 0 else below) for y, s in zip(line, swings, strict=True)], low, high
    )


def _folded(path: list[float], low: float, high: float) -> list[float]:
    """The path inside low..high: what would pass a border is mirrored in it, so it moves on as much as before."""
    width = high - low
    return [x if low <= x <= high else high - abs((x - low) % (2 * width) - width) for x in path]


class _Stretch:
    """A monotone map that keeps what lies between a stretch's ends and moves its extremes onto given ones."""

    def __init__(self, nodes: list[float], high: float, low: float, new_high: float, new_low: float) -> None:
        self.high, self.low = high, low
        self._top = max(nodes[0], nodes[-1])
        self._bottom = min(nodes[0], nodes[-1])
        # A hair short, so that rounding never lifts a value beyond the extreme, which is set exactly.
        self._up = (new_high - self._top) / (high - self._top) * (1 - 1e-12)
        self._down = (new_low - self._bottom) / (low - self._bottom) * (1 - 1e-12)

    def __call__(self, values: list[float]) -> list[float]:
        top, bottom, up, down = self._top, self._bottom, self._up, self._down
        return [
            top + (x - top) * up if x > top else bottom + (x - bottom) * down if x < bottom else x
            for x in values
        ]


def _between(first: float, last: float, bridge: list[float], width: float) -> list[float]:
    """The line from first to last with a bridge laid over it; both ends exact."""
    steps = len(bridge) - 1
    slope = (last - first) / steps
    path = [first + slope * index + width * step for index, step in enumerate(bridge)]
    path[-1] = last
    return path


def _extremes(nodes: list[float], deviation: float, words: Sequence[int]) -> tuple[list[float], list[float]]:
    """The highest and lowest of a Brownian path between each two nodes (the reflection principle's law)."""
    table = excursion_table()
    steps = len(nodes) - 1
    variance = deviation * deviation
    highs, lows = [], []
    for index in range(steps):
        first, last = nodes[index], nodes[index + 1]
        middle, half = (first + last) / 2, (last - first) / 2
        square = half * half
        highs.append(middle + sqrt(square + variance * table[words[index]]))
        lows.append(middle - sqrt(square + variance * table[words[steps + index]]))
    return highs, lows


def _activity(first: float, last: float, words: Sequence[int]) -> array[float]:
    """How a share of the day's trading spreads over equal parts: rising, both ends exact."""
    shares = list(accumulate((0.25 + word / 65_536 for word in words), initial=0.0))
    scale = (last - first) / shares[-1]
    spread = array("d", (first + share * scale for share in shares))
    spread[-1] = last
    return spread


def _touching(raw: list[float], high: float, low: float, word: int) -> list[float]:
    """The looks of a minute moved so that the highest is exactly `high`, the lowest exactly `low`."""
    top, bottom = max(raw[0], raw[-1]), min(raw[0], raw[-1])
    highest, lowest = max(raw), min(raw)
    up = (high - top) / (highest - top) * (1 - 1e-12) if highest > top else 0.0
    down = (bottom - low) / (bottom - lowest) * (1 - 1e-12) if lowest < bottom else 0.0
    moved = [
        top + (x - top) * up if x > top else bottom - (bottom - x) * down if x < bottom else x for x in raw
    ]
    inner = len(raw) - 2
    at_high = raw.index(highest) if highest > top else 1 + word % inner
    at_low = raw.index(lowest) if lowest < bottom else 1 + (word // inner) % inner
    if at_low == at_high:
        at_low = 1 + at_high % inner
    moved[at_high], moved[at_low] = high, low
    return moved
