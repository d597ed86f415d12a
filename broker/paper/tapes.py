"""Recorded markets: candle and tick files read into tapes, one an instrument, cut into days.

A bar replays as four moments: open, the far extreme first (a rising bar dips before it climbs), the other one, close.
Files are CSV or CSV.gz with a header. Candles: timestamp, open, high, low, close, volume. Ticks: timestamp,
last_price and, as far as known, volume (the day's), bid, ask, bid_quantity, ask_quantity, open_interest.
Timestamps are ISO with an offset, an ISO date (a day's bar), or epoch seconds; ticks also epoch milliseconds.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from itertools import groupby, pairwise
from math import isfinite
from pathlib import Path
from typing import NamedTuple, TextIO, TypeVar, cast

from domain.clock import IST
from domain.market import Candle

DAY_SECONDS = 86_400
_MILLISECONDS = 100_000_000_000
"""Epoch numbers above this are milliseconds (in seconds they would be past the year 5000)."""

Row = TypeVar("Row")
Hours = Callable[[date], tuple[datetime, datetime]]
"""Opening and closing moment of a trading day."""


class Moment(NamedTuple):
    """One trade of a tape.

    at      epoch ms
    volume  traded at this moment, units
    bid, ask and their quantities  0 where the tape does not know them
    """

    at: int
    price: float
    volume: int
    bid: float = 0.0
    ask: float = 0.0
    bid_quantity: int = 0
    ask_quantity: int = 0
    open_interest: int = 0


class CandleTape:
    """Bars of one length, ascending. `length` in seconds; a day's bars carry 00:00 UTC of their date."""

    def __init__(self, bars: list[Candle], length: int | None = None) -> None:
        self.bars = sorted(bars)
        self.length = length or _shortest_step(self.bars)
        self._by_day = {day: list(group) for day, group in groupby(self.bars, self._day_of)}

    def days(self) -> list[date]:
        """Dates with bars, ascending."""
        return list(self._by_day)

    def bars_of(self, day: date) -> list[Candle]:
        """The day's bars, ascending."""
        return self._by_day.get(day, [])

    def close_of(self, day: date) -> float:
        """The last price of a day that has bars."""
        return self._by_day[day][-1].close

    def moments(self, day: date, hours: Hours) -> Iterator[Moment]:
        """Four moments a bar; `hours` places a bar that is a whole day."""
        for bar in self.bars_of(day):
            start, seconds = bar.start, self.length
            if seconds >= DAY_SECONDS:
                opens, closes = hours(day)
                start, seconds = int(opens.timestamp()), int((closes - opens).total_seconds())
            yield from _walk(bar, start * 1000, seconds * 1000)

    def _day_of(self, bar: Candle) -> date:
        return datetime.fromtimestamp(bar.start, UTC if self.length >= DAY_SECONDS else IST).date()


class TickTape:
    """Trades as they were recorded, ascending."""

    length = 0

    def __init__(self, moments: list[Moment]) -> None:
        self._by_day = {
            day: list(group) for day, group in groupby(sorted(moments, key=lambda m: m.at), _day_of_moment)
        }

    def days(self) -> list[date]:
        """Dates with trades, ascending."""
        return list(self._by_day)

    def close_of(self, day: date) -> float:
        """The last price of a day that has trades."""
        return self._by_day[day][-1].price

    def moments(self, day: date, hours: Hours) -> Iterator[Moment]:
        """The day's trades."""
        return iter(self._by_day.get(day, []))


Tape = CandleTape | TickTape


def read_candles(path: Path) -> list[Candle]:
    """The bars of a file. Raises ValueError naming the file and the row that is wrong."""
    return _read(path, _candle)


def read_ticks(path: Path) -> list[Moment]:
    """The trades of a file. Raises ValueError naming the file and the row that is wrong."""
    traded: dict[date, int] = {}
    found = []
    for total, moment in _read(path, _moment):
        day = _day_of_moment(moment)
        found.append(moment._replace(volume=max(total - traded.get(day, 0), 0)))
        traded[day] = max(total, traded.get(day, 0))
    return found


def opened(path: Path) -> TextIO:
    """The text of a file, packed or not."""
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8"))
    return path.open(encoding="utf-8")


def _walk(bar: Candle, start: int, length: int) -> Iterator[Moment]:
    """Times in ms; the last moment is a second before the bar's end."""
    rising = bar.close >= bar.open
    prices = (bar.open, bar.low, bar.high, bar.close) if rising else (bar.open, bar.high, bar.low, bar.close)
    part = bar.volume // 4
    for index, price in enumerate(prices):
        at = start + (length * index // 3 if index < 3 else max(length - 1000, 0))
        volume = bar.volume - 3 * part if index == 3 else part
        yield Moment(at, price, volume, open_interest=bar.open_interest)


def _read(path: Path, parse: Callable[[dict[str, str]], Row]) -> list[Row]:
    found = []
    with opened(path) as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                found.append(parse(row))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path.name}, row {number}: {error}") from error
    return found


def _candle(row: dict[str, str]) -> Candle:
    opening, high, low, close = (_price(row[name]) for name in ("open", "high", "low", "close"))
    if not low <= min(opening, close) <= max(opening, close) <= high:
        raise ValueError("open and close must lie between low and high")
    at = _epoch_ms(row["timestamp"]) // 1000
    interest = int(float(row.get("oi") or row.get("open_interest") or 0))
    return Candle(at, opening, high, low, close, int(float(row["volume"] or 0)), interest)


def _moment(row: dict[str, str]) -> tuple[int, Moment]:
    """(the day's volume so far, the moment without its own volume)"""

    def number(name: str) -> float:
        return float(row.get(name) or 0)

    moment = Moment(
        at=_epoch_ms(row["timestamp"]),
        price=_price(row["last_price"]),
        volume=0,
        bid=number("bid"),
        ask=number("ask"),
        bid_quantity=int(number("bid_quantity")),
        ask_quantity=int(number("ask_quantity")),
        open_interest=int(number("open_interest")),
    )
    return int(number("volume")), moment


def _price(text: str) -> float:
    price = float(text)
    if not isfinite(price) or price <= 0:
        raise ValueError(f"not a price: {text}")
    return price


def _epoch_ms(text: str) -> int:
    if text.isdigit():
        number = int(text)
        return number if number > _MILLISECONDS else number * 1000
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        if len(text) > len("2026-01-01"):
            raise ValueError(f"a time without an offset: {text}")
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _shortest_step(bars: list[Candle]) -> int:
    """Seconds; a lone bar is taken for a day's."""
    return min((later.start - bar.start for bar, later in pairwise(bars)), default=DAY_SECONDS)


def _day_of_moment(moment: Moment) -> date:
    return datetime.fromtimestamp(moment.at / 1000, IST).date()
