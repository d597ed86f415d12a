"""Bars of the past: what the account's data broker keeps, and what is folded from it.

Weeks to years come from days, other lengths (2m, 20m, 2h) from the longest shorter bars that fit, cut from the
session's opening.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import groupby
from typing import Protocol

from broker.interface import Broker
from domain.calendar import Session
from domain.clock import IST
from domain.errors import InstrumentNotFound, InvalidRequest, NotFound
from domain.market import Candle
from domain.model import Exchange, Instrument
from services.accounts import Account, Caller

ALIASES = {"60m": "1h", "1D": "D", "1d": "D"}
"""Other spellings of an interval that clients send."""

MOST_BARS = 200_000
"""Bars that one request may span, so that none takes the market's time from everybody."""

FOLDED = ("W", "M", "Q", "Y")
INTRADAY = ("1m", "2m", "3m", "5m", "10m", "15m", "20m", "30m", "1h", "2h", "3h", "4h")
"""Lengths that are folded from shorter bars where a broker does not keep them."""
_USUAL_OPENING = time(9, 15)
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class Instruments(Protocol):
    def get(self, broker: str, exchange: str, symbol: str) -> Instrument | None: ...


class Sessions(Protocol):
    def data_broker_for(self, account: Account) -> Broker: ...


class Hours(Protocol):
    def sessions(self, exchange: Exchange, day: date) -> list[Session]: ...


class History:
    """Reads bars; keeps none."""

    def __init__(self, instruments: Instruments, sessions: Sessions, hours: Hours) -> None:
        self._instruments = instruments
        self._sessions = sessions
        self._hours = hours

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
        kept = broker.manifest.can.intervals
        shorter = None if wanted in kept else _shorter(wanted, kept)
        bars = _clean(broker.fetch_candles(instrument, shorter or wanted, start, end))
        return bars if shorter is None else self._cut(bars, instrument.exchange, _seconds(wanted))

    def intervals(self, caller: Caller) -> tuple[str, ...]:
        """What `candles` answers for this account, shortest first."""
        kept = self._sessions.data_broker_for(caller.account).manifest.can.intervals
        made = [one for one in INTRADAY if one not in kept and _shorter(one, kept)]
        intraday = sorted([one for one in kept if _seconds(one)] + made, key=_seconds)
        longer = [one for one in kept if not _seconds(one)]
        if "D" in kept:
            longer += [period for period in FOLDED[:2] if period not in kept]
        return (*intraday, *longer)

    def _cut(self, bars: Sequence[Candle], exchange: Exchange, length: int) -> list[Candle]:
        """Shorter bars, ascending, as bars of `length` seconds that begin with each day's session."""

        @cache
        def opening(day: date) -> int:
            sessions = self._hours.sessions(exchange, day)
            moment = sessions[0][0] if sessions else datetime.combine(day, _USUAL_OPENING, IST)
            return int(moment.timestamp())

        def start(bar: Candle) -> int:
            begins = opening(datetime.fromtimestamp(bar.start, IST).date())
            return begins + (bar.start - begins) // length * length

        return [_joined(stamp, pieces) for stamp, pieces in groupby(bars, start)]


def _seconds(interval: str) -> int:
    """How long a bar of seconds, minutes or hours is; 0 for a day and longer."""
    length = _SECONDS.get(interval[-1:])
    return length * int(interval[:-1]) if length and interval[:-1].isdigit() else 0


def _shorter(wanted: str, kept: Iterable[str]) -> str | None:
    """The longest kept bars of minutes or hours of which `wanted` ones are made; None where there are none."""
    length = _seconds(wanted)
    fits = [one for one in kept if one in INTRADAY and _seconds(one) < length and length % _seconds(one) == 0]
    return max(fits, key=_seconds, default=None) if wanted in INTRADAY else None


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
    length = _seconds(interval)
    if not length:
        return
    days = (end - start).days + 1
    most = max(MOST_BARS * length // 86_400, 1)
    if days > most:
        raise InvalidRequest(f"Ask for at most {most} days of {interval} bars at a time", "start_date")
