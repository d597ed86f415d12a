"""Flattrade's masters: the family's rows under other column names, without tick sizes, which come from our facts."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from broker import facts
from broker.families.noren import instruments
from domain.masters import BadRow
from domain.model import Instrument

FILES = (
    "NSE_Equity.csv", "BSE_Equity.csv", "Nfo_Equity_Derivatives.csv", "Nfo_Index_Derivatives.csv",
    "Bfo_Equity_Derivatives.csv", "Bfo_Index_Derivatives.csv", "Currency_Derivatives.csv", "Commodity.csv",
)  # fmt: skip
_NAMES = {
    "Lotsize": "LotSize",
    "Tradingsymbol": "TradingSymbol",
    "Strike": "StrikePrice",
    "Optiontype": "OptionType",
}
_COLUMNS = dict.fromkeys(["Exchange", "Token", "Symbol", "Instrument", "Expiry", *_NAMES], True)
_UNKNOWN_TICK = "0.05"


def read(path: Path) -> Iterator[Instrument | BadRow]:
    """Every row of the file, or of the folder's files together. Raises DamagedMaster."""
    numbered = instruments.numbered_rows(path, "*.csv", _COLUMNS)
    for one in instruments.read_rows((number, row and _renamed(row)) for number, row in numbered):
        tick = _tick(one) if isinstance(one, Instrument) else None
        yield replace(one, tick_size=tick) if isinstance(one, Instrument) and tick else one


def _renamed(row: dict[str, str]) -> dict[str, str]:
    return {_NAMES.get(name, name): cell for name, cell in row.items()} | {"TickSize": _UNKNOWN_TICK}


def _tick(one: Instrument) -> Decimal | None:
    """The exchange's tick size as the facts have it; None where they do not know the instrument."""
    if one.expiry is None:
        security = facts.security(one.exchange, one.symbol)
        return security.tick_size if security else None
    underlying = facts.underlying(one.exchange, one.name)
    if underlying is None:
        return None
    return underlying.option_tick if one.kind.is_option else underlying.future_tick
