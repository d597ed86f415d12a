"""A broker's own feed as a market: what was last heard of an instrument, and what was heard since.

Nothing is known of an instrument before its first tick; looking at one makes the feed follow it for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Protocol

from broker.paper.quotes import depth_of, quote_of
from domain.calendar import MarketCalendar
from domain.clock import Clock
from domain.market import Candle, Depth, Quote, Tick
from domain.model import Instrument

FRESH = 10.0
LINGER = 60.0
LOOK_AGAIN = 1.0

Pair = tuple[str, str]


class TickSource(Protocol):
    """Where feeds' ticks come from. One thread uses it."""

    def want(self, feed: str, pairs: frozenset[Pair]) -> None:
        """Follow exactly these (exchange, symbol) of a feed."""
        ...

    def receive(self) -> list[tuple[str, Tick]]:
        """(feed, tick) that arrived since the last call, oldest first; never waits."""
        ...

    def last(self, feed: str, pairs: Sequence[Pair]) -> list[Tick | None]:
        """The fresh last ticks; None where there is none, or when nobody answers within milliseconds."""
        ...


class LiveFeeds:
    """Shares one source out to the markets of its feeds."""

    def __init__(self, source: TickSource, calendar: Callable[[], MarketCalendar], clock: Clock) -> None:
        self.source = source
        self.calendar = calendar
        self.clock = clock
        self._waiting: dict[str, list[Tick]] = {}

    def market(self, feed: str) -> LiveMarket:
        """The market of a feed, made anew."""
        return LiveMarket(feed, self)

    def take(self, feed: str) -> list[Tick]:
        """A feed's ticks since the last call."""
        for whose, tick in self.source.receive():
            self._waiting.setdefault(whose, []).append(tick)
        return self._waiting.pop(feed, [])


class LiveMarket:
    """See the module docstring. A price older than ten seconds is good for looking at, not for trading on."""

    def __init__(self, feed: str, feeds: LiveFeeds) -> None:
        self.feed = feed
        self._feeds = feeds
        self._last: dict[Pair, Tick] = {}
        self._heard: dict[Pair, float] = {}
        self._asked: dict[Pair, float] = {}
        self._looked = float("-inf")

    def trading_day(self, at: datetime) -> date:
        return self._feeds.calendar().trading_day(at)

    def quote(self, instrument: Instrument, at: datetime) -> Quote | None:
        """The last that was heard, however old; None before the first."""
        tick = self._look(instrument)
        return None if tick is None else quote_of(instrument, tick)

    def depth(self, instrument: Instrument, at: datetime) -> Depth | None:
        """The last that was heard, when it is fresh."""
        tick = self._look(instrument)
        if tick is None or self._now() - self._heard[_pair(instrument)] > FRESH:
            return None
        return depth_of(instrument, tick)

    def ticks(self, instruments: Iterable[Instrument], since: datetime, until: datetime) -> list[Tick]:
        """What was heard since the last call, in order. Between calls the feed follows these and those looked at."""
        now = self._now()
        watched = {_pair(one) for one in instruments}
        self._asked = {pair: when for pair, when in self._asked.items() if now - when < LINGER}
        self._feeds.source.want(self.feed, frozenset(watched | set(self._asked)))
        heard = self._feeds.take(self.feed)
        if now - self._looked >= LOOK_AGAIN:
            self._looked = now
            heard += self._missed(sorted(watched))
        for tick in heard:
            self._keep(tick, now)
        return [tick for tick in heard if (tick.exchange, tick.symbol) in watched]

    def candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        """None are kept: bars come from the broker itself."""
        return []

    def _missed(self, pairs: list[Pair]) -> list[Tick]:
        """What the feed's own memory has that never arrived here."""
        if not pairs:
            return []
        known = zip(pairs, self._feeds.source.last(self.feed, pairs), strict=True)
        return [tick for pair, tick in known if tick is not None and self._is_newer(pair, tick)]

    def _is_newer(self, pair: Pair, tick: Tick) -> bool:
        before = self._last.get(pair)
        return before is None or tick.timestamp > before.timestamp

    def _look(self, instrument: Instrument) -> Tick | None:
        pair, now = _pair(instrument), self._now()
        self._asked[pair] = now
        if pair not in self._heard or now - self._heard[pair] > LOOK_AGAIN:
            (tick,) = self._feeds.source.last(self.feed, [pair])
            if tick is not None:
                self._keep(tick, now)
        return self._last.get(pair)

    def _keep(self, tick: Tick, now: float) -> None:
        pair = (tick.exchange, tick.symbol)
        self._heard[pair] = now
        if self._is_newer(pair, tick):
            self._last[pair] = tick

    def _now(self) -> float:
        return self._feeds.clock.monotonic()


def _pair(instrument: Instrument) -> Pair:
    return instrument.exchange.value, instrument.symbol
