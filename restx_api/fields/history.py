"""Bars and what intervals there are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from marshmallow import ValidationError, validates_schema

from domain.clock import IST
from domain.market import Candle
from restx_api.fields import records
from restx_api.fields.base import EXCHANGES, Choice, Day, Keyed, Lenient, Text, exchange, symbol
from restx_api.fields.shapes import INTEGER, NUMBER, STRING, array, data, obj

INTERVALS = ("1s 5s 10s 15s 30s 45s 1m 2m 3m 5m 10m 15m 20m 30m 1h 2h 3h 4h D W M Q Y").split()  # noqa: SIM905
_STORED = re.compile(r"[1-9][0-9]{0,3}[mhDWMQY]")
_ALIASES = frozenset({"60m", "1D", "1d"})
_DAYS = frozenset({"D", "1D", "1d", "W", "M", "Q", "Y"})
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "D": "days", "W": "weeks", "M": "months"}


class Interval(Text):
    """A bar's length. Only the local store knows lengths beyond the listed ones."""

    def shape(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^([1-9][0-9]{0,3})?[smhDWMQY]$", "example": "5m"}


class History(Keyed):
    """Which bars; both dates are included."""

    symbol = symbol()
    exchange = exchange()
    interval = Interval(most=8, required=True)
    start_date = Day(required=True)
    end_date = Day(required=True)
    source = Choice(("api", "db"), load_default="api")

    @validates_schema
    def _known(self, given: dict[str, Any], **kwargs: Any) -> None:
        check_interval(given["interval"], given["source"])


class Ticker(Lenient):
    """Which bars, for importers that can only GET."""

    symbol = Text(least=3, most=80, required=True)
    interval = Interval(most=8, load_default="D")
    start = Day(data_key="from", required=True)
    end = Day(data_key="to", required=True)
    format = Choice(("json", "txt"), fold="lower", load_default="json")

    @validates_schema
    def _known(self, given: dict[str, Any], **kwargs: Any) -> None:
        check_interval(given["interval"], "api")
        exchange_code, colon, rest = given["symbol"].partition(":")
        if not colon or not rest or ":" in rest or exchange_code.upper() not in EXCHANGES:
            raise ValidationError("Must be EXCHANGE:SYMBOL.", "symbol")


def check_interval(interval: str, source: str) -> None:
    """Raises ValidationError for a length that the source does not know."""
    if interval in INTERVALS or interval in _ALIASES or (source == "db" and _STORED.fullmatch(interval)):
        return
    raise ValidationError(f"Must be one of: {', '.join(INTERVALS)}.", "interval")


def clamped(start: date, end: date, interval: str) -> date:
    """The start, moved up so that importers do not ask for more than ten years of days or 30 days of minutes."""
    return max(start, end - timedelta(days=3650 if interval in _DAYS else 30))


def candle(bar: Candle) -> dict[str, Any]:
    """One bar; the timestamp is its opening second."""
    return {
        "timestamp": bar.start,
        "open": records.seen(bar.open),
        "high": records.seen(bar.high),
        "low": records.seen(bar.low),
        "close": records.seen(bar.close),
        "volume": bar.volume,
        "oi": bar.open_interest,
    }


def lines(name: str, bars: Iterable[Candle], interval: str) -> str:
    """One line a bar, `NSE:SBIN,2025-04-01,O,H,L,C,V`, with the time in India after the date below a day."""
    zone, stamp = (UTC, "%Y-%m-%d") if interval in _DAYS else (IST, "%Y-%m-%d,%H:%M:%S")
    return "\n".join(
        f"{name},{datetime.fromtimestamp(bar.start, zone).strftime(stamp)},"
        f"{records.seen(bar.open)},{records.seen(bar.high)},{records.seen(bar.low)},{records.seen(bar.close)},"
        f"{bar.volume}"
        for bar in bars
    )


def intervals(known: Sequence[str]) -> dict[str, list[str]]:
    """The intervals by unit, each in numeric order; all six keys are there."""
    found: dict[str, list[str]] = {unit: [] for unit in _UNITS.values()}
    for interval in sorted(known, key=lambda name: int(name[:-1] or 1)):
        if (unit := _UNITS.get(interval[-1:])) is not None:
            found[unit].append(interval)
    return found


_BAR = obj(
    {
        "timestamp": INTEGER,
        **dict.fromkeys(("open", "high", "low", "close"), NUMBER),
        "volume": INTEGER,
        "oi": INTEGER,
    }
)
HISTORY = data(array(_BAR))
INTERVAL_LIST = data(obj(dict.fromkeys(_UNITS.values(), array(STRING))))
