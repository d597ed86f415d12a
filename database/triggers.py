"""Triggers that the platform keeps itself, or knows a broker to keep: GTTs, and the exits of an order or position."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)

from database.metadata import ORDERS
from database.types import Money, Quantity, UtcTime
from domain.model import Exchange, Mode, OrderType, Product, Side

log = logging.getLogger(__name__)

TRIGGERS = Table(
    "triggers",
    ORDERS,
    Column("id", String(24), primary_key=True),
    Column("account_id", Integer, nullable=False),
    Column("user_id", Integer, nullable=False),
    Column("mode", String(8), nullable=False),
    Column("broker", String(32), nullable=False),
    Column("origin", String(8), nullable=False),
    Column("state", String(10), nullable=False),
    Column("symbol", String(64), nullable=False),
    Column("exchange", String(16), nullable=False),
    Column("product", String(8), nullable=False),
    Column("side", String(4), nullable=False),
    Column("quantity", Quantity, nullable=False),
    Column("strategy", String(128), nullable=False),
    Column("parent_intent_id", String(16)),
    Column("resident_id", String(64)),
    Column("last_price", Money),
    Column("degraded", Integer, nullable=False),
    Column("message", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Index("ix_triggers_state", "state"),
    Index("ix_triggers_account", "account_id", "state"),
    Index("ix_triggers_parent", "parent_intent_id"),
)

TRIGGER_LEGS = Table(
    "trigger_legs",
    ORDERS,
    Column("trigger_id", String(24), primary_key=True),
    Column("leg", String(4), primary_key=True),
    Column("fires", String(5), nullable=False),
    Column("trigger_price", Money),
    Column("order_type", String(8), nullable=False),
    Column("price", Money),
    Column("offset", Money),
    Column("trail", Money),
    Column("best", Money),
    Column("state", String(10), nullable=False),
    Column("order_id", String(64), nullable=False),
    Column("message", Text, nullable=False),
)

WAITING, ACTIVE, UNKNOWN = "waiting", "active", "unknown"
TRIGGERED, CANCELLED, EXPIRED, REJECTED = "triggered", "cancelled", "expired", "rejected"
PENDING, FIRING, CLOSED = "pending", "firing", "closed"
BELOW, ABOVE = "below", "above"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerLeg:
    """One price that is waited for, and the order it releases.

    fires          "below": when the last price is at or below trigger_price; "above" likewise
    trigger_price  None while it is counted from a fill that has not come (see offset)
    offset         distance from the parent's average price, signed; None when trigger_price was given
    trail          distance behind the best price seen since; None when it does not trail
    state          pending, firing, triggered (its order was taken), closed (that order is over, and nothing is left for
                   it), cancelled, rejected
    order_id       of the order that it released; while it fires, the key of that order
    """

    leg: str
    fires: str
    order_type: OrderType
    trigger_price: Decimal | None = None
    price: Decimal | None = None
    offset: Decimal | None = None
    trail: Decimal | None = None
    best: Decimal | None = None
    state: str = PENDING
    order_id: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One or two legs of which the first to fire ends the other.

    origin       "gtt", or "exit" for the stop, target and trail of an order or position
    state        waiting (for a fill), active, unknown (at the broker), triggered, cancelled, expired, rejected
    resident_id  the broker's own id where the broker keeps it; None: the worker watches prices
    degraded     the feed is silent and broker quotes are read instead
    """

    id: str
    account_id: int
    user_id: int
    mode: Mode
    broker: str
    origin: str
    state: str
    symbol: str
    exchange: Exchange
    product: Product
    side: Side
    quantity: Decimal
    created_at: datetime
    updated_at: datetime
    legs: tuple[TriggerLeg, ...]
    strategy: str = ""
    parent_intent_id: str | None = None
    resident_id: str | None = None
    last_price: Decimal | None = None
    degraded: bool = False
    message: str = ""
    expires_at: datetime | None = None


_LEG = tuple(field.name for field in fields(TriggerLeg))
_OWN = tuple(field.name for field in fields(Trigger) if field.name != "legs")


def _leg(row: RowMapping) -> TriggerLeg:
    values = {name: row[name] for name in _LEG}
    return TriggerLeg(**(values | {"order_type": OrderType(values["order_type"])}))


def _trigger(row: RowMapping, legs: tuple[TriggerLeg, ...]) -> Trigger:
    values: dict[str, Any] = {name: row[name] for name in _OWN}
    values["mode"] = Mode(values["mode"])
    values["exchange"] = Exchange(values["exchange"])
    values["product"] = Product(values["product"])
    values["side"] = Side(values["side"])
    values["degraded"] = bool(values["degraded"])
    return Trigger(**values, legs=legs)


def add(connection: Connection, trigger: Trigger) -> None:
    """Insert a trigger with its legs."""
    values = {name: getattr(trigger, name) for name in _OWN} | {"degraded": int(trigger.degraded)}
    connection.execute(insert(TRIGGERS).values(**values))
    _add_legs(connection, trigger)


def _add_legs(connection: Connection, trigger: Trigger) -> None:
    for leg in trigger.legs:
        row = {name: getattr(leg, name) for name in _LEG} | {"trigger_id": trigger.id}
        connection.execute(insert(TRIGGER_LEGS).values(**row))


def replace_terms(connection: Connection, trigger: Trigger) -> bool:
    """New legs and quantity for an active trigger; False when it is not active any more."""
    query = update(TRIGGERS).where(TRIGGERS.c.id == trigger.id, TRIGGERS.c.state == ACTIVE)
    changes = {
        "quantity": trigger.quantity,
        "last_price": trigger.last_price,
        "updated_at": trigger.updated_at,
    }
    if connection.execute(query.values(**changes)).rowcount != 1:
        return False
    connection.execute(TRIGGER_LEGS.delete().where(TRIGGER_LEGS.c.trigger_id == trigger.id))
    _add_legs(connection, trigger)
    return True


def find(connection: Connection, *where: ColumnElement[bool]) -> list[Trigger]:
    """Triggers that meet every condition, newest first. One that cannot be read is logged and left out, so that it
    keeps no other from being looked at."""
    rows = (
        connection.execute(
            select(TRIGGERS).where(*where).order_by(TRIGGERS.c.created_at.desc(), TRIGGERS.c.id.desc())
        )
        .mappings()
        .all()
    )
    ids = [row["id"] for row in rows]
    legs: dict[str, list[TriggerLeg]] = {trigger_id: [] for trigger_id in ids}
    query = select(TRIGGER_LEGS).where(TRIGGER_LEGS.c.trigger_id.in_(ids)).order_by(TRIGGER_LEGS.c.leg)
    unread = set()
    for row in connection.execute(query).mappings() if ids else ():
        try:
            legs[row["trigger_id"]].append(_leg(row))
        except ValueError as error:
            unread.add(row["trigger_id"])
            log.error("a trigger cannot be read and does nothing id=%s: %s", row["trigger_id"], error)
    found = []
    for row in rows:
        try:
            found += [_trigger(row, tuple(legs[row["id"]]))] if row["id"] not in unread else []
        except ValueError as error:
            log.error("a trigger cannot be read and does nothing id=%s: %s", row["id"], error)
    return found


def by_id(connection: Connection, trigger_id: str) -> Trigger | None:
    found = find(connection, TRIGGERS.c.id == trigger_id)
    return found[0] if found else None


def ids_beside(connection: Connection, intent_id: str) -> list[str]:
    """The ids of the triggers that wait for an intent's order, or waited for it."""
    query = select(TRIGGERS.c.id).where(TRIGGERS.c.parent_intent_id == intent_id).order_by(TRIGGERS.c.id)
    return list(connection.execute(query).scalars())


def in_state(connection: Connection, *states: str, account_id: int | None = None) -> list[Trigger]:
    """Triggers in any of the states, of one account or (None) all, newest first."""
    where: list[ColumnElement[bool]] = [TRIGGERS.c.state.in_(states)]
    if account_id is not None:
        where.append(TRIGGERS.c.account_id == account_id)
    return find(connection, *where)


def at_broker(connection: Connection, account_id: int, broker: str) -> list[Trigger]:
    """What that broker keeps for an account, as far as we know, and what was sent there without an answer."""
    kept = (TRIGGERS.c.resident_id.is_not(None) & (TRIGGERS.c.state == ACTIVE)) | (
        TRIGGERS.c.state == UNKNOWN
    )
    return find(connection, kept, TRIGGERS.c.account_id == account_id, TRIGGERS.c.broker == broker)


def move(
    connection: Connection, trigger_id: str, expected: str, state: str, now: datetime, **changes: Any
) -> bool:
    """Compare-and-set of a trigger's state."""
    query = update(TRIGGERS).where(TRIGGERS.c.id == trigger_id, TRIGGERS.c.state == expected)
    return connection.execute(query.values(state=state, updated_at=now, **changes)).rowcount == 1


def note(connection: Connection, trigger_id: str, **changes: Any) -> None:
    """Change what is shown of a trigger, its state apart."""
    connection.execute(update(TRIGGERS).where(TRIGGERS.c.id == trigger_id).values(**changes))


def claim(
    connection: Connection,
    trigger_id: str,
    leg: str,
    now: datetime,
    *,
    key: str = "",
    known: datetime | None = None,
) -> bool:
    """Take the only right to fire: the sibling and the trigger are over. False when somebody was faster.

    key    what the order will be sent under
    known  the `updated_at` of the terms that fire: False when they have changed since; None: whatever they are
    """
    if known is not None:
        same = select(TRIGGERS.c.id).where(TRIGGERS.c.id == trigger_id, TRIGGERS.c.updated_at == known)
        if connection.execute(same.with_for_update()).first() is None:
            return False
    if not move(connection, trigger_id, ACTIVE, TRIGGERED, now):
        return False
    of = TRIGGER_LEGS.c.trigger_id == trigger_id
    connection.execute(update(TRIGGER_LEGS).where(of, TRIGGER_LEGS.c.leg != leg).values(state=CANCELLED))
    firing = update(TRIGGER_LEGS).where(of, TRIGGER_LEGS.c.leg == leg)
    connection.execute(firing.values(state=FIRING, order_id=key, message=""))
    return True


def rearm(
    connection: Connection, trigger_id: str, now: datetime, *, message: str, quantity: Decimal | None = None
) -> bool:
    """Watch a trigger again whose order did not do what it was for; False when it had not fired.

    quantity  the new one; None: as it was
    """
    changes: dict[str, Any] = {"message": message} | ({} if quantity is None else {"quantity": quantity})
    if not move(connection, trigger_id, TRIGGERED, ACTIVE, now, **changes):
        return False
    legs = update(TRIGGER_LEGS).where(TRIGGER_LEGS.c.trigger_id == trigger_id)
    connection.execute(legs.values(state=PENDING, order_id=""))
    return True


def grow(connection: Connection, trigger_id: str, quantity: Decimal, now: datetime) -> bool:
    """Guard more units with an active trigger; False when it is not active any more."""
    return move(connection, trigger_id, ACTIVE, ACTIVE, now, quantity=quantity)


def settle_leg(
    connection: Connection, trigger_id: str, leg: str, state: str, order_id: str = "", message: str = ""
) -> None:
    """What became of a leg that fired."""
    where = (TRIGGER_LEGS.c.trigger_id == trigger_id, TRIGGER_LEGS.c.leg == leg)
    changes = {"state": state, "order_id": order_id, "message": message}
    connection.execute(update(TRIGGER_LEGS).where(*where).values(**changes))


def firing(connection: Connection) -> list[tuple[Trigger, TriggerLeg]]:
    """Legs that were claimed and whose order is not known: a sender died, or is at it."""
    query = select(TRIGGER_LEGS.c.trigger_id).where(TRIGGER_LEGS.c.state == FIRING)
    found = []
    for trigger_id in connection.execute(query).scalars().all():
        trigger = by_id(connection, trigger_id)
        if trigger is not None:
            found += [(trigger, leg) for leg in trigger.legs if leg.state == FIRING]
    return found


def sent(connection: Connection, since: datetime) -> list[tuple[Trigger, TriggerLeg]]:
    """Legs that fired since a moment and whose orders are not known to be over."""
    of = select(TRIGGER_LEGS.c.trigger_id).where(TRIGGER_LEGS.c.state == TRIGGERED)
    found = find(
        connection, TRIGGERS.c.state == TRIGGERED, TRIGGERS.c.updated_at >= since, TRIGGERS.c.id.in_(of)
    )
    return [(trigger, leg) for trigger in found for leg in trigger.legs if leg.state == TRIGGERED]


def with_parent(connection: Connection, state: str, since: datetime) -> list[Trigger]:
    """Triggers in a state, changed since a moment, that guard what an order of ours fills."""
    parented = TRIGGERS.c.parent_intent_id.is_not(None)
    return find(connection, parented, TRIGGERS.c.state == state, TRIGGERS.c.updated_at >= since)


def move_trail(
    connection: Connection, trigger_id: str, leg: str, best: Decimal, trigger_price: Decimal
) -> None:
    """Keep how far a trailing stop has come, while it is still pending."""
    where = (
        TRIGGER_LEGS.c.trigger_id == trigger_id,
        TRIGGER_LEGS.c.leg == leg,
        TRIGGER_LEGS.c.state == PENDING,
    )
    connection.execute(update(TRIGGER_LEGS).where(*where).values(best=best, trigger_price=trigger_price))
