"""The exchange's freeze quantity: what is refused above it, and the pieces an order is sent in."""

from __future__ import annotations

from decimal import Decimal

from domain.errors import InvalidRequest
from domain.model import Instrument, OrderRequest


def check_freeze(request: OrderRequest, instrument: Instrument) -> None:
    """Refuse a single order above the exchange's freeze quantity; an unknown one is not enforced."""
    freeze = instrument.freeze_quantity
    if freeze is not None and request.quantity > freeze:
        raise InvalidRequest(
            f"quantity {request.quantity} is above the freeze quantity {freeze} of {request.symbol}; split the order.",
            "quantity",
        )


def slices(quantity: Decimal, instrument: Instrument, most: Decimal | None = None) -> list[Decimal]:
    """A quantity in pieces that the exchange takes, whole lots each, the largest first; none above `most`."""
    caps = [Decimal(instrument.freeze_quantity)] if instrument.freeze_quantity is not None else []
    caps += [] if most is None else [most]
    if not caps or quantity <= min(caps):
        return [quantity]
    lot = Decimal(instrument.lot_size)
    piece = max(min(caps) // lot * lot, lot)
    whole, rest = divmod(quantity, piece)
    return [piece] * int(whole) + ([rest] if rest else [])
