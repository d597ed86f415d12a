"""The orders that triggers sent, as the journal and the brokers' news know them. A trigger's keys begin with its id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from database import events as event_rows
from database import plans as plan_rows
from database.events import ORDER_ROWS
from database.intents import INTENTS, Intent, by_key, from_row, of_plan, placing
from database.plans import PLANS
from database.triggers import Trigger, TriggerLeg
from domain.model import IntentKind, IntentState, Order, OrderType, Side

_PREFIX = "trigger:"
_PERSONS = ("page", "cli")
_ON_THEIR_WAY = (IntentState.QUEUED, IntentState.SENDING, IntentState.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What was sent under one key: `wanted` units, an intent for each piece, whether pieces are still to come."""

    wanted: Decimal
    intents: tuple[Intent, ...]
    running: bool = False


def new_key(connection: Connection, trigger: Trigger, leg: TriggerLeg) -> str:
    """A key that nothing of this leg was sent under."""
    base = f"{_PREFIX}{trigger.id}:{leg.leg}"
    count, key = 0, base
    while by_key(connection, trigger.account_id, key) or plan_rows.by_key(
        connection, trigger.account_id, key
    ):
        count += 1
        key = f"{base}:{count}"
    return key


def sent_as(connection: Connection, account_id: int, name: str) -> Sent | None:
    """What was journalled under a key, or with an order of this id; None for nothing."""
    intent = by_key(connection, account_id, name) or placing(connection, account_id, name)
    if intent is not None and intent.plan_id is None:
        return Sent(wanted=intent.quantity, intents=(intent,))
    plan = (
        plan_rows.by_key(connection, account_id, name)
        if intent is None
        else plan_rows.by_id(connection, intent.plan_id or 0)
    )
    if plan is None:
        return None
    wanted = sum((Decimal(leg["quantity"]) for leg in plan.request["legs"]), Decimal(0))
    running = plan.state == plan_rows.RUNNING
    return Sent(wanted=wanted, intents=tuple(of_plan(connection, plan.id)), running=running)


def orders_of(connection: Connection, intents: Sequence[Intent]) -> dict[str, Order]:
    """Intent id -> its order as last told, of those that a broker has told of."""
    found = {}
    for intent in intents:
        if intent.broker_order_id is not None:
            order = event_rows.known(connection, intent.account_id, intent.broker, intent.broker_order_id)
            if order is not None:
                found[intent.id] = order
    return found


def filled_by(connection: Connection, trigger: Trigger) -> Decimal:
    """Units that all orders of this trigger have filled."""
    intents = _sent(connection, trigger.account_id, f"{_PREFIX}{trigger.id}:")
    orders = orders_of(connection, intents)
    return sum((order.filled for order in orders.values()), Decimal(0))


def in_flight(connection: Connection, trigger: Trigger, settled_since: datetime) -> Decimal:
    """Units of the trigger's line that MARKET orders of triggers, also of this one, are to close, or closed since a
    moment, so that a book of positions may not show it yet."""
    line = (
        INTENTS.c.symbol == trigger.symbol,
        INTENTS.c.exchange == trigger.exchange.value,
        INTENTS.c.product == trigger.product.value,
        INTENTS.c.side == trigger.side.value,
        INTENTS.c.mode == trigger.mode.value,
        INTENTS.c.order_type == OrderType.MARKET.value,
    )
    sent = _sent(connection, trigger.account_id, _PREFIX, *line)
    orders = orders_of(connection, sent)
    units = Decimal(0)
    for intent in sent:
        order = orders.get(intent.id)
        if intent.state in _ON_THEIR_WAY or (intent.state is IntentState.ACCEPTED and order is None):
            units += intent.quantity
        elif order is not None:
            shown = order.filled if order.updated_at < settled_since else Decimal(0)
            units += (order.filled if order.state.is_final else intent.quantity) - shown
    return units


def others_left(connection: Connection, trigger: Trigger, since: datetime) -> Decimal:
    """Signed units that orders of other strategies left on the trigger's line since a moment. What persons sent is of
    no strategy, whatever it was called."""
    query = (
        select(INTENTS.c.side, ORDER_ROWS.c.filled)
        .join(
            ORDER_ROWS,
            (ORDER_ROWS.c.account_id == INTENTS.c.account_id)
            & (ORDER_ROWS.c.client_order_id == INTENTS.c.id),
        )
        .where(
            INTENTS.c.account_id == trigger.account_id,
            INTENTS.c.created_at >= since,
            INTENTS.c.kind == IntentKind.PLACE.value,
            INTENTS.c.symbol == trigger.symbol,
            INTENTS.c.exchange == trigger.exchange.value,
            INTENTS.c.product == trigger.product.value,
            INTENTS.c.mode == trigger.mode.value,
            INTENTS.c.strategy.notin_(("", trigger.strategy)),
            INTENTS.c.door.notin_(_PERSONS),
        )
    )
    return sum((Side(side).sign * filled for side, filled in connection.execute(query)), Decimal(0))


def _sent(connection: Connection, account_id: int, prefix: str, *where: ColumnElement[bool]) -> list[Intent]:
    """PLACE intents whose key, or whose plan's key, begins so."""
    plans = select(PLANS.c.id).where(
        PLANS.c.account_id == account_id, _begins(PLANS.c.idempotency_key, prefix)
    )
    query = select(INTENTS).where(
        INTENTS.c.account_id == account_id,
        INTENTS.c.kind == IntentKind.PLACE.value,
        or_(_begins(INTENTS.c.idempotency_key, prefix), INTENTS.c.plan_id.in_(plans)),
        *where,
    )
    return [from_row(row) for row in connection.execute(query).mappings()]


def _begins(column: ColumnElement[str | None], prefix: str) -> ColumnElement[bool]:
    return and_(column.is_not(None), func.substr(column, 1, len(prefix)) == prefix)
