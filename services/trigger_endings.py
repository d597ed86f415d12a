"""Exits whose position was closed by something else: they end, or they would close a later position of the same line.

A fill on the side that an exit would trade makes it doubtful; so does a start, when nobody listened. Then the positions
are read until they show something to close, or nothing often enough for long enough.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from database import events as event_rows
from database import intents as intent_rows
from database import trigger_orders
from database import triggers as rows
from database.engine import Database
from database.triggers import ACTIVE, CANCELLED, Trigger
from domain.clock import Clock
from domain.errors import PlatformError
from domain.model import Order
from services.accounts import Caller
from services.trigger_fires import Positions

log = logging.getLogger(__name__)

LOOKS, APART = 3, 15.0
"""How often nothing to close must be read, and seconds between two looks: a book of positions may lag behind."""
CLOSED = "The position was closed: the exit ended without an order."
LOOK_BACK = timedelta(days=60)
"""How long ago an order may have been that still holds something: few positions live longer."""
PAGE = 500


@dataclass
class _Doubt:
    due: float
    looks: int = 0


class TriggerEndings:
    """Owned by the engine's thread."""

    def __init__(
        self,
        orders_store: Database,
        clock: Clock,
        positions: Positions,
        caller: Callable[[Trigger], Caller],
        tell: Callable[[Trigger, str], None],
    ) -> None:
        """`caller(trigger)` is who asked for it, where they asked; `tell(trigger, words)` lets them know."""
        self._db = orders_store
        self._clock = clock
        self._positions = positions
        self._caller = caller
        self._tell = tell
        self._heard: dict[int, int] = {}
        self._doubts: dict[str, _Doubt] = {}

    def end_closed(self) -> None:
        """Doubt what news gives reason to, look at what is due, and end what has nothing left to close."""
        with self._db.read() as connection:
            exits = [one for one in rows.in_state(connection, ACTIVE) if one.origin == "exit"]
            doubtful = self._doubtful(connection, exits)
        now = self._clock.monotonic()
        for trigger in doubtful:
            self._doubts[trigger.id] = _Doubt(due=now)
        standing = {trigger.id: trigger for trigger in exits}
        self._doubts = {name: doubt for name, doubt in self._doubts.items() if name in standing}
        for name, doubt in list(self._doubts.items()):
            if doubt.due <= now:
                doubt.due = now + APART
                self._look(standing[name], doubt)

    def _doubtful(self, connection: Connection, exits: list[Trigger]) -> list[Trigger]:
        """Those that an order not known before has filled against, and all of an account that was not listened to."""
        found = []
        for account_id in {trigger.account_id for trigger in exits}:
            mine = [trigger for trigger in exits if trigger.account_id == account_id]
            if account_id not in self._heard:
                self._heard[account_id] = event_rows.last_seq(connection, account_id)
                found += mine
                continue
            filled = self._filled(connection, account_id)
            found += [trigger for trigger in mine if any(_closes(order, trigger) for order in filled)]
        return found

    def _filled(self, connection: Connection, account_id: int) -> list[Order]:
        """Orders with a fill among the news since the last time."""
        filled: list[Order] = []
        while news := event_rows.after(connection, account_id, self._heard[account_id], PAGE):
            self._heard[account_id] = news[-1].seq
            filled += [event.order for event in news if event.order.filled > 0]
        return filled

    def _look(self, trigger: Trigger, doubt: _Doubt) -> None:
        try:
            held = self._positions.closable(
                self._caller(trigger), trigger.symbol, trigger.exchange, trigger.product
            )
        except PlatformError as error:
            log.warning("position not read, exit stays trigger=%s: %s", trigger.id, error)
            return
        if held is not None and held * trigger.side.sign < 0:
            del self._doubts[trigger.id]
            return
        doubt.looks += 1
        if doubt.looks >= LOOKS and not self._guards(trigger):
            self._end(trigger)

    def _guards(self, trigger: Trigger) -> bool:
        """Whether there may be something to guard though the account holds nothing: the order it guards works on, or
        what other strategies hold against it hides it."""
        with self._db.read() as connection:
            others = trigger_orders.others_left(connection, trigger, self._clock.now() - LOOK_BACK)
            if others * trigger.side.sign > 0:
                return True
            parent = intent_rows.by_id(connection, trigger.parent_intent_id or "")
            if parent is None or parent.broker_order_id is None:
                return False
            order = event_rows.known(connection, trigger.account_id, trigger.broker, parent.broker_order_id)
        return order is not None and not order.state.is_final

    def _end(self, trigger: Trigger) -> None:
        now = self._clock.now()
        if self._db.write(lambda c: rows.move(c, trigger.id, ACTIVE, CANCELLED, now, message=CLOSED)):
            log.info(
                "exit ended, its position is closed account=%s trigger=%s", trigger.account_id, trigger.id
            )
            self._tell(trigger, CLOSED)
        del self._doubts[trigger.id]


def _closes(order: Order, trigger: Trigger) -> bool:
    return (order.symbol, order.exchange, order.product, order.side) == (
        trigger.symbol,
        trigger.exchange,
        trigger.product,
        trigger.side,
    )
