"""TradeSmart's masters count every tick size in paise; some of its files write `Strike` for `StrikePrice`."""

from collections.abc import Iterator
from pathlib import Path

from broker.families.noren import instruments
from domain.masters import BadRow
from domain.model import CASH, DERIVATIVES, Instrument


def read(path: Path) -> Iterator[Instrument | BadRow]:
    numbered = instruments.numbered_rows(path, "*_symbols.txt*", instruments.COLUMNS)
    rows = ((number, row and _renamed(row)) for number, row in numbered)
    return instruments.in_paise(instruments.read_rows(rows), CASH | DERIVATIVES)


def _renamed(row: dict[str, str]) -> dict[str, str]:
    return {"StrikePrice" if name == "Strike" else name: cell for name, cell in row.items()}
