"""What the journal says of converted positions: which are in doubt, what they moved, and which exits need the rest."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, and_, func, or_, select

from database.gate_counts import committed
from database.intents import INTENTS, Intent
from database.triggers import ACTIVE, TRIGGERS, UNKNOWN
from database.types import Quantity
from domain.model import IntentKind, IntentState, Side

_OPEN = [state.value for state in (IntentState.SENDING, IntentState.UNKNOWN)]


def in_doubt(connection: Connection, intent: Intent, looked_at: datetime, today: datetime) -> bool:
    """Whether another conversion of the same instrument has no answer yet (asked since `today` began), or was answered
    after the positions were looked at."""
    query = select(func.count()).where(
        INTENTS.c.account_id == intent.account_id,
        INTENTS.c.broker == intent.broker,
        INTENTS.c.kind == IntentKind.CONVERT.value,
        INTENTS.c.symbol == intent.symbol,
        INTENTS.c.exchange == intent.exchange.value,
        or_(
            and_(INTENTS.c.state.in_(_OPEN), INTENTS.c.created_at >= today),
            INTENTS.c.settled_at > looked_at,
        ),
    )
    return bool(connection.execute(query).scalar_one())


def needed_by_exits(connection: Connection, intent: Intent) -> Decimal:
    """Units of the line that open orders would close, or the largest guard of it, whichever is more."""
    side = intent.side.opposite
    guards = select(func.max(TRIGGERS.c.quantity, type_=Quantity())).where(
        TRIGGERS.c.account_id == intent.account_id,
        TRIGGERS.c.broker == intent.broker,
        TRIGGERS.c.origin == "exit",
        TRIGGERS.c.state.in_((ACTIVE, UNKNOWN)),
        TRIGGERS.c.symbol == intent.symbol,
        TRIGGERS.c.exchange == intent.exchange.value,
        TRIGGERS.c.product == intent.product.value,
        TRIGGERS.c.side == side.value,
    )
    guarded = connection.execute(guards).scalar()
    return max(committed(connection, intent, side, parked=True), guarded or Decimal(0))


def moved(
    connection: Connection, account_id: int, broker: str, since: datetime
) -> dict[tuple[str, str, str], Decimal]:
    """(symbol, exchange, product) -> signed units that accepted conversions brought or took since a moment."""
    query = select(INTENTS).where(
        INTENTS.c.account_id == account_id,
        INTENTS.c.broker == broker,
        INTENTS.c.kind == IntentKind.CONVERT.value,
        INTENTS.c.state == IntentState.ACCEPTED.value,
        INTENTS.c.created_at >= since,
    )
    found: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for row in connection.execute(query).mappings():
        units = row["quantity"] * Side(row["side"]).sign
        found[row["symbol"], row["exchange"], row["product"]] -= units
        found[row["symbol"], row["exchange"], row["to_product"]] += units
    return dict(found)
