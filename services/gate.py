"""The one place that every order crosses: what is wrong with it, what the limits say, and the journal row.

`check_terms` is pure. `Gate.admit` holds the kill switch, the limits, the duplicate window, the send slot and the
journal insert in one transaction; what cannot be read refuses.
"""

from __future__ import annotations

import fnmatch
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from sqlalchemy import Connection

from database import approvals as approval_rows
from database import controls as control_rows
from database import gate_counts
from database import intents as intent_rows
from database.controls import Controls, Kill
from database.engine import Database
from database.intents import Intent
from domain.calendar_day import day_start
from domain.clock import Clock
from domain.errors import DuplicateKey, InvalidRequest, RiskRefused
from domain.model import (
    CASH,
    DERIVATIVES,
    QUOTE_ONLY,
    Exchange,
    Instrument,
    IntentKind,
    IntentState,
    Mode,
    OrderMode,
    OrderRequest,
    OrderType,
    Product,
    Side,
)
from domain.money import on_grid
from services.accounts import Caller

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_PRODUCTS = {
    **{exchange: frozenset({Product.DELIVERY, Product.INTRADAY}) for exchange in CASH},
    **{exchange: frozenset({Product.CARRY, Product.INTRADAY}) for exchange in DERIVATIVES},
}
_LARGEST = Decimal(10) ** 10


def new_client_order_id() -> str:
    """16 of [a-z0-9]: milliseconds since 1970 in base 36, then 8 random places."""
    millis, places = time.time_ns() // 1_000_000, []
    for _ in range(8):
        millis, digit = divmod(millis, 36)
        places.append(_ALPHABET[digit])
    return "".join(reversed(places)) + "".join(secrets.choice(_ALPHABET) for _ in range(8))


def check_terms(request: OrderRequest, instrument: Instrument) -> OrderRequest:
    """The request without what its type does not use. Raises InvalidRequest naming the field.

    The freeze quantity is not checked here: whether an order is refused or split is the caller's choice.
    """
    if request.exchange in QUOTE_ONLY:
        raise InvalidRequest(
            f"{request.exchange} is quote-only: {request.symbol} cannot be traded.", "exchange"
        )
    if request.product not in _PRODUCTS[request.exchange]:
        allowed = ", ".join(sorted(_PRODUCTS[request.exchange]))
        raise InvalidRequest(
            f"Product {request.product} is not available on {request.exchange}; use {allowed}.", "product"
        )
    _check_quantity(request, instrument)
    order_type = request.order_type
    price = request.price if order_type.has_price else None
    trigger = request.trigger_price if order_type.has_trigger else None
    _check_price("price", order_type.has_price, price, request, instrument)
    _check_price("trigger_price", order_type.has_trigger, trigger, request, instrument)
    if order_type is OrderType.STOP_LIMIT:
        _check_stop(request.side, price, trigger)
    return replace(request, price=price, trigger_price=trigger)


def _check_quantity(request: OrderRequest, instrument: Instrument) -> None:
    quantity = request.quantity
    if not quantity.is_finite() or quantity <= 0 or quantity > _LARGEST:
        raise InvalidRequest("quantity must be more than 0 and at most 10,000,000,000.", "quantity")
    if request.exchange is not Exchange.CRYPTO and quantity != quantity.to_integral_value():
        raise InvalidRequest(
            f"quantity {quantity} is a fractional quantity; {request.exchange} trades whole units.",
            "quantity",
        )
    if request.exchange is not Exchange.CRYPTO and quantity % instrument.lot_size:
        raise InvalidRequest(
            f"quantity {quantity} is not a multiple of the lot size {instrument.lot_size} of {request.symbol}.",
            "quantity",
        )
    if not 0 <= request.disclosed_quantity <= quantity:
        raise InvalidRequest("disclosed_quantity must lie between 0 and quantity.", "disclosed_quantity")


def _check_price(
    field: str, needed: bool, value: Decimal | None, request: OrderRequest, instrument: Instrument
) -> None:
    if not needed:
        return
    if value is None or not value.is_finite() or value <= 0:
        raise InvalidRequest(f"{field} must be more than 0 for {request.order_type} orders.", field)
    if value > _LARGEST:
        raise InvalidRequest(f"{field} is too large.", field)
    if not on_grid(value, instrument.tick_size):
        raise InvalidRequest(
            f"{field} {value} is not a multiple of the tick size {instrument.tick_size} of {request.symbol}.",
            field,
        )


def _check_stop(side: Side, price: Decimal | None, trigger: Decimal | None) -> None:
    assert price is not None and trigger is not None
    if side is Side.BUY and price < trigger:
        raise InvalidRequest("A buy stop's price must not be below its trigger_price.", "price")
    if side is Side.SELL and price > trigger:
        raise InvalidRequest("A sell stop's price must not be above its trigger_price.", "price")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What limits need to know of the world; None is "not read", and a limit that needs it then refuses.

    position    signed units of this instrument and product now
    last_price  rupees, of a fresh quote of the account's own feed
    day_pnl     rupees, realised today plus unrealised
    """

    position: Decimal | None = None
    last_price: Decimal | None = None
    day_pnl: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What the doors add to a request.

    key        Idempotency-Key, "" for none
    body_hash  of the body the key came with
    per_second sends a rolling second that the broker's exchange allows, 0 for no limit
    approved   this was parked and a person approved it: it is not parked again
    beside     called in the same transaction with the new row, for what must exist with it or not at all
    """

    key: str = ""
    body_hash: str = ""
    plan_id: int | None = None
    leg: int | None = None
    per_second: int = 0
    approved: bool = False
    beside: Callable[[Connection, Intent], None] | None = None


class Gate:
    """Admits requests into the journal of one orders store."""

    def __init__(
        self, orders: Database, clock: Clock, read_facts: Callable[[Caller, OrderRequest], Facts]
    ) -> None:
        """`read_facts` may raise; it is called only when a limit or a kill switch needs it, outside the transaction."""
        self._db = orders
        self._clock = clock
        self._read_facts = read_facts

    def admit(
        self, caller: Caller, request: OrderRequest, instrument: Instrument, admission: Admission
    ) -> tuple[Intent, bool]:
        """Journal a PLACE intent; (intent, True) when new, (the first one, False) when the key was used before.

        The new row is SENDING, QUEUED or PARKED. Raises RiskRefused, DuplicateKey.
        """
        draft = self._draft(caller, request, admission)
        facts = self._read_facts(caller, request) if request.reduce_only else None

        def work(connection: Connection) -> tuple[Intent, bool]:
            limits = control_rows.load_both(connection, draft.account_id, request.strategy)
            earlier = _earlier(connection, draft.account_id, draft.idempotency_key, draft.body_hash)
            if earlier is not None:
                return earlier, False
            controls = self._allow(connection, draft, limits, instrument, facts)
            reduces = facts is not None and _shrinks(connection, draft, facts)
            placed = self._place_in_line(
                connection, caller, replace(draft, reduces=reduces), controls, admission
            )
            intent_rows.add(connection, placed)
            if admission.beside is not None:
                admission.beside(connection, placed)
            if placed.state is IntentState.PARKED:
                _park(connection, placed)
            return placed, True

        try:
            return self._db.write(work)
        except _FactsNeeded:
            facts = self._read_facts(caller, request)
            return self._db.write(work)

    def earlier(self, account_id: int, key: str, body_hash: str) -> Intent | None:
        """The intent that this key was first used for. Raises DuplicateKey when it came with another body."""
        with self._db.read() as connection:
            return _earlier(connection, account_id, key, body_hash)

    def _allow(
        self,
        connection: Connection,
        intent: Intent,
        limits_read: tuple[Controls | None, Controls | None],
        instrument: Instrument,
        facts: Facts | None,
    ) -> Controls:
        """The account's limits, once nothing in them is against the order. Raises RiskRefused, _FactsNeeded."""
        controls, strategy = limits_read
        if controls is None:
            raise RiskRefused("limits_unreadable", "This account's limits cannot be read: nothing was sent.")
        kill = control_rows.killed(connection, intent.account_id)
        applied = [limits for limits in (controls, strategy) if limits is not None]
        if facts is None and (kill is not None or any(_needs_facts(limits) for limits in applied)):
            raise _FactsNeeded
        facts = facts or Facts()
        reduces = _shrinks(connection, intent, facts)
        if kill is not None and not reduces:
            raise _killed(kill)
        for limits in applied:
            self._check_limits(connection, limits, intent, instrument, facts, reduces=reduces)
        return controls

    def admit_change(
        self, caller: Caller, intent: Intent, *, check: Callable[[Connection], None] | None = None
    ) -> tuple[Intent, bool]:
        """Journal a MODIFY or CANCEL intent in the same way. `check` may refuse inside the transaction."""

        def work(connection: Connection) -> tuple[Intent, bool]:
            control_rows.load_both(connection, intent.account_id, intent.strategy)
            earlier = _earlier(connection, intent.account_id, intent.idempotency_key, intent.body_hash)
            if earlier is not None:
                return earlier, False
            if check is not None:
                check(connection)
            intent_rows.add(connection, intent)
            return intent, True

        return self._db.write(work)

    def _draft(self, caller: Caller, request: OrderRequest, admission: Admission) -> Intent:
        now = self._clock.now()
        return Intent(
            id=new_client_order_id(),
            account_id=caller.account.id,
            kind=IntentKind.PLACE,
            state=IntentState.SENDING,
            mode=caller.account.mode,
            broker=caller.account.venue,
            door=caller.door,
            user_id=caller.user_id,
            key_id=caller.key_id,
            address=caller.address,
            strategy=request.strategy,
            plan_id=admission.plan_id,
            leg=admission.leg,
            symbol=request.symbol,
            exchange=request.exchange,
            side=request.side,
            quantity=request.quantity,
            order_type=request.order_type,
            product=request.product,
            price=request.price,
            trigger_price=request.trigger_price,
            disclosed_quantity=request.disclosed_quantity,
            idempotency_key=admission.key or None,
            body_hash=admission.body_hash,
            created_at=now,
            sent_at=now,
        )

    # -- inside it
    def _check_limits(
        self,
        connection: Connection,
        limits: Controls,
        intent: Intent,
        instrument: Instrument,
        facts: Facts,
        *,
        reduces: bool,
    ) -> None:
        _check_allowed(limits, intent)
        _check_size(limits, intent)
        self._check_counts(connection, limits, intent)
        if reduces:
            return
        _check_value(limits, intent, instrument, facts)
        _check_loss(limits, facts)

    def _check_counts(self, connection: Connection, limits: Controls, intent: Intent) -> None:
        strategy = limits.strategy or None
        if limits.max_open_orders is not None:
            count = gate_counts.open_orders(connection, intent.account_id, strategy)
            if count >= limits.max_open_orders:
                raise RiskRefused(
                    "max_open_orders", f"{count} orders are open; the limit is {limits.max_open_orders}."
                )
        if limits.max_orders_per_day is not None:
            start = day_start(intent.created_at)
            count = gate_counts.placed_since(connection, intent.account_id, strategy, start)
            if count >= limits.max_orders_per_day:
                raise RiskRefused(
                    "max_orders_per_day", f"{count} orders today; the limit is {limits.max_orders_per_day}."
                )
        if limits.duplicate_window_ms:
            start = intent.created_at - timedelta(milliseconds=limits.duplicate_window_ms)
            if gate_counts.same_since(connection, intent, start):
                raise RiskRefused(
                    "duplicate_window",
                    f"The same order was placed less than {limits.duplicate_window_ms} ms ago; nothing was sent.",
                )

    def _place_in_line(
        self,
        connection: Connection,
        caller: Caller,
        intent: Intent,
        controls: Controls,
        admission: Admission,
    ) -> Intent:
        """PARKED for approval, QUEUED for a send slot, or SENDING with the slot taken."""
        intent = replace(intent, algo_id=controls.algo_id)
        waits = caller.account.order_mode is OrderMode.SEMI_AUTO and caller.account.mode is Mode.LIVE
        if waits and not admission.approved:
            return replace(intent, state=IntentState.PARKED, sent_at=None)
        per_second = min(filter(None, (admission.per_second, controls.max_orders_per_second)), default=0)
        if not per_second or self._slot(connection, intent, per_second):
            return intent
        deadline = intent.created_at + timedelta(seconds=controls.queue_seconds)
        return replace(intent, state=IntentState.QUEUED, sent_at=None, deadline=deadline)

    def _slot(self, connection: Connection, intent: Intent, per_second: int) -> bool:
        """A slot is free only when nobody waits for one already."""
        if gate_counts.queued(connection, intent.account_id, intent.exchange):
            return False
        return control_rows.take_slot(
            connection, intent.account_id, intent.exchange, intent.created_at, per_second
        )


class _FactsNeeded(Exception):
    """A limit asks for something that was not read; read it and come again."""


def _shrinks(connection: Connection, intent: Intent, facts: Facts) -> bool:
    """Whether the order can only bring a known position nearer to zero, after all that is on its way."""
    position = facts.position
    if position is None or position * intent.side.sign >= 0:
        return False
    return gate_counts.committed(connection, intent) + intent.quantity <= abs(position)


def _killed(kill: Kill) -> RiskRefused:
    return RiskRefused(
        "kill_switch",
        f"The kill switch is on since {kill.engaged_at:%Y-%m-%d %H:%M:%S} UTC "
        f"({kill.reason or 'no reason given'}). Only orders that reduce a position are taken.",
    )


def _park(connection: Connection, intent: Intent) -> None:
    """Put the request where a person decides on it."""
    names = (
        "symbol",
        "exchange",
        "side",
        "quantity",
        "order_type",
        "product",
        "price",
        "trigger_price",
        "strategy",
    )
    request = {name: None if (value := getattr(intent, name)) is None else str(value) for name in names}
    approval_rows.park(
        connection,
        account_id=intent.account_id,
        kind="placeorder",
        request=request,
        now=intent.created_at,
        intent_id=intent.id,
    )


def _earlier(connection: Connection, account_id: int, key: str | None, body_hash: str) -> Intent | None:
    if key is None:
        return None
    earlier = intent_rows.by_key(connection, account_id, key)
    if earlier is not None and earlier.body_hash != body_hash:
        raise DuplicateKey(
            "This Idempotency-Key was used with another request: nothing was sent.", "Idempotency-Key"
        )
    return earlier


def _needs_facts(limits: Controls) -> bool:
    return any(
        limit is not None for limit in (limits.max_value, limits.price_collar_percent, limits.max_day_loss)
    )


def _check_allowed(limits: Controls, intent: Intent) -> None:
    if limits.allowed_symbols is not None:
        name = f"{intent.exchange}:{intent.symbol}"
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in limits.allowed_symbols.split()):
            raise RiskRefused("allowed_symbols", f"{name} is not among the symbols allowed here.")
    if limits.allowed_products is not None and intent.product not in limits.allowed_products.split():
        raise RiskRefused("allowed_products", f"Product {intent.product} is not allowed here.")


def _check_size(limits: Controls, intent: Intent) -> None:
    if limits.max_quantity is not None and intent.quantity > limits.max_quantity:
        raise RiskRefused(
            "max_quantity", f"quantity {intent.quantity} is above the limit of {limits.max_quantity}."
        )


def _check_value(limits: Controls, intent: Intent, instrument: Instrument, facts: Facts) -> None:
    price = intent.price or intent.trigger_price or facts.last_price
    if limits.max_value is not None:
        if price is None:
            raise RiskRefused("max_value", "The order's value cannot be computed: no fresh price.")
        value = price * intent.quantity * instrument.contract_value
        if value > limits.max_value:
            raise RiskRefused(
                "max_value", f"The order is worth ₹{value:.2f}; the limit is ₹{limits.max_value}."
            )
    if limits.price_collar_percent is not None:
        if facts.last_price is None:
            raise RiskRefused("price_collar", "No fresh price to hold the order's price against.")
        band = facts.last_price * limits.price_collar_percent / 100
        for asked in filter(None, (intent.price, intent.trigger_price)):
            if abs(asked - facts.last_price) > band:
                raise RiskRefused(
                    "price_collar",
                    f"Price {asked} is more than {limits.price_collar_percent}% "
                    f"from the last price {facts.last_price}.",
                )


def _check_loss(limits: Controls, facts: Facts) -> None:
    if limits.max_day_loss is None:
        return
    if facts.day_pnl is None:
        raise RiskRefused("max_day_loss", "Today's profit and loss cannot be read.")
    if facts.day_pnl <= -limits.max_day_loss:
        raise RiskRefused(
            "max_day_loss",
            f"Today's loss of ₹{-facts.day_pnl:.2f} has reached the limit of ₹{limits.max_day_loss}.",
        )


def check_freeze(request: OrderRequest, instrument: Instrument) -> None:
    """Refuse a single order above the exchange's freeze quantity; an unknown one is not enforced."""
    freeze = instrument.freeze_quantity
    if freeze is not None and request.quantity > freeze:
        raise InvalidRequest(
            f"quantity {request.quantity} is above the freeze quantity {freeze} of {request.symbol}; split the order.",
            "quantity",
        )


def slices(quantity: Decimal, instrument: Instrument) -> list[Decimal]:
    """A quantity in pieces that the exchange takes, whole lots each, the largest first."""
    freeze = instrument.freeze_quantity
    if freeze is None or quantity <= freeze:
        return [quantity]
    piece = Decimal(max(freeze - freeze % instrument.lot_size, instrument.lot_size))
    whole, rest = divmod(quantity, piece)
    return [piece] * int(whole) + ([rest] if rest else [])
