"""Market-price protection: how far from a price a market order may reach, as one policy for all brokers.

Exchanges and brokers refuse bare market orders from programs; a limit a small percentage beyond the last price
does the same work with a bound. Percentages are facts (`facts/price_protection.csv`, rule MPP, first table).
"""

from __future__ import annotations

import csv
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cache
from pathlib import Path
from typing import TypeVar

from domain.model import GttLeg, Instrument, ModifyOrder, OrderType, PlaceOrder, Side

AnyOrder = TypeVar("AnyOrder", PlaceOrder, ModifyOrder)
Bands = tuple[tuple[Decimal, Decimal], ...]

_FACTS = Path(__file__).parent.parent / "facts" / "price_protection.csv"
_TABLE = "broker default (Zerodha table)"
_OPTIONS = "OPT"


@cache
def _bands() -> dict[bool, Bands]:
    """By is_option: (price from which a band begins, percentage), ascending."""
    found: dict[bool, list[tuple[Decimal, Decimal]]] = {True: [], False: []}
    with _FACTS.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["rule"] == "MPP" and row["who"] == _TABLE:
                band = (Decimal(row["price_above"]), Decimal(row["percent"]))
                found[row["instruments"] == _OPTIONS].append(band)
    return {is_option: tuple(sorted(bands)) for is_option, bands in found.items()}


def percentage(instrument: Instrument, around: Decimal) -> Decimal:
    """How many percent beyond `around` a protected order may trade."""
    bands = _bands()[instrument.kind.is_option]
    return max((band for band in bands if around >= band[0]), default=bands[0])[1]


def protected_price(instrument: Instrument, side: Side, around: float | Decimal) -> Decimal:
    """The limit beyond `around` on the side that trades, on the tick grid, at least one tick away.

    `around` is the last price, or a stop's trigger, rupees, above zero. Never below one tick.
    """
    base = Decimal(str(around))
    tick = instrument.tick_size
    room = base * percentage(instrument, base) / 100
    if side is Side.BUY:
        ticks = ((base + room) / tick).to_integral_value(ROUND_FLOOR)
        return max(ticks, (base / tick).to_integral_value(ROUND_FLOOR) + 1) * tick
    ticks = ((base - room) / tick).to_integral_value(ROUND_CEILING)
    return max(min(ticks, (base / tick).to_integral_value(ROUND_CEILING) - 1), Decimal(1)) * tick


def protected(order: AnyOrder, around: float | Decimal) -> AnyOrder:
    """MARKET as LIMIT and SL-M as SL, priced by `protected_price`; other types as they are."""
    kinds = {OrderType.MARKET: OrderType.LIMIT, OrderType.STOP_MARKET: OrderType.STOP_LIMIT}
    if order.order_type not in kinds:
        return order
    price = protected_price(order.instrument, order.side, around)
    return replace(order, order_type=kinds[order.order_type], price=price)


def protected_leg(leg: GttLeg, instrument: Instrument) -> GttLeg:
    """A trigger's leg as a limit, for brokers whose triggers release nothing else: priced around its trigger."""
    if leg.order_type is OrderType.LIMIT:
        return leg
    price = protected_price(instrument, leg.side, leg.trigger_price)
    return replace(leg, order_type=OrderType.LIMIT, price=price)
