"""The one door of broker news: sockets, postbacks, polls and the paper exchange all end in `apply`.

Updates may come late, twice and out of order; `domain/order_states.py` decides what is new, and each new thing is
one event in the account's own numbering. The bell rings after the commit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from database import events as event_rows
from database import intents as intent_rows
from database.engine import Database
from domain.clock import Clock
from domain.model import IntentState, Mode, Order, OrderEvent
from domain.order_states import advance

log = logging.getLogger(__name__)

NOT_RECEIVED = "NOT_RECEIVED"
"""Code of an intent that no complete book showed for long enough."""


class OrderUpdates:
    """Applies broker news to one orders store."""

    def __init__(self, orders: Database, clock: Clock, tell: Callable[[int], None]) -> None:
        self._db = orders
        self._clock = clock
        self._tell = tell

    def apply(
        self,
        account_id: int,
        broker: str,
        mode: Mode,
        orders: Sequence[Order],
        source: str,
        *,
        cursor: int | None = None,
    ) -> list[OrderEvent]:
        """Record what is new, in the order given, in one transaction; returns the events.

        cursor  the broker's own number up to which these updates reach, kept in the same transaction
        """
        now = self._clock.now()

        def work(connection: Connection) -> list[OrderEvent]:
            event_rows.hold_account(connection, account_id)
            known = event_rows.known_many(
                connection, account_id, broker, {order.order_id for order in orders}
            )
            fresh = []
            for order in orders:
                before = known.get(order.order_id)
                if order.client_order_id and not (before and before.client_order_id):
                    order = _adopt(connection, account_id, order, now)
                news = advance(before, order)
                if news is not None:
                    known[order.order_id] = news
                    fresh.append(news)
            events = event_rows.record(connection, account_id, broker, mode, fresh, source, now)
            if cursor is not None:
                event_rows.move_cursor(connection, account_id, broker, cursor)
            return events

        events = self._db.write(work)
        if events:
            self._tell(account_id)
        return events

    def cursor(self, account_id: int, broker: str) -> int:
        """How far the broker's own numbered updates were applied."""
        with self._db.read() as connection:
            return event_rows.cursor(connection, account_id, broker)

    def since(self, account_id: int, seq: int, limit: int = 500) -> list[OrderEvent]:
        """The account's events numbered above `seq`, under the ids clients were told."""
        with self._db.read() as connection:
            events = event_rows.after(connection, account_id, seq, limit)
            names = intent_rows.renamed(connection, account_id) if events else {}
        return [_renamed(event, names) for event in events]

    def last_seq(self, account_id: int) -> int:
        with self._db.read() as connection:
            return event_rows.last_seq(connection, account_id)


def _adopt(connection: Connection, account_id: int, order: Order, now: datetime) -> Order:
    """The first update that carries our tag, with the strategy that asked for it. It is evidence: it settles an intent
    whose outcome was unknown, and corrects one that was given up because no book showed it."""
    intent = intent_rows.by_id(connection, order.client_order_id)
    if intent is None or intent.account_id != account_id:
        return order
    order = replace(order, strategy=order.strategy or intent.strategy)
    given_up = intent.state is IntentState.REFUSED and intent.code == NOT_RECEIVED
    if intent.state is not IntentState.UNKNOWN and not given_up:
        return order
    changes = {"broker_order_id": order.order_id, "settled_at": now, "code": "", "words": ""}
    if not intent_rows.move(connection, intent.id, intent.state, IntentState.ACCEPTED, now, **changes):
        return order
    if given_up:
        log.error("the broker has an order after all account=%s intent=%s", account_id, intent.id)
    else:
        log.info("unknown outcome settled by an update account=%s intent=%s", account_id, intent.id)
    return order


def _renamed(event: OrderEvent, names: dict[str, str]) -> OrderEvent:
    if event.order.order_id not in names:
        return event
    return replace(event, order=replace(event.order, order_id=names[event.order.order_id]))
