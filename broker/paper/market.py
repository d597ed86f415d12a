"""What the paper exchange asks of a market, whichever kind it is: simulated, replayed or live.

A market only looks; orders, fills and accounts are the exchange's. Prices are floats on the instrument's tick grid.
A moment always answers the same: the quote at `at` is the last tick at or before `at`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Protocol

from domain.clock import IST
from domain.market import Candle, Depth, Quote, Tick
from domain.model import Instrument

ROLL = time(3, 0)
"""When the simulated market's trading day begins, IST."""

EXPIRY_TIME = time(15, 30)
"""When contracts of the simulated market stop trading on their expiry date, IST."""

INTERVALS = ("1m", "2m", "3m", "5m", "10m", "15m", "20m", "30m", "1h", "2h", "3h", "4h", "D")


class Market(Protocol):
    """`feed` names the market in tick topics. All datetimes are aware."""

    feed: str

    def quote(self, instrument: Instrument, at: datetime) -> Quote | None:
        """None where the market does not know the instrument, or it has not traded yet, or has expired."""
        ...

    def depth(self, instrument: Instrument, at: datetime) -> Depth | None:
        """The same moment as `quote`, with up to five levels a side; a side may be empty (at a circuit)."""
        ...

    def ticks(self, instruments: Iterable[Instrument], since: datetime, until: datetime) -> list[Tick]:
        """Every tick in (since, until], in time order, with depth where the market has it."""
        ...

    def candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        """Bars of the trading days start..end, ascending; the bar of now is partial; nothing of the future.

        ValueError for an interval outside INTERVALS.
        """
        ...

    def trading_day(self, at: datetime) -> date:
        """The trading day that `at` belongs to."""
        ...


def rolling_day(at: datetime) -> date:
    """The day of an always-open market: from 03:00 IST to 03:00 IST."""
    local = at.astimezone(IST)
    day = local.date()
    return day if local.time() >= ROLL else day - timedelta(days=1)


def day_start(day: date) -> datetime:
    """The roll that opens `day` of an always-open market."""
    return datetime.combine(day, ROLL, IST)
