"""GTTs and the exits of an order or position, as the doors see them: placed, changed, cancelled, listed.

A broker that can hold a GTT holds it; otherwise the worker watches prices (`services/trigger_engine.py`).
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection

from broker.interface import Broker
from database import triggers as rows
from database.engine import Database
from database.intents import Intent
from database.triggers import ABOVE, ACTIVE, BELOW, CANCELLED, REJECTED, UNKNOWN, WAITING, Trigger, TriggerLeg
from domain.clock import IST, Clock
from domain.errors import InvalidRequest, NotFound
from domain.model import (
    QUOTE_ONLY,
    Exchange,
    GttKind,
    GttLeg,
    Instrument,
    Mode,
    OrderRequest,
    OrderType,
    PlaceGtt,
    Product,
    Side,
)
from domain.money import on_grid
from domain.money import price as price_of
from domain.outcomes import Accepted, Ambiguous
from services.accounts import Caller
from services.audit import Audit
from services.gate import check_terms
from services.gtt_ending import end_gtt
from services.gtt_margin import check_gtt_margin
from services.market_data import MarketData
from services.orders import Orders
from services.sessions import Sessions

__all__ = ["Exits", "GttRequest", "Level", "Trigger", "Triggers", "armed", "keep_with", "read_level"]

LIFE = timedelta(days=365)
_POINTS = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(?:pt|pts|points)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class GttRequest:
    """What a door asks for. One trigger makes a single GTT, two make an OCO.

    below, above              trigger prices, under and over the last price
    price                     limit of a single one's order; None for MARKET
    below_price, above_price  limits of an OCO's orders
    """

    symbol: str
    exchange: Exchange
    side: Side
    product: Product
    quantity: Decimal
    order_type: OrderType = OrderType.LIMIT
    below: Decimal | None = None
    above: Decimal | None = None
    price: Decimal | None = None
    below_price: Decimal | None = None
    above_price: Decimal | None = None
    strategy: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """An exit's place: a price, or a distance in rupees from the entry's average price."""

    price: Decimal | None = None
    points: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exits:
    """What is to end a position: any of a stop, a target and a trailing stop (which takes the stop's place)."""

    stop: Level | None = None
    target: Level | None = None
    trail: Level | None = None

    def __bool__(self) -> bool:
        return bool(self.stop or self.target or self.trail)


def read_level(field: str, text: str) -> Level:
    """ "1450.5" is a price, "12.5pt" a distance. Raises InvalidRequest naming the field."""
    points = _POINTS.fullmatch(text.strip())
    number = points.group(1) if points else text.strip()
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,8})?", number, re.ASCII) or Decimal(number) <= 0:
        raise InvalidRequest(f'{field} is a price above 0, or a distance such as "12.5pt".', field)
    return Level(points=Decimal(number)) if points else Level(price=Decimal(number))


class Triggers:
    """Triggers of any account."""

    def __init__(
        self,
        orders_store: Database,
        clock: Clock,
        sessions: Sessions,
        orders: Orders,
        market_data: MarketData,
        audit: Audit,
    ) -> None:
        self._db = orders_store
        self._clock = clock
        self._sessions = sessions
        self._orders = orders
        self._market_data = market_data
        self._audit = audit

    # -- good till triggered
    def check_gtt(self, caller: Caller, request: GttRequest) -> None:
        """Raise what `place_gtt` would raise before it keeps anything."""
        instrument = self._orders.resolve(caller.account, request.exchange, request.symbol)
        self._gtt(caller, request, instrument, "")

    def is_kept(self, trigger_id: str) -> bool:
        """Whether there is, or was, such a trigger."""
        with self._db.read() as connection:
            return rows.by_id(connection, trigger_id) is not None

    def place_gtt(self, caller: Caller, request: GttRequest, trigger_id: str = "") -> Trigger:
        """Keep a GTT, under an id of its own. Raises InvalidRequest naming the field, InstrumentNotFound, and what
        reading a quote raises."""
        instrument = self._orders.resolve(caller.account, request.exchange, request.symbol)
        trigger = self._gtt(caller, request, instrument, trigger_id or _new_id(self._clock.now()))
        self._audit.note(caller, "gtt.place", _told(trigger), trigger.id)
        broker = self._sessions.broker_for(caller.account)
        if not _holds(broker, trigger, instrument):
            self._db.write(lambda c: rows.add(c, trigger))
            return trigger
        pending = replace(trigger, state=UNKNOWN)
        self._db.write(lambda c: rows.add(c, pending))
        return self._settle(pending, broker, instrument)

    def modify_gtt(self, caller: Caller, trigger_id: str, request: GttRequest) -> Trigger:
        """Replace prices and quantity; instrument, side, product and number of legs stay. Raises NotFound."""
        known = self._active(caller, trigger_id)
        if known.origin != "gtt":
            raise NotFound(f"GTT {trigger_id} not found")
        for field in ("symbol", "exchange", "side", "product"):
            if getattr(known, field) != getattr(request, field):
                raise InvalidRequest(f"{field} of a GTT cannot be changed.", field)
        instrument = self._orders.resolve(caller.account, request.exchange, request.symbol)
        fresh = self._gtt(caller, request, instrument, trigger_id)
        if len(fresh.legs) != len(known.legs):
            raise InvalidRequest("A single GTT cannot become an OCO, nor the other way.", "trigger_type")
        if known.resident_id is not None:
            self._at_broker(
                caller, known, lambda b, i: b.modify_gtt(known.resident_id or "", _wire(fresh, i))
            )
        if not self._db.write(lambda c: rows.replace_terms(c, fresh)):
            raise NotFound(f"GTT {trigger_id} not found")
        self._audit.note(caller, "gtt.modify", _told(fresh), trigger_id)
        return replace(fresh, resident_id=known.resident_id, created_at=known.created_at)

    def cancel_gtt(self, caller: Caller, trigger_id: str) -> None:
        """End an active trigger of either origin. Raises NotFound."""
        known = self._active(caller, trigger_id)
        if known.resident_id is not None:
            words = end_gtt(self._sessions.broker_for(caller.account), known.resident_id)
            if words:
                raise InvalidRequest(f"The broker did not confirm the cancel: {words}")
        now = self._clock.now()
        states = (known.state, ACTIVE)
        if not self._db.write(lambda c: any(rows.move(c, known.id, one, CANCELLED, now) for one in states)):
            raise NotFound(f"GTT {trigger_id} not found")
        self._audit.note(caller, "gtt.cancel", {}, trigger_id)

    def gtt_book(self, caller: Caller) -> list[Trigger]:
        """The account's active GTTs in its present mode, newest first."""
        return [t for t in self.listed(caller) if t.origin == "gtt" and t.state in (ACTIVE, UNKNOWN)]

    def listed(self, caller: Caller) -> list[Trigger]:
        """Everything that waits or is active in the account's present mode, newest first."""
        with self._db.read() as connection:
            found = rows.in_state(connection, WAITING, ACTIVE, UNKNOWN, account_id=caller.account.id)
        return [trigger for trigger in found if trigger.mode is caller.account.mode]

    def guarding(self, intent_id: str) -> list[str]:
        """The ids of the triggers that were kept with an order."""
        with self._db.read() as connection:
            return rows.ids_beside(connection, intent_id)

    # -- exits
    def exits_of(self, caller: Caller, request: OrderRequest, exits: Exits) -> Trigger:
        """The trigger that guards an order about to be placed; it waits for the fill.

        Raises InvalidRequest when a level lies on the wrong side of the entry.
        """
        if request.exchange in QUOTE_ONLY:
            raise InvalidRequest(f"exchange {request.exchange} is quote-only.", "exchange")
        reference = request.price
        if reference is None:
            quote = self._market_data.quote(caller, request.symbol, request.exchange)
            reference = Decimal(repr(quote.last_price))
        instrument = self._orders.resolve(caller.account, request.exchange, request.symbol)
        return self._exit(caller, request, exits, reference, instrument, WAITING)

    def guard_position(
        self, caller: Caller, request: OrderRequest, exits: Exits, average_price: Decimal
    ) -> Trigger:
        """Guard an open position now. `request` has the side and quantity that opened it."""
        instrument = self._orders.resolve(caller.account, request.exchange, request.symbol)
        trigger = self._exit(caller, request, exits, average_price, instrument, ACTIVE)
        trigger = armed(trigger, request.quantity, average_price, instrument.tick_size)
        self._db.write(lambda c: rows.add(c, trigger))
        self._audit.note(caller, "exit.place", _told(trigger), trigger.id)
        return trigger

    def _exit(
        self,
        caller: Caller,
        request: OrderRequest,
        exits: Exits,
        reference: Decimal,
        instrument: Instrument,
        state: str,
    ) -> Trigger:
        now = self._clock.now()
        return Trigger(
            id=_new_id(now),
            account_id=caller.account.id,
            user_id=caller.user_id,
            mode=caller.account.mode,
            broker=caller.account.venue,
            origin="exit",
            state=state,
            symbol=request.symbol,
            exchange=request.exchange,
            product=request.product,
            side=request.side.opposite,
            quantity=request.quantity,
            strategy=request.strategy,
            created_at=now,
            updated_at=now,
            legs=_exit_legs(request, exits, reference, instrument),
        )

    # -- inside
    def _gtt(self, caller: Caller, request: GttRequest, instrument: Instrument, trigger_id: str) -> Trigger:
        if request.exchange in QUOTE_ONLY:
            raise InvalidRequest(f"exchange {request.exchange} is quote-only.", "exchange")
        if request.product is Product.INTRADAY:
            raise InvalidRequest("A GTT takes CNC or NRML.", "product")
        legs = _gtt_legs(request, instrument)
        self._orders.weigh(caller, _released(request, legs[0]))
        quote = self._market_data.quote(caller, request.symbol, request.exchange)
        now = self._clock.now()
        if request.expires_at is not None and request.expires_at <= now:
            raise InvalidRequest("expires_at lies in the past.", "expires_at")
        trigger = Trigger(
            id=trigger_id,
            account_id=caller.account.id,
            user_id=caller.user_id,
            mode=caller.account.mode,
            broker=caller.account.venue,
            origin="gtt",
            state=ACTIVE,
            symbol=request.symbol,
            exchange=request.exchange,
            product=request.product,
            side=request.side,
            quantity=request.quantity,
            strategy=request.strategy,
            last_price=price_of(quote.last_price, instrument.tick_size),
            created_at=now,
            updated_at=now,
            expires_at=request.expires_at or now + LIFE,
            legs=legs,
        )
        check_gtt_margin(self._sessions.broker_for(caller.account), trigger, instrument)
        return trigger

    def _settle(self, trigger: Trigger, broker: Broker, instrument: Instrument) -> Trigger:
        """Give a GTT to the broker that can hold it."""
        outcome = broker.place_gtt(_wire(trigger, instrument))
        now = self._clock.now()
        if isinstance(outcome, Accepted):
            state, changes = ACTIVE, {"resident_id": outcome.order_id}
        elif isinstance(outcome, Ambiguous):
            return trigger
        else:
            state, changes = REJECTED, {"message": outcome.words}
        self._db.write(lambda c: rows.move(c, trigger.id, UNKNOWN, state, now, **changes))
        if state == REJECTED:
            raise InvalidRequest(changes["message"])
        return replace(trigger, state=state, resident_id=changes["resident_id"])

    def _at_broker(self, caller: Caller, trigger: Trigger, call) -> None:  # type: ignore[no-untyped-def]
        broker = self._sessions.broker_for(caller.account)
        instrument = self._orders.resolve(caller.account, trigger.exchange, trigger.symbol)
        outcome = call(broker, instrument)
        if not isinstance(outcome, Accepted):
            raise InvalidRequest(f"The broker did not confirm the change: {outcome.words}")

    def _active(self, caller: Caller, trigger_id: str) -> Trigger:
        with self._db.read() as connection:
            trigger = rows.by_id(connection, trigger_id)
        foreign = trigger is None or trigger.account_id != caller.account.id
        if trigger is None or foreign or trigger.state not in (ACTIVE, WAITING):
            raise NotFound(f"GTT {trigger_id} not found")
        return trigger


def keep_with(trigger: Trigger, connection: Connection, intent: Intent) -> None:
    """Write a waiting exit in the transaction that journals its parent."""
    rows.add(connection, replace(trigger, parent_intent_id=intent.id))


def armed(trigger: Trigger, filled: Decimal, average_price: Decimal, tick_size: Decimal) -> Trigger:
    """The exit with prices counted from the fill, for the quantity that was filled."""
    legs = []
    for leg in trigger.legs:
        price = leg.trigger_price
        if leg.offset is not None:
            price = price_of(float(average_price + leg.offset), tick_size)
        best = average_price if leg.trail is not None else None
        legs.append(replace(leg, trigger_price=price, best=best))
    return replace(trigger, quantity=filled, legs=tuple(legs))


def _released(request: GttRequest, leg: TriggerLeg) -> OrderRequest:
    """The order that a leg places when it fires."""
    return OrderRequest(
        symbol=request.symbol,
        exchange=request.exchange,
        side=request.side,
        quantity=request.quantity,
        order_type=leg.order_type,
        product=request.product,
        price=leg.price,
        strategy=request.strategy,
    )


def _gtt_legs(request: GttRequest, instrument: Instrument) -> tuple[TriggerLeg, ...]:
    sides = [
        (BELOW, "sl", request.below, request.below_price),
        (ABOVE, "tg", request.above, request.above_price),
    ]
    given = [side for side in sides if side[2] is not None]
    if not given:
        raise InvalidRequest("Give triggerprice_sl (below) or triggerprice_tg (above).", "triggerprice_sl")
    if len(given) == 2 and not (request.below or 0) < (request.above or 0):
        raise InvalidRequest("triggerprice_sl must be below triggerprice_tg.", "triggerprice_sl")
    legs = []
    for fires, name, trigger, limit in given:
        price = limit if len(given) == 2 else request.price
        check_terms(
            OrderRequest(
                symbol=request.symbol,
                exchange=request.exchange,
                side=request.side,
                quantity=request.quantity,
                order_type=request.order_type,
                product=request.product,
                price=price,
            ),
            instrument,
        )
        _check_grid(f"triggerprice_{name}", trigger, instrument)
        legs.append(
            TriggerLeg(
                leg=name,
                fires=fires,
                trigger_price=trigger,
                order_type=request.order_type,
                price=price if request.order_type.has_price else None,
            )
        )
    return tuple(legs)


def _exit_legs(
    request: OrderRequest, exits: Exits, reference: Decimal, instrument: Instrument
) -> tuple[TriggerLeg, ...]:
    loses, gains = (BELOW, ABOVE) if request.side is Side.BUY else (ABOVE, BELOW)
    legs = []
    if exits.stop and exits.trail:
        raise InvalidRequest("Give stoploss or trailing_sl, not both.", "trailing_sl")
    stop, field = (exits.trail, "trailing_sl") if exits.trail else (exits.stop, "stoploss")
    if stop:
        leg = _exit_leg("sl", field, loses, stop, request, reference, instrument)
        if exits.trail:
            distance = stop.points or abs(reference - (stop.price or reference))
            leg = replace(leg, trail=distance)
        legs.append(leg)
    if exits.target:
        legs.append(_exit_leg("tg", "target", gains, exits.target, request, reference, instrument))
    return tuple(legs)


def _exit_leg(
    name: str,
    field: str,
    fires: str,
    level: Level,
    request: OrderRequest,
    reference: Decimal,
    instrument: Instrument,
) -> TriggerLeg:
    sign = -1 if fires == BELOW else 1
    price = level.price if level.price is not None else reference + sign * (level.points or 0)
    if price <= 0 or (price - reference) * sign <= 0:
        where = "below" if fires == BELOW else "above"
        raise InvalidRequest(f"{field} must lie {where} the entry at {reference}.", field)
    if level.price is not None:
        _check_grid(field, price, instrument)
    offset = None if level.points is None else sign * level.points
    return TriggerLeg(
        leg=name,
        fires=fires,
        trigger_price=level.price,
        offset=offset,
        order_type=OrderType.MARKET,
    )


def _check_grid(field: str, price: Decimal | None, instrument: Instrument) -> None:
    if price is None or price <= 0:
        raise InvalidRequest(f"{field} must be more than 0.", field)
    if not on_grid(price, instrument.tick_size):
        raise InvalidRequest(
            f"{field} {price} is not a multiple of the tick size {instrument.tick_size}.", field
        )


def _holds(broker: Broker, trigger: Trigger, instrument: Instrument) -> bool:
    """Whether the broker keeps such a GTT itself: one that is sent in pieces is the worker's."""
    if instrument.freeze_quantity is not None and trigger.quantity > instrument.freeze_quantity:
        return False
    kind = GttKind.OCO if len(trigger.legs) == 2 else GttKind.SINGLE
    wanted = trigger.legs[0].order_type
    can = broker.manifest.can
    return kind.value in can.gtt and wanted is OrderType.LIMIT and trigger.mode is Mode.LIVE


def _wire(trigger: Trigger, instrument: Instrument) -> PlaceGtt:
    legs = sorted(trigger.legs, key=lambda leg: leg.trigger_price or 0)
    return PlaceGtt(
        instrument=instrument,
        kind=GttKind.OCO if len(legs) == 2 else GttKind.SINGLE,
        legs=tuple(
            GttLeg(
                trigger_price=leg.trigger_price or Decimal(0),
                side=trigger.side,
                quantity=trigger.quantity,
                product=trigger.product,
                order_type=leg.order_type,
                price=leg.price,
            )
            for leg in legs
        ),
        last_price=trigger.last_price or Decimal(0),
    )


def _told(trigger: Trigger) -> dict[str, object]:
    return {
        "symbol": trigger.symbol,
        "exchange": trigger.exchange.value,
        "side": trigger.side.value,
        "quantity": str(trigger.quantity),
        "legs": [
            {"leg": leg.leg, "trigger": str(leg.trigger_price or leg.offset), "price": str(leg.price or "")}
            for leg in trigger.legs
        ],
    }


def _new_id(now: datetime) -> str:
    return f"GTT-{now.astimezone(IST):%y%m%d}-{secrets.token_hex(4)}"
