"""The one place that every order crosses: what is wrong with it, what the limits say, and the journal row.

`check_terms` is pure. `Gate.admit` holds the kill switch, the limits, the duplicate window, the send slot and the
journal insert in one transaction; what cannot be read refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection

from database import approvals as approval_rows
from database import controls as control_rows
from database import conversions as conversion_rows
from database import gate_counts
from database import intents as intent_rows
from database.controls import Controls, Kill
from database.engine import Database
from database.intents import Intent
from domain.calendar_day import day_end, day_start
from domain.clock import Clock
from domain.errors import DuplicateKey, InvalidRequest, RiskRefused
from domain.model import (
    QUOTE_ONLY,
    Exchange,
    Instrument,
    IntentKind,
    IntentState,
    Mode,
    Order,
    OrderMode,
    OrderRequest,
    OrderType,
    Product,
    Side,
    products_of,
)
from domain.money import on_grid
from services.accounts import Caller
from services.facts import with_news
from services.new_intent import new_intent
from services.risk import Facts, check_allowed, check_loss, check_size, check_value, needs_facts
from services.slicing import check_freeze, slices

_LARGEST = Decimal(10) ** 10
_Limits = tuple[Controls | None, Controls | None]


def check_terms(request: OrderRequest, instrument: Instrument) -> OrderRequest:
    """The request without what its type does not use. Raises InvalidRequest naming the field.

    The freeze quantity is not checked here: whether an order is refused or split is the caller's choice.
    """
    if request.exchange in QUOTE_ONLY:
        raise InvalidRequest(
            f"exchange {request.exchange} is quote-only: {request.symbol} cannot be traded.", "exchange"
        )
    if request.product not in products_of(request.exchange):
        allowed = ", ".join(sorted(products_of(request.exchange)))
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
        self._read_facts = with_news(orders, read_facts)

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
            wish = replace(draft, reduces=reduces, algo_id=controls.algo_id)
            placed = self._place_in_line(connection, caller, wish, controls, admission)
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
        limits: _Limits,
        instrument: Instrument,
        facts: Facts | None,
        replaces: Decimal | None = None,
    ) -> Controls:
        """The account's limits, once nothing in them is against the order. Raises RiskRefused, _FactsNeeded.

        replaces  quantity of the order that this intent changes; None for a new order
        """
        controls, strategy = limits
        if controls is None:
            raise RiskRefused("limits_unreadable", "This account's limits cannot be read: nothing was sent.")
        kill = control_rows.killed(connection, intent.account_id)
        applied = [row for row in (controls, strategy) if row is not None]
        if facts is None and (kill is not None or any(map(needs_facts, applied))):
            raise _FactsNeeded
        known = facts or Facts()
        reduces = _shrinks(connection, intent, known, replaces or Decimal(0))
        if kill is not None and not reduces:
            raise _killed(kill)
        for row in applied:
            check_size(row, intent)
            if reduces:
                continue
            try:
                check_allowed(row, intent)
                if replaces is None:
                    self._check_counts(connection, row, intent)
            except RiskRefused:
                if facts is None:  # an exit is let through, but whether this is one was not read
                    raise _FactsNeeded from None
                raise
            check_value(row, intent, instrument, known)
            check_loss(row, known)
        return controls

    def admit_change(
        self, caller: Caller, intent: Intent, instrument: Instrument, before: Order
    ) -> tuple[Intent, bool]:
        """Journal a MODIFY or CANCEL intent of the order `before` in the same way; new terms are held against the
        limits like a new order's, a cancel is always admitted. Raises RiskRefused, DuplicateKey."""

        def allow(connection: Connection, limits: _Limits, facts: Facts | None) -> None:
            if intent.kind is IntentKind.MODIFY:
                self._allow(connection, intent, limits, instrument, facts, replaces=before.quantity)

        return self._journal(caller, intent, allow)

    def admit_approved(
        self,
        caller: Caller,
        intent: Intent,
        instrument: Instrument,
        decide: Callable[[Connection, bool], bool],
    ) -> bool:
        """What `decide(connection, reduces)` says of a parked intent, in one transaction with the limits as they are
        now; it was counted as it was parked. Raises RiskRefused: nothing is decided then."""
        facts = self._read_facts(caller, _asked(intent))

        def work(connection: Connection) -> bool:
            limits = control_rows.load_both(connection, intent.account_id, intent.strategy)
            self._allow(connection, intent, limits, instrument, facts, replaces=Decimal(0))
            return decide(connection, _shrinks(connection, intent, facts))

        return self._db.write(work)

    def admit_conversion(
        self, caller: Caller, intent: Intent, held: Decimal, looked_at: datetime
    ) -> tuple[Intent, bool]:
        """Journal a CONVERT intent in the same way. It adds no quantity, so limits of size, value, price, count and
        rate do not hold it; its new product must be allowed, and the exits of what it moves must stay covered.

        held  units that exits may close before it; looked_at  just before they were read
        Raises RiskRefused, DuplicateKey.
        """

        def allow(connection: Connection, limits: _Limits, facts: Facts | None) -> None:
            self._allow_conversion(connection, intent, limits[0], facts)
            _check_conversion(connection, intent, held, looked_at)

        return self._journal(caller, intent, allow)

    def _journal(
        self,
        caller: Caller,
        intent: Intent,
        allow: Callable[[Connection, _Limits, Facts | None], None],
    ) -> tuple[Intent, bool]:
        """Keep an intent that `allow` does not refuse; (the first one, False) when its key was used before."""
        facts: Facts | None = None

        def work(connection: Connection) -> tuple[Intent, bool]:
            limits = control_rows.load_both(connection, intent.account_id, intent.strategy)
            earlier = _earlier(connection, intent.account_id, intent.idempotency_key, intent.body_hash)
            if earlier is not None:
                return earlier, False
            allow(connection, limits, facts)
            intent_rows.add(connection, intent)
            return intent, True

        try:
            return self._db.write(work)
        except _FactsNeeded:
            facts = self._read_facts(caller, _asked(intent))
            return self._db.write(work)

    @staticmethod
    def _allow_conversion(
        connection: Connection, intent: Intent, controls: Controls | None, facts: Facts | None
    ) -> None:
        """What ends today only because it is intraday is new risk once it lasts: a kill switch and a reached day loss
        refuse that. The other way is always open."""
        if controls is None:
            raise RiskRefused("limits_unreadable", "This account's limits cannot be read: nothing was sent.")
        assert intent.to_product is not None
        check_allowed(controls, replace(intent, product=intent.to_product))
        if intent.to_product is Product.INTRADAY:
            return
        if (kill := control_rows.killed(connection, intent.account_id)) is not None:
            raise _killed(kill)
        if controls.max_day_loss is not None and facts is None:
            raise _FactsNeeded
        check_loss(controls, facts or Facts())

    def sizes(
        self,
        caller: Caller,
        request: OrderRequest,
        instrument: Instrument,
        *,
        exits: bool | None = None,
    ) -> list[Decimal]:
        """The pieces an order is sent in, each at most the freeze quantity. An exit's pieces also keep to the largest
        quantity allowed; an entry is split only where the account asks for it, and is weighed whole.

        exits  whether it can only shrink a position; None: found out here
        Raises InvalidRequest for an entry above the freeze quantity, RiskRefused when the whole is over a limit.
        """
        frozen = instrument.freeze_quantity is not None and request.quantity > instrument.freeze_quantity
        if not frozen and not exits:
            return [request.quantity]
        draft = self._draft(caller, request, Admission())
        facts = Facts() if exits else self._read_facts(caller, request)
        with self._db.read() as connection:
            limits = control_rows.load_both(connection, draft.account_id, request.strategy)
            reduces = exits or _shrinks(connection, draft, facts)
            if not reduces:
                if not self._allow(connection, draft, limits, instrument, facts).split_entries:
                    check_freeze(request, instrument)
                return slices(request.quantity, instrument)
        largest = [row.max_quantity for row in limits if row is not None and row.max_quantity is not None]
        return slices(request.quantity, instrument, min(largest, default=None))

    def weigh(self, caller: Caller, request: OrderRequest, instrument: Instrument) -> None:
        """Raise RiskRefused for what is to be sent later, maybe by a broker, as `admit` would now; counts apart."""
        draft, facts = self._draft(caller, request, Admission()), self._read_facts(caller, request)
        with self._db.read() as connection:
            limits = control_rows.load_both(connection, draft.account_id, request.strategy)
            self._allow(connection, draft, limits, instrument, facts, replaces=Decimal(0))

    def _draft(self, caller: Caller, request: OrderRequest, admission: Admission) -> Intent:
        return new_intent(
            caller,
            IntentKind.PLACE,
            self._clock.now(),
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
        )

    def _check_counts(self, connection: Connection, limits: Controls, intent: Intent) -> None:
        strategy = limits.strategy or None
        if limits.max_open_orders is not None:
            count = gate_counts.open_orders(connection, intent, strategy)
            if count >= limits.max_open_orders:
                raise RiskRefused(
                    "max_open_orders", f"{count} orders are open; the limit is {limits.max_open_orders}."
                )
        if limits.max_orders_per_day is not None:
            start = day_start(intent.created_at)
            count = gate_counts.placed_since(connection, intent, strategy, start)
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
        waits = caller.account.order_mode is OrderMode.SEMI_AUTO and caller.account.mode is Mode.LIVE
        if waits and not admission.approved:
            return replace(intent, state=IntentState.PARKED, sent_at=None)
        per_second = min(filter(None, (admission.per_second, controls.max_orders_per_second)), default=0)
        if not per_second or self._slot(connection, intent, per_second):
            return replace(intent, sent_at=self._clock.now())
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


def _shrinks(connection: Connection, intent: Intent, facts: Facts, replaces: Decimal = Decimal(0)) -> bool:
    """Whether the order can only bring a known position nearer to zero, after all that is on its way."""
    position = facts.position
    if position is None or position * intent.side.sign >= 0:
        return False
    others = gate_counts.committed(connection, intent, intent.side, since=facts.news)
    return others - replaces + intent.quantity <= abs(position)


def _check_conversion(connection: Connection, intent: Intent, held: Decimal, looked_at: datetime) -> None:
    """Raise RiskRefused while another conversion is in doubt, or where an exit would be left to open a position."""
    if conversion_rows.in_doubt(connection, intent, looked_at, day_start(intent.created_at)):
        raise RiskRefused(
            "conversion_in_doubt",
            f"Another conversion of {intent.symbol} has no answer yet, or was answered just now. Nothing was sent: "
            "look at the positions, then ask again.",
        )
    needed = conversion_rows.needed_by_exits(connection, intent)
    if needed > held - intent.quantity:
        raise RiskRefused(
            "exits_uncovered",
            f"Exit orders or guards of {intent.symbol} {intent.product} are to close {needed:f} of it; without the "
            "position they would do nothing, or open a new one. Cancel or lower them first. Nothing was sent.",
        )


def _asked(intent: Intent) -> OrderRequest:
    """What a change asks for, as the facts are read for it."""
    names = ("symbol", "exchange", "side", "quantity", "order_type", "product", "price", "trigger_price")
    return OrderRequest(**{name: getattr(intent, name) for name in names}, strategy=intent.strategy)


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
        expires_at=day_end(intent.created_at),
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
