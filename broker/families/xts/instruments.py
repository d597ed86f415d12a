"""XTS's masters: for each segment one JSON answer whose result is a text of `|` rows; indices in lists of their own.

Rows have no header. A share has 22 columns, an option 23, and a future 21, as it has neither strike nor option type;
so a row is read by its kind, never by one header. Source: xts-api-client 0.1.26, read 2026-11-24.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Final

from broker import facts
from broker.families.xts.wire import SEGMENT
from broker.master_file import number_of, opened, text_of, whole_of
from broker.rows import Wire, contract
from domain.masters import BadRow, DamagedMaster
from domain.model import CASH, Exchange, Instrument, InstrumentKind
from domain.symbols import cash_symbol, clean_base

_CHUNK = 1 << 18
_RESULT = re.compile(r'"result"\s*:\s*"')
_END = re.compile(r'(?<!\\)(?:\\\\)*"')
_INDICES = {"NSECM": Exchange.NSE_INDEX, "BSECM": Exchange.BSE_INDEX}
_INDEX_TICK: Final = Decimal("0.05")
_SPREAD = "4"
_OPTIONS = {"3": InstrumentKind.CALL, "4": InstrumentKind.PUT}
_SHARE, _FUTURE, _OPTION = 19, 21, 23
_SPOT = "SPOT"
"""The BSE's cash segment lists its indices beside its shares."""


def read(path: Path) -> Iterator[Instrument | BadRow]:
    """Every row of one segment's file, or of a folder of them with their lists of indices. Raises DamagedMaster."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    lists = [file for file in files if file.name.endswith(".indices.json")]
    if len(lists) == len(files):
        raise DamagedMaster("the folder holds no segment's file")
    seen: set[tuple[str, str]] = set()
    for file in files:
        if file not in lists:
            for number, line in enumerate(_lines(file), 1):
                found = _read_row(number, line.split("|"))
                if isinstance(found, Instrument):
                    seen.add((found.broker_exchange, found.broker_token))
                if found is not None:
                    yield found
    for file in lists:
        yield from (one for one in _listed(file) if isinstance(one, BadRow) or _key(one) not in seen)


def _key(one: Instrument) -> tuple[str, str]:
    return one.broker_exchange, one.broker_token


def _lines(path: Path) -> Iterator[str]:
    """The rows of the text inside the JSON, piece by piece; the file is never whole in memory."""
    with opened(path) as plain, io.TextIOWrapper(plain, encoding="utf-8", errors="replace") as text:
        head = text.read(_CHUNK)
        begin = _RESULT.search(head)
        if begin is None:
            raise DamagedMaster(f"{path.name} holds no rows")
        buffer, ended = head[begin.end() :], False
        while not ended:
            end = _END.search(buffer)
            ended = end is not None
            whole = buffer[: end.end() - 1] if end is not None else buffer
            *rows, buffer = whole.split("\\n")
            yield from (_plain(path, row) for row in rows if row)
            if not ended:
                piece = text.read(_CHUNK)
                if not piece:
                    raise DamagedMaster(f"{path.name} has no end: the file was cut short")
                buffer += piece
        if buffer:
            yield _plain(path, buffer)


def _plain(path: Path, row: str) -> str:
    """A row without the JSON string's escapes."""
    try:
        return str(json.loads(f'"{row}"')).strip()
    except ValueError as error:
        raise DamagedMaster(f"{path.name} cannot be read: {error}") from error


def _read_row(number: int, cells: list[str]) -> Instrument | BadRow | None:
    """None for a calendar spread, which has no symbol here."""
    try:
        exchange = SEGMENT.read(cells[0])
        if exchange in CASH:
            return _security(exchange, cells)
        return None if cells[2] == _SPREAD else _contract(exchange, cells)
    except (LookupError, ValueError, ArithmeticError) as error:
        return BadRow(number, "a field is missing or not readable", f"{error} in {'|'.join(cells)[:200]}")


def _security(exchange: Exchange, cells: list[str]) -> Instrument:
    if len(cells) < _SHARE:
        raise ValueError(f"{len(cells)} columns")
    name, series, shown = text_of(cells[3]), cells[5], text_of(cells[14])
    if series == _SPOT:
        return _index(cells[0], name, text_of(cells[1]))
    return Instrument(
        symbol=cash_symbol(name, series) if exchange is Exchange.NSE else cash_symbol(name),
        exchange=exchange,
        kind=InstrumentKind.EQUITY,
        name=name,
        lot_size=whole_of(cells[12]),
        tick_size=number_of(cells[11]),
        broker_symbol=shown,
        broker_exchange=cells[0],
        broker_token=text_of(cells[1]),
    )


def _contract(exchange: Exchange, cells: list[str]) -> Instrument:
    if len(cells) not in (_FUTURE, _OPTION):
        raise ValueError(f"{len(cells)} columns")
    option = len(cells) == _OPTION
    kind = _OPTIONS[cells[18]] if option else InstrumentKind.FUTURE
    strike = number_of(cells[17]) if option else None
    wire = Wire(text_of(cells[4]), cells[0], text_of(cells[1]))
    lot, tick = whole_of(cells[12]), number_of(cells[11])
    return contract(exchange, kind, text_of(cells[3]), _day(cells[16]), strike, lot, tick, wire)


def _listed(path: Path) -> Iterator[Instrument | BadRow]:
    """The indices of a list: `NIFTY 50_26000`."""
    segment = path.name.partition(".")[0]
    with opened(path) as plain:
        try:
            listed = json.loads(plain.read())["result"]["indexList"]
        except (ValueError, LookupError, TypeError) as error:
            raise DamagedMaster(f"{path.name} holds no indices: {error!r}") from error
    for number, entry in enumerate(listed, 1):
        name, _, token = str(entry).rpartition("_")
        if not name or not token.isdecimal():
            yield BadRow(number, "an index without a name or a number", str(entry)[:200])
        else:
            yield _index(segment, name.strip(), token)


def _index(segment: str, name: str, token: str) -> Instrument:
    """By its name alone: the numbers are not the exchange's."""
    exchange = _INDICES[segment]
    return Instrument(
        symbol=facts.index_symbol(exchange, name) or clean_base(name),
        exchange=exchange,
        kind=InstrumentKind.INDEX,
        name=name,
        lot_size=1,
        tick_size=_INDEX_TICK,
        broker_symbol=name,
        broker_exchange=segment,
        broker_token=token,
    )


@lru_cache(maxsize=4096)
def _day(cell: str) -> date:
    """`2026-11-26T14:30:00`."""
    return date.fromisoformat(cell[:10])
