"""Orders as the brokers last told them, and every transition in the account's own gapless numbering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    Connection,
    Dialect,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    select,
    update,
)

from database.engine import hold, insert_once, put, upsert
from database.metadata import ORDERS
from database.prepared import BulkInsert, Prepared, add_rows
from database.types import Money, Quantity, UtcTime
from domain.model import Exchange, Mode, Order, OrderEvent, OrderState, OrderType, Product, Side


def _order_columns() -> tuple[Column[Any], ...]:
    return (
        Column("broker", String(32), nullable=False),
        Column("mode", String(8), nullable=False),
        Column("order_id", String(64), nullable=False),
        Column("client_order_id", String(16), nullable=False),
        Column("symbol", String(64), nullable=False),
        Column("exchange", String(16), nullable=False),
        Column("side", String(4), nullable=False),
        Column("quantity", Quantity, nullable=False),
        Column("filled", Quantity, nullable=False),
        Column("disclosed_quantity", Quantity, nullable=False),
        Column("order_type", String(8), nullable=False),
        Column("product", String(8), nullable=False),
        Column("state", String(16), nullable=False),
        Column("price", Money),
        Column("trigger_price", Money),
        Column("average_price", Money),
        Column("reason", Text, nullable=False),
        Column("status_word", String(64), nullable=False),
        Column("strategy", String(128), nullable=False),
        Column("placed_at", UtcTime, nullable=False),
        Column("updated_at", UtcTime, nullable=False),
    )


ORDER_ROWS = Table(
    "orders",
    ORDERS,
    Column("id", Integer, primary_key=True),
    Column("account_id", Integer, nullable=False),
    *_order_columns(),
    UniqueConstraint("account_id", "broker", "order_id"),
    Index("ix_orders_placed", "account_id", "placed_at"),
    Index("ix_orders_state", "account_id", "state"),
)

EVENTS = Table(
    "order_events",
    ORDERS,
    Column("account_id", Integer, primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("source", String(16), nullable=False),
    *_order_columns(),
)

NUMBERS = Table(
    "event_numbers",
    ORDERS,
    Column("account_id", Integer, primary_key=True, autoincrement=False),
    Column("last", Integer, nullable=False),
)

CURSORS = Table(
    "update_cursors",
    ORDERS,
    Column("account_id", Integer, primary_key=True, autoincrement=False),
    Column("broker", String(32), primary_key=True),
    Column("seq", Integer, nullable=False),
)

_ORDER = tuple(field.name for field in fields(Order))
_NEXT = Prepared(
    update(NUMBERS)
    .where(NUMBERS.c.account_id == bindparam("of"))
    .values(last=NUMBERS.c.last + bindparam("more"))
    .returning(NUMBERS.c.last)
)
_HOUSE: BindParameter[str] = bindparam("house")
_KNOWN = select(ORDER_ROWS).where(
    ORDER_ROWS.c.account_id == bindparam("of"),
    ORDER_ROWS.c.broker == _HOUSE,
    ORDER_ROWS.c.order_id.in_(bindparam("wanted", expanding=True)),
)


def _order(row: RowMapping) -> Order:
    values: dict[str, Any] = {name: row[name] for name in _ORDER}
    values["exchange"] = Exchange(values["exchange"])
    values["side"] = Side(values["side"])
    values["order_type"] = OrderType(values["order_type"])
    values["product"] = Product(values["product"])
    values["state"] = OrderState(values["state"])
    return Order(**values)


def hold_account(connection: Connection, account_id: int) -> None:
    """Nobody else records news of the account's orders before this transaction ends: read what is known behind it."""
    hold(connection, f"orders/{account_id}")


def known(connection: Connection, account_id: int, broker: str, order_id: str) -> Order | None:
    """The order as last recorded."""
    query = select(ORDER_ROWS).where(
        ORDER_ROWS.c.account_id == account_id,
        ORDER_ROWS.c.broker == broker,
        ORDER_ROWS.c.order_id == order_id,
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else _order(row)


def known_many(connection: Connection, account_id: int, broker: str, order_ids: set[str]) -> dict[str, Order]:
    """The orders of these ids as last recorded, by id."""
    found: dict[str, Order] = {}
    wanted = sorted(order_ids)
    for start in range(0, len(wanted), 500):
        asked = {"of": account_id, "house": broker, "wanted": wanted[start : start + 500]}
        found |= {row["order_id"]: _order(row) for row in connection.execute(_KNOWN, asked).mappings()}
    return found


def working(connection: Connection, account_id: int, broker: str) -> list[Order]:
    """Orders not yet final, oldest first."""
    final = [state.value for state in OrderState if state.is_final]
    query = select(ORDER_ROWS).where(
        ORDER_ROWS.c.account_id == account_id,
        ORDER_ROWS.c.broker == broker,
        ORDER_ROWS.c.state.not_in(final),
    )
    rows = connection.execute(query.order_by(ORDER_ROWS.c.placed_at)).mappings()
    return [_order(row) for row in rows]


def net_fills(
    connection: Connection, account_id: int, broker: str, since: datetime
) -> dict[tuple[str, str, str], Decimal]:
    """Signed units filled of the orders placed since then, by (symbol, exchange, product)."""
    rows = ORDER_ROWS.c
    query = select(rows.symbol, rows.exchange, rows.product, rows.side, rows.filled).where(
        rows.account_id == account_id, rows.broker == broker, rows.placed_at >= since, rows.filled != 0
    )
    found: dict[tuple[str, str, str], Decimal] = {}
    for symbol, exchange, product, side, filled in connection.execute(query):
        line = (symbol, exchange, product)
        found[line] = found.get(line, Decimal(0)) + Side(side).sign * filled
    return found


def record(
    connection: Connection,
    account_id: int,
    broker: str,
    mode: Mode,
    orders: Sequence[Order],
    source: str,
    now: datetime,
) -> list[OrderEvent]:
    """Keep new states of orders, in the order given, and an event for each. The caller has checked the transitions."""
    rows = [_values(account_id, broker, mode, order) for order in orders]
    newest = {order.order_id: row for order, row in zip(orders, rows, strict=True)}
    _latest(connection.dialect).run(connection, newest.values())
    return _events(connection, rows, orders, source, now)


def record_first(
    connection: Connection, account_id: int, broker: str, mode: Mode, order: Order, source: str, now: datetime
) -> OrderEvent | None:
    """The same for an order nobody has heard of; None when somebody has."""
    values = _values(account_id, broker, mode, order)
    if not insert_once(connection, ORDER_ROWS, values):
        return None
    (event,) = _events(connection, [values], [order], source, now)
    return event


@lru_cache(16)
def _latest(dialect: Dialect) -> BulkInsert:
    """Inserts an order's row, or replaces what is known of it."""
    key = ("account_id", "broker", "order_id")
    statement = upsert(dialect.name, ORDER_ROWS, key, (*_ORDER, "mode")).inline()
    return BulkInsert(ORDER_ROWS, statement, dialect)


def _values(account_id: int, broker: str, mode: Mode, order: Order) -> dict[str, Any]:
    values = {name: getattr(order, name) for name in _ORDER}
    return values | {"account_id": account_id, "broker": broker, "mode": mode.value}


def _events(
    connection: Connection,
    rows: Sequence[dict[str, Any]],
    orders: Sequence[Order],
    source: str,
    now: datetime,
) -> list[OrderEvent]:
    """Number the transitions and keep them; `rows` are the orders' rows, all of one account, broker and mode."""
    if not rows:
        return []
    account_id, count = int(rows[0]["account_id"]), len(rows)
    asked = {"of": account_id, "more": count}
    numbers = _NEXT.rows(connection, asked)
    if not numbers and not insert_once(connection, NUMBERS, {"account_id": account_id, "last": count}):
        numbers = _NEXT.rows(connection, asked)
    first = int(numbers[0]["last"]) - count + 1 if numbers else 1
    numbered = [row | {"seq": first + at, "at": now, "source": source} for at, row in enumerate(rows)]
    add_rows(connection, EVENTS, numbered)
    return [
        OrderEvent(
            account_id=account_id,
            seq=first + at,
            order=order,
            at=now,
            source=source,
            mode=Mode(rows[at]["mode"]),
            broker=rows[at]["broker"],
        )
        for at, order in enumerate(orders)
    ]


def last_seq(connection: Connection, account_id: int) -> int:
    """The number of the account's newest event, 0 before the first."""
    query = select(NUMBERS.c.last).where(NUMBERS.c.account_id == account_id)
    return int(connection.execute(query).scalar() or 0)


def after(connection: Connection, account_id: int, seq: int, limit: int) -> list[OrderEvent]:
    """Events numbered above `seq`, in order."""
    query = select(EVENTS).where(EVENTS.c.account_id == account_id, EVENTS.c.seq > seq)
    rows = connection.execute(query.order_by(EVENTS.c.seq).limit(limit)).mappings()
    return [
        OrderEvent(
            account_id=account_id,
            seq=row["seq"],
            order=_order(row),
            at=row["at"],
            source=row["source"],
            mode=Mode(row["mode"]),
            broker=row["broker"],
        )
        for row in rows
    ]


def timeline(connection: Connection, account_id: int, order_id: str) -> list[OrderEvent]:
    """Every event of one order, oldest first."""
    query = select(EVENTS.c.seq).where(EVENTS.c.account_id == account_id, EVENTS.c.order_id == order_id)
    seqs = [int(seq) for seq in connection.execute(query.order_by(EVENTS.c.seq)).scalars()]
    return [after(connection, account_id, seq - 1, 1)[0] for seq in seqs]


def cursor(connection: Connection, account_id: int, broker: str) -> int:
    """How far a broker's own numbered updates were read; 0 before the first."""
    query = select(CURSORS.c.seq).where(CURSORS.c.account_id == account_id, CURSORS.c.broker == broker)
    return int(connection.execute(query).scalar() or 0)


def move_cursor(connection: Connection, account_id: int, broker: str, seq: int) -> None:
    put(connection, CURSORS, {"account_id": account_id, "broker": broker, "seq": seq})
