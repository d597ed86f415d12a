"""Between journal rows and brokers: the orders that rows become, and what an outcome makes of a row."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from database import events as event_rows
from database import intents as intent_rows
from database.intents import Intent
from domain.model import (
    Instrument,
    IntentKind,
    IntentState,
    ModifyOrder,
    Order,
    OrderState,
    PlaceOrder,
)
from domain.outcomes import Accepted, Ambiguous, Outcome, Refused, SessionExpired, Throttled


def write_outcome(connection: Connection, intent: Intent, outcome: Outcome, now: datetime) -> None:
    """Settle a SENDING row by what its broker answered; a row that moved meanwhile is left alone."""
    sending = IntentState.SENDING
    if isinstance(outcome, Accepted):
        changes = {"broker_order_id": outcome.order_id, "settled_at": now}
        if intent.kind is IntentKind.PLACE and intent.told_id is None:
            changes["told_id"] = outcome.order_id
        if intent_rows.move(connection, intent.id, sending, IntentState.ACCEPTED, now, **changes):
            _record_pending(connection, intent, outcome.order_id, now)
    elif isinstance(outcome, Ambiguous):
        intent_rows.move(connection, intent.id, sending, IntentState.UNKNOWN, now, words=outcome.words)
    else:
        code, words, order_id = _refusal(outcome)
        changes = {"code": code, "words": words, "settled_at": now}
        if order_id and intent.kind is IntentKind.PLACE:
            changes |= {"broker_order_id": order_id, "told_id": order_id}
        intent_rows.move(connection, intent.id, sending, IntentState.REFUSED, now, **changes)


def _refusal(outcome: Refused | Throttled | SessionExpired) -> tuple[str, str, str]:
    if isinstance(outcome, Refused):
        return outcome.code, outcome.words, outcome.order_id
    if isinstance(outcome, Throttled):
        return "THROTTLED", outcome.words or "The broker refused the order for too many requests.", ""
    return "SESSION_EXPIRED", outcome.words or "The broker session has expired; log in again.", ""


def _record_pending(connection: Connection, intent: Intent, order_id: str, now: datetime) -> None:
    """Show an accepted order at once, unless an update was faster."""
    if intent.kind is not IntentKind.PLACE:
        return
    if event_rows.known(connection, intent.account_id, intent.broker, order_id) is None:
        order = _first_sight(intent, order_id, OrderState.PENDING)
        event_rows.record(connection, intent.account_id, intent.broker, intent.mode, order, "place", now)


def _first_sight(intent: Intent, order_id: str, state: OrderState) -> Order:
    return Order(
        order_id=order_id,
        client_order_id=intent.id,
        symbol=intent.symbol,
        exchange=intent.exchange,
        side=intent.side,
        quantity=intent.quantity,
        order_type=intent.order_type,
        product=intent.product,
        price=intent.price,
        trigger_price=intent.trigger_price,
        disclosed_quantity=intent.disclosed_quantity,
        state=state,
        strategy=intent.strategy,
        placed_at=intent.created_at,
        updated_at=intent.created_at,
    )


def unseen(intent: Intent) -> Order:
    """An order of ours that no broker row shows: what the journal says of it."""
    states = {
        IntentState.REFUSED: OrderState.REJECTED,
        IntentState.EXPIRED: OrderState.EXPIRED,
        IntentState.UNKNOWN: OrderState.UNKNOWN,
    }
    order = _first_sight(intent, intent.public_id, states.get(intent.state, OrderState.PENDING))
    return replace(order, reason=intent.words) if intent.state.is_final else order


def place_order(intent: Intent, instrument: Instrument) -> PlaceOrder:
    """What a PLACE intent sends."""
    return PlaceOrder(
        client_order_id=intent.id,
        instrument=instrument,
        side=intent.side,
        quantity=intent.quantity,
        order_type=intent.order_type,
        product=intent.product,
        price=intent.price,
        trigger_price=intent.trigger_price,
        disclosed_quantity=intent.disclosed_quantity,
        strategy=intent.strategy,
        algo_id=intent.algo_id,
    )


def modify_order(intent: Intent, instrument: Instrument) -> ModifyOrder:
    """What a MODIFY intent sends."""
    return ModifyOrder(
        client_order_id=intent.id,
        order_id=intent.target_order_id,
        instrument=instrument,
        side=intent.side,
        quantity=intent.quantity,
        order_type=intent.order_type,
        product=intent.product,
        price=intent.price,
        trigger_price=intent.trigger_price,
        disclosed_quantity=intent.disclosed_quantity,
    )
