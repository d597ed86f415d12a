"""Numbers and times as the public API writes them, and the rows that several replies share."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from domain.model import Exchange, OrderState
from domain.money import rupees

_INDIA = timezone(timedelta(hours=5, minutes=30))
"""India's offset since 1945, written out: a zone's table costs a book of a thousand orders five milliseconds."""

_FINE = frozenset({Exchange.CDS, Exchange.BCD, Exchange.CRYPTO})

_STATUS = {
    OrderState.PENDING: "open",
    OrderState.OPEN: "open",
    OrderState.UNKNOWN: "open",
    OrderState.TRIGGER_PENDING: "trigger pending",
    OrderState.COMPLETE: "complete",
    OrderState.CANCELLED: "cancelled",
    OrderState.EXPIRED: "cancelled",
    OrderState.REJECTED: "rejected",
}

UNCERTAIN = frozenset({OrderState.PENDING, OrderState.UNKNOWN})
"""States that the public words hide: the row then says which one in `state`."""


def order_status(state: OrderState) -> str:
    """The public word of an order's state; `trigger pending` has a space."""
    return _STATUS[state]


def quantity(value: Decimal) -> int | float:
    """Units: an int when whole, a float for a fraction of a coin."""
    return int(value) if value == value.to_integral_value() else float(value)


def money(value: Decimal | None) -> float:
    """Rupees to the paisa; 0 for None."""
    return 0.0 if value is None else float(rupees(value))


def average(value: Decimal | None, exchange: Exchange) -> float:
    """An average price: to the paisa, finer where the exchange's own ticks are; 0 for None."""
    return 0.0 if value is None else round(float(value), 6 if exchange in _FINE else 2)


def price(value: Decimal | None) -> float:
    """A price as it was given; 0 for None."""
    return 0.0 if value is None else float(value)


def seen(value: float | None) -> float:
    """A price from the market; 0 where it is missing or no number."""
    return value if value is not None and math.isfinite(value) else 0.0


def ist(moment: datetime) -> str:
    """YYYY-MM-DD HH:MM:SS in India."""
    return moment.astimezone(_INDIA).isoformat(" ", "seconds")[:19]
