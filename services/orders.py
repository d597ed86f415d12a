"""An order's way: resolve, gate, journal, send once, settle, tell.

The answer is derived from the journal row, never from an exception; nothing is ever sent twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from sqlalchemy import Connection

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
)
from domain.model import (
    CancelOrder,
    Instrument,
    IntentKind,
    IntentState,
    Order,
    OrderRequest,
    OrderType,
)
from domain.outcomes import Accepted, Ambiguous, Outcome, Refused
from services.accounts import Account, Caller
from services.gate import Admission, Gate, check_terms
from services.new_intent import new_intent
from services.settling import conversion, modify_order, place_order, unseen, write_outcome
from services.slicing import check_freeze

log = logging.getLogger(__name__)

SETTLE_WAIT = 5.0
"""Seconds an answer waits for an unknown outcome to be reconciled."""
LATE = timedelta(seconds=5)
"""How long after it was taken up an order may still be handed over: its answer must come before it counts as lost."""
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
    intent_id its journal row, "" where it has none
    order_ids of every piece, where the order was sent in several
    """

    state: str
    order_id: str
    message: str = ""
    code: str = ""
    approval_id: int | None = None
    intent_id: str = field(default="", compare=False)
    order_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTerms:
    """New terms of a working order; quantity is the total."""

    quantity: Decimal
    order_type: OrderType
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    disclosed_quantity: Decimal = Decimal(0)


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
        if admission is not None and (told := self.told(caller, admission.key, admission.body_hash)):
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
        else:
            self._tell(account.id)
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
        if told := self.told(caller, key, body_hash):
            return told
        broker = self._sessions.broker_for(caller.account)
        self._ready(caller.account)
        order = self._target(caller, broker, order_id)
        _check_changeable(order, terms)
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
        return self._send_change(caller, intent, broker, instrument, order)

    def cancel(self, caller: Caller, order_id: str, *, key: str = "", body_hash: str = "") -> Placed:
        """End a working order. Raises OrderNotFound, SessionOver and Unavailable."""
        if told := self.told(caller, key, body_hash):
            return told
        withdrawn = self._withdraw(caller, order_id)
        if withdrawn is not None:
            return withdrawn
        order = self._target(caller, self._sessions.broker_for(caller.account), order_id)
        return self.end(caller, order, key=key, body_hash=body_hash)

    def end(
        self,
        caller: Caller,
        order: Order,
        *,
        key: str = "",
        body_hash: str = "",
        plan_id: int | None = None,
        leg: int | None = None,
    ) -> Placed:
        """Cancel an order as the broker's book showed it, as a leg of a plan where one is given."""
        if told := self.told(caller, key, body_hash):
            return told
        broker = self._sessions.broker_for(caller.account)
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
        intent = replace(intent, plan_id=plan_id, leg=leg)
        return self._send_change(caller, intent, broker, instrument, order)

    def sizes(self, caller: Caller, request: OrderRequest, *, exits: bool | None = None) -> list[Decimal]:
        """The pieces that an order is to be sent in, see `Gate.sizes`. Raises InstrumentNotFound too."""
        instrument = self.resolve(caller.account, request.exchange, request.symbol)
        return self._gate.sizes(caller, request, instrument, exits=exits)

    def approve(self, caller: Caller, intent_id: str, decide: Callable[[Connection, bool], bool]) -> bool:
        """Decide on a parked order by the limits as they are now, see `Gate.admit_approved`. Raises
        InstrumentNotFound too."""
        intent = self._intent(intent_id)
        account = replace(caller.account, mode=intent.mode)
        instrument = self.resolve(account, intent.exchange, intent.symbol)
        return self._gate.admit_approved(replace(caller, account=account), intent, instrument, decide)

    def weigh(self, caller: Caller, request: OrderRequest) -> None:
        """Raise what `sizes` raises, and RiskRefused where the kill switch or the limits are against sending it now.
        Its price is not held against the market's: it is to be sent at another time."""
        instrument = self.resolve(caller.account, request.exchange, request.symbol)
        largest = max(self.sizes(caller, request))
        self._gate.weigh(caller, replace(request, quantity=largest, price=None), instrument)

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

    def require(self, account: Account) -> None:
        """Raises Unavailable while the account may not trade yet."""
        self._ready(account)

    # -- sending
    def send(self, intent: Intent, broker: Broker, instrument: Instrument) -> Intent:
        """Hand a SENDING intent to its broker, once, and settle it; the row as it is then. One that was taken up too
        long ago is refused unsent: it may be given up as lost by now."""
        if self._clock.now() - (intent.sent_at or intent.created_at) > LATE:
            return self._settle(intent, Refused("NOT_SENT", "Its turn came too late: nothing was sent."))
        if intent.kind is IntentKind.PLACE:
            order = place_order(intent, instrument)
            return self._attempt(intent, lambda: broker.place(order))
        if intent.kind is IntentKind.MODIFY:
            change = modify_order(intent, instrument)
            return self._attempt(intent, lambda: broker.modify(change))
        if intent.kind is IntentKind.CONVERT:
            moves = conversion(intent, instrument)
            return self._attempt(intent, lambda: broker.convert(moves))
        wish = CancelOrder(client_order_id=intent.id, order_id=intent.target_order_id, instrument=instrument)
        return self._attempt(intent, lambda: broker.cancel(wish))

    def finish(self, intent: Intent, broker: Broker, instrument: Instrument, *, new: bool) -> Placed:
        """Send what the gate has admitted, and answer; what it knew already is only answered."""
        return self._answer(self.send(intent, broker, instrument)) if new else self._replay(intent)

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
        if isinstance(outcome, Accepted) and intent.kind in (IntentKind.PLACE, IntentKind.CONVERT):
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
        return new_intent(
            caller,
            kind,
            self._clock.now(),
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
        )

    def _send_change(
        self, caller: Caller, intent: Intent, broker: Broker, instrument: Instrument, before: Order
    ) -> Placed:
        intent, new = self._gate.admit_change(caller, intent, instrument, before)
        return self.finish(intent, broker, instrument, new=new)

    def _withdraw(self, caller: Caller, order_id: str) -> Placed | None:
        """End an intent that was never sent; None when it is not one."""
        with self._db.read() as connection:
            intent = intent_rows.placing(connection, caller.account.id, order_id)
        if intent is None or intent.state not in (IntentState.QUEUED, IntentState.PARKED):
            return None
        now, words = self._clock.now(), "Cancelled before it was sent."
        changes = {"code": "CANCELLED", "words": words, "settled_at": now}

        def work(connection: Connection) -> bool:
            waits = approval_rows.of_intent(connection, intent.id)
            if waits is not None:
                approval_rows.decide(
                    connection,
                    waits.id,
                    waits.account_id,
                    approval_rows.REJECTED,
                    caller.username,
                    words,
                    now,
                )
            return intent_rows.move(connection, intent.id, intent.state, IntentState.REFUSED, now, **changes)

        if not self._db.write(work):
            return None
        return Placed(state="accepted", order_id=intent.public_id, message=words)

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
    def told(self, caller: Caller, key: str, body_hash: str) -> Placed | None:
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
        return replace(self._told_of(intent), intent_id=intent.id)

    def _told_of(self, intent: Intent) -> Placed:
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
        what = "conversion" if intent.kind is IntentKind.CONVERT else "order"
        words = f"The broker has not confirmed this {what} yet. It is not sent again; its state follows."
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


def _check_changeable(order: Order, terms: OrderTerms) -> None:
    if order.state.is_final:
        raise InvalidRequest(f"The order is {order.state} and cannot be changed.", "orderid")
    if terms.quantity < order.filled:
        raise InvalidRequest(
            f"quantity {terms.quantity:f} is below the total so far: {order.filled:f} are filled.",
            "quantity",
        )
