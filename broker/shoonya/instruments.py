"""Shoonya's masters count the tick sizes of shares in paise, those of contracts in rupees."""

from collections.abc import Iterator
from pathlib import Path

from broker.families.noren import instruments
from domain.masters import BadRow
from domain.model import CASH, Instrument


def read(path: Path) -> Iterator[Instrument | BadRow]:
    return instruments.read(path, paise=CASH)
