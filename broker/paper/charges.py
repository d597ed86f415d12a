"""Taxes and fees of what has traded, by the rates in force on the day. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from broker.paper.booked import BookedOrder


def no_charges(order: BookedOrder, at: datetime) -> Decimal:
    """Nothing costs anything."""
    return Decimal(0)
