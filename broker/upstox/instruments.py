"""Upstox's master: `complete.json.gz`, one JSON array over all exchanges.

`tick_size` is in paise; `expiry` is an epoch in ms at the end of the day in India; MCX, NCO, CDS and BCD count freeze
quantities in lots. The 100,000 that stands on every cash row is a placeholder, no exchange's figure. Keys are unique
with their segment only. Source: the public file of 2025-08-20; https://upstox.com/developer/api-documentation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from broker import facts
from broker.master_file import json_objects
from domain.masters import BadRow
from domain.model import CASH, QUOTE_ONLY, Exchange, Instrument, InstrumentKind
from domain.symbols import build, cash_symbol, clean_base

SEGMENTS = {
    "NSE_EQ": Exchange.NSE,
    "BSE_EQ": Exchange.BSE,
    "NSE_FO": Exchange.NFO,
    "BSE_FO": Exchange.BFO,
    "NCD_FO": Exchange.CDS,
    "BCD_FO": Exchange.BCD,
    "MCX_FO": Exchange.MCX,
    "NSE_COM": Exchange.NCO,
    "NSE_INDEX": Exchange.NSE_INDEX,
    "BSE_INDEX": Exchange.BSE_INDEX,
    "MCX_INDEX": Exchange.MCX_INDEX,
    "GLOBAL_INDEX": Exchange.GLOBAL_INDEX,
    "GLOBAL_INDICATOR": Exchange.GLOBAL_INDEX,
}

_GLOBAL = {"^DJI": "DOWJONES", "^GSPC": "US500", "BZUSD": "BRENTOIL", "CLUSD": "WTIOIL"}
_KINDS = {"FUT": InstrumentKind.FUTURE, "CE": InstrumentKind.CALL, "PE": InstrumentKind.PUT}
_DAY_MS = 86_400_000
_IST_MS = 19_800_000
_EPOCH = date(1970, 1, 1).toordinal()
_INDEX_TICK = Decimal("0.05")
_LOTS = frozenset({Exchange.MCX, Exchange.NCO, Exchange.CDS, Exchange.BCD})


def read(path: Path) -> Iterator[Instrument | BadRow]:
    """Every row of the file, in its order. Raises DamagedMaster."""
    for number, row in json_objects(path):
        try:
            yield _instrument(number, row)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            yield BadRow(number, "a field is missing or not readable", f"{error!r} in {row}")


def _instrument(number: int, row: dict[str, Any]) -> Instrument | BadRow:
    segment = row["segment"]
    exchange = SEGMENTS.get(segment)
    if exchange is None:
        return BadRow(number, f"segment {segment} is not known", str(row.get("trading_symbol")))
    if exchange in QUOTE_ONLY:
        return _index(exchange, row)
    if exchange in CASH:
        return _security(exchange, row)
    kind = _KINDS.get(row["instrument_type"])
    if kind is None:
        words = f"{segment} {row.get('trading_symbol')}"
        return BadRow(number, f"{row['instrument_type']} is an underlying, not a contract", words)
    return _contract(exchange, kind, row)


def _index(exchange: Exchange, row: dict[str, Any]) -> Instrument:
    code = _text(row["trading_symbol"])
    symbol = _GLOBAL.get(code) or facts.index_symbol(exchange, code, _text(row["name"])) or clean_base(code)
    return Instrument(
        symbol=symbol,
        exchange=exchange,
        kind=InstrumentKind.INDEX,
        name=_text(row["name"]),
        lot_size=1,
        tick_size=_INDEX_TICK,
        broker_symbol=code,
        broker_exchange=row["segment"],
        broker_token=_text(row["instrument_key"]),
    )


def _security(exchange: Exchange, row: dict[str, Any]) -> Instrument:
    ticker = _text(row["trading_symbol"])
    series = _text(row["instrument_type"]) if exchange is Exchange.NSE else ""
    return Instrument(
        symbol=cash_symbol(ticker, series),
        exchange=exchange,
        kind=InstrumentKind.EQUITY,
        name=_text(row["name"]),
        lot_size=_whole(row["lot_size"]),
        tick_size=_tick(row["tick_size"]),
        broker_symbol=ticker,
        broker_exchange=row["segment"],
        broker_token=_text(row["instrument_key"]),
    )


def _contract(exchange: Exchange, kind: InstrumentKind, row: dict[str, Any]) -> Instrument:
    name, expiry, lot = _text(row["underlying_symbol"]), _day(row["expiry"]), _whole(row["lot_size"])
    strike = _strike(row["strike_price"]) if kind.is_option else None
    freeze = _whole(row["freeze_quantity"])
    in_lots = exchange in _LOTS
    return Instrument(
        symbol=build(name, kind, expiry, strike),
        exchange=exchange,
        kind=kind,
        name=name,
        lot_size=lot,
        tick_size=_tick(row["tick_size"]),
        broker_symbol=_text(row["trading_symbol"]),
        broker_exchange=row["segment"],
        broker_token=_text(row["instrument_key"]),
        expiry=expiry,
        strike=strike,
        freeze_quantity=(freeze * lot if in_lots else freeze) if freeze > 0 else None,
        contract_value=_value(row["qty_multiplier"], lot) if in_lots else Decimal(1),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no text")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError(f"{value!r} is no whole number")
    return int(value)


@lru_cache(maxsize=4096)
def _day(epoch_ms: int | float) -> date:
    return date.fromordinal(_EPOCH + (_whole(epoch_ms) + _IST_MS) // _DAY_MS)


@lru_cache(maxsize=65536)
def _strike(rupees: int | float) -> Decimal:
    if isinstance(rupees, str | bool) or not math.isfinite(rupees):
        raise ValueError(f"{rupees!r} is no strike")
    return Decimal(repr(rupees)) if rupees != int(rupees) else Decimal(int(rupees))


@lru_cache(maxsize=256)
def _tick(paise: int | float) -> Decimal:
    return _strike(paise) / 100


@lru_cache(maxsize=256)
def _value(multiplier: int | float, lot: int) -> Decimal:
    """Rupees per point and unit: the multiplier is of a whole lot."""
    value = _strike(multiplier) / lot
    if value <= 0:
        raise ValueError(f"{multiplier!r} is no multiplier")
    return value
