"""Exits that wait for an order of ours: they guard what it fills from its first fill on, and as much as it fills."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from sqlalchemy import Connection

from database import events as event_rows
from database import intents as intent_rows
from database import triggers as rows
from database.engine import Database
from database.intents import Intent
from database.triggers import ACTIVE, CANCELLED, FIRING, TRIGGERED, WAITING, Trigger
from domain.clock import Clock
from domain.errors import PlatformError
from domain.market import Quote
from domain.model import Instrument, Order
from services.accounts import Account, Caller
from services.order_updates import NOT_RECEIVED
from services.triggers import armed

log = logging.getLogger(__name__)

EMPTY = "The order it guards ended without a fill."
LATE = timedelta(days=1)
"""How long news of an order may come after its end."""


class Instruments(Protocol):
    def resolve(self, account: Account, exchange: str, symbol: str) -> Instrument: ...


class Quotes(Protocol):
    def quote(self, caller: Caller, symbol: str, exchange: str) -> Quote: ...


class TriggerArming:
    """Owned by the engine's thread."""

    def __init__(
        self,
        orders_store: Database,
        clock: Clock,
        instruments: Instruments,
        quotes: Quotes,
        caller: Callable[[Trigger], Caller],
    ) -> None:
        """`caller(trigger)` is who asked for it, at the venue where they asked."""
        self._db = orders_store
        self._clock = clock
        self._instruments = instruments
        self._quotes = quotes
        self._caller = caller

    def arm(self) -> None:
        """Exits whose parent has filled something become active for it; those whose parent ended empty end too."""
        with self._db.read() as connection:
            waiting = rows.in_state(connection, WAITING)
        self._each(waiting, self._arm)

    def keep_up(self) -> None:
        """Let exits grow with what their parents filled since."""
        since = self._clock.now() - LATE
        with self._db.read() as connection:
            guarding = rows.with_parent(connection, ACTIVE, since)
            guarding += rows.with_parent(connection, TRIGGERED, since)
            ended = rows.with_parent(connection, CANCELLED, since)
        self._each(guarding, self._grow)
        self._each([trigger for trigger in ended if trigger.message == EMPTY], self._revive)

    @staticmethod
    def _each(triggers: list[Trigger], step: Callable[[Trigger], None]) -> None:
        """What goes wrong with one holds up no other."""
        for trigger in triggers:
            try:
                step(trigger)
            except PlatformError as error:
                log.warning("exit not armed trigger=%s: %s", trigger.id, error)
            except Exception:
                log.exception("exit not armed trigger=%s", trigger.id)

    def _parent(self, trigger: Trigger) -> tuple[Intent | None, Order | None]:
        with self._db.read() as connection:
            parent = intent_rows.by_id(connection, trigger.parent_intent_id or "")
            if parent is None or parent.broker_order_id is None:
                return parent, None
            return parent, event_rows.known(
                connection, trigger.account_id, trigger.broker, parent.broker_order_id
            )

    def _arm(self, trigger: Trigger) -> None:
        parent, order = self._parent(trigger)
        if order is None:
            if parent is None or self._never_comes(parent):
                self._end(trigger, "The order it guards was not taken.")
            return
        if order.filled == 0:
            if order.state.is_final:
                self._end(trigger, EMPTY)
            return
        average, words = self._average(trigger, order)
        instrument = self._instruments.resolve(
            self._caller(trigger).account, trigger.exchange, trigger.symbol
        )
        now = self._clock.now()
        ready = replace(
            armed(trigger, order.filled, average, instrument.tick_size), state=ACTIVE, updated_at=now
        )

        def work(connection: Connection) -> None:
            if rows.move(connection, trigger.id, WAITING, ACTIVE, now, message=words):
                rows.replace_terms(connection, ready)

        self._db.write(work)

    def _never_comes(self, parent: Intent) -> bool:
        """Whether no broker has the order. One that was given up because no book showed it may show after all."""
        if not parent.state.is_final or parent.broker_order_id is not None:
            return False
        settled = parent.settled_at or parent.created_at
        return parent.code != NOT_RECEIVED or settled < self._clock.now() - LATE

    def _average(self, trigger: Trigger, order: Order) -> tuple[Decimal, str]:
        """What the fill cost, and words where the broker does not say: then the order's price, or the last price."""
        if order.average_price is not None and order.average_price > 0:
            return order.average_price, ""
        price = order.price
        if price is None:
            quote = self._quotes.quote(self._caller(trigger), trigger.symbol, trigger.exchange)
            price = Decimal(repr(quote.last_price))
        return price, f"The broker told no average price: distances are counted from {price}."

    def _grow(self, trigger: Trigger) -> None:
        """Guard what the order filled since; an exit that has fired already watches again for it."""
        _, order = self._parent(trigger)
        if order is None or order.filled <= trigger.quantity:
            return
        now = self._clock.now()
        if trigger.state == ACTIVE:
            self._db.write(lambda c: rows.grow(c, trigger.id, order.filled, now))
        elif all(leg.state not in (FIRING, TRIGGERED) for leg in trigger.legs):
            words = "The order it guards filled more after it had fired."
            self._db.write(lambda c: rows.rearm(c, trigger.id, now, message=words, quantity=order.filled))

    def _revive(self, trigger: Trigger) -> None:
        """A fill that is told after the order's end is a position all the same."""
        _, order = self._parent(trigger)
        if order is None or order.filled == 0:
            return
        log.error("an order filled after its end, its exit waits again trigger=%s", trigger.id)
        now = self._clock.now()
        self._db.write(lambda c: rows.move(c, trigger.id, CANCELLED, WAITING, now, message=""))

    def _end(self, trigger: Trigger, words: str) -> None:
        now = self._clock.now()
        self._db.write(lambda c: rows.move(c, trigger.id, WAITING, CANCELLED, now, message=words))
