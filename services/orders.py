"""An order's way: resolve, gate, journal, send once, settle, tell.

The answer is derived from the journal row, never from an exception; nothing is ever sent twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

from broker.interface import Broker
from database import approvals as approval_rows
from database import events as event_rows
from database import intents as intent_rows
from database.engine import Database
from database.intents import Intent
from domain.clock import Clock
from domain.errors import (
    InstrumentNotFound,
    InvalidRequest,
    NotFound,
    NotSupported,
    OrderNotFound,
    PlatformError,
    RiskRefused,
)
from domain.model import (
    CancelOrder,
    Instrument,
    IntentKind,
    IntentState,
    Order,
    OrderRequest,
    OrderType,
    Side,
)
from domain.outcomes import Accepted, Ambiguous, Outcome, Refused
from services.accounts import Account, Caller
from services.gate import Admission, Gate, check_freeze, check_terms, new_client_order_id, slices
from services.settling import modify_order, place_order, unseen, write_outcome

log = logging.getLogger(__name__)

SETTLE_WAIT = 5.0
"""Seconds an answer waits for an unknown outcome to be reconciled."""
HOLD = 15.0
"""Seconds a second request with the same key, or about an order without a broker id, waits."""


class Instruments(Protocol):
    def get(self, broker: str, exchange: str, symbol: str) -> Instrument | None: ...


class Sessions(Protocol):
    def broker_for(self, account: Account) -> Broker: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What became of a request, read from its journal row.

    state     "accepted", "refused", "pending" (unknown outcome or still on its way), "parked", "queued"
    order_id  what the client is told; "" when refused before the broker stored a row
    code      why it was refused, e.g. INSUFFICIENT_FUNDS, ORDER_NOT_FOUND; else ""
    """

    state: str
    order_id: str
    message: str = ""
    code: str = ""
    approval_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTerms:
    """New terms of a working order; quantity is the total."""

    quantity: Decimal
    order_type: OrderType
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    disclosed_quantity: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What cancel-all and close-all did: order ids done, and (order id or symbol, why) not done."""

    done: list[str]
    failed: list[tuple[str, str]]


class Orders:
    """Places, changes and reads the orders of any account."""

    def __init__(
        self,
        orders: Database,
        clock: Clock,
        instruments: Instruments,
        sessions: Sessions,
        gate: Gate,
        *,
        look_again: Callable[[Intent], None],
        tell: Callable[[int], None],
        ready: Callable[[Account], None] = lambda account: None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`look_again` tries to reconcile one intent now; `tell` rings that an account has new order events;
        `ready` raises Unavailable while an account may not trade yet."""
        self._db = orders
        self._clock = clock
        self._instruments = instruments
        self._sessions = sessions
        self._gate = gate
        self._look_again = look_again
        self._tell = tell
        self._ready = ready
        self._pause = pause

    # -- writes
    def place(self, caller: Caller, request: OrderRequest, admission: Admission | None = None) -> Placed:
        """Send a new order. Raises InvalidRequest, InstrumentNotFound, NotSupported, RiskRefused, DuplicateKey,
        SessionOver and Unavailable, all before anything is sent."""
        account = caller.account
        if admission is not None and (told := self._told(caller, admission.key, admission.body_hash)):
            return told
        instrument = self.resolve(account, request.exchange, request.symbol)
        request = check_terms(request, instrument)
        check_freeze(request, instrument)
        broker = self._sessions.broker_for(account)
        self._ready(account)
        broker.check(request.exchange, request.order_type, request.product)
        per_second = int(broker.manifest.limits.requests.get("orders", 0))
        admission = replace(admission or Admission(), per_second=per_second)
        intent, new = self._gate.admit(caller, request, instrument, admission)
        if not new:
            return self._replay(intent)
        if intent.state is IntentState.SENDING:
            intent = self.send(intent, broker, instrument)
        return self._answer(intent)

    def modify(
        self,
        caller: Caller,
        order_id: str,
        terms: OrderTerms,
        *,
        key: str = "",
        body_hash: str = "",
    ) -> Placed:
        """Replace a working order's terms. Raises OrderNotFound, InvalidRequest and what `place` raises."""
        if told := self._told(caller, key, body_hash):
            return told
        broker = self._sessions.broker_for(caller.account)
        order = self._target(caller, broker, order_id)
        instrument = self.resolve(caller.account, order.exchange, order.symbol)
        request = check_terms(
            OrderRequest(
                symbol=order.symbol,
                exchange=order.exchange,
                side=order.side,
                product=order.product,
                quantity=terms.quantity,
                order_type=terms.order_type,
                price=terms.price,
                trigger_price=terms.trigger_price,
                disclosed_quantity=terms.disclosed_quantity,
            ),
            instrument,
        )
        check_freeze(request, instrument)
        broker.check(request.exchange, request.order_type, request.product)
        intent = self._change(caller, IntentKind.MODIFY, order, request, key, body_hash)
        return self._send_change(caller, intent, broker, instrument)

    def cancel(self, caller: Caller, order_id: str, *, key: str = "", body_hash: str = "") -> Placed:
        """End a working order. Raises OrderNotFound, SessionOver and Unavailable."""
        if told := self._told(caller, key, body_hash):
            return told
        withdrawn = self._withdraw(caller, order_id)
        if withdrawn is not None:
            return withdrawn
        broker = self._sessions.broker_for(caller.account)
        order = self._target(caller, broker, order_id)
        return self._cancel(caller, broker, order, key, body_hash)

    def cancel_all(self, caller: Caller) -> Swept:
        """Cancel every working order of the account; an unreadable book raises and nothing is sent."""
        broker = self._sessions.broker_for(caller.account)
        done, failed = [], []
        names = self._names(caller.account)
        for order in broker.fetch_orders():
            if order.state.is_final:
                continue
            told = names.get(order.order_id, order.order_id)
            answer = self._cancel(caller, broker, order, "", "")
            if answer.state == "accepted":
                done.append(told)
            else:
                failed.append((told, answer.message))
        return Swept(done=done, failed=failed)

    def close_all(self, caller: Caller, strategy: str = "") -> Swept:
        """Send a reducing MARKET order for every open position, in pieces where the exchange freezes its size; an
        unreadable book raises and nothing is sent."""
        broker = self._sessions.broker_for(caller.account)
        done, failed = [], []
        for position in broker.fetch_positions():
            if position.quantity == 0:
                continue
            request = OrderRequest(
                symbol=position.symbol,
                exchange=position.exchange,
                side=Side.SELL if position.quantity > 0 else Side.BUY,
                quantity=abs(position.quantity),
                product=position.product,
                strategy=strategy,
                reduce_only=True,
            )
            if words := self._close(caller, request):
                failed.append((position.symbol, words))
            else:
                done.append(position.symbol)
        return Swept(done=done, failed=failed)

    def _close(self, caller: Caller, request: OrderRequest) -> str:
        """Send one position's exit; why it, or the rest of it, was not taken, "" when all was."""
        sent = 0
        try:
            instrument = self.resolve(caller.account, request.exchange, request.symbol)
            pieces = slices(request.quantity, instrument)
            for quantity in pieces:
                piece = replace(request, quantity=quantity)
                answer = self.place(caller, piece, Admission(approved=True))
                if answer.state == "refused":
                    raise RiskRefused(answer.code, answer.message)
                sent += 1
        except PlatformError as error:
            return f"{sent} of {len(pieces)} orders were taken, then: {error}" if sent else str(error)
        return ""

    # -- reads
    def book(self, caller: Caller) -> list[Order]:
        """Today's orders under the ids clients were told, oldest first."""
        names = self._names(caller.account)
        orders = self._sessions.broker_for(caller.account).fetch_orders()
        if not names:
            return orders
        return [replace(o, order_id=names[o.order_id]) if o.order_id in names else o for o in orders]

    def status(self, caller: Caller, order_id: str) -> Order:
        """One order by any id it is known by, ours while the broker's is not known. Raises OrderNotFound."""
        with self._db.read() as connection:
            intent = intent_rows.placing(connection, caller.account.id, order_id)
        if intent is not None and intent.broker == caller.account.venue:
            if intent.broker_order_id is None:
                return unseen(intent)
            broker = self._sessions.broker_for(caller.account)
            order = broker.fetch_order(intent.broker_order_id)
            return unseen(intent) if order is None else replace(order, order_id=intent.public_id)
        found = self._sessions.broker_for(caller.account).fetch_order(order_id)
        if found is None:
            raise OrderNotFound(caller.account.venue, "ORDER_NOT_FOUND", f"Order {order_id} not found")
        return found

    def resolve(self, account: Account, exchange: str, symbol: str) -> Instrument:
        """The instrument in the account's own broker's master. Raises InstrumentNotFound."""
        instrument = self._instruments.get(account.venue, exchange, symbol)
        if instrument is None:
            raise InstrumentNotFound(symbol, exchange)
        return instrument

    # -- sending
    def send(self, intent: Intent, broker: Broker, instrument: Instrument) -> Intent:
        """Hand a SENDING intent to its broker, once, and settle it; the row as it is then."""
        if intent.kind is IntentKind.PLACE:
            order = place_order(intent, instrument)
            return self._attempt(intent, lambda: broker.place(order))
        if intent.kind is IntentKind.MODIFY:
            change = modify_order(intent, instrument)
            return self._attempt(intent, lambda: broker.modify(change))
        wish = CancelOrder(client_order_id=intent.id, order_id=intent.target_order_id, instrument=instrument)
        return self._attempt(intent, lambda: broker.cancel(wish))

    def _attempt(self, intent: Intent, call: Callable[[], Outcome]) -> Intent:
        try:
            outcome = call()
        except (InvalidRequest, NotSupported) as error:
            self._settle(intent, Refused("NOT_SUPPORTED", str(error)))
            raise
        except Exception:
            log.exception("broker call failed account=%s intent=%s", intent.account_id, intent.id)
            outcome = Ambiguous("the broker call ended without a readable answer")
        settled = self._settle(intent, outcome)
        return self._await_truth(settled) if settled.state is IntentState.UNKNOWN else settled

    def _settle(self, intent: Intent, outcome: Outcome) -> Intent:
        """The one commit after the send."""
        now = self._clock.now()
        settled = self._db.write(lambda connection: write_outcome(connection, intent, outcome, now))
        if isinstance(outcome, Accepted) and intent.kind is IntentKind.PLACE:
            self._tell(intent.account_id)
        return settled

    def _await_truth(self, intent: Intent) -> Intent:
        """Give reconciliation a few seconds before the client is told "pending"."""
        end = self._clock.monotonic() + SETTLE_WAIT
        pause = 0.1
        while self._clock.monotonic() < end:
            self._look_again(intent)
            intent = self._intent(intent.id)
            if intent.state is not IntentState.UNKNOWN:
                break
            self._pause(pause)
            pause = min(pause * 2, 1.0)
        return intent

    # -- changes
    def _change(
        self,
        caller: Caller,
        kind: IntentKind,
        order: Order,
        request: OrderRequest,
        key: str,
        body_hash: str,
    ) -> Intent:
        now = self._clock.now()
        return Intent(
            id=new_client_order_id(),
            account_id=caller.account.id,
            kind=kind,
            state=IntentState.SENDING,
            mode=caller.account.mode,
            broker=caller.account.venue,
            door=caller.door,
            user_id=caller.user_id,
            key_id=caller.key_id,
            address=caller.address,
            strategy=order.strategy,
            symbol=order.symbol,
            exchange=order.exchange,
            side=order.side,
            quantity=request.quantity,
            order_type=request.order_type,
            product=order.product,
            price=request.price,
            trigger_price=request.trigger_price,
            disclosed_quantity=request.disclosed_quantity,
            target_order_id=order.order_id,
            told_id=self._names(caller.account).get(order.order_id, order.order_id),
            idempotency_key=key or None,
            body_hash=body_hash,
            created_at=now,
            sent_at=now,
        )

    def _send_change(self, caller: Caller, intent: Intent, broker: Broker, instrument: Instrument) -> Placed:
        intent, new = self._gate.admit_change(caller, intent)
        if not new:
            return self._replay(intent)
        return self._answer(self.send(intent, broker, instrument))

    def _cancel(self, caller: Caller, broker: Broker, order: Order, key: str, body_hash: str) -> Placed:
        instrument = self.resolve(caller.account, order.exchange, order.symbol)
        request = OrderRequest(
            symbol=order.symbol,
            exchange=order.exchange,
            side=order.side,
            product=order.product,
            quantity=order.quantity,
            order_type=order.order_type,
            price=order.price,
            trigger_price=order.trigger_price,
        )
        intent = self._change(caller, IntentKind.CANCEL, order, request, key, body_hash)
        return self._send_change(caller, intent, broker, instrument)

    def _withdraw(self, caller: Caller, order_id: str) -> Placed | None:
        """End an intent that was never sent; None when it is not one."""
        with self._db.read() as connection:
            intent = intent_rows.placing(connection, caller.account.id, order_id)
        if intent is None or intent.state not in (IntentState.QUEUED, IntentState.PARKED):
            return None
        now = self._clock.now()
        changes = {"code": "CANCELLED", "words": "Cancelled before it was sent.", "settled_at": now}
        moved = self._db.write(
            lambda c: intent_rows.move(c, intent.id, intent.state, IntentState.REFUSED, now, **changes)
        )
        if not moved:
            return None
        return Placed(state="accepted", order_id=intent.public_id, message="Cancelled before it was sent.")

    def _target(self, caller: Caller, broker: Broker, order_id: str) -> Order:
        """The order a change is about, under the broker's id. Waits while the broker's id is not known."""
        account = caller.account
        end = self._clock.monotonic() + HOLD
        while True:
            with self._db.read() as connection:
                intent = intent_rows.placing(connection, account.id, order_id)
                broker_id = (intent.broker_order_id if intent else order_id) or ""
                order = (
                    event_rows.known(connection, account.id, account.venue, broker_id) if broker_id else None
                )
            waits = intent is not None and intent.state in (IntentState.SENDING, IntentState.UNKNOWN)
            if broker_id or not waits or self._clock.monotonic() > end:
                break
            self._pause(0.1)
        if order is None and broker_id:
            order = broker.fetch_order(broker_id)
        if order is None:
            raise OrderNotFound(account.venue, "ORDER_NOT_FOUND", f"Order {order_id} not found")
        return order

    # -- answers
    def _told(self, caller: Caller, key: str, body_hash: str) -> Placed | None:
        """The answer to a key that was used before, whatever the broker and its session are like by now."""
        earlier = self._gate.earlier(caller.account.id, key, body_hash) if key else None
        return None if earlier is None else self._replay(earlier)

    def _replay(self, intent: Intent) -> Placed:
        """The answer to a key that was used before: of the first request, waited for while it is on its way."""
        end = self._clock.monotonic() + HOLD
        while intent.state is IntentState.SENDING and self._clock.monotonic() < end:
            self._pause(0.02)
            intent = self._intent(intent.id)
        return self._answer(intent)

    def _answer(self, intent: Intent) -> Placed:
        told = intent.public_id
        if intent.state is IntentState.ACCEPTED:
            return Placed(state="accepted", order_id=told)
        if intent.state is IntentState.PARKED:
            return Placed(
                state="parked",
                order_id="",
                message="Order queued for approval in Action Center",
                approval_id=self._approval_id(intent),
            )
        if intent.state in (IntentState.REFUSED, IntentState.EXPIRED):
            order_id = intent.broker_order_id or ""
            if intent.kind is not IntentKind.PLACE:
                order_id = told
            return Placed(state="refused", order_id=order_id, message=intent.words, code=intent.code)
        if intent.told_id is None:
            self._db.write(lambda c: intent_rows.tell(c, intent.id, intent.id))
        if intent.state is IntentState.QUEUED:
            words = (
                f"Waiting for the exchange's order rate; sent or refused by {intent.deadline:%H:%M:%S} UTC."
            )
            return Placed(state="queued", order_id=told, message=words)
        words = "The broker has not confirmed this order yet. It is not sent again; its state follows."
        return Placed(state="pending", order_id=told, message=words)

    def _approval_id(self, intent: Intent) -> int | None:
        with self._db.read() as connection:
            approval = approval_rows.of_intent(connection, intent.id)
        return None if approval is None else approval.id

    def _intent(self, intent_id: str) -> Intent:
        with self._db.read() as connection:
            intent = intent_rows.by_id(connection, intent_id)
        if intent is None:
            raise NotFound(f"No such intent: {intent_id}")
        return intent

    def _names(self, account: Account) -> dict[str, str]:
        with self._db.read() as connection:
            return intent_rows.renamed(connection, account.id)
