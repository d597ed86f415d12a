"""Orders that hosted strategies placed: found by the keys minted for their runs, not by what they call themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection, select

from database.events import ORDER_ROWS
from database.intents import INTENTS


class StrategyOrder(NamedTuple):
    """One order as the journal and the broker's book have it. state: the order's, else the intent's"""

    intent_id: str
    order_id: str
    placed_at: datetime
    symbol: str
    exchange: str
    product: str
    side: str
    quantity: Decimal
    filled: Decimal
    average_price: Decimal | None
    order_type: str
    price: Decimal | None
    trigger_price: Decimal | None
    state: str
    reason: str
    mode: str


def of_keys(connection: Connection, key_ids: Sequence[int], since: datetime) -> list[StrategyOrder]:
    """Newest first."""
    orders = ORDER_ROWS.c
    query = (
        select(INTENTS, orders.order_id, orders.filled, orders.average_price, orders.state, orders.reason)
        .add_columns(INTENTS.c.state.label("intent_state"), orders.state.label("order_state"))
        .outerjoin(
            ORDER_ROWS,
            (orders.client_order_id == INTENTS.c.id) & (orders.account_id == INTENTS.c.account_id),
        )
        .where(INTENTS.c.key_id.in_(key_ids), INTENTS.c.kind == "PLACE", INTENTS.c.created_at >= since)
        .order_by(INTENTS.c.created_at.desc())
    )
    return [
        StrategyOrder(
            intent_id=row["id"],
            order_id=row["told_id"] or row["broker_order_id"] or row["id"],
            placed_at=row["created_at"],
            symbol=row["symbol"],
            exchange=row["exchange"],
            product=row["product"],
            side=row["side"],
            quantity=row["quantity"],
            filled=row["filled"] or Decimal(0),
            average_price=row["average_price"],
            order_type=row["order_type"],
            price=row["price"],
            trigger_price=row["trigger_price"],
            state=row["order_state"] or row["intent_state"],
            reason=row["reason"] or row["words"],
            mode=row["mode"],
        )
        for row in connection.execute(query).mappings()
    ]
