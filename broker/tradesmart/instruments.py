"""TradeSmart's masters count every tick size in paise; some of its files write `Strike` for `StrikePrice`."""

from collections.abc import Iterator
from pathlib import Path

from broker.families.noren import instruments
from domain.masters import BadRow
from domain.model import CASH, DERIVATIVES, Instrument


def read(path: Path) -> Iterator[Instrument | BadRow]:
    return instruments.read(path, names={"Strike": "StrikePrice"}, paise=CASH | DERIVATIVES)
