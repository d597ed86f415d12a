"""The public symbol grammar, both ways: one text names one contract at every broker.

BASE for cash and indices, BASE DDMMMYY FUT, BASE DDMMMYY STRIKE CE|PE, all without separators. The base may hold
digits, `&` and `-`, so a derivative is read from its end and never by what its base looks like.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from domain.model import CASH, QUOTE_ONLY, Exchange, InstrumentKind

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH_NUMBER = {name: number for number, name in enumerate(MONTHS, 1)}

_BASE = re.compile(r"[A-Z0-9][A-Z0-9&-]*", re.ASCII)
_DATE = r"(\d{2})(" + "|".join(MONTHS) + r")(\d{2})"
_FUTURE = re.compile(r"(.+)" + _DATE + "FUT", re.ASCII)
_OPTION = re.compile(r"(.+)" + _DATE + r"(\d+(?:\.\d+)?)(CE|PE)", re.ASCII)
_DATED = re.compile(r"(.+?)" + _DATE + r"(?:FUT)?", re.ASCII)

_PLAIN_SERIES = frozenset({"", "EQ", "BE", "BZ", "SM", "ST", "SZ", "RR", "IV"})
"""Shares and units whose ticker alone names them; other NSE series keep theirs, as a ticker may have several."""


class Contract(NamedTuple):
    """What a symbol says: `expiry` and `strike` are None where the kind has none."""

    base: str
    kind: InstrumentKind
    expiry: date | None = None
    strike: Decimal | None = None


@lru_cache(maxsize=4096)
def expiry_text(day: date) -> str:
    """`28MAR24`, the form that stands inside a symbol."""
    return f"{day.day:02d}{MONTHS[day.month - 1]}{day.year % 100:02d}"


@lru_cache(maxsize=65536)
def strike_text(strike: Decimal) -> str:
    """The shortest decimal: 24800, 292.5, 83.25. Raises ValueError for what is not a positive finite number."""
    if not strike.is_finite() or strike <= 0:
        raise ValueError(f"not a strike: {strike}")
    text = f"{strike:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_expiry(text: str) -> date | None:
    """The date of `28MAR24`, in any case and with or without hyphens (`28-MAR-24`); None when it is not one."""
    match = re.fullmatch(_DATE, text.replace("-", "").upper(), re.ASCII)
    return _date(*match.groups()) if match else None


def is_base(text: str) -> bool:
    """Whether a text can stand alone as a ticker or underlying."""
    return _BASE.fullmatch(text) is not None


def clean_base(text: str) -> str:
    """A broker's ticker with what the grammar has no letters for taken out: `8.9JSWSL30` is 89JSWSL30."""
    return text if _BASE.fullmatch(text) else re.sub(r"[^A-Z0-9&-]", "", text.upper()).lstrip("-&")


def cash_symbol(ticker: str, series: str = "EQ") -> str:
    """The symbol of a cash security. Shares are their ticker; bonds, warrants, block and partly paid series add it."""
    base = clean_base(ticker)
    return base if series in _PLAIN_SERIES else f"{base}-{series}"


def build(base: str, kind: InstrumentKind, expiry: date | None = None, strike: Decimal | None = None) -> str:
    """The one spelling of a contract. Raises ValueError where the parts do not make one."""
    if not is_base(base):
        raise ValueError(f"not a base: {base!r}")
    if kind is InstrumentKind.PERPETUAL:
        return f"{base}FUT"
    if kind is InstrumentKind.FUTURE or kind.is_option:
        if expiry is None:
            raise ValueError(f"{kind} of {base} without an expiry")
        if kind is InstrumentKind.FUTURE:
            return f"{base}{expiry_text(expiry)}FUT"
        if strike is None:
            raise ValueError(f"{kind} of {base} without a strike")
        return f"{base}{expiry_text(expiry)}{strike_text(strike)}{kind.value}"
    return base


def parse(symbol: str, exchange: Exchange) -> Contract | None:
    """Read a symbol as its exchange would; None when the grammar has no such contract there."""
    if exchange in QUOTE_ONLY:
        return Contract(symbol, InstrumentKind.INDEX) if is_base(symbol) else None
    if exchange in CASH:
        return Contract(symbol, InstrumentKind.EQUITY) if is_base(symbol) else None
    contract = parse_derivative(symbol)
    if contract is None and exchange is Exchange.CRYPTO and is_base(symbol):
        if symbol.endswith("FUT") and len(symbol) > 3:
            return Contract(symbol[:-3], InstrumentKind.PERPETUAL)
        return Contract(symbol, InstrumentKind.SPOT)
    return contract


def parse_derivative(symbol: str) -> Contract | None:
    """Read a dated future or an option by its end; None for anything else, impossible dates and strike 0 included."""
    if symbol.endswith("FUT"):
        match = _FUTURE.fullmatch(symbol)
        if match is None:
            return None
        base, day, month, year = match.groups()
        kind, strike = InstrumentKind.FUTURE, None
    else:
        match = _OPTION.fullmatch(symbol)
        if match is None:
            return None
        base, day, month, year, digits, suffix = match.groups()
        kind, strike = InstrumentKind(suffix), _strike(digits)
        if strike is None:
            return None
    expiry = _date(day, month, year)
    return Contract(base, kind, expiry, strike) if expiry and is_base(base) else None


def parse_underlying(text: str) -> tuple[str, date | None] | None:
    """Read what option calls take as underlying (BASE, BASE DDMMMYY, BASE DDMMMYY FUT); None for anything else."""
    match = _DATED.fullmatch(text)
    if match is not None:
        expiry = _date(*match.groups()[1:])
        if expiry is not None and is_base(match.group(1)):
            return match.group(1), expiry
    return (text, None) if is_base(text) else None


@lru_cache(maxsize=4096)
def _date(day: str, month: str, year: str) -> date | None:
    try:
        return date(2000 + int(year), _MONTH_NUMBER[month], int(day))
    except ValueError:
        return None


@lru_cache(maxsize=65536)
def _strike(digits: str) -> Decimal | None:
    """The strike that a text spells, None unless it is the canonical text (no 024, no 292.50)."""
    strike = Decimal(digits)
    return strike if strike > 0 and strike_text(strike) == digits else None
