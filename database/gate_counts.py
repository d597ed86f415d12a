"""What the gate counts inside its transaction.

An intent becomes an order in one commit of somebody else's, so the two are counted in one statement: between two, an
order would be in neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection, Select, bindparam, exists, func, or_, select

from database.events import EVENTS, ORDER_ROWS
from database.intents import INTENTS, Intent
from database.prepared import Prepared
from database.types import Quantity, from_units
from domain.model import IntentKind, IntentState, OrderState, Side

_QUEUED = Prepared(
    select(INTENTS.c.id)
    .where(
        INTENTS.c.account_id == bindparam("account"),
        INTENTS.c.exchange == bindparam("exchange"),
        INTENTS.c.state == IntentState.QUEUED.value,
    )
    .limit(1)
)
_FINAL = [state.value for state in OrderState if state.is_final]
_IN_FLIGHT = (IntentState.QUEUED, IntentState.SENDING, IntentState.UNKNOWN)
_WISHED = (IntentState.PARKED, *_IN_FLIGHT)


def open_orders(connection: Connection, intent: Intent, strategy: str | None) -> int:
    """Working orders plus intents parked or on their way, where the intent goes; of one strategy or (None) of the
    account."""
    orders: list[ColumnElement[bool]] = [
        ORDER_ROWS.c.account_id == intent.account_id,
        ORDER_ROWS.c.broker == intent.broker,
        ORDER_ROWS.c.state.not_in(_FINAL),
    ]
    intents: list[ColumnElement[bool]] = _in(intent, _WISHED)
    if strategy is not None:
        orders.append(ORDER_ROWS.c.strategy == strategy)
        intents.append(INTENTS.c.strategy == strategy)
    working = select(func.count()).select_from(ORDER_ROWS).where(*orders).scalar_subquery()
    waiting = select(func.count()).select_from(INTENTS).where(*intents).scalar_subquery()
    return int(connection.execute(select(working + waiting)).scalar_one())


def placed_since(connection: Connection, intent: Intent, strategy: str | None, moment: datetime) -> int:
    """PLACE intents made since a moment where the intent goes, refused ones included."""
    where: list[ColumnElement[bool]] = [
        INTENTS.c.account_id == intent.account_id,
        INTENTS.c.broker == intent.broker,
        INTENTS.c.created_at >= moment,
        INTENTS.c.kind == IntentKind.PLACE.value,
    ]
    if strategy is not None:
        where.append(INTENTS.c.strategy == strategy)
    return int(connection.execute(select(func.count()).select_from(INTENTS).where(*where)).scalar_one())


def same_since(connection: Connection, intent: Intent, moment: datetime) -> bool:
    """Whether an order of the same terms was journalled since a moment and not refused. Legs of its own plan do not
    count: a split has equal children on purpose."""
    return bool(
        connection.execute(
            select(
                exists().where(
                    INTENTS.c.account_id == intent.account_id,
                    INTENTS.c.created_at >= moment,
                    INTENTS.c.kind == IntentKind.PLACE.value,
                    INTENTS.c.state != IntentState.REFUSED.value,
                    INTENTS.c.symbol == intent.symbol,
                    INTENTS.c.exchange == intent.exchange.value,
                    INTENTS.c.side == intent.side.value,
                    INTENTS.c.quantity == intent.quantity,
                    INTENTS.c.order_type == intent.order_type.value,
                    INTENTS.c.product == intent.product.value,
                    INTENTS.c.price.is_not_distinct_from(intent.price),
                    INTENTS.c.trigger_price.is_not_distinct_from(intent.trigger_price),
                    INTENTS.c.strategy == intent.strategy,
                    or_(INTENTS.c.plan_id.is_(None), INTENTS.c.plan_id.is_distinct_from(intent.plan_id)),
                )
            )
        ).scalar()
    )


def queued(connection: Connection, account_id: int, exchange: str) -> bool:
    """Whether an order waits for a send slot of this account and exchange."""
    return bool(_QUEUED.rows(connection, {"account": account_id, "exchange": exchange}))


def committed(
    connection: Connection, intent: Intent, side: Side, *, parked: bool = False, since: int | None = None
) -> Decimal:
    """Units of the same instrument and product that working orders and intents of a side may still trade there.

    parked  count also what waits for a person, who may never approve it
    since   count also what orders with news above this event's number have filled: a position read before it may not
            show that
    """
    orders = _same_line(intent, side).where(ORDER_ROWS.c.state.not_in(_FINAL))
    heard = select(EVENTS.c.order_id).where(
        EVENTS.c.account_id == intent.account_id,
        EVENTS.c.seq > (since or 0),
        EVENTS.c.broker == intent.broker,
    )
    filled = _same_line(intent, side, ORDER_ROWS.c.filled).where(ORDER_ROWS.c.order_id.in_(heard))
    intents = select(func.sum(INTENTS.c.quantity)).where(
        *_in(intent, _WISHED if parked else _IN_FLIGHT),
        INTENTS.c.symbol == intent.symbol,
        INTENTS.c.exchange == intent.exchange.value,
        INTENTS.c.product == intent.product.value,
        INTENTS.c.side == side.value,
    )
    parts = [orders, intents] if since is None else [orders, intents, filled]
    counted = connection.execute(select(*(part.scalar_subquery() for part in parts))).one()
    return sum(map(_units, counted), Decimal(0))


def _same_line(
    intent: Intent, side: Side, units: ColumnElement[Decimal] = ORDER_ROWS.c.quantity - ORDER_ROWS.c.filled
) -> Select[Decimal]:
    """Units of the orders of a side of the intent's instrument and product, where the intent goes."""
    return select(func.sum(units, type_=Quantity())).where(
        ORDER_ROWS.c.account_id == intent.account_id,
        ORDER_ROWS.c.broker == intent.broker,
        ORDER_ROWS.c.symbol == intent.symbol,
        ORDER_ROWS.c.exchange == intent.exchange.value,
        ORDER_ROWS.c.product == intent.product.value,
        ORDER_ROWS.c.side == side.value,
    )


def _in(intent: Intent, states: Sequence[IntentState]) -> list[ColumnElement[bool]]:
    """New orders in these states that go where the intent goes."""
    return [
        INTENTS.c.account_id == intent.account_id,
        INTENTS.c.broker == intent.broker,
        INTENTS.c.kind == IntentKind.PLACE.value,
        INTENTS.c.state.in_([state.value for state in states]),
    ]


def _units(value: int | Decimal | None) -> Decimal:
    """A sum of Quantity columns, which drivers return as a Decimal already converted or as raw units."""
    if value is None:
        return Decimal(0)
    return value if isinstance(value, Decimal) else from_units(value)
