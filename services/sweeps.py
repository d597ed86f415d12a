"""Cancel-all and close-all: a plan each, so that a sender that dies leaves nothing undone and nothing done twice.

Every cancel is a leg with a key of its own. Every exit is a smart order to flat, alone among those that move the same
position, so that two sweeps at once, or a sweep that is taken up again, close no more than is held.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, Protocol

from sqlalchemy import Connection

from broker.interface import Broker
from database import intents as intent_rows
from database.engine import Database
from database.intents import Intent
from database.plans import Plan
from database.trigger_orders import orders_of
from domain.clock import Clock
from domain.errors import BrokerUnavailable, OrderNotFound, PlatformError, Unavailable
from domain.model import IntentKind, IntentState, Order, OrderRequest, OrderState, Side
from services.accounts import Account, Accounts, Caller
from services.order_updates import OrderUpdates
from services.orders import Orders, Placed
from services.plan_book import PlanBook, read_leg, sender, write_leg
from services.plan_legs import TOO_LATE, refusal, refused, told_of
from services.settling import unseen
from services.smart_orders import SETTLE, SmartOrders

log = logging.getLogger(__name__)

LENGTH = timedelta(minutes=5)
"""How long a sweep is taken up again after its sender died."""
CANCEL, CLOSE = "cancelall", "closeall"
PAUSES = (2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
"""Seconds at least between the tries to close what was not taken, or ended short."""
TRIES = len(PAUSES) + 1


Line = tuple[str, str, str]
"""(symbol, exchange, product)"""


class Sessions(Protocol):
    def broker_for(self, account: Account) -> Broker: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep did: order ids or symbols done, (order id or symbol, why) not done, and how many of those are still
    under way in another process."""

    done: list[str]
    failed: list[tuple[str, str]]
    under_way: int = 0


class Sweeps:
    """Of any account. Raises what reading its book raises, and nothing is sent then."""

    def __init__(
        self,
        orders_store: Database,
        clock: Clock,
        accounts: Accounts,
        sessions: Sessions,
        orders: Orders,
        smart: SmartOrders,
        book: PlanBook,
        updates: OrderUpdates,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._db = orders_store
        self._clock = clock
        self._accounts = accounts
        self._sessions = sessions
        self._orders = orders
        self._smart = smart
        self._book = book
        self._updates = updates
        self._pause = pause

    def cancel_all(
        self,
        caller: Caller,
        *,
        key: str = "",
        body_hash: str = "",
        only: Callable[[Order], bool] = lambda order: True,
        reason: str = "",
    ) -> Swept:
        """Cancel every order that works or waits for a send slot, of those that `only` takes.

        reason  for one and the same no order is cancelled twice, by whichever sweep
        """
        if (earlier := self._book.earlier(caller.account.id, key, body_hash)) is not None:
            return self._report(earlier)
        doubtful = [] if reason else self._in_doubt(caller)
        working = self._working(caller, only)
        legs = [{"name": name, "key": f"{reason}:{name}" if reason else ""} for name in working]
        swept = self._begin(caller, CANCEL, {"legs": legs}, key, body_hash, working)
        without = [(name, "It has no answer yet; ask again.") for name in doubtful if name not in working]
        return replace(swept, failed=swept.failed + without)

    def cancel_each_once(self, caller: Caller, reason: str, only: Callable[[Order], bool]) -> Swept:
        """The same for those who ask again and again until nothing works: no order is cancelled twice for one `reason`.
        What was done for it is told whichever process did it, and what was not taken is told again."""
        working = self._working(caller, only)
        failed: list[tuple[str, str]] = []
        if working:
            mark = sha256(" ".join(sorted(working)).encode()).hexdigest()[:24]
            failed = self.cancel_all(caller, key=f"{reason}:{mark}", only=only, reason=reason).failed
        each = [self._report(plan) for plan in self._book.of_reason(caller.account.id, CANCEL, reason)]
        done = dict.fromkeys(name for swept in each for name in swept.done)
        return Swept(done=list(done), failed=failed, under_way=sum(swept.under_way for swept in each))

    def close_all(
        self,
        caller: Caller,
        strategy: str = "",
        *,
        key: str = "",
        body_hash: str = "",
        only: Callable[[Line], bool] = lambda line: True,
    ) -> Swept:
        """Send a MARKET order against every open position that `only` takes, in pieces where the exchange freezes its
        size."""
        if (earlier := self._book.earlier(caller.account.id, key, body_hash)) is not None:
            return self._report(earlier)
        held = self._sessions.broker_for(caller.account).fetch_positions()
        legs = [
            OrderRequest(
                symbol=position.symbol,
                exchange=position.exchange,
                side=Side.SELL if position.quantity > 0 else Side.BUY,
                quantity=abs(position.quantity),
                product=position.product,
                strategy=strategy,
                reduce_only=True,
            )
            for position in held
            if position.quantity and only((position.symbol, position.exchange.value, position.product.value))
        ]
        request = {"legs": [{"name": leg.symbol, **write_leg(leg)} for leg in legs]}
        return self._begin(caller, CLOSE, request, key, body_hash, {})

    def close_until_taken(self, caller: Caller, strategy: str, reason: str) -> Swept:
        """Close all for those who ask again and again until it is done. A position whose exit was not taken, or ended
        short, is closed again by what is held then: `TRIES` times for one `reason`, with longer pauses. What is to be
        tried again counts as under way."""
        account_id, now = caller.account.id, self._clock.now()
        tries = self._book.of_reason(account_id, CLOSE, reason)
        left = self._not_closed(tries[-1]) if tries else {}
        if not tries:
            self.close_all(caller, strategy, key=f"{reason}:1")
        elif left and len(tries) < TRIES:
            due = tries[-1].created_at + timedelta(seconds=PAUSES[len(tries) - 1])
            if due <= now and not self._report(tries[-1]).under_way:
                key = f"{reason}:{len(tries) + 1}"
                self.close_all(caller, strategy, key=key, only=lambda line: line in left)
        tries = self._book.of_reason(account_id, CLOSE, reason)
        left = self._not_closed(tries[-1])
        again = len(left) if len(tries) < TRIES else 0
        words = "it is tried again" if again else "it is not tried again: close it by hand"
        failed = [(line[0], f"{why} ({len(tries)} of {TRIES} tries; {words})") for line, why in left.items()]
        names = [name for plan in tries for name in self._report(plan).done]
        done = [name for name in dict.fromkeys(names) if name not in dict(failed)]
        return Swept(done=done, failed=failed, under_way=self._report(tries[-1]).under_way + again)

    def to_close(self, account_id: int, reason: str) -> bool:
        """Whether `close_until_taken` has something left to try for a reason."""
        tries = self._book.of_reason(account_id, CLOSE, reason)
        return 0 < len(tries) < TRIES and bool(self._not_closed(tries[-1]))

    def await_end(self, caller: Caller, order_ids: Sequence[str]) -> None:
        """Record what the broker's book shows, again for a few seconds while one of these orders (told ids) works in
        it: an exit counts on what is known to work, and news of a cancel may be late."""
        account, ended = caller.account, set(order_ids)
        end = self._clock.monotonic() + SETTLE
        while True:
            book = self._sessions.broker_for(account).fetch_orders()
            self._updates.apply(account.id, account.venue, account.mode, book, "sweep")
            with self._db.read() as connection:
                names = intent_rows.renamed(connection, account.id)
            works = {names.get(order.order_id, order.order_id) for order in book if order.state.is_working}
            if not works & ended or self._clock.monotonic() > end:
                return
            self._pause(0.2)

    def resume(self) -> int:
        """Take up the sweeps whose sender died; returns how many. For the worker."""
        lost = self._book.orphans(CANCEL, CLOSE)
        for plan, _ in lost:
            log.warning("sweep resumed account=%s plan=%s kind=%s", plan.account_id, plan.id, plan.kind)
            try:
                self._run(plan, sender(plan, self._accounts), {}, again=True)
            except PlatformError as error:  # one that cannot go on holds up no other
                log.warning("sweep not resumed plan=%s: %s", plan.id, error)
        return len(lost)

    # -- inside
    def _working(self, caller: Caller, only: Callable[[Order], bool]) -> dict[str, Order | None]:
        """Told id -> the order as the book shows it; None for one that still waits to be sent."""
        account = caller.account
        book = self._sessions.broker_for(account).fetch_orders()
        with self._db.read() as connection:
            names = intent_rows.renamed(connection, account.id)
            waiting = intent_rows.in_states(connection, IntentState.QUEUED, account_id=account.id)
        working: dict[str, Order | None] = {
            names.get(order.order_id, order.order_id): order
            for order in book
            if not order.state.is_final and only(order)
        }
        queued = [one for one in waiting if one.broker == account.venue and only(unseen(one))]
        return working | {one.public_id: None for one in queued}

    def _in_doubt(self, caller: Caller) -> list[str]:
        """Told ids of new orders that may be in the market although no book shows them."""
        states, account = (IntentState.SENDING, IntentState.UNKNOWN), caller.account
        with self._db.read() as connection:
            found = intent_rows.in_states(connection, *states, account_id=account.id)
        asked = [one for one in found if one.kind is IntentKind.PLACE and one.broker == account.venue]
        return [one.public_id for one in asked]

    def _begin(
        self,
        caller: Caller,
        kind: str,
        request: dict[str, Any],
        key: str,
        body_hash: str,
        seen: dict[str, Order | None],
    ) -> Swept:
        opened = self._book.open(
            caller, kind, request, key=key, body_hash=body_hash, length=LENGTH, parks=False
        )
        if opened.new:
            self._run(opened.plan, caller, seen)
        return self._report(opened.plan)

    def _run(self, plan: Plan, caller: Caller, seen: dict[str, Order | None], *, again: bool = False) -> None:
        """Do the legs that are not told yet; one that a broker kept from being done is tried `again` until the end."""
        told = self._book.told(plan)
        late = plan.deadline <= self._clock.now()
        waits = False
        for number, leg in enumerate(plan.request["legs"]):
            if number in told:
                continue
            try:
                placed = (
                    self._late(plan, caller, number) if late else self._do(plan, caller, number, leg, seen)
                )
            except (Unavailable, BrokerUnavailable) as error:
                if again:
                    waits = True
                    continue
                placed = refusal(error)
            except PlatformError as error:
                placed = refusal(error)
            self._book.keep(plan, number, placed)
        if not waits:
            self._book.finish(plan)

    def _late(self, plan: Plan, caller: Caller, number: int) -> Placed:
        """What became of a leg that is not begun any more."""
        sent = self._book.sent(plan, number)
        return told_of(self._orders, caller, sent) if sent else refused("NOT_SENT", TOO_LATE)

    def _do(
        self, plan: Plan, caller: Caller, number: int, leg: dict[str, Any], seen: dict[str, Order | None]
    ) -> Placed:
        if plan.kind == CLOSE:
            nothing = Decimal(0)
            exit_ = replace(
                read_leg(leg), quantity=nothing
            )  # on a flat position a quantity would be an entry
            return self._smart.reach(plan, caller, number, exit_, nothing, approved=True, wait=False)
        name, key = leg["name"], leg["key"] or f"plan:{plan.id}:{number}"
        order = seen.get(name)
        if order is not None:
            return self._orders.end(caller, order, key=key, plan_id=plan.id, leg=number)
        try:
            return self._orders.cancel(caller, name, key=key)
        except OrderNotFound:  # it left the queue unsent
            return refused("ORDER_NOT_FOUND", "It was not sent.")

    def _not_closed(self, plan: Plan) -> dict[Line, str]:
        """The positions whose exits were not taken, or are over and closed less than was sent; and why."""
        told = self._book.told(plan)
        left: dict[Line, str] = {}
        for number, leg in enumerate(plan.request["legs"]):
            placed = told.get(number)
            if placed is None:
                continue
            why = placed.message
            if placed.state in _DONE[CLOSE]:
                with self._db.read() as connection:
                    why = ended_short(connection, self._book.sent(plan, number))
                if not why:
                    continue
            left[leg["symbol"], leg["exchange"], leg["product"]] = why
        return left

    def _report(self, plan: Plan) -> Swept:
        told = self._book.told(plan)
        done, failed = [], []
        for number, leg in enumerate(plan.request["legs"]):
            placed = told.get(number)
            if placed is None:
                failed.append((leg["name"], "It is under way."))
            elif placed.state in _DONE[plan.kind]:
                done.append(leg["name"])
            else:
                failed.append((leg["name"], placed.message))
        under_way = len(plan.request["legs"]) - len(told)
        return Swept(done=done, failed=failed, under_way=under_way)


def ended_short(connection: Connection, intents: Sequence[Intent]) -> str:
    """Why orders that are over filled less than they were sent for; "" while one is not over, where all is filled, and
    where somebody cancelled the rest."""
    orders = orders_of(connection, intents)
    why = ""
    for intent in intents:
        order = orders.get(intent.id)
        if order is None:
            if intent.state not in (IntentState.REFUSED, IntentState.EXPIRED):
                return ""
            why = why or intent.words or intent.code
        elif not order.state.is_final:
            return ""
        elif order.filled < intent.quantity:
            asked = intent_rows.about(connection, intent.account_id, order.order_id)
            if order.state is OrderState.CANCELLED and any(one.kind is IntentKind.CANCEL for one in asked):
                return ""
            why = (
                why
                or order.reason
                or f"{order.filled:f} of {intent.quantity:f} filled, then {order.state.lower()}"
            )
    return why


_DONE = {CANCEL: ("accepted",), CLOSE: ("accepted", "pending", "queued", "none")}
"""What counts as done, by kind. A cancel without an answer is not."""
