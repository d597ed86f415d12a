"""The worker's watch over triggers: prices in, one order out, exactly once.

Ticks come from the account's own feed; after a gap and each second the snapshot is asked, and where a feed says nothing
for three seconds broker quotes are read (the trigger then shows `degraded`). A leg is claimed before its
order is placed, under a key of its own, so that neither a crash nor a second engine can place it twice.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

from sqlalchemy import Connection

from database import events as event_rows
from database import intents as intent_rows
from database import triggers as rows
from database.engine import Database
from database.triggers import (
    ACTIVE,
    BELOW,
    CANCELLED,
    EXPIRED,
    REJECTED,
    TRIGGERED,
    UNKNOWN,
    WAITING,
    Trigger,
    TriggerLeg,
)
from domain.clock import Clock
from domain.errors import PlatformError
from domain.market import Tick
from domain.model import OrderRequest, StreamMode
from domain.money import price as price_of
from services.accounts import Accounts, Caller
from services.gate import Admission
from services.market_data import MarketData
from services.order_plans import OrderPlans
from services.orders import Orders
from services.portfolio import Portfolio
from services.sessions import Sessions
from services.tick_bus import TickSubscriber, Topic
from services.triggers import armed

log = logging.getLogger(__name__)

SILENCE = 3.0
Key = tuple[str, str, str]
"""Feed, exchange, symbol."""


class Snapshot(Protocol):
    def last(self, feed: str, pairs: Sequence[tuple[str, str]]) -> list[Tick | None]: ...


@dataclass
class Watch:
    """One instrument of one feed with the triggers that look at it; `heard` is when a fresh price last came."""

    triggers: list[Trigger]
    heard: float
    degraded: bool = False


class TriggerEngine:
    """Owned by one thread: call `run`, end it with `stop`."""

    def __init__(
        self,
        orders_store: Database,
        clock: Clock,
        accounts: Accounts,
        sessions: Sessions,
        orders: Orders,
        plans: OrderPlans,
        portfolio: Portfolio,
        market_data: MarketData,
        subscriber: TickSubscriber,
        snapshot: Snapshot,
    ) -> None:
        self._db = orders_store
        self._clock = clock
        self._accounts = accounts
        self._sessions = sessions
        self._orders = orders
        self._plans = plans
        self._portfolio = portfolio
        self._market_data = market_data
        self._ticks = subscriber
        self._snapshot = snapshot
        self._watches: dict[Key, Watch] = {}
        self._version: object = None
        self._trails: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        self._stop = threading.Event()

    def run(self) -> None:
        """Watch until `stop`. A failure is logged and the watch goes on."""
        self._safe(self.resume)
        second = self._clock.monotonic()
        while not self._stop.is_set():
            if self._ticks.socket.poll(100):
                self._safe(self._hear)
            self._safe(self.refresh)
            if self._clock.monotonic() - second >= 1.0:
                second = self._clock.monotonic()
                self._safe(self.each_second)
        self._ticks.close()

    def stop(self) -> None:
        self._stop.set()

    @staticmethod
    def _safe(step) -> None:  # type: ignore[no-untyped-def]
        try:
            step()
        except PlatformError as error:
            log.warning("triggers: %s", error)
        except Exception:
            log.exception("triggers failed")

    # -- what there is to watch
    def resume(self) -> None:
        """Place the orders of legs that were claimed by an engine that died."""
        with self._db.read() as connection:
            claimed = rows.firing(connection)
        for trigger, leg in claimed:
            with self._db.read() as connection:
                sent = intent_rows.by_key(connection, trigger.account_id, _order_key(trigger, leg))
            exits = sent is None and trigger.origin == "exit"
            self._send(trigger, leg, self._left_to_close(trigger) if exits else trigger.quantity)

    def refresh(self) -> None:
        """Read the triggers again if anything in the store changed."""
        version = self._db.version()
        if version is not None and version == self._version:
            return
        self._version = version
        self._arm_waiting()
        with self._db.read() as connection:
            active = rows.in_state(connection, ACTIVE)
        found: dict[Key, list[Trigger]] = defaultdict(list)
        for trigger in active:
            if trigger.resident_id is None:
                found[self._key(trigger)].append(self._with_trail(trigger))
        for key in set(self._watches) - set(found):
            del self._watches[key]
            self._ticks.drop(_topic(key))
        for key, triggers in found.items():
            watch = self._watches.get(key)
            if watch is None:
                self._watches[key] = Watch(triggers, self._clock.monotonic())
                self._ticks.want(_topic(key))
            else:
                watch.triggers = triggers

    def _arm_waiting(self) -> None:
        """Exits whose parent has filled become active for what it filled; those whose parent ended empty end too."""
        with self._db.read() as connection:
            waiting = rows.in_state(connection, WAITING)
        for trigger in waiting:
            self._arm(trigger)

    def _arm(self, trigger: Trigger) -> None:
        with self._db.read() as connection:
            parent = intent_rows.by_id(connection, trigger.parent_intent_id or "")
            order = None
            if parent is not None and parent.broker_order_id is not None:
                order = event_rows.known(
                    connection, trigger.account_id, trigger.broker, parent.broker_order_id
                )
        now = self._clock.now()
        if order is None:
            if parent is None or (parent.state.is_final and parent.broker_order_id is None):
                words = "The order it guards was not taken."
                self._db.write(lambda c: rows.move(c, trigger.id, WAITING, CANCELLED, now, message=words))
            return
        if not order.state.is_final:
            return
        if order.filled == 0 or order.average_price is None:
            words = "The order it guards ended without a fill."
            self._db.write(lambda c: rows.move(c, trigger.id, WAITING, CANCELLED, now, message=words))
            return
        instrument = self._orders.resolve(self._caller(trigger).account, trigger.exchange, trigger.symbol)
        ready = armed(trigger, order.filled, order.average_price, instrument.tick_size)

        def work(connection: Connection) -> None:
            if rows.move(connection, trigger.id, WAITING, ACTIVE, now):
                rows.replace_terms(connection, replace(ready, state=ACTIVE, updated_at=now))

        self._db.write(work)

    def _key(self, trigger: Trigger) -> Key:
        account = replace(self._accounts.account(trigger.account_id), mode=trigger.mode)
        return self._sessions.feed_of(account), trigger.exchange.value, trigger.symbol

    # -- prices
    def _hear(self) -> None:
        for seen in self._ticks.receive():
            tick = seen.tick()
            self.price((seen.topic.feed, tick.exchange, tick.symbol), tick.last_price)
            if seen.gap:
                self._ask_snapshot()

    def price(self, key: Key, last_price: float) -> None:
        """A fresh price of one feed's instrument, from that feed."""
        watch = self._watches.get(key)
        if watch is None or last_price <= 0:
            return
        watch.heard = self._clock.monotonic()
        if watch.degraded:
            self._mark(watch, False)
        self._weigh(watch, last_price)

    def _weigh(self, watch: Watch, last_price: float) -> None:
        """Fire what this price sets off."""
        for trigger in list(watch.triggers):
            for leg in trigger.legs:
                leg = self._trail(trigger, leg, last_price)
                if _met(leg, last_price) and self._fire(trigger, leg):
                    watch.triggers.remove(trigger)
                    break

    def each_second(self) -> None:
        """Look where ticks may have been lost, keep trails, end what is overdue."""
        self._ask_snapshot()
        self._read_silent()
        self._keep_trails()
        self._expire()

    def _ask_snapshot(self) -> None:
        by_feed: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for feed, exchange, symbol in self._watches:
            by_feed[feed].append((exchange, symbol))
        for feed, pairs in by_feed.items():
            for pair, tick in zip(pairs, self._snapshot.last(feed, pairs), strict=True):
                if tick is not None:
                    self.price((feed, *pair), tick.last_price)

    def _read_silent(self) -> None:
        now = self._clock.monotonic()
        for key, watch in list(self._watches.items()):
            if now - watch.heard < SILENCE or not watch.triggers:
                continue
            if not watch.degraded:
                self._mark(watch, True)
            caller = self._caller(watch.triggers[0])
            try:
                quote = self._market_data.quote(caller, key[2], key[1])
            except PlatformError as error:
                log.warning("no price for a trigger exchange=%s symbol=%s: %s", key[1], key[2], error)
                continue
            if quote.last_price > 0:
                self._weigh(watch, quote.last_price)

    def _mark(self, watch: Watch, degraded: bool) -> None:
        watch.degraded = degraded
        for trigger in watch.triggers:
            self._db.write(lambda c, i=trigger.id: rows.note(c, i, degraded=int(degraded)))  # type: ignore[misc]

    # -- trailing
    def _with_trail(self, trigger: Trigger) -> Trigger:
        """The trigger with trails as far as this engine has followed them, which may be further than the store."""
        legs = []
        for leg in trigger.legs:
            kept = self._trails.get((trigger.id, leg.leg))
            legs.append(leg if kept is None else replace(leg, best=kept[0], trigger_price=kept[1]))
        return replace(trigger, legs=tuple(legs))

    def _trail(self, trigger: Trigger, leg: TriggerLeg, last_price: float) -> TriggerLeg:
        if leg.trail is None or leg.best is None:
            return leg
        key = (trigger.id, leg.leg)
        best, stop = self._trails.get(key, (leg.best, leg.trigger_price or Decimal(0)))
        seen = Decimal(repr(last_price))
        if (seen > best) if leg.fires == BELOW else (seen < best):
            distance = -leg.trail if leg.fires == BELOW else leg.trail
            instrument = self._orders.resolve(self._caller(trigger).account, trigger.exchange, trigger.symbol)
            best, stop = seen, price_of(float(seen + distance), instrument.tick_size)
            self._trails[key] = (best, stop)
        return replace(leg, best=best, trigger_price=stop)

    def _keep_trails(self) -> None:
        moved, self._trails = self._trails, {}
        for (trigger_id, leg), (best, stop) in moved.items():
            self._db.write(
                lambda c, t=trigger_id, n=leg, b=best, s=stop: rows.move_trail(c, t, n, b, s)  # type: ignore[misc]
            )
        if moved:
            self._version = None
            self.refresh()

    # -- firing
    def _fire(self, trigger: Trigger, leg: TriggerLeg) -> bool:
        """Claim and place; False when the trigger stays as it is."""
        quantity = trigger.quantity
        if trigger.origin == "exit":
            try:
                quantity = self._left_to_close(trigger)
            except PlatformError as error:
                log.warning("position not read, exit waits trigger=%s: %s", trigger.id, error)
                return False
        now = self._clock.now()
        if not self._db.write(lambda c: rows.claim(c, trigger.id, leg.leg, now)):
            return True
        log.info("trigger fires account=%s trigger=%s leg=%s", trigger.account_id, trigger.id, leg.leg)
        self._send(trigger, leg, quantity)
        return True

    def _send(self, trigger: Trigger, leg: TriggerLeg, quantity: Decimal) -> None:
        """Place a claimed leg's order, or say why there is nothing left to do."""
        if quantity > 0:
            self._place(trigger, leg, quantity)
            return
        words = "The position was closed already."
        self._db.write(lambda c: rows.settle_leg(c, trigger.id, leg.leg, CANCELLED, message=words))

    def _left_to_close(self, trigger: Trigger) -> Decimal:
        """Units of the position that this exit may close: never more than is open, never the other way."""
        caller = self._caller(trigger)
        held = self._portfolio.open_quantity(caller, trigger.symbol, trigger.exchange, trigger.product)
        open_quantity = -held * trigger.side.sign
        return max(Decimal(0), min(trigger.quantity, open_quantity))

    def _place(self, trigger: Trigger, leg: TriggerLeg, quantity: Decimal) -> None:
        request = OrderRequest(
            symbol=trigger.symbol,
            exchange=trigger.exchange,
            side=trigger.side,
            quantity=quantity,
            order_type=leg.order_type,
            product=trigger.product,
            price=leg.price,
            strategy=trigger.strategy,
            reduce_only=trigger.origin == "exit",
        )
        admission = Admission(key=_order_key(trigger, leg), body_hash=trigger.id, approved=True)
        try:
            placed = self._plans.place(self._caller(trigger), request, admission)
        except PlatformError as error:
            log.warning("triggered order refused trigger=%s: %s", trigger.id, error)
            words = str(error)
            self._db.write(lambda c: rows.settle_leg(c, trigger.id, leg.leg, REJECTED, message=words))
            return
        state = REJECTED if placed.state == "refused" else TRIGGERED
        self._db.write(
            lambda c: rows.settle_leg(c, trigger.id, leg.leg, state, placed.order_id, placed.message)
        )

    def _expire(self) -> None:
        now = self._clock.now()
        with self._db.read() as connection:
            standing = rows.in_state(connection, ACTIVE, UNKNOWN)
        for trigger in standing:
            if trigger.expires_at is not None and trigger.expires_at <= now:
                self._db.write(
                    lambda c, t=trigger: rows.move(c, t.id, t.state, EXPIRED, now)  # type: ignore[misc]
                )

    def _caller(self, trigger: Trigger) -> Caller:
        caller = self._accounts.caller_of_user(trigger.user_id, trigger.account_id, door="worker")
        return replace(caller, account=replace(caller.account, mode=trigger.mode))


def _met(leg: TriggerLeg, last_price: float) -> bool:
    if leg.trigger_price is None or leg.state != rows.PENDING:
        return False
    seen = Decimal(repr(last_price))
    return seen <= leg.trigger_price if leg.fires == BELOW else seen >= leg.trigger_price


def _order_key(trigger: Trigger, leg: TriggerLeg) -> str:
    """The idempotency key of a leg's order."""
    return f"trigger:{trigger.id}:{leg.leg}"


def _topic(key: Key) -> Topic:
    return Topic(key[0], StreamMode.LTP.value, key[1], key[2])
