"""The journal read for people: what has no answer yet, and how an order came to be as it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from database import events as event_rows
from database import intent_log
from database import intents as intent_rows
from database.engine import Database
from database.intent_log import Asked
from database.intents import Intent
from domain.model import IntentKind, IntentState, OrderEvent, OrderState
from services.accounts import Caller

__all__ = ["Asked", "Intent", "OrderJournal", "Step", "Timeline"]

_WAITING = (IntentState.PARKED, IntentState.QUEUED, IntentState.SENDING, IntentState.UNKNOWN)
_ASKED = {
    IntentKind.PLACE: "Asked for",
    IntentKind.MODIFY: "Change asked for",
    IntentKind.CANCEL: "Cancel asked for",
    IntentKind.CONVERT: "Conversion asked for",
}
_BECAME = {
    OrderState.PENDING: "Broker has it, exchange not yet",
    OrderState.OPEN: "Open at the exchange",
    OrderState.TRIGGER_PENDING: "Waits for its trigger",
    OrderState.UNKNOWN: "Broker's word for its state is not known here",
    OrderState.COMPLETE: "Filled",
    OrderState.CANCELLED: "Cancelled",
    OrderState.REJECTED: "Rejected",
    OrderState.EXPIRED: "Expired",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. kind: "ok", "bad" or "open" (not known yet)."""

    at: datetime
    words: str
    kind: str = "ok"


@dataclass(frozen=True, slots=True)
class Timeline:
    """An order's steps, oldest first, and the intent that placed it (None for one placed elsewhere)."""

    steps: list[Step]
    intent: Intent | None


class OrderJournal:
    """Reads only; every method is for the caller's account alone."""

    def __init__(self, orders: Database) -> None:
        self._db = orders

    def unsettled(self, caller: Caller) -> list[Intent]:
        """New orders that the broker's book cannot show: parked, queued, on their way or without an answer."""
        with self._db.read() as connection:
            found = intent_rows.in_states(connection, *_WAITING, account_id=caller.account.id)
        here = caller.account.venue
        return [one for one in found if one.kind is IntentKind.PLACE and one.broker == here]

    def converting(self, caller: Caller) -> list[Intent]:
        """Conversions on their way or without an answer."""
        doubt = (IntentState.SENDING, IntentState.UNKNOWN)
        with self._db.read() as connection:
            found = intent_rows.in_states(connection, *doubt, account_id=caller.account.id)
        here = caller.account.venue
        return [one for one in found if one.kind is IntentKind.CONVERT and one.broker == here]

    def requests(
        self, caller: Caller, asked: Asked, before: tuple[datetime, str] | None, limit: int
    ) -> list[Intent]:
        """What was asked of the account, newest first, from below `before` (a row's time and id) on."""
        with self._db.read() as connection:
            return intent_log.newest(connection, caller.account.id, asked, before, limit)

    def timeline(self, caller: Caller, order_id: str) -> Timeline:
        """How an order came to be as it is, by any id it is known by; no steps for an unknown id."""
        account = caller.account.id
        with self._db.read() as connection:
            intent = intent_rows.placing(connection, account, order_id)
            broker_id = (intent.broker_order_id if intent else order_id) or ""
            events = event_rows.timeline(connection, account, broker_id) if broker_id else []
            changes = intent_rows.about(connection, account, broker_id) if broker_id else []
        steps = [step for one in ([intent] if intent else []) + changes for step in _intent_steps(one)]
        steps += _event_steps(events)
        return Timeline(sorted(steps, key=lambda step: step.at), intent)


def _intent_steps(intent: Intent) -> list[Step]:
    by = intent.strategy or {"page": "a person", "api": "a program"}.get(intent.door, intent.door)
    steps = [Step(intent.created_at, f"{_ASKED[intent.kind]} by {by}, gate passed, written to the journal")]
    if intent.sent_at is not None:
        steps.append(Step(intent.sent_at, f"Sent to {intent.broker}"))
    if intent.settled_at is not None:
        steps.append(_settled(intent, intent.settled_at))
    elif intent.state is IntentState.UNKNOWN:
        steps.append(
            Step(intent.sent_at or intent.created_at, "No answer, outcome unknown; not sent again", "open")
        )
    return steps


def _settled(intent: Intent, at: datetime) -> Step:
    if intent.state is IntentState.ACCEPTED:
        return Step(at, f"{intent.broker} took it")
    if intent.state is IntentState.EXPIRED:
        return Step(at, "Lapsed before it was sent", "bad")
    words = f": {intent.words}" if intent.words else ""
    return Step(at, f"Refused{words}", "bad")


def _event_steps(events: list[OrderEvent]) -> list[Step]:
    steps = []
    for event in events:
        order, words = event.order, _BECAME[event.order.state]
        if order.filled and order.state is OrderState.OPEN:
            words = f"Filled {order.filled.normalize():f} of {order.quantity.normalize():f}"
        if order.average_price is not None:
            words += f" at {order.average_price.normalize():f}"
        if order.reason:
            words += f": {order.reason}"
        bad = order.state in (OrderState.REJECTED, OrderState.EXPIRED)
        kind = "bad" if bad else "open" if order.state is OrderState.UNKNOWN else "ok"
        steps.append(Step(event.at, words, kind))
    return steps
