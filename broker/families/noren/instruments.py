"""The Noren houses' masters: a comma separated text for each exchange, zipped, `<EXCH>_symbols.txt`.

A path may be one such file or a folder of them; together they are one master. Cash tickers carry their series
(`SBIN-EQ`). BFO's Symbol column is a class of contracts, so the underlying is read from the trading symbol there.
Source: the public files of 2025-10 that carry the columns named below.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from broker import facts
from broker.master_file import csv_rows, number_of, text_of, whole_of
from broker.rows import Wire, contract
from domain.masters import BadRow, DamagedMaster
from domain.model import CASH, Exchange, Instrument, InstrumentKind
from domain.symbols import MONTHS, cash_symbol, clean_base

Row = dict[str, str]

_COLUMNS = {
    "Exchange": True,
    "Token": True,
    "LotSize": True,
    "Symbol": True,
    "TradingSymbol": True,
    "Instrument": True,
    "TickSize": True,
    "Expiry": False,
    "OptionType": False,
    "StrikePrice": False,
}
_INDICES = {"NSE": Exchange.NSE_INDEX, "BSE": Exchange.BSE_INDEX, "MCX": Exchange.MCX_INDEX}
_INDEX_TICK = Decimal("0.05")
_FINEST_IN_PAISE = Decimal("0.25")
"""The finest tick that there is, a currency's; counted in rupees, every exchange has ticks below this number."""
_EXCHANGES = {"NCX": Exchange.NCDEX}
_DATE_CODE = 5
"""`26AUG` or `26818`: what stands between the underlying and the strike in a BFO trading symbol."""

_UNLISTED = (
    ("SENSEX", Exchange.BSE_INDEX, "BSE SENSEX", "BSE", "1"),
    ("BANKEX", Exchange.BSE_INDEX, "BSE BANKEX", "BSE", "12"),
)
"""Indices that are quoted though the BSE file does not list them; their tokens are the exchange's."""


def read(
    path: Path,
    *,
    pattern: str = "*_symbols.txt*",
    names: Mapping[str, str] | None = None,
    assumed: Mapping[str, str] | None = None,
    paise: Container[str] = (),
) -> Iterator[Instrument | BadRow]:
    """Every row of the file, or of the folder's files together. Raises DamagedMaster.

    names    a house's own column names -> the family's; assumed  cells of columns that its files do not have
    paise    the house's exchanges whose tick sizes it counts in paise, unless a file shows parts of a rupee
    """
    ours, given = dict(names or {}), dict(assumed or {})
    theirs = {name: own for own, name in ours.items()}
    columns = {theirs.get(name, name): needed for name, needed in _COLUMNS.items() if name not in given}
    files = sorted(path.glob(pattern)) if path.is_dir() else [path]
    if not files:
        raise DamagedMaster(f"the folder holds no {pattern} file")

    def rows() -> Iterator[tuple[int, Row | None]]:
        for number, row in (pair for file in files for pair in csv_rows(file, columns)):
            yield number, row and given | {ours.get(name, name): cell for name, cell in row.items()}

    return _read_rows(_in_rupees(rows, paise) if paise else rows())


def _in_rupees(
    rows: Callable[[], Iterator[tuple[int, Row | None]]], paise: Container[str]
) -> Iterator[tuple[int, Row | None]]:
    """The rows with their tick sizes in rupees. An exchange is in paise when none of its ticks is finer than those."""
    finest: dict[str, Decimal] = {}
    for _, row in rows():
        if row is not None and row["Exchange"] in paise and (tick := _tick(row)):
            finest[row["Exchange"]] = min(tick, finest.get(row["Exchange"], tick))
    for number, row in rows():
        if row is not None and finest.get(row["Exchange"], 0) >= _FINEST_IN_PAISE and (tick := _tick(row)):
            row = row | {"TickSize": str(tick / 100)}
        yield number, row


def _tick(row: Row) -> Decimal | None:
    """The cell, None where it is no number: that row is judged where it is read."""
    try:
        return number_of(row["TickSize"])
    except (ValueError, ArithmeticError):
        return None


def _read_rows(numbered: Iterable[tuple[int, Row | None]]) -> Iterator[Instrument | BadRow]:
    """What rows under the family's column names mean, with the indices that no file lists."""
    seen: set[str] = set()
    for number, row in numbered:
        yield (found := _read_row(number, row))
        if isinstance(found, Instrument):
            seen.add(f"{found.broker_exchange}|{found.broker_token}")
            seen.add(found.broker_exchange)
    yield from (row for row in _unlisted() if "BSE" in seen and f"BSE|{row.broker_token}" not in seen)


def ticks_from_facts(rows: Iterable[Instrument | BadRow]) -> Iterator[Instrument | BadRow]:
    """The rows of a house that writes no tick sizes, with the exchanges' own where the facts have them."""
    for row in rows:
        if isinstance(row, Instrument) and (tick := _known_tick(row)) is not None:
            row = replace(row, tick_size=tick)
        yield row


def _known_tick(one: Instrument) -> Decimal | None:
    if one.expiry is None:
        security = facts.security(one.exchange, one.symbol)
        return security.tick_size if security else None
    underlying = facts.underlying(one.exchange, one.name)
    if underlying is None:
        return None
    return underlying.option_tick if one.kind.is_option else underlying.future_tick


def _read_row(number: int, row: Row | None) -> Instrument | BadRow:
    if row is None:
        return BadRow(number, "another number of columns than the header")
    try:
        exchange = _EXCHANGES.get(row["Exchange"]) or Exchange(row["Exchange"])
    except ValueError:
        return BadRow(number, f"exchange {row['Exchange']} is not known", row["TradingSymbol"])
    try:
        if row["Instrument"] == "INDEX" and row["Exchange"] in _INDICES:
            return _index(_INDICES[row["Exchange"]], row)
        return _security(exchange, row) if exchange in CASH else _contract(exchange, row)
    except (KeyError, ValueError, ArithmeticError) as error:
        return BadRow(number, "a field is missing or not readable", f"{error} in {','.join(row.values())}")


def _index(exchange: Exchange, row: Row) -> Instrument:
    names = row["Token"], row["Symbol"], row["TradingSymbol"]
    return Instrument(
        symbol=facts.index_symbol(exchange, *names) or clean_base(row["TradingSymbol"]),
        exchange=exchange,
        kind=InstrumentKind.INDEX,
        name=row["Symbol"],
        lot_size=1,
        tick_size=number_of(row["TickSize"]) or _INDEX_TICK,
        broker_symbol=text_of(row["TradingSymbol"]),
        broker_exchange=row["Exchange"],
        broker_token=text_of(row["Token"]),
    )


def _security(exchange: Exchange, row: Row) -> Instrument:
    trading_symbol, series = text_of(row["TradingSymbol"]), row["Instrument"]
    if exchange is Exchange.NSE and trading_symbol.endswith(f"-{series}"):
        symbol = cash_symbol(trading_symbol.removesuffix(f"-{series}"), series)
    else:
        symbol = cash_symbol(trading_symbol)
    return Instrument(
        symbol=symbol,
        exchange=exchange,
        kind=InstrumentKind.EQUITY,
        name=row["Symbol"] or symbol,
        lot_size=whole_of(row["LotSize"]),
        tick_size=number_of(row["TickSize"]),
        broker_symbol=trading_symbol,
        broker_exchange=row["Exchange"],
        broker_token=text_of(row["Token"]),
    )


def _contract(exchange: Exchange, row: Row) -> Instrument:
    kind = InstrumentKind.FUTURE if row["OptionType"] in ("XX", "") else InstrumentKind(row["OptionType"])
    expiry, lot = _day(row["Expiry"]), whole_of(row["LotSize"])
    strike = number_of(row["StrikePrice"]) if kind.is_option else None
    name = _bfo_underlying(row, kind, strike) if exchange is Exchange.BFO else text_of(row["Symbol"])
    wire = Wire(text_of(row["TradingSymbol"]), row["Exchange"], text_of(row["Token"]))
    return contract(exchange, kind, name, expiry, strike, lot, number_of(row["TickSize"]), wire)


def _bfo_underlying(row: Row, kind: InstrumentKind, strike: Decimal | None) -> str:
    """`SENSEX26AUG69500CE` and `SENSEX5026AUGFUT` less strike, kind and date code."""
    ending = kind.value if strike is None else f"{strike.normalize():f}{kind.value}"
    if not row["TradingSymbol"].endswith(ending):
        raise ValueError("the trading symbol does not end as its columns say")
    return row["TradingSymbol"][: -len(ending) - _DATE_CODE]


def _unlisted() -> Iterator[Instrument]:
    for symbol, exchange, name, broker_exchange, token in _UNLISTED:
        yield Instrument(
            symbol=symbol,
            exchange=exchange,
            kind=InstrumentKind.INDEX,
            name=name,
            lot_size=1,
            tick_size=_INDEX_TICK,
            broker_symbol=symbol,
            broker_exchange=broker_exchange,
            broker_token=token,
        )


@lru_cache(maxsize=4096)
def _day(cell: str) -> date:
    """`30-JUN-2026`."""
    day, month, year = cell.upper().split("-")
    return date(int(year), MONTHS.index(month) + 1, int(day))
