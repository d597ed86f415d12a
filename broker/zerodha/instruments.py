"""Kite's master: one CSV over all exchanges.

Contracts are named from the columns (name, expiry, strike), never from tradingsymbol, whose weekly spelling differs.
A share that trades for trade stands there with its series (`CENTRALBK-BE`); its symbol is the ticker alone, unless the
plain ticker is listed too. Source: https://kite.trade/docs/connect/v3/market-quotes/#instruments, read 2026-11-22;
files of 2026-08-21 and of the SDK's tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from broker import facts
from broker.master_file import csv_rows, number_of, text_of, whole_of
from broker.rows import Wire, contract
from domain.masters import BadRow
from domain.model import CASH, Exchange, Instrument, InstrumentKind
from domain.symbols import cash_symbol, clean_base

Row = dict[str, str]

_COLUMNS = dict.fromkeys(
    (
        "instrument_token",
        "exchange_token",
        "tradingsymbol",
        "name",
        "expiry",
        "strike",
        "tick_size",
        "lot_size",
        "instrument_type",
        "segment",
        "exchange",
    ),
    True,
)
_INDICES = {
    "NSE": Exchange.NSE_INDEX,
    "BSE": Exchange.BSE_INDEX,
    "MCX": Exchange.MCX_INDEX,
    "GLOBAL": Exchange.GLOBAL_INDEX,
    "NSEIX": Exchange.GLOBAL_INDEX,
}
_KINDS = {"FUT": InstrumentKind.FUTURE, "CE": InstrumentKind.CALL, "PE": InstrumentKind.PUT}
_PLAIN = ("-BE", "-BZ", "-SM", "-ST", "-SZ", "-RR", "-IV")
_DATE_CODE = 5
"""`26AUG` or `26818`: what stands between the underlying and the strike in a tradingsymbol."""
_INDEX_TICK = Decimal("0.05")


def read(path: Path) -> Iterator[Instrument | BadRow]:
    """Every row of the file, in its order. Raises DamagedMaster."""
    tickers = {
        row["tradingsymbol"] for _, row in csv_rows(path, _COLUMNS) if row and row["exchange"] == "NSE"
    }
    for number, row in csv_rows(path, _COLUMNS):
        if row is None:
            yield BadRow(number, "another number of columns than the header")
            continue
        try:
            yield _instrument(number, row, tickers)
        except (ValueError, ArithmeticError) as error:
            yield BadRow(number, "a field is missing or not readable", f"{error} in {','.join(row.values())}")


def _instrument(number: int, row: Row, tickers: set[str]) -> Instrument | BadRow:
    if row["segment"] == "INDICES":
        return _index(number, row)
    try:
        exchange = Exchange(row["exchange"])
    except ValueError:
        return BadRow(number, f"exchange {row['exchange']} is not known", row["tradingsymbol"])
    kind = _KINDS.get(row["instrument_type"])
    if kind is not None:
        return _contract(exchange, kind, row)
    if exchange not in CASH:
        return BadRow(number, f"{row['instrument_type']} on {exchange} is no contract", row["tradingsymbol"])
    ticker = text_of(row["tradingsymbol"])
    plain = ticker[:-3] if ticker.endswith(_PLAIN) else ticker
    return Instrument(
        symbol=cash_symbol(plain if exchange is Exchange.NSE and plain not in tickers else ticker),
        exchange=exchange,
        kind=InstrumentKind.EQUITY,
        name=row["name"] or ticker,
        lot_size=whole_of(row["lot_size"]),
        tick_size=number_of(row["tick_size"]),
        broker_symbol=ticker,
        broker_exchange=row["exchange"],
        broker_token=text_of(row["instrument_token"]),
    )


def _index(number: int, row: Row) -> Instrument | BadRow:
    exchange = _INDICES.get(row["exchange"])
    if exchange is None:
        return BadRow(number, f"indices of {row['exchange']} are not known", row["tradingsymbol"])
    spelling = text_of(row["tradingsymbol"])
    return Instrument(
        symbol=facts.index_symbol(exchange, spelling, row["name"]) or clean_base(spelling),
        exchange=exchange,
        kind=InstrumentKind.INDEX,
        name=row["name"] or spelling,
        lot_size=1,
        tick_size=number_of(row["tick_size"]) or _INDEX_TICK,
        broker_symbol=spelling,
        broker_exchange=row["exchange"],
        broker_token=text_of(row["instrument_token"]),
    )


def _contract(exchange: Exchange, kind: InstrumentKind, row: Row) -> Instrument:
    expiry, lot = _day(row["expiry"]), whole_of(row["lot_size"])
    strike = number_of(row["strike"]) if kind.is_option else None
    wire = Wire(text_of(row["tradingsymbol"]), row["exchange"], text_of(row["instrument_token"]))
    name, tick = row["name"] or _underlying(row), number_of(row["tick_size"])
    return contract(exchange, kind, name, expiry, strike, lot, tick, wire)


def _underlying(row: Row) -> str:
    """The underlying of a contract whose name cell is empty: the tradingsymbol less its ending."""
    ending = row["instrument_type"]
    if ending != "FUT":
        ending = f"{number_of(row['strike']).normalize():f}{ending}"
    if not row["tradingsymbol"].endswith(ending):
        raise ValueError("no name, and the tradingsymbol does not say it")
    return row["tradingsymbol"][: -len(ending) - _DATE_CODE]


@lru_cache(maxsize=4096)
def _day(cell: str) -> date:
    return date.fromisoformat(cell)
