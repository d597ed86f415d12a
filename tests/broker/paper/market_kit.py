"""Instruments and a clock for tests of the paper markets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from domain import symbols
from domain.clock import IST
from domain.model import Exchange, Instrument, InstrumentKind

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=IST)
TODAY = NOW.date()
EXPIRY = date(2026, 12, 1)


@dataclass
class HandClock:
    """Shows what it is set to; `monotonic` counts seconds set by hand."""

    moment: datetime = NOW
    seconds: float = 0.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds


def share(symbol: str = "RELIANCE", tick: str = "0.10", exchange: Exchange = Exchange.NSE) -> Instrument:
    return _instrument(symbol, exchange, InstrumentKind.EQUITY, symbol, 1, tick)


def index(symbol: str = "NIFTY", exchange: Exchange = Exchange.NSE_INDEX) -> Instrument:
    return _instrument(symbol, exchange, InstrumentKind.INDEX, symbol, 1, "0.05")


def future(
    name: str = "NIFTY",
    expiry: date = EXPIRY,
    lot: int = 65,
    tick: str = "0.10",
    exchange: Exchange = Exchange.NFO,
) -> Instrument:
    symbol = symbols.build(name, InstrumentKind.FUTURE, expiry)
    return _instrument(symbol, exchange, InstrumentKind.FUTURE, name, lot, tick, expiry)


def option(
    strike: int | str,
    kind: InstrumentKind = InstrumentKind.CALL,
    name: str = "NIFTY",
    expiry: date = EXPIRY,
    lot: int = 65,
    tick: str = "0.05",
    exchange: Exchange = Exchange.NFO,
) -> Instrument:
    level = Decimal(strike)
    symbol = symbols.build(name, kind, expiry, level)
    return _instrument(symbol, exchange, kind, name, lot, tick, expiry, level)


def _instrument(
    symbol: str,
    exchange: Exchange,
    kind: InstrumentKind,
    name: str,
    lot: int,
    tick: str,
    expiry: date | None = None,
    strike: Decimal | None = None,
) -> Instrument:
    return Instrument(
        symbol=symbol,
        exchange=exchange,
        kind=kind,
        name=name,
        lot_size=lot,
        tick_size=Decimal(tick),
        broker_symbol=symbol,
        broker_exchange=exchange.value,
        broker_token=symbol,
        expiry=expiry,
        strike=strike,
    )
