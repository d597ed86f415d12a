"""Webhook strategies with their symbol mappings, and the signals that came in for them."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    insert,
    select,
    update,
)

from database.accounts import ACCOUNTS
from database.engine import insert_once, new_id
from database.metadata import ORDERS, PLATFORM
from database.types import Quantity, UtcTime
from domain.model import Exchange, Product

WEBHOOKS = Table(
    "webhooks",
    PLATFORM,
    Column("id", Integer, primary_key=True),
    Column("webhook_id", String(36), nullable=False, unique=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("account_id", ForeignKey(ACCOUNTS.c.id), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("name", String(128), nullable=False),
    Column("platform", String(32), nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("is_intraday", Boolean, nullable=False),
    Column("trading_mode", String(8), nullable=False),
    Column("start_time", String(5), nullable=False),
    Column("end_time", String(5), nullable=False),
    Column("squareoff_time", String(5), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("activated_at", UtcTime),
    UniqueConstraint("user_id", "name"),
)

MAPPINGS = Table(
    "webhook_mappings",
    PLATFORM,
    Column("id", Integer, primary_key=True),
    Column("webhook", ForeignKey(WEBHOOKS.c.id), nullable=False, index=True),
    Column("symbol", String(64), nullable=False),
    Column("exchange", String(16), nullable=False),
    Column("quantity", Quantity, nullable=False),
    Column("product", String(8), nullable=False),
    UniqueConstraint("webhook", "symbol", "exchange"),
)

SIGNALS = Table(
    "signals",
    ORDERS,
    Column("id", Integer, primary_key=True),
    Column("webhook", Integer, nullable=False),
    Column("user_id", Integer, nullable=False),
    Column("account_id", Integer, nullable=False),
    Column("source", String(12), nullable=False),
    Column("request", Text, nullable=False),
    Column("smart", Boolean, nullable=False),
    Column("state", String(8), nullable=False),
    Column("order_id", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("acted_at", UtcTime),
    Index("ix_signals_state", "state"),
    Index("ix_signals_webhook", "webhook", "id"),
)

SQUARED = Table(
    "webhook_squareoffs",
    ORDERS,
    Column("webhook", Integer, primary_key=True, autoincrement=False),
    Column("day", String(10), primary_key=True),
)

QUEUED, DONE, FAILED = "queued", "done", "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A symbol that a webhook may trade, with the quantity (units) of an entry."""

    id: int
    symbol: str
    exchange: Exchange
    quantity: Decimal
    product: Product


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A stored strategy whose signals come by URL.

    kind          "strategy" or "chartink"
    trading_mode  LONG, SHORT or BOTH
    times         "HH:MM" IST; "" when it is not intraday
    activated_at  when it was last switched on; None while off
    """

    id: int
    webhook_id: str
    user_id: int
    account_id: int
    kind: str
    name: str
    platform: str
    is_active: bool
    is_intraday: bool
    trading_mode: str
    start_time: str
    end_time: str
    squareoff_time: str
    created_at: datetime
    activated_at: datetime | None
    mappings: tuple[Mapping, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One order that a webhook asked for. request: an order request as JSON values, with "target" when smart."""

    id: int
    webhook: int
    user_id: int
    account_id: int
    source: str
    request: dict[str, Any]
    smart: bool
    state: str
    order_id: str
    message: str
    received_at: datetime
    acted_at: datetime | None


_OWN = tuple(field.name for field in fields(Webhook) if field.name != "mappings")


def _webhook(connection: Connection, row: RowMapping) -> Webhook:
    query = select(MAPPINGS).where(MAPPINGS.c.webhook == row["id"]).order_by(MAPPINGS.c.id)
    mappings = tuple(
        Mapping(
            id=each["id"],
            symbol=each["symbol"],
            exchange=Exchange(each["exchange"]),
            quantity=each["quantity"],
            product=Product(each["product"]),
        )
        for each in connection.execute(query).mappings()
    )
    return Webhook(**{name: row[name] for name in _OWN}, mappings=mappings)


def add(connection: Connection, values: dict[str, Any]) -> int:
    """Insert a webhook; IntegrityError when its user has one of that name."""
    return new_id(connection.execute(insert(WEBHOOKS).values(**values)))


def by_webhook_id(connection: Connection, webhook_id: str, kind: str) -> Webhook | None:
    query = select(WEBHOOKS).where(WEBHOOKS.c.webhook_id == webhook_id, WEBHOOKS.c.kind == kind)
    row = connection.execute(query).mappings().first()
    return None if row is None else _webhook(connection, row)


def by_id(connection: Connection, row_id: int, user_id: int) -> Webhook | None:
    query = select(WEBHOOKS).where(WEBHOOKS.c.id == row_id, WEBHOOKS.c.user_id == user_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else _webhook(connection, row)


def of_user(connection: Connection, user_id: int, kind: str | None = None) -> list[Webhook]:
    """The user's webhooks, newest first; of one kind or (None) both."""
    query = select(WEBHOOKS).where(WEBHOOKS.c.user_id == user_id)
    if kind is not None:
        query = query.where(WEBHOOKS.c.kind == kind)
    rows = connection.execute(query.order_by(WEBHOOKS.c.id.desc())).mappings().all()
    return [_webhook(connection, row) for row in rows]


def active_intraday(connection: Connection) -> list[Webhook]:
    query = select(WEBHOOKS).where(WEBHOOKS.c.is_active, WEBHOOKS.c.is_intraday)
    return [_webhook(connection, row) for row in connection.execute(query).mappings().all()]


def change(connection: Connection, row_id: int, user_id: int, **values: Any) -> bool:
    """Change a webhook's own fields; False when it is not the user's."""
    query = update(WEBHOOKS).where(WEBHOOKS.c.id == row_id, WEBHOOKS.c.user_id == user_id)
    return connection.execute(query.values(**values)).rowcount == 1


def remove(connection: Connection, row_id: int, user_id: int) -> bool:
    """Delete a webhook with its mappings; False when it is not the user's."""
    if by_id(connection, row_id, user_id) is None:
        return False
    connection.execute(delete(MAPPINGS).where(MAPPINGS.c.webhook == row_id))
    return connection.execute(delete(WEBHOOKS).where(WEBHOOKS.c.id == row_id)).rowcount == 1


def add_mapping(connection: Connection, row_id: int, values: dict[str, Any]) -> int:
    """Insert a mapping; IntegrityError when the symbol is mapped already."""
    return new_id(connection.execute(insert(MAPPINGS).values(webhook=row_id, **values)))


def remove_mapping(connection: Connection, row_id: int, mapping_id: int) -> bool:
    query = delete(MAPPINGS).where(MAPPINGS.c.id == mapping_id, MAPPINGS.c.webhook == row_id)
    return connection.execute(query).rowcount == 1


def queue(
    connection: Connection,
    webhook: Webhook,
    request: dict[str, Any],
    *,
    smart: bool,
    source: str,
    now: datetime,
) -> int:
    """Put a signal on disk; its id."""
    statement = insert(SIGNALS).values(
        webhook=webhook.id,
        user_id=webhook.user_id,
        account_id=webhook.account_id,
        source=source,
        request=json.dumps(request, sort_keys=True),
        smart=smart,
        state=QUEUED,
        order_id="",
        message="",
        received_at=now,
    )
    return new_id(connection.execute(statement))


def waiting(connection: Connection, limit: int) -> list[Signal]:
    """Signals not acted on: smart ones first, each kind in the order they came."""
    query = select(SIGNALS).where(SIGNALS.c.state == QUEUED)
    rows = connection.execute(query.order_by(SIGNALS.c.smart.desc(), SIGNALS.c.id).limit(limit)).mappings()
    return [_signal(row) for row in rows]


def acted(
    connection: Connection, signal_id: int, state: str, order_id: str, message: str, now: datetime
) -> bool:
    """What became of a signal; False when that is known already."""
    query = update(SIGNALS).where(SIGNALS.c.id == signal_id, SIGNALS.c.state == QUEUED)
    changes = {"state": state, "order_id": order_id, "message": message, "acted_at": now}
    return connection.execute(query.values(**changes)).rowcount == 1


def latest(connection: Connection, webhook: int, limit: int = 50) -> list[Signal]:
    """The newest signals of one webhook."""
    query = select(SIGNALS).where(SIGNALS.c.webhook == webhook).order_by(SIGNALS.c.id.desc()).limit(limit)
    return [_signal(row) for row in connection.execute(query).mappings()]


def claim_squareoff(connection: Connection, webhook: int, day: date) -> bool:
    """Whether this day's square-off is still to be queued; it is then ours."""
    return insert_once(connection, SQUARED, {"webhook": webhook, "day": day.isoformat()})


def _signal(row: RowMapping) -> Signal:
    return Signal(**(dict(row) | {"request": json.loads(row["request"])}))
