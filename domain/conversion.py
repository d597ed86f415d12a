"""Moving an open position from one product to another: what is asked of a broker. No order, no trade, no price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from domain.model import Instrument, Product, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertPosition:
    """A wish to hold a part of an open position, or all of it, under another product.

    client_order_id  16 of [a-z0-9], ours, unique for ever; a broker that knows the id answers it once
    side             of the position: BUY for a long one, SELL for a short one
    quantity         units, at most what is open
    """

    client_order_id: str
    instrument: Instrument
    side: Side
    quantity: Decimal
    product: Product
    to_product: Product
