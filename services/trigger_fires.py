"""What a trigger does when its price came: one order, exactly once, and a look at what became of it.

A leg is claimed, with the key of its order, before that order is placed, so that neither a crash nor a second engine
can place it twice. An order that was refused, rejected, or ended short leaves a position unguarded: its owner is told,
and the exit watches again for the rest. Only what the broker lists as over ends an exit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from sqlalchemy import Connection

from database import intents as intent_rows
from database import trigger_orders
from database import triggers as rows
from database.engine import Database
from database.intents import Intent
from database.trigger_orders import Sent
from database.triggers import CANCELLED, CLOSED, REJECTED, TRIGGERED, Trigger, TriggerLeg
from domain.clock import Clock
from domain.errors import BadResponse, BrokerUnavailable, PlatformError, RateLimited, SessionOver, Unavailable
from domain.model import Exchange, IntentKind, IntentState, Order, OrderRequest, OrderState, Product
from services.accounts import Accounts, Caller
from services.gate import Admission
from services.order_plans import OrderPlans

log = logging.getLogger(__name__)

FOLLOWED = timedelta(days=1)
"""How long after it fired a leg's order is looked at."""
LAG = timedelta(seconds=5)
"""How long a book of positions may be behind a fill."""
LONGEST = 30.0
"""Seconds, at most, between two tries to fire one trigger."""
LOOKS, UNLISTED = 3, 30.0
"""A position that no book listed so often over so many seconds is taken for closed."""

_PASSES = (Unavailable, BrokerUnavailable, RateLimited, BadResponse, SessionOver)
_PASSING = ("THROTTLED", "SESSION_EXPIRED")


class Positions(Protocol):
    def closable(
        self, caller: Caller, symbol: str, exchange: Exchange, product: Product
    ) -> Decimal | None: ...


@dataclass
class _Wait:
    until: float
    seconds: float


class TriggerFires:
    """Owned by the engine's thread."""

    def __init__(
        self,
        orders_store: Database,
        clock: Clock,
        accounts: Accounts,
        plans: OrderPlans,
        positions: Positions,
        tell: Callable[[Trigger, str], None],
    ) -> None:
        """`tell(trigger, words)` lets the owner know what went wrong."""
        self._db = orders_store
        self._clock = clock
        self._accounts = accounts
        self._plans = plans
        self.positions = positions
        self._tell = tell
        self._waits: dict[str, _Wait] = {}
        self._unlisted: dict[str, tuple[float, int]] = {}

    def caller(self, trigger: Trigger) -> Caller:
        """Who asked for it, at the venue where they asked."""
        caller = self._accounts.caller_of_user(trigger.user_id, trigger.account_id, door="worker")
        return replace(caller, account=replace(caller.account, mode=trigger.mode))

    def waits(self, trigger: Trigger) -> bool:
        """Whether it was put off, and it is not time yet."""
        wait = self._waits.get(trigger.id)
        return wait is not None and self._clock.monotonic() < wait.until

    def put_off(self, trigger: Trigger) -> None:
        """Try no more for a while: a second, and twice as long each time, half a minute at most."""
        wait = self._waits.get(trigger.id)
        seconds = min(wait.seconds * 2, LONGEST) if wait else 1.0
        self._waits[trigger.id] = _Wait(self._clock.monotonic() + seconds, seconds)

    def fire(self, trigger: Trigger, leg: TriggerLeg) -> bool:
        """Claim and place; False when the trigger stays as it is, to be tried again."""
        now = self._clock.now()
        if self.waits(trigger):
            return False
        if trigger.expires_at is not None and trigger.expires_at <= now:
            return False
        quantity: Decimal | None = trigger.quantity
        if trigger.origin == "exit":
            quantity = self._left_or_later(trigger)
        if quantity is None:
            return False

        def work(connection: Connection) -> str:
            key = trigger_orders.new_key(connection, trigger, leg)
            known = trigger.updated_at
            return key if rows.claim(connection, trigger.id, leg.leg, now, key=key, known=known) else ""

        key = self._db.write(work)
        if key:
            log.info("trigger fires account=%s trigger=%s leg=%s", trigger.account_id, trigger.id, leg.leg)
            self._send(trigger, leg, key, quantity)
        return True

    def resume(self) -> None:
        """Place the orders of legs that were claimed by an engine that died, or say what became of them."""
        with self._db.read() as connection:
            claimed = rows.firing(connection)
        for trigger, leg in claimed:
            self._alone(trigger, lambda t=trigger, n=leg: self._resume(t, n))  # type: ignore[misc]

    def follow(self) -> None:
        """See what became of the orders that were sent."""
        since = self._clock.now() - FOLLOWED
        with self._db.read() as connection:
            sent = rows.sent(connection, since)
        for trigger, leg in sent:
            self._alone(trigger, lambda t=trigger, n=leg: self._follow(t, n))  # type: ignore[misc]

    # -- what is left to close
    def _left_or_later(self, trigger: Trigger) -> Decimal | None:
        try:
            left = self._left_to_close(trigger)
        except PlatformError as error:
            log.warning("position not read, exit waits trigger=%s: %s", trigger.id, error)
            left = None
        if left is None:
            self.put_off(trigger)
        return left

    def _left_to_close(self, trigger: Trigger) -> Decimal | None:
        """Units of the position that this exit may close: never more than is open, nor than is left of what it guards,
        never the other way. None while that cannot be told: other exits are at it, or no book lists the position."""
        caller = self.caller(trigger)
        held = self.positions.closable(caller, trigger.symbol, trigger.exchange, trigger.product)
        if held is None:
            return self._not_listed(trigger)
        self._unlisted.pop(trigger.id, None)
        is_open = max(-held * trigger.side.sign, Decimal(0))
        with self._db.read() as connection:
            rest = trigger.quantity - trigger_orders.filled_by(connection, trigger)
            others = trigger_orders.in_flight(connection, trigger, self._clock.now() - LAG)
        left = min(rest, is_open)
        if left > 0 and others > 0:
            left = min(left, is_open - others)
            return left if left > 0 else None
        return max(left, Decimal(0))

    def _not_listed(self, trigger: Trigger) -> Decimal | None:
        now = self._clock.monotonic()
        first, looks = self._unlisted.get(trigger.id, (now, 0))
        self._unlisted[trigger.id] = (first, looks + 1)
        if looks + 1 < LOOKS or now - first < UNLISTED:
            return None
        self._tell(trigger, "The broker lists no such position any more: the exit ended without an order.")
        return Decimal(0)

    # -- sending
    def _resume(self, trigger: Trigger, leg: TriggerLeg) -> None:
        key = leg.order_id or f"trigger:{trigger.id}:{leg.leg}"
        with self._db.read() as connection:
            sent = trigger_orders.sent_as(connection, trigger.account_id, key)
        if sent is not None:
            self._taken(trigger, leg, key)
            return
        quantity = self._left_to_close(trigger) if trigger.origin == "exit" else trigger.quantity
        if quantity is not None:
            self._send(trigger, leg, key, quantity)

    def _send(self, trigger: Trigger, leg: TriggerLeg, key: str, quantity: Decimal) -> None:
        """Place a claimed leg's order, or say why there is nothing left to do."""
        if quantity > 0:
            self._place(trigger, leg, key, quantity)
            return
        words = "The position was closed already."
        self._db.write(lambda c: rows.settle_leg(c, trigger.id, leg.leg, CANCELLED, message=words))

    def _place(self, trigger: Trigger, leg: TriggerLeg, key: str, quantity: Decimal) -> None:
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
        admission = Admission(key=key, body_hash=trigger.id, approved=True)
        try:
            placed = self._plans.place(self.caller(trigger), request, admission)
        except PlatformError as error:
            with self._db.read() as connection:
                sent = trigger_orders.sent_as(connection, trigger.account_id, key)
            if sent is not None and any(one.state is not IntentState.REFUSED for one in sent.intents):
                self._taken(trigger, leg, key)
                return
            self._failed(trigger, leg, str(error), again=isinstance(error, _PASSES))
            return
        if placed.state == "refused":
            self._failed(trigger, leg, placed.message, again=placed.code in _PASSING)
            return
        self._taken(trigger, leg, placed.order_id or key, placed.message)

    def _taken(self, trigger: Trigger, leg: TriggerLeg, name: str, words: str = "") -> None:
        self._db.write(lambda c: rows.settle_leg(c, trigger.id, leg.leg, TRIGGERED, name, words))

    def _failed(self, trigger: Trigger, leg: TriggerLeg, words: str, *, again: bool) -> None:
        """Nothing stands in the market for a leg that fired. An exit watches on, and so does what is to go `again`: for
        it only passing things were in the way."""
        log.error("triggered order failed account=%s trigger=%s: %s", trigger.account_id, trigger.id, words)
        now = self._clock.now()
        if again or trigger.origin == "exit":
            self._db.write(lambda c: rows.rearm(c, trigger.id, now, message=words))
            self.put_off(trigger)
            self._tell(trigger, f"Its order failed and is tried again while the price asks for it: {words}")
            return
        self._db.write(lambda c: rows.settle_leg(c, trigger.id, leg.leg, REJECTED, message=words))
        self._tell(trigger, f"Its order was refused, and it has ended: {words}")

    # -- what became of it
    def _follow(self, trigger: Trigger, leg: TriggerLeg) -> None:
        with self._db.read() as connection:
            sent = trigger_orders.sent_as(connection, trigger.account_id, leg.order_id)
            orders = trigger_orders.orders_of(connection, sent.intents) if sent else {}
            asked = [
                change
                for order in orders.values()
                if order.state is OrderState.CANCELLED
                for change in intent_rows.about(connection, trigger.account_id, order.order_id)
                if change.kind is IntentKind.CANCEL
            ]
        if sent is None or sent.running or not _is_over(sent.intents, orders):
            return
        short = sent.wanted - sum((order.filled for order in orders.values()), Decimal(0))
        if short <= 0:
            self._waits.pop(trigger.id, None)
            self._db.write(lambda c: rows.settle_leg(c, trigger.id, leg.leg, CLOSED, leg.order_id))
            return
        words = _why(sent, orders)
        if asked:
            self._let_go(trigger, leg, f"{words} Somebody cancelled its order, so it is not sent again.")
        elif trigger.origin == "exit":
            self._watch_rest(trigger, leg, words)
        else:
            self._let_go(trigger, leg, words)

    def _watch_rest(self, trigger: Trigger, leg: TriggerLeg, words: str) -> None:
        left = self._left_to_close(trigger)
        if left is None:
            return
        if left == 0:
            self._db.write(lambda c: rows.settle_leg(c, trigger.id, leg.leg, CLOSED, leg.order_id, words))
            return
        self._failed(trigger, leg, words, again=True)

    def _let_go(self, trigger: Trigger, leg: TriggerLeg, words: str) -> None:
        log.error(
            "triggered order ended short account=%s trigger=%s: %s", trigger.account_id, trigger.id, words
        )
        self._db.write(lambda c: rows.settle_leg(c, trigger.id, leg.leg, REJECTED, leg.order_id, words))
        self._tell(trigger, words)

    def _alone(self, trigger: Trigger, step: Callable[[], None]) -> None:
        """What goes wrong with one trigger holds up no other."""
        try:
            step()
        except PlatformError as error:
            log.warning("trigger=%s: %s", trigger.id, error)
        except Exception:
            log.exception("trigger failed trigger=%s", trigger.id)


def _is_over(intents: Sequence[Intent], orders: dict[str, Order]) -> bool:
    """Whether every order is listed as over, or known never to have stood there. One that no book shows is no proof."""
    for intent in intents:
        order = orders.get(intent.id)
        refused = intent.state in (IntentState.REFUSED, IntentState.EXPIRED) and order is None
        if not refused and (order is None or not order.state.is_final):
            return False
    return True


def _why(sent: Sent, orders: dict[str, Order]) -> str:
    """Why less was closed than was wanted, in the broker's words where there are any."""
    filled = sum((order.filled for order in orders.values()), Decimal(0))
    said = [order.reason for order in orders.values() if order.reason]
    said += [intent.words for intent in sent.intents if intent.id not in orders and intent.words]
    state = next(
        (o.state.value.lower() for o in orders.values() if o.state is not OrderState.COMPLETE), "refused"
    )
    return f"{filled:f} of {sent.wanted:f} filled, then {state}" + (f": {said[0]}" if said else ".")
