"""The one reader of `facts/`: dated figures about the markets, as records, read once a process.

Sources and dates stand in facts/README.md. Nothing here knows a broker or asks a clock.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path

from domain.calendar import HolidayFact, SessionFact, holiday_fact, session_fact
from domain.model import Exchange

FOLDER = Path(__file__).resolve().parents[1] / "facts"

_OTHER_INDEX_CODES = {"SNSX50": "SENSEX50", "SNXT50": "BSESENSEXNEXT50"}
"""BSE codes that some masters use for indices listed under another code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """A share, ETF or index of the paper universe.

    type             EQUITY, ETF or INDEX
    reference_price  rupees or points on `reference_date`; None where no source had one
    has_derivatives  whether futures are listed on it; such shares close by auction since 3 August 2026
    token            the exchange's number, "" when not known
    """

    symbol: str
    exchange: Exchange
    name: str
    isin: str
    type: str
    series: str
    tick_size: Decimal
    reference_price: Decimal | None
    reference_date: date | None
    previous_close: Decimal | None
    volume: int | None
    has_derivatives: bool
    closing_auction: bool
    nifty50: bool
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Underlying:
    """What futures and options are written on.

    group         INDEX, STOCK, COMMODITY, CURRENCY or BOND
    lot_size      units of the quoted price, so that money = price x quantity
    *_tick        rupees; None where that kind is not listed
    *_freeze      largest quantity of one order, units; None when not known (an estimate is not known)
    near, far     strike steps of the first two months and of the third; None where options are not listed
    low, high     strikes listed in the near month
    level         reference level of the underlying, rupees or points
    leaves        the last day with contracts on it; None for what stays listed
    """

    symbol: str
    exchange: Exchange
    group: str
    name: str
    lot_size: int
    future_tick: Decimal | None
    option_tick: Decimal | None
    future_freeze: int | None
    option_freeze: int | None
    near_step: Decimal | None
    far_step: Decimal | None
    low: Decimal | None
    high: Decimal | None
    level: Decimal
    leaves: date | None = None


@cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """The rows of `facts/<name>.csv` or `.csv.gz` by column name. Raises FileNotFoundError."""
    text = _bytes(name).decode("utf-8")
    return tuple(csv.DictReader(io.StringIO(text)))


@cache
def digest() -> str:
    """A short hash over every fact: what is generated from them is stale when it differs."""
    hasher = hashlib.blake2b(digest_size=8)
    for path in sorted(FOLDER.glob("*.csv*")):
        hasher.update(path.name.encode() + b"\0" + path.read_bytes())
    return hasher.hexdigest()


@cache
def securities() -> tuple[Security, ...]:
    """Every share, ETF and index, in the file's order."""
    return tuple(_security(row) for row in rows("universe"))


@cache
def security(exchange: Exchange, symbol: str) -> Security | None:
    """One share, ETF or index; None when the universe has none of that name."""
    return _by_key().get((exchange, symbol))


@cache
def underlyings() -> tuple[Underlying, ...]:
    """Every underlying that has futures or options, exchange by exchange."""
    freezes = _freezes()
    listed = [_fno(row, freezes) for row in rows("fno_underlyings")]
    return tuple(listed + [_commodity(row) for row in rows("commodity_currency")])


@cache
def underlying(exchange: Exchange, symbol: str) -> Underlying | None:
    """One underlying by its derivatives' exchange; None when nothing is listed on it there."""
    return _underlyings_by_key().get((exchange, symbol))


def index_symbol(exchange: Exchange, *spellings: str) -> str | None:
    """The canonical symbol of an index by its code, name or number; None when it is none of the listed ones."""
    known = _index_spellings()
    for spelling in spellings:
        symbol = known.get((exchange, _plain(spelling)))
        if symbol is not None:
            return symbol
    return None


def freeze_quantity(exchange: Exchange, name: str, *, option: bool, lot_size: int) -> int | None:
    """The largest order of a contract in the units a master counts in; None when not known."""
    listed = underlying(exchange, name)
    if listed is None:
        return None
    freeze = listed.option_freeze if option else listed.future_freeze
    if freeze is None or exchange in (Exchange.NFO, Exchange.BFO):
        return freeze
    return freeze // listed.lot_size * lot_size


def contract_value(exchange: Exchange, name: str, lot_size: int) -> Decimal:
    """Rupees a contract gains per point and per unit of a master that counts `lot_size` units a lot.

    1 where units are units of the quoted price; GOLD is 100 where a master counts its lot as 1.
    """
    listed = None if exchange in (Exchange.NFO, Exchange.BFO) else underlying(exchange, name)
    return Decimal(1) if listed is None else Decimal(listed.lot_size) / lot_size


@cache
def sectors() -> dict[str, str]:
    """NIFTY 50 symbol -> industry."""
    return {row["symbol"]: row["industry"] for row in rows("nifty50")}


@cache
def holidays() -> tuple[HolidayFact, ...]:
    """Closed and special days of each group of exchanges."""
    return tuple(holiday_fact(row) for row in rows("holidays"))


@cache
def sessions() -> tuple[SessionFact, ...]:
    """Trading hours with the dates between which they hold."""
    return tuple(session_fact(row) for row in rows("sessions"))


def _bytes(name: str) -> bytes:
    plain = FOLDER / f"{name}.csv"
    return plain.read_bytes() if plain.exists() else gzip.decompress((FOLDER / f"{name}.csv.gz").read_bytes())


@cache
def _by_key() -> dict[tuple[Exchange, str], Security]:
    return {(each.exchange, each.symbol): each for each in securities()}


@cache
def _underlyings_by_key() -> dict[tuple[Exchange, str], Underlying]:
    return {(each.exchange, each.symbol): each for each in underlyings()}


@cache
def _index_spellings() -> dict[tuple[Exchange, str], str]:
    found: dict[tuple[Exchange, str], str] = {}
    for row in rows("index_symbols"):
        for spelling in (row["exchange_token"], row["name"], row["exchange_code"], row["symbol"]):
            if spelling:
                found[Exchange(row["exchange"]), _plain(spelling)] = row["symbol"]
    for code, symbol in _OTHER_INDEX_CODES.items():
        found[Exchange.BSE_INDEX, code] = symbol
    return found


def _plain(spelling: str) -> str:
    return "".join(spelling.upper().split())


def _security(row: dict[str, str]) -> Security:
    return Security(
        symbol=row["symbol"],
        exchange=Exchange(row["list"]),
        name=row["name"],
        isin=row["isin"],
        type=row["type"],
        series=row["series"],
        tick_size=Decimal(row["tick_size"]),
        reference_price=_number(row["ref_price"]),
        reference_date=date.fromisoformat(row["ref_price_date"]) if row["ref_price_date"] else None,
        previous_close=_number(row["prev_close"]),
        volume=int(row["volume"]) if row["volume"] else None,
        has_derivatives=row["fno"] == "1",
        closing_auction=row["cas_eligible"] == "1",
        nifty50=row["nifty50"] == "1",
        token=row["exchange_token"],
    )


def _fno(row: dict[str, str], freezes: dict[tuple[str, str, str], int]) -> Underlying:
    key = row["exchange"], row["underlying"]
    return Underlying(
        symbol=row["underlying"],
        exchange=Exchange(row["exchange"]),
        group=row["type"],
        name=row["name"] or row["underlying"],
        lot_size=int(row["lot_size"]),
        future_tick=Decimal(row["fut_tick"]),
        option_tick=Decimal(row["opt_tick"]),
        future_freeze=freezes.get((*key, "FUT")),
        option_freeze=freezes.get((*key, "OPT")),
        near_step=Decimal(row["strike_step_near"]),
        far_step=Decimal(row["strike_step_far_month"]),
        low=Decimal(row["near_strike_low"]),
        high=Decimal(row["near_strike_high"]),
        level=Decimal(row["ref_price"]),
        leaves=_leaves(row["fut_expiries"].split()),
    )


def _leaves(expiries: list[str]) -> date | None:
    """Three serial months are listed on what stays; a shorter list is the rest of one that is being taken off."""
    return date.fromisoformat(expiries[-1]) if len(expiries) < 3 else None


def _commodity(row: dict[str, str]) -> Underlying:
    lot, level = int(row["lot_size"]), Decimal(row["ref_price"])
    step, band = _number(row["strike_step"]), _number(row["strike_band_percent"])
    width = level * band / 100 if band else None
    return Underlying(
        symbol=row["underlying"],
        exchange=Exchange(row["exchange"]),
        group=row["group"],
        name=row["underlying"],
        lot_size=lot,
        future_tick=_number(row["future_tick"]),
        option_tick=_number(row["option_tick"]),
        future_freeze=_lots(row["future_freeze_lots"], lot),
        option_freeze=_lots(row["option_freeze_lots"], lot),
        near_step=step,
        far_step=step,
        low=level - width if width else None,
        high=level + width if width else None,
        level=level,
    )


def _freezes() -> dict[tuple[str, str, str], int]:
    """(exchange, underlying, FUT|OPT) -> units, for figures that a source really had."""
    found: dict[tuple[str, str, str], int] = {}
    for row in rows("freeze_quantity"):
        if row["quality"] == "estimate" or row["exchange"] not in ("NFO", "BFO"):
            continue
        for kind in ("FUT", "OPT") if row["kind"] == "ALL" else (row["kind"],):
            found[row["exchange"], row["underlying"], kind] = int(row["freeze_qty"])
    return found


def _number(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def _lots(text: str, lot_size: int) -> int | None:
    return int(text) * lot_size if text else None
