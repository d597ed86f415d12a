"""Instruments for tests: a small one by keyword, and whole masters at random."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from random import Random

from domain.model import Exchange, Instrument, InstrumentKind
from domain.symbols import build


def share(symbol: str, exchange: Exchange = Exchange.NSE, **more: object) -> Instrument:
    return _made(symbol, exchange, InstrumentKind.EQUITY, {"name": symbol} | more)


def contract(
    name: str,
    expiry: date,
    strike: str | None = None,
    kind: InstrumentKind = InstrumentKind.CALL,
    exchange: Exchange = Exchange.NFO,
    **more: object,
) -> Instrument:
    kind = kind if strike else InstrumentKind.FUTURE
    exact = Decimal(strike) if strike else None
    symbol = build(name, kind, expiry, exact)
    return _made(symbol, exchange, kind, {"name": name, "expiry": expiry, "strike": exact} | more)


def _made(symbol: str, exchange: Exchange, kind: InstrumentKind, more: dict[str, object]) -> Instrument:
    fields: dict[str, object] = {
        "lot_size": 1,
        "tick_size": Decimal("0.05"),
        "broker_symbol": symbol,
        "broker_exchange": exchange.value,
        "broker_token": f"{exchange.value}:{symbol}",
    }
    return Instrument(symbol=symbol, exchange=exchange, kind=kind, **(fields | more))  # type: ignore[arg-type]


_TICKERS = ("NIFTY", "TATA", "TATACE", "M&M", "BAJAJ-AUTO", "A", "CE", "25", "2500", "ZQ")
_NAMES = ("Tata Motors Ltd", "nifty bees", "CE Info", "M&M  Ltd", "2500 Club", "Zodiac\nof two\tlines")
_SPELLINGS = ("TATA-EQ", "ce25", "X", "NIFTY 250", "", "PE NIFTY")
_UNDERLYINGS = ("NIFTY", "BANKNIFTY", "TATA", "M&M", "25")
_EXPIRIES = (date(2026, 12, 29), date(2026, 3, 25), date(2025, 2, 25))
_STRIKES = ("25", "250", "2500", "25000", "2.5", "12.25", "100")


def some_master(random: Random, size: int) -> list[Instrument]:
    """At most `size` instruments, each symbol and token once, whose texts have much in common."""
    rows = [_some_instrument(random, number) for number in range(size)]
    by_symbol = {(row.exchange, row.symbol): row for row in rows}
    return list({(row.broker_exchange, row.broker_token): row for row in by_symbol.values()}.values())


def _some_instrument(random: Random, number: int) -> Instrument:
    token = str(random.choice((number, 25000 + number, 99 * number)))
    if random.random() < 0.4:
        return share(
            "".join(random.choice(_TICKERS) for _ in range(random.choice((1, 2, 3)))),
            random.choice((Exchange.NSE, Exchange.BSE)),
            name=random.choice(_NAMES),
            broker_symbol=random.choice(_SPELLINGS),
            broker_token=token,
        )
    return contract(
        random.choice(_UNDERLYINGS),
        random.choice(_EXPIRIES),
        random.choice(_STRIKES),
        random.choice((InstrumentKind.CALL, InstrumentKind.PUT)),
        random.choice((Exchange.NFO, Exchange.BFO)),
        broker_token=token,
    )
