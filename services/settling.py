"""Between journal rows and brokers: the orders that rows become, and what an outcome makes of a row."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from database import events as event_rows
from database import intents as intent_rows
from database.intents import Intent
from domain.conversion import ConvertPosition
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
from services.order_updates import NOT_RECEIVED


def write_outcome(connection: Connection, intent: Intent, outcome: Outcome, now: datetime) -> Intent:
    """Settle a row by what its broker answered; the row as it is now, also when it had moved meanwhile. An answer that
    comes after its sender was given up counts as long as nothing else has told."""
    event_rows.hold_account(connection, intent.account_id)
    state, changes = _settled(intent, outcome, now)
    if not intent_rows.move(connection, intent.id, IntentState.SENDING, state, now, **changes):
        current = intent_rows.by_id(connection, intent.id)
        if current is None or not _still_asks(current, outcome):
            return intent if current is None else current
        intent = current
        state, changes = _settled(current, outcome, now)
        changes = {"code": "", "words": ""} | changes
        intent_rows.move(connection, intent.id, current.state, state, now, **changes)
    if isinstance(outcome, Accepted) and intent.kind is IntentKind.PLACE:
        order = _first_sight(intent, outcome.order_id, OrderState.PENDING)
        event_rows.record_first(
            connection, intent.account_id, intent.broker, intent.mode, order, "place", now
        )
    return replace(intent, state=state, **changes)


def _still_asks(current: Intent, outcome: Outcome) -> bool:
    """Whether an answer tells more than a row that is not SENDING any more."""
    if current.state is IntentState.UNKNOWN:
        return not isinstance(outcome, Ambiguous)
    return current.code == NOT_RECEIVED and isinstance(outcome, Accepted)


def _settled(intent: Intent, outcome: Outcome, now: datetime) -> tuple[IntentState, dict[str, Any]]:
    """The state an outcome leads to, and what else changes in the row."""
    if isinstance(outcome, Ambiguous):
        return IntentState.UNKNOWN, {"words": outcome.words}
    placing = intent.kind is IntentKind.PLACE
    if isinstance(outcome, Accepted):
        told = outcome.order_id if placing and intent.told_id is None else intent.told_id
        changes = {"broker_order_id": outcome.order_id, "told_id": told, "settled_at": now}
        return IntentState.ACCEPTED, changes
    code, words, order_id = _refusal(outcome)
    stored = order_id if placing and order_id else None
    return IntentState.REFUSED, {
        "code": code,
        "words": words,
        "settled_at": now,
        "broker_order_id": stored or intent.broker_order_id,
        "told_id": intent.told_id or stored,
    }


def _refusal(outcome: Refused | Throttled | SessionExpired) -> tuple[str, str, str]:
    if isinstance(outcome, Refused):
        return outcome.code, outcome.words, outcome.order_id
    if isinstance(outcome, Throttled):
        return "THROTTLED", outcome.words or "The broker refused the order for too many requests.", ""
    return "SESSION_EXPIRED", outcome.words or "The broker session has expired; log in again.", ""


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
        urgent=intent.reduces,
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


def conversion(intent: Intent, instrument: Instrument) -> ConvertPosition:
    """What a CONVERT intent sends."""
    assert intent.to_product is not None
    return ConvertPosition(
        client_order_id=intent.id,
        instrument=instrument,
        side=intent.side,
        quantity=intent.quantity,
        product=intent.product,
        to_product=intent.to_product,
    )
