"""Flattrade's masters: the family's rows under other column names, without tick sizes, which come from our facts."""

from collections.abc import Iterator
from pathlib import Path

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


def read(path: Path) -> Iterator[Instrument | BadRow]:
    rows = instruments.read(path, pattern="*.csv", names=_NAMES, assumed={"TickSize": "0.05"})
    return instruments.ticks_from_facts(rows)
