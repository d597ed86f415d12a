"""Whether a paper account could pay for a GTT now, asked when it is placed and when it is changed.

Nothing is blocked for it: the worker keeps paper GTTs, the exchange that keeps the money knows only the order that one
sends when it fires, and refuses that when the money has gone elsewhere meanwhile.
"""

from __future__ import annotations

from decimal import Decimal

from broker.interface import Broker
from database.triggers import Trigger, TriggerLeg
from domain.errors import InvalidRequest
from domain.figures import inr
from domain.model import Instrument, Mode, OrderType, PlaceOrder

_NEEDED = frozenset({"funds", "margin", "positions"})


def check_gtt_margin(broker: Broker, trigger: Trigger, instrument: Instrument) -> None:
    """Raises InvalidRequest when less is free than its dearer leg would block beyond closing what is open."""
    if trigger.mode is not Mode.ANALYZE or not broker.manifest.can.reads >= _NEEDED:
        return
    line = (trigger.symbol, trigger.exchange, trigger.product)
    rows = [row for row in broker.fetch_positions() if (row.symbol, row.exchange, row.product) == line]
    held = sum((row.quantity for row in rows), Decimal(0))
    opens = trigger.quantity - max(-held * trigger.side.sign, Decimal(0))
    if opens <= 0:
        return
    orders = [_order(trigger, leg, instrument, opens) for leg in trigger.legs]
    needed = max(broker.fetch_margin([order]).total for order in orders)
    free = broker.fetch_funds().available
    if needed > free:
        raise InvalidRequest(
            f"Insufficient funds: this GTT would need ₹{inr(needed)} and ₹{inr(free)} is available.",
            "quantity",
        )


def _order(trigger: Trigger, leg: TriggerLeg, instrument: Instrument, quantity: Decimal) -> PlaceOrder:
    return PlaceOrder(
        client_order_id="",
        instrument=instrument,
        side=trigger.side,
        quantity=quantity,
        order_type=OrderType.LIMIT,
        product=trigger.product,
        price=leg.price or leg.trigger_price,
    )
