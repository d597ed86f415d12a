"""A broker's master as a read-only SQLite file: built aside, checked, opened immutable, never changed.

Which file a broker uses is one row of platform.db (`database/masters.py`). A file is derived data: it can be deleted
and made again from the broker's master.
"""

from __future__ import annotations

import gc
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from database.instrument_search import SCHEMA as SEARCH_SCHEMA
from database.instrument_search import index, search
from database.types import from_units, to_units
from domain.masters import BadRow, DamagedMaster, LoadReport
from domain.model import Exchange, Instrument, InstrumentKind
from domain.symbols import is_base, parse

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA page_size = 8192;
CREATE TABLE instruments(
    id INTEGER PRIMARY KEY, symbol TEXT NOT NULL, exchange TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    lot_size INTEGER NOT NULL, tick_size INTEGER NOT NULL, broker_symbol TEXT NOT NULL, broker_exchange TEXT NOT NULL,
    broker_token TEXT NOT NULL, expiry TEXT, strike INTEGER, freeze_quantity INTEGER, contract_value INTEGER NOT NULL);
"""
_INDEXES = """
CREATE UNIQUE INDEX by_symbol ON instruments(symbol, exchange);
CREATE UNIQUE INDEX by_token ON instruments(broker_token, broker_exchange);
CREATE INDEX by_broker_symbol ON instruments(broker_symbol, broker_exchange);
CREATE INDEX by_name ON instruments(name, exchange, kind, expiry, strike) WHERE expiry IS NOT NULL;
CREATE INDEX by_exchange ON instruments(exchange);
"""
_COLUMNS = (
    "symbol, exchange, kind, name, lot_size, tick_size, broker_symbol, broker_exchange, broker_token, expiry,"
    " strike, freeze_quantity, contract_value"
)
_SELECT = f"SELECT {_COLUMNS} FROM instruments"
_PLACES = ", ".join("?" * 14)

FORMAT = 4
"""Changes with the layout: a file of another format is made again, never read."""

_MAX_ROWS = 1_000_000
_MAX_BAD_SHARE = 0.02
_MAX_SHRINK, _MAX_GROWTH = 0.7, 3.0
_FUTURES = (InstrumentKind.FUTURE.value,)
_OPTIONS = (InstrumentKind.CALL.value, InstrumentKind.PUT.value)
_CASH_KINDS = {
    InstrumentKind.EQUITY: frozenset({Exchange.NSE, Exchange.BSE}),
    InstrumentKind.INDEX: frozenset(
        {Exchange.NSE_INDEX, Exchange.BSE_INDEX, Exchange.MCX_INDEX, Exchange.GLOBAL_INDEX}
    ),
}

_exchange = lru_cache(Exchange)
_kind = lru_cache(InstrumentKind)
_decimal = lru_cache(65536)(from_units)
_units = lru_cache(65536)(to_units)
_date = lru_cache(4096)(date.fromisoformat)


class InstrumentFile:
    """One open master; belongs to the thread that opened it."""

    def __init__(self, path: Path) -> None:
        """Raises sqlite3.OperationalError when there is no such file or it is none of ours."""
        uri = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
        self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, cached_statements=64)
        self._connection.execute("PRAGMA mmap_size = 268435456")
        self._connection.execute("PRAGMA cache_size = -1024")
        self._connection.execute("SELECT 1 FROM instruments LIMIT 1")

    def close(self) -> None:
        self._connection.close()

    def by_symbol(self, exchange: str, symbol: str) -> Instrument | None:
        """The instrument of a canonical symbol, exactly spelt."""
        return self._one(f"{_SELECT} WHERE symbol = ? AND exchange = ?", (symbol, exchange))

    def by_broker(self, broker_exchange: str, text: str) -> Instrument | None:
        """The instrument of a broker's token, else of a broker's symbol (the shortest canonical symbol of several)."""
        found = self._one(
            f"{_SELECT} WHERE broker_token = ? AND broker_exchange = ?", (text, broker_exchange)
        )
        if found is None:
            found = self._one(
                f"{_SELECT} WHERE broker_symbol = ? AND broker_exchange = ? ORDER BY id LIMIT 1",
                (text, broker_exchange),
            )
        return found

    def search(
        self, query: str, exchange: str | None, limit: int, known: dict[int, Instrument] | None = None
    ) -> list[Instrument]:
        """Matches of all words, best first; the ranks are `database/instrument_search.py`'s.

        known  rows of this file read before, by number; what had to be read is added
        """
        ids = search(self._connection, query, exchange, limit)
        found = {} if known is None else known
        missing = [row_id for row_id in ids if row_id not in found]
        if missing:
            marks = ", ".join("?" * len(missing))
            rows = self._connection.execute(
                f"SELECT id, {_COLUMNS} FROM instruments WHERE id IN ({marks})", missing
            )
            for row in rows.fetchall():
                found[row[0]] = _instrument(row[1:])
        return [found[row_id] for row_id in ids]

    def row_id(self, exchange: str, symbol: str) -> int | None:
        """The row's number in this file; changes with every master."""
        row = self._connection.execute(
            "SELECT id FROM instruments WHERE symbol = ? AND exchange = ?", (symbol, exchange)
        ).fetchone()
        return None if row is None else int(row[0])

    def expiries(self, name: str, exchange: str, *, options: bool) -> list[date]:
        """Last trading days of an exact underlying, ascending, past ones included if the file has them."""
        kinds = _OPTIONS if options else _FUTURES
        marks = ", ".join("?" * len(kinds))
        rows = self._connection.execute(
            f"SELECT DISTINCT expiry FROM instruments WHERE name = ? AND exchange = ? AND kind IN ({marks})"
            " AND expiry IS NOT NULL ORDER BY expiry",
            (name, exchange, *kinds),
        )
        return [_date(row[0]) for row in rows]

    def strikes(self, name: str, expiry: date, kind: InstrumentKind, exchange: str) -> list[Decimal]:
        """Listed strikes of one chain, ascending."""
        rows = self._connection.execute(
            "SELECT strike FROM instruments"
            " WHERE name = ? AND exchange = ? AND kind = ? AND expiry = ? ORDER BY strike",
            (name, exchange, kind.value, expiry.isoformat()),
        )
        return [_decimal(row[0]) for row in rows if row[0] is not None]

    def chain(self, name: str, expiry: date, exchange: str) -> list[Instrument]:
        """Every option of one expiry, by strike."""
        rows = self._connection.execute(
            f"{_SELECT} WHERE name = ? AND exchange = ? AND kind IN ('CE', 'PE') AND expiry = ? ORDER BY strike",
            (name, exchange, expiry.isoformat()),
        )
        return [_instrument(row) for row in rows.fetchall()]

    def rows(self, exchange: str | None) -> Iterator[Instrument]:
        """Every instrument (of one exchange), shorter symbols first; read in pieces."""
        last = 0
        where = "AND exchange = ?" if exchange else ""
        more = (exchange,) if exchange else ()
        while rows := self._connection.execute(
            f"SELECT id, {_COLUMNS} FROM instruments WHERE id > ? {where} ORDER BY id LIMIT 1000",
            (last, *more),
        ).fetchall():
            last = rows[-1][0]
            yield from (_instrument(row[1:]) for row in rows)

    def counts(self) -> dict[str, int]:
        """Exchange -> how many instruments."""
        return dict(
            self._connection.execute(
                "SELECT exchange, count(*) FROM instruments GROUP BY exchange ORDER BY exchange"
            )
        )

    def _one(self, sql: str, values: tuple[str, ...]) -> Instrument | None:
        row = self._connection.execute(sql, values).fetchone()
        return None if row is None else _instrument(row)


def build(
    path: Path, rows: Iterable[Instrument | BadRow], report: LoadReport, previous: int | None = None
) -> None:
    """Write a checked master to `path`; there is no file there unless all checks pass.

    previous  instruments of the master in use: a new one that is much smaller or larger is refused
    Raises DamagedMaster, with `report` filled as far as it got.
    """
    with _uncollected():
        _build(path, rows, report, previous)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Rows are kept and make no cycles: searching them for garbage again and again costs a tenth of a load."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _build(path: Path, rows: Iterable[Instrument | BadRow], report: LoadReport, previous: int | None) -> None:
    kept = _checked(rows, report)
    if report.rows == 0:
        raise DamagedMaster("the master holds no instrument")
    if report.bad > report.read * _MAX_BAD_SHARE:
        worst = max(report.put_aside, key=lambda reason: report.put_aside[reason])
        raise DamagedMaster(
            f"{report.bad} of {report.read} rows cannot be used, most often: {worst} ({report.examples[worst]})",
            row=_first_row(report.examples[worst]),
        )
    if previous and not previous * _MAX_SHRINK <= report.rows <= previous * _MAX_GROWTH:
        raise DamagedMaster(f"the master in use has {previous} instruments, this one {report.rows}")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.building")
    try:
        _write(temporary, kept)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _checked(rows: Iterable[Instrument | BadRow], report: LoadReport) -> list[Instrument]:
    """Instruments that name one contract each, in the order of an answer; all others are put aside and counted."""
    kept: list[Instrument | None] = []
    numbers: list[int] = []
    keys: dict[tuple[str, str, str], int] = {}
    for row in rows:
        report.read += 1
        if report.read > _MAX_ROWS:
            raise DamagedMaster(f"more than {_MAX_ROWS} rows", row=report.read)
        if isinstance(row, BadRow):
            report.put(row)
            continue
        if (reason := flaw(row)) is not None:
            report.put(BadRow(report.read, reason, f"{row.exchange} {row.symbol} ({row.broker_symbol})"))
            continue
        _claim(row, report, kept, numbers, keys)
    found = [row for row in kept if row is not None]
    report.rows = len(found)
    found.sort(key=lambda row: (len(row.symbol), row.symbol, row.exchange))
    return found


def _claim(
    row: Instrument,
    report: LoadReport,
    kept: list[Instrument | None],
    numbers: list[int],
    keys: dict[tuple[str, str, str], int],
) -> None:
    """Keep a row unless another has its symbol or token: then neither can be told apart, and both go."""
    mine = (
        ("symbol", row.exchange.value, row.symbol),
        ("token", row.broker_exchange, row.broker_token),
    )
    for key in mine:
        other = keys.get(key)
        if other is None:
            continue
        if kept[other] == row:
            report.put(BadRow(report.read, "repeated row", f"{row.exchange} {row.symbol}"))
            return
        detail = f"{row.exchange} {row.symbol} token {row.broker_token} ({row.broker_symbol})"
        report.put(BadRow(report.read, f"{key[0]} of two contracts", detail))
        if (first := kept[other]) is not None:
            kept[other] = None
            report.put(
                BadRow(numbers[other], f"{key[0]} of two contracts", f"{first.exchange} {first.symbol}")
            )
        return
    for key in mine:
        keys[key] = len(kept)
    kept.append(row)
    numbers.append(report.read)


def flaw(row: Instrument) -> str | None:
    """Why an instrument cannot be used; None when it can. Its symbol must read back as the same contract."""
    if row.lot_size < 1:
        return "lot size below 1"
    if not row.tick_size.is_finite() or row.tick_size <= 0:
        return "tick size not above 0"
    if not row.broker_token:
        return "no token"
    if not _are_storable(row.tick_size, row.contract_value, row.strike):
        return "a number of more than 8 decimals"
    allowed = _CASH_KINDS.get(row.kind)
    if allowed is not None:
        return None if row.exchange in allowed and is_base(row.symbol) else "symbol outside the grammar"
    contract = parse(row.symbol, row.exchange)
    if contract is None:
        return "symbol outside the grammar"
    if (contract.kind, contract.expiry, contract.strike) != (row.kind, row.expiry, row.strike):
        return "symbol reads back as another contract"
    return (
        None
        if contract.base == row.name or row.kind is InstrumentKind.SPOT
        else "symbol of another underlying"
    )


def _write(path: Path, rows: list[Instrument]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(_SCHEMA + SEARCH_SCHEMA)
        connection.execute("BEGIN")
        connection.executemany(f"INSERT INTO instruments VALUES ({_PLACES})", _numbered(rows))
        index(
            connection,
            (
                (
                    number,
                    row.exchange.value,
                    row.symbol,
                    row.broker_symbol,
                    row.name,
                    row.broker_token,
                    _scaled(row.strike),
                )
                for number, row in enumerate(rows, 1)
            ),
        )
        connection.execute("COMMIT")
        connection.executescript(_INDEXES + "ANALYZE;")


def _numbered(rows: list[Instrument]) -> Iterator[tuple[object, ...]]:
    for number, row in enumerate(rows, 1):
        yield (
            number,
            row.symbol,
            row.exchange.value,
            row.kind.value,
            row.name,
            row.lot_size,
            _units(row.tick_size),
            row.broker_symbol,
            row.broker_exchange,
            row.broker_token,
            None if row.expiry is None else row.expiry.isoformat(),
            _scaled(row.strike),
            row.freeze_quantity,
            _units(row.contract_value),
        )


@lru_cache(65536)
def _are_storable(*values: Decimal | None) -> bool:
    try:
        for value in values:
            _scaled(value)
    except (ValueError, ArithmeticError):
        return False
    return True


def _scaled(strike: Decimal | None) -> int | None:
    return None if strike is None else _units(strike)


def _instrument(row: tuple[object, ...]) -> Instrument:
    (
        symbol,
        exchange,
        kind,
        name,
        lot,
        tick,
        broker_symbol,
        broker_exchange,
        token,
        expiry,
        strike,
        freeze,
        value,
    ) = row
    return Instrument(
        symbol=symbol,  # type: ignore[arg-type]
        exchange=_exchange(exchange),
        kind=_kind(kind),
        name=name,  # type: ignore[arg-type]
        lot_size=lot,  # type: ignore[arg-type]
        tick_size=_decimal(tick),
        broker_symbol=broker_symbol,  # type: ignore[arg-type]
        broker_exchange=broker_exchange,  # type: ignore[arg-type]
        broker_token=token,  # type: ignore[arg-type]
        expiry=None if expiry is None else _date(expiry),
        strike=None if strike is None else _decimal(strike),
        freeze_quantity=freeze,  # type: ignore[arg-type]
        contract_value=_decimal(value),
    )


def _first_row(example: str) -> int:
    head = example.removeprefix("row ").partition(":")[0]
    return int(head) if head.isdecimal() else 0
