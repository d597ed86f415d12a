"""What brokers' rows have in common, once: naming an instrument, our tag, plain numbers, quotes by a field map."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from broker import facts, fields
from broker.codes import CodeTable
from broker.fields import Row
from broker.interface import InstrumentLookup
from domain.market import DepthLevel, Quote
from domain.model import CASH, Exchange, Instrument, InstrumentKind, OrderType, Product
from domain.symbols import build

_OURS = re.compile(r"[a-z0-9]{16}")
_COUNTS = frozenset({"volume", "bid_quantity", "ask_quantity", "open_interest", "last_quantity"})


def plain(number: Decimal | None) -> str:
    """A number as digits, without exponent or needless zeros; "0" when there is none."""
    return f"{number.normalize():f}" if number else "0"


def our_tag(value: object) -> str:
    """The client order id that a tag field carries; "" for anybody else's words."""
    return value if isinstance(value, str) and _OURS.fullmatch(value) else ""


def named(
    exchange: str, name: str, find: InstrumentLookup, codes: CodeTable[Exchange]
) -> tuple[str, Exchange]:
    """Our symbol and exchange; the broker's own spelling for what its master no longer lists."""
    instrument = find(exchange, name)
    if instrument is not None:
        return instrument.symbol, instrument.exchange
    return name, codes.read(exchange)


def carried(whole: Decimal, came_in: Decimal) -> tuple[Decimal, Decimal]:
    """(units carried, units opened today) of a position, from what it holds and what it began the day with, both
    counted on its own side: what was closed since came off what was carried."""
    before = min(max(came_in, Decimal(0)), max(whole, Decimal(0)))
    return before, max(whole, Decimal(0)) - before


def kind_by_prices(price: Decimal | None, trigger: Decimal | None) -> OrderType:
    """What the prices of an order say of its type, for a row whose type we cannot read."""
    if trigger is not None:
        return OrderType.STOP_LIMIT if price is not None else OrderType.STOP_MARKET
    return OrderType.LIMIT if price is not None else OrderType.MARKET


def product_by_exchange(exchange: Exchange) -> Product:
    """What is held over night on an exchange, for a row whose product we cannot read."""
    return Product.DELIVERY if exchange in CASH else Product.CARRY


def quote(row: Row, names: Mapping[str, str], instrument: Instrument, at: datetime) -> Quote:
    """A Quote from a flat row; `names` as of `numbers`."""
    return Quote(symbol=instrument.symbol, exchange=instrument.exchange, at=at, **numbers(row, names))


def numbers(row: Row, names: Mapping[str, str]) -> dict[str, Any]:
    """Market numbers by our names. `names`: our field -> the broker's; what is absent did not happen and is 0."""
    return {
        ours: fields.whole(row, theirs) if ours in _COUNTS else fields.real(row, theirs)
        for ours, theirs in names.items()
    }


def level(row: Row, price: str, quantity: str, orders: str) -> DepthLevel:
    """One price level, by the broker's three field names."""
    return DepthLevel(fields.real(row, price), fields.whole(row, quantity), fields.whole(row, orders))


class Wire(NamedTuple):
    """How a broker names an instrument."""

    symbol: str
    exchange: str
    token: str


def contract(
    exchange: Exchange,
    kind: InstrumentKind,
    name: str,
    expiry: date,
    strike: Decimal | None,
    lot_size: int,
    tick_size: Decimal,
    wire: Wire,
) -> Instrument:
    """A future or an option from what a master says of it, with what only our facts know of its underlying."""
    return Instrument(
        symbol=build(name, kind, expiry, strike),
        exchange=exchange,
        kind=kind,
        name=name,
        lot_size=lot_size,
        tick_size=tick_size,
        broker_symbol=wire.symbol,
        broker_exchange=wire.exchange,
        broker_token=wire.token,
        expiry=expiry,
        strike=strike,
        freeze_quantity=facts.freeze_quantity(exchange, name, option=kind.is_option, lot_size=lot_size),
        contract_value=facts.contract_value(exchange, name, lot_size),
    )
