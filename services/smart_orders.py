"""Smart orders: a target for a net position instead of an order. One at a time per account, instrument and product.

A new target replaces the earlier one: what an earlier smart order still has in the market is cancelled and waited for,
the position is read (an unreadable one raises, it is never taken for flat), and one order makes the difference.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from sqlalchemy import Connection

from broker.interface import Broker
from database import intents as intent_rows
from database import plans as plan_rows
from database.engine import Database
from database.intents import Intent
from database.plans import Plan, Target
from domain.clock import Clock
from domain.errors import PlatformError, Unavailable
from domain.model import Exchange, IntentKind, IntentState, OrderRequest, OrderType, Product, Side
from services.accounts import Account, Accounts, Caller
from services.orders import Orders, Placed
from services.plan_book import PlanBook, read_leg, sender, write_leg
from services.plan_legs import TOO_LATE, parked, place_leg, refusal, refused, told_of

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


@dataclass(frozen=True, slots=True)
class _Step:
    """One move of one position, as a leg of a plan."""

    plan: Plan
    leg: int
    caller: Caller
    request: OrderRequest
    target: Decimal
    line: Key
    holder: str
    approved: bool
    wait: bool


class SmartOrders:
    """Moves positions of any account to their targets."""

    def __init__(
        self,
        orders_store: Database,
        clock: Clock,
        accounts: Accounts,
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
        self._accounts = accounts
        self._pause = pause

    def place(
        self,
        caller: Caller,
        request: OrderRequest,
        target: Decimal,
        *,
        key: str = "",
        body_hash: str = "",
        hold: float = HOLD,
    ) -> Placed:
        """Make the position `target`. A Placed of state "none" means that nothing was needed.

        hold  seconds that a repeated key waits for the first request's answer

        Raises what `Orders.place` raises, BrokerError when the position cannot be read, and Unavailable when an earlier
        smart order of the same instrument does not settle; nothing is sent then.
        """
        asked = {"legs": [write_leg(request)], "target": str(target)}
        opened = self._book.open(caller, "smart", asked, key=key, body_hash=body_hash, length=LEASE)
        if opened.approval_id is not None:
            return parked(opened.approval_id)
        return self.run(opened.plan, caller) if opened.new else self._replay(opened.plan, hold)

    def run(self, plan: Plan, caller: Caller, *, approved: bool = False) -> Placed:
        """Carry out a smart plan; one whose order was journalled already is only answered, or gone on with where that
        was a piece of it."""
        request, target = read_leg(plan.request["legs"][0]), Decimal(plan.request["target"])
        sent = self._book.sent(plan, 0)
        try:
            if sent:
                placed = self._take_up(plan, caller, request, target, sent, approved=approved)
            else:
                placed = self.reach(plan, caller, 0, request, target, approved=approved)
        except PlatformError as error:
            if not sent:
                self._book.keep(plan, 0, refusal(error))
                self._book.finish(plan)
            raise
        self._book.keep(plan, 0, placed)
        self._book.finish(plan)
        return placed

    def resume(self) -> int:
        """Finish smart plans whose sender died, while they are young; returns how many. For the worker."""
        lost = self._book.orphans("smart")
        for plan, approved in lost:
            log.warning("smart order resumed account=%s plan=%s", plan.account_id, plan.id)
            if plan.deadline <= self._clock.now() and not self._book.sent(plan, 0):
                self._book.keep(plan, 0, refused("NOT_SENT", TOO_LATE))
                self._book.finish(plan)
                continue
            try:
                self.run(plan, sender(plan, self._accounts), approved=approved)
            except PlatformError as error:
                log.warning("smart order not sent plan=%s: %s", plan.id, error)
        return len(lost)

    def reach(
        self,
        plan: Plan,
        caller: Caller,
        leg: int,
        request: OrderRequest,
        target: Decimal,
        *,
        approved: bool = False,
        wait: bool = True,
    ) -> Placed:
        """Make the position `target` as a leg of any plan, alone among those that move it. A leg that was begun goes
        on from what is held now, so that nothing is sent twice. Raises what `place` raises.

        wait  stay until a MARKET order has ended, so that the next one counts on its fill
        """
        line: Key = (caller.account.id, request.exchange.value, request.symbol, request.product.value)
        holder = secrets.token_hex(8)
        step = _Step(plan, leg, caller, request, target, line, holder, approved, wait)
        expected: Decimal | None = None
        before = self._hold(line, holder)
        try:
            placed, expected = self._move(step, before)
            return placed
        finally:
            now, left = self._clock.now(), expected
            self._db.write(lambda c: plan_rows.free_target(c, line, holder, left, now))

    def needed(self, caller: Caller, request: OrderRequest, target: Decimal) -> list[OrderRequest]:
        """What would bring the position of now to a target: one order, or none. Raises what reading it raises."""
        current = self._positions.open_quantity(caller, request.symbol, request.exchange, request.product)
        order = difference(request, target, current)
        return [] if isinstance(order, str) else [order]

    # -- inside
    def _move(self, step: _Step, before: Target) -> tuple[Placed, Decimal | None]:
        """The order that makes the difference, and the position it leaves where that is known."""
        caller, request = step.caller, step.request
        broker = self._sessions.broker_for(caller.account)
        self._withdraw_earlier(caller, broker, step.line)
        current = self._position(caller, broker, request, before)
        order = difference(request, step.target, current)
        if not isinstance(order, str) and self._on_its_way(caller, step.line, order.side):
            self._await_plain(caller, step.line, order.side)
            current = self._position(caller, broker, request, before)
            order = difference(request, step.target, current)
        if isinstance(order, str):
            return Placed(state="none", order_id="", message=order), current
        exits = current * step.target >= 0 and abs(step.target) < abs(current)
        placed = place_leg(
            self._orders,
            caller,
            order,
            self._orders.sizes(caller, order, exits=exits or None),
            plan_id=step.plan.id,
            leg=step.leg,
            approved=step.approved,
            first=len(self._book.sent(step.plan, step.leg)),
            still=lambda: self._keep_hold(step),
        )
        if placed.state != "accepted" or order.order_type is not OrderType.MARKET:
            return placed, None
        if not step.wait:
            return placed, step.target
        ends = [self._await_end(caller, order_id) for order_id in placed.order_ids or (placed.order_id,)]
        filled = [end for end in ends if end is not None]
        return placed, current + order.side.sign * sum(filled) if len(filled) == len(ends) else None

    def _take_up(
        self,
        plan: Plan,
        caller: Caller,
        request: OrderRequest,
        target: Decimal,
        sent: Sequence[Intent],
        *,
        approved: bool,
    ) -> Placed:
        """What became of a smart order that a sender which died had journalled. What it had not sent is made up from
        what is held now, while the plan is young; not where the request's own quantity may have counted, for then the
        position is no measure of what is missing. Raises what `reach` raises: it may be tried again."""
        begun = told_of(self._orders, caller, sent)
        own = target == 0 and request.quantity > 0
        if begun.state != "partial" or begun.code != "NOT_SENT" or own or plan.deadline <= self._clock.now():
            return begun
        rest = self.reach(plan, caller, 0, request, target, approved=approved)
        more = rest.order_ids or ((rest.order_id,) if rest.order_id else ())
        ids = (*begun.order_ids, *more)
        state = {"none": "accepted", "refused": "partial"}.get(rest.state, rest.state)
        words = "" if rest.state == "none" else rest.message
        return Placed(state=state, order_id=ids[0], order_ids=ids, message=words, code=rest.code)

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
        end = self._clock.monotonic() + lag
        while True:
            current = self._positions.open_quantity(caller, request.symbol, request.exchange, request.product)
            if before.expected is None or before.expected_at is None or current == before.expected:
                return current
            age = (self._clock.now() - before.expected_at).total_seconds()
            if age >= lag or self._clock.monotonic() >= end:
                return current
            self._pause(0.1)

    def _await_end(self, caller: Caller, order_id: str) -> Decimal | None:
        """Units a MARKET order filled, once it is final; None when it is still working after a while."""
        end = self._clock.monotonic() + SETTLE
        while True:
            try:
                order = self._orders.status(caller, order_id)
            except (
                PlatformError
            ) as error:  # it was taken: that its end cannot be read changes nothing of that
                log.warning("fill not read account=%s order=%s: %s", caller.account.id, order_id, error)
                return None
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

    def _keep_hold(self, step: _Step) -> None:
        """Hold the line on; what was computed from its position is void once another may move it."""
        until = self._clock.now() + LEASE
        if not self._db.write(lambda c: plan_rows.keep_target(c, step.line, step.holder, until)):
            raise Unavailable(f"Another smart order of {step.line[2]} took over; nothing was sent.")

    def _on_its_way(self, caller: Caller, line: Key, side: Side) -> bool:
        """Whether a plain order of this side, placed beside smart ones, may be in the market unseen."""
        states = (IntentState.SENDING, IntentState.UNKNOWN, IntentState.QUEUED)
        with self._db.read() as connection:
            rows = intent_rows.in_states(connection, *states, account_id=line[0])
        return any(
            (row.exchange, row.symbol, row.product, row.side) == (*line[1:], side)
            and (row.kind, row.plan_id, row.broker) == (IntentKind.PLACE, None, caller.account.venue)
            for row in rows
        )

    def _await_plain(self, caller: Caller, line: Key, side: Side) -> None:
        end = self._clock.monotonic() + SETTLE
        while self._on_its_way(caller, line, side):
            if self._clock.monotonic() > end:
                words = f"Another {side} order of {line[2]} has no answer yet and may do the same"
                raise Unavailable(f"{words}; nothing was sent. Try again shortly.")
            self._pause(0.05)

    def _replay(self, plan: Plan, hold: float) -> Placed:
        """The answer of the first request with this key; waits while it is under way."""
        end = self._clock.monotonic() + hold
        while True:
            told = self._book.told(plan)
            if told:
                return told[0]
            if self._clock.monotonic() >= end:
                return Placed(state="pending", order_id="", message="The first request is still under way.")
            self._pause(0.02)
