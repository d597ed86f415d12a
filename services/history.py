"""Bars of the past: what the account's data broker keeps, and weeks to years folded from its days."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Protocol

from broker.interface import Broker
from domain.errors import InstrumentNotFound, InvalidRequest, NotFound
from domain.market import Candle
from domain.model import Instrument
from services.accounts import Account, Caller

ALIASES = {"60m": "1h", "1D": "D", "1d": "D"}
"""Other spellings of an interval that clients send."""

MOST_BARS = 200_000
"""Bars that one request may span, so that none takes the market's time from everybody."""

FOLDED = ("W", "M", "Q", "Y")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class Instruments(Protocol):
    def get(self, broker: str, exchange: str, symbol: str) -> Instrument | None: ...


class Sessions(Protocol):
    def data_broker_for(self, account: Account) -> Broker: ...


class History:
    """Reads bars; keeps none."""

    def __init__(self, instruments: Instruments, sessions: Sessions) -> None:
        self._instruments = instruments
        self._sessions = sessions

    def candles(
        self,
        caller: Caller,
        symbol: str,
        exchange: str,
        interval: str,
        start: date,
        end: date,
        source: str = "api",
    ) -> list[Candle]:
        """Bars of both dates and between, ascending, none twice; [] when nothing traded.

        source  "api" asks the broker; "db" is the local store
        Raises InstrumentNotFound, InvalidRequest for a span that is backwards or too long, NotSupported for an
        interval the broker does not keep, NotFound when nothing is stored, and what the broker's read raises.
        """
        if start > end:
            raise InvalidRequest("start_date is after end_date", "start_date")
        if source == "db":
            raise NotFound(f"nothing stored for {symbol} on {exchange}")
        broker = self._sessions.data_broker_for(caller.account)
        instrument = self._instruments.get(broker.manifest.name, exchange, symbol)
        if instrument is None:
            raise InstrumentNotFound(symbol, exchange)
        wanted = ALIASES.get(interval, interval)
        if wanted in FOLDED and wanted not in broker.manifest.can.intervals:
            first = period_start(start, wanted)
            return fold(_clean(broker.fetch_candles(instrument, "D", first, end)), wanted)
        _check_span(wanted, start, end)
        return _clean(broker.fetch_candles(instrument, wanted, start, end))

    def intervals(self, caller: Caller) -> tuple[str, ...]:
        """What `candles` answers for this account, shortest first."""
        kept = self._sessions.data_broker_for(caller.account).manifest.can.intervals
        if "D" not in kept:
            return kept
        return (*kept, *(period for period in FOLDED[:2] if period not in kept))


def period_start(day: date, period: str) -> date:
    """The first date of the week (a Monday), month, quarter or year that holds the day."""
    if period == "W":
        return day - timedelta(days=day.weekday())
    if period == "M":
        return day.replace(day=1)
    return day.replace(month=(day.month - 1) // 3 * 3 + 1 if period == "Q" else 1, day=1)


def fold(days: Sequence[Candle], period: str) -> list[Candle]:
    """Day bars, ascending, as bars of a longer period, each stamped 00:00 UTC of the period's first date."""
    return [_joined(start, bars) for start, bars in groupby(days, _key(period))]


def _key(period: str) -> Callable[[Candle], int]:
    def start(bar: Candle) -> int:
        day = period_start(datetime.fromtimestamp(bar.start, UTC).date(), period)
        return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())

    return start


def _joined(start: int, bars: Iterable[Candle]) -> Candle:
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


def _clean(bars: Iterable[Candle]) -> list[Candle]:
    """Ascending by start; of bars that come twice the last one counts."""
    return [bar for _, bar in sorted({bar.start: bar for bar in bars}.items())]


def _check_span(interval: str, start: date, end: date) -> None:
    length = _SECONDS.get(interval[-1:])
    if length is None or not interval[:-1].isdigit():
        return
    days = (end - start).days + 1
    most = max(MOST_BARS * int(interval[:-1]) * length // 86_400, 1)
    if days > most:
        raise InvalidRequest(f"Ask for at most {most} days of {interval} bars at a time", "start_date")
