"""Smart orders: a target for a net position instead of an order. One at a time per account, instrument and product.

A new target replaces the earlier one: what an earlier smart order still has in the market is cancelled and waited for,
the position is read (an unreadable one raises, it is never taken for flat), and one order makes the difference.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from sqlalchemy import Connection

from broker.interface import Broker
from database import intents as intent_rows
from database import plans as plan_rows
from database.engine import Database
from database.plans import Plan, Target
from domain.clock import Clock
from domain.errors import PlatformError, Unavailable
from domain.model import Exchange, IntentState, OrderRequest, OrderType, Product, Side
from services.accounts import Account, Caller
from services.gate import Admission
from services.order_plans import refusal
from services.orders import Orders, Placed
from services.plan_book import PlanBook, read_leg, write_leg

log = logging.getLogger(__name__)

MATCHED = "Positions Already Matched. No Action needed."
NOTHING_OPEN = "No OpenPosition Found. Not placing Exit order."
HOLD = 15.0
LEASE = timedelta(seconds=30)
SETTLE = 5.0

Key = tuple[int, str, str, str]


class Positions(Protocol):
    def open_quantity(self, caller: Caller, symbol: str, exchange: Exchange, product: Product) -> Decimal: ...


class Sessions(Protocol):
    def broker_for(self, account: Account) -> Broker: ...


def difference(request: OrderRequest, target: Decimal, current: Decimal) -> OrderRequest | str:
    """The order that brings `current` to `target` (signed units), or the words for why none is needed.

    Only on a flat position with a target of 0 do the request's own side and quantity count.
    """
    if target == 0 and current == 0:
        return request if request.quantity > 0 else NOTHING_OPEN
    if target == current:
        return MATCHED
    move = target - current
    return replace(request, side=Side.BUY if move > 0 else Side.SELL, quantity=abs(move))


class SmartOrders:
    """Moves positions of any account to their targets."""

    def __init__(
        self,
        orders_store: Database,
        clock: Clock,
        sessions: Sessions,
        positions: Positions,
        orders: Orders,
        book: PlanBook,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._db = orders_store
        self._clock = clock
        self._sessions = sessions
        self._positions = positions
        self._orders = orders
        self._book = book
        self._pause = pause

    def place(
        self, caller: Caller, request: OrderRequest, target: Decimal, *, key: str = "", body_hash: str = ""
    ) -> Placed:
        """Make the position `target`. A Placed of state "none" means that nothing was needed.

        Raises what `Orders.place` raises, BrokerError when the position cannot be read, and Unavailable when an earlier
        smart order of the same instrument does not settle; nothing is sent then.
        """
        asked = {"legs": [write_leg(request)], "target": str(target)}
        opened = self._book.open(caller, "smart", asked, key=key, body_hash=body_hash, length=LEASE)
        if opened.approval_id is not None:
            words = "Order queued for approval in Action Center"
            return Placed(state="parked", order_id="", message=words, approval_id=opened.approval_id)
        return self.run(opened.plan, caller) if opened.new else self._replay(opened.plan)

    def run(self, plan: Plan, caller: Caller, *, approved: bool = False) -> Placed:
        """Carry out a smart plan that was not carried out yet."""
        request, target = read_leg(plan.request["legs"][0]), Decimal(plan.request["target"])
        line: Key = (caller.account.id, request.exchange.value, request.symbol, request.product.value)
        holder = secrets.token_hex(8)
        expected: Decimal | None = None
        try:
            before = self._hold(line, holder)
            placed, expected = self._move(plan, caller, request, target, before, line, approved)
            return self._book.keep(plan, 0, placed)
        except PlatformError as error:
            self._book.keep(plan, 0, refusal(error))
            raise
        finally:
            now, left = self._clock.now(), expected
            self._db.write(lambda c: plan_rows.free_target(c, line, holder, left, now))
            self._book.finish(plan)

    # -- inside
    def _move(
        self,
        plan: Plan,
        caller: Caller,
        request: OrderRequest,
        target: Decimal,
        before: Target,
        line: Key,
        approved: bool,
    ) -> tuple[Placed, Decimal | None]:
        broker = self._sessions.broker_for(caller.account)
        self._withdraw_earlier(caller, broker, line)
        current = self._position(caller, broker, request, before)
        order = difference(request, target, current)
        if isinstance(order, str):
            return Placed(state="none", order_id="", message=order), current
        admission = Admission(key=f"plan:{plan.id}:0", plan_id=plan.id, leg=0, approved=approved)
        placed = self._orders.place(caller, order, admission)
        if placed.state != "accepted":
            return placed, None
        if order.order_type is not OrderType.MARKET:
            return placed, None
        filled = self._await_end(caller, placed.order_id)
        return placed, None if filled is None else current + order.side.sign * filled

    def _withdraw_earlier(self, caller: Caller, broker: Broker, line: Key) -> None:
        """Cancel what earlier smart orders still have working, and wait until the broker says it ended."""
        account_id, exchange, symbol, product = line
        end = self._clock.monotonic() + SETTLE
        cancelled: set[str] = set()
        while True:
            with self._db.read() as connection:
                working = plan_rows.working_smart(
                    connection, account_id, exchange, symbol, product, caller.account.venue
                )
                unsettled = self._unsettled(connection, line)
            still = [order_id for order_id in working if self._works(broker, order_id)]
            if not still and not unsettled:
                return
            for order_id in set(still) - cancelled:
                self._orders.cancel(caller, order_id)
                cancelled.add(order_id)
            if self._clock.monotonic() > end:
                raise Unavailable(
                    f"An earlier smart order of {symbol} has not settled; nothing was sent. Try again shortly."
                )
            self._pause(0.02)

    @staticmethod
    def _works(broker: Broker, order_id: str) -> bool:
        order = broker.fetch_order(order_id)
        return order is None or order.state.is_working

    def _unsettled(self, connection: Connection, line: Key) -> bool:
        rows = intent_rows.in_states(
            connection,
            IntentState.SENDING,
            IntentState.UNKNOWN,
            IntentState.QUEUED,
            account_id=line[0],
        )
        return any(
            (row.exchange, row.symbol, row.product) == line[1:] and row.plan_id is not None for row in rows
        )

    def _position(self, caller: Caller, broker: Broker, request: OrderRequest, before: Target) -> Decimal:
        """The signed position, read again while the broker's book lags behind the last fill we saw."""
        lag = broker.manifest.limits.book_lag
        while True:
            current = self._positions.open_quantity(caller, request.symbol, request.exchange, request.product)
            if before.expected is None or before.expected_at is None or current == before.expected:
                return current
            if (self._clock.now() - before.expected_at).total_seconds() >= lag:
                return current
            self._pause(0.1)

    def _await_end(self, caller: Caller, order_id: str) -> Decimal | None:
        """Units a MARKET order filled, once it is final; None when it is still working after a while."""
        end = self._clock.monotonic() + SETTLE
        while True:
            order = self._orders.status(caller, order_id)
            if order.state.is_final:
                return order.filled
            if self._clock.monotonic() > end:
                return None
            self._pause(0.05)

    def _hold(self, line: Key, holder: str) -> Target:
        end = self._clock.monotonic() + HOLD
        while True:
            now = self._clock.now()
            target = self._db.write(
                lambda c, n=now: plan_rows.hold_target(c, line, holder, n, n + LEASE)  # type: ignore[misc]
            )
            if target is not None:
                return target
            if self._clock.monotonic() > end:
                raise Unavailable(f"Other smart orders of {line[2]} are under way; nothing was sent.")
            self._pause(0.01)

    def _replay(self, plan: Plan) -> Placed:
        """The answer of the first request with this key; waits while it is under way."""
        end = self._clock.monotonic() + HOLD
        while True:
            told = self._book.told(plan)
            if told:
                return told[0]
            if self._clock.monotonic() > end:
                return Placed(state="pending", order_id="", message="The first request is still under way.")
            self._pause(0.02)
