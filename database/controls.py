"""What the gate reads inside its one transaction: limits, kill switches, send slots.

An account without a controls row cannot trade: the row is written when the account is made, and a row that is
missing or cannot be read refuses.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    select,
    update,
)

from database.engine import insert_once, put
from database.metadata import ORDERS
from database.prepared import Prepared
from database.types import Money, Quantity, UtcTime, from_micros, to_micros

CONTROLS = Table(
    "controls",
    ORDERS,
    Column("account_id", Integer, primary_key=True, autoincrement=False),
    Column("strategy", String(128), primary_key=True),
    Column("max_quantity", Quantity),
    Column("max_value", Money),
    Column("max_open_orders", Integer),
    Column("max_orders_per_day", Integer),
    Column("max_orders_per_second", Integer),
    Column("max_day_loss", Money),
    Column("price_collar_percent", Quantity),
    Column("duplicate_window_ms", Integer),
    Column("allowed_symbols", Text),
    Column("allowed_products", Text),
    Column("split_entries", Boolean, nullable=False),
    Column("queue_seconds", Integer, nullable=False),
    Column("algo_id", String(32), nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)

KILLS = Table(
    "kill_switches",
    ORDERS,
    Column("account_id", Integer, primary_key=True, autoincrement=False),
    Column("engaged_at", UtcTime, nullable=False),
    Column("engaged_by", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("flatten", Boolean, nullable=False),
    Column("acted_at", UtcTime),
    Column("report", Text, nullable=False),
)

SLOTS = Table(
    "send_slots",
    ORDERS,
    Column("account_id", Integer, primary_key=True, autoincrement=False),
    Column("exchange", String(16), primary_key=True),
    Column("sent", Text, nullable=False),
)

EVERY_ACCOUNT = 0
"""The account id under which a kill switch holds for all accounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """Limits of one account (strategy "") or of one strategy on it. None means not limited.

    max_value             rupees of one order, at its price or the last price; a sale at the higher of them
    max_day_loss          rupees, positive; realised plus unrealised below -this refuses new risk
    price_collar_percent  how far a limit price may lie from the last price
    duplicate_window_ms   an identical order within it is refused
    allowed_symbols       "EXCHANGE:SYMBOL" patterns with *, space separated; allowed_products likewise
    split_entries         freeze-quantity splitting also for entries
    queue_seconds         how long an order may wait for a send slot
    """

    account_id: int
    strategy: str = ""
    max_quantity: Decimal | None = None
    max_value: Decimal | None = None
    max_open_orders: int | None = None
    max_orders_per_day: int | None = None
    max_orders_per_second: int | None = None
    max_day_loss: Decimal | None = None
    price_collar_percent: Decimal | None = None
    duplicate_window_ms: int | None = None
    allowed_symbols: str | None = None
    allowed_products: str | None = None
    split_entries: bool = False
    queue_seconds: int = 12
    algo_id: str = ""


_NAMES = tuple(field.name for field in fields(Controls))
_BOTH = Prepared(
    select(*(CONTROLS.c[name] for name in _NAMES))
    .where(CONTROLS.c.account_id == bindparam("account"))
    .where((CONTROLS.c.strategy == "") | (CONTROLS.c.strategy == bindparam("label")))
    .with_for_update()
)
_KILLED = Prepared(
    select(KILLS)
    .where((KILLS.c.account_id == bindparam("account")) | (KILLS.c.account_id == EVERY_ACCOUNT))
    .order_by(KILLS.c.account_id.desc())
)
_SENT = Prepared(
    select(SLOTS.c.sent).where(
        SLOTS.c.account_id == bindparam("account"), SLOTS.c.exchange == bindparam("exchange")
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """An engaged kill switch; account_id EVERY_ACCOUNT holds for all.

    flatten   positions are to be closed too
    acted_at  when cancelling (and closing) was done once; None while it still has to be
    report    a line for each thing done or not done
    """

    account_id: int
    engaged_at: datetime
    engaged_by: str
    reason: str
    flatten: bool = False
    acted_at: datetime | None = None
    report: str = ""


def load(connection: Connection, account_id: int, strategy: str = "") -> Controls | None:
    """The row, None when there is none."""
    query = select(*(CONTROLS.c[name] for name in _NAMES)).where(
        CONTROLS.c.account_id == account_id, CONTROLS.c.strategy == strategy
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else Controls(**row)


def load_both(
    connection: Connection, account_id: int, strategy: str
) -> tuple[Controls | None, Controls | None]:
    """The account's row, locked for the transaction, and the strategy's; None for each that is missing."""
    rows = _BOTH.rows(connection, {"account": account_id, "label": strategy or "-"})
    found = {row["strategy"]: Controls(**row) for row in rows}
    return found.get(""), found.get(strategy or "-")


def save(connection: Connection, controls: Controls, now: datetime) -> None:
    """Insert or replace."""
    put(connection, CONTROLS, _values(controls, now))


def ensure(connection: Connection, account_id: int, now: datetime) -> None:
    """Write an account's first, unlimited row if it has none."""
    insert_once(connection, CONTROLS, _values(Controls(account_id=account_id), now))


def _values(controls: Controls, now: datetime) -> dict[str, Any]:
    return {name: getattr(controls, name) for name in _NAMES} | {"changed_at": now}


def killed(connection: Connection, account_id: int) -> Kill | None:
    """The kill switch that holds for an account, its own before the general one."""
    rows = _KILLED.rows(connection, {"account": account_id})
    return Kill(**rows[0]) if rows else None


def kills(connection: Connection) -> list[Kill]:
    return [Kill(**row) for row in connection.execute(select(KILLS)).mappings()]


def hold_gate(connection: Connection, account_id: int) -> None:
    """Nobody is admitted to an account (EVERY_ACCOUNT: to any) before this transaction ends."""
    query = select(CONTROLS.c.account_id).where(CONTROLS.c.strategy == "").order_by(CONTROLS.c.account_id)
    if account_id != EVERY_ACCOUNT:
        query = query.where(CONTROLS.c.account_id == account_id)
    connection.execute(query.with_for_update()).all()


def engage(connection: Connection, kill: Kill) -> None:
    """Engage; an engaged switch keeps its first time and words, but has more to do once it is to flatten too.
    `engaged_at` was read behind `hold_gate`: every order that was admitted without the switch is older."""
    values = {field.name: getattr(kill, field.name) for field in fields(Kill)}
    if not insert_once(connection, KILLS, values) and kill.flatten:
        more = update(KILLS).where(KILLS.c.account_id == kill.account_id, KILLS.c.flatten.is_(False))
        connection.execute(more.values(flatten=True, acted_at=None))


def acted(connection: Connection, kill: Kill, report: str, now: datetime | None) -> None:
    """Note what an engaged switch did and when it had done its work, None while it has not; not of one that was thrown
    anew or to do more meanwhile."""
    query = update(KILLS).where(
        KILLS.c.account_id == kill.account_id,
        KILLS.c.engaged_at == kill.engaged_at,
        KILLS.c.flatten == kill.flatten,
    )
    connection.execute(query.values(acted_at=now, report=report))


def release(connection: Connection, account_id: int) -> bool:
    """Release; False when it was not engaged."""
    return connection.execute(KILLS.delete().where(KILLS.c.account_id == account_id)).rowcount == 1


def take_slot(connection: Connection, account_id: int, exchange: str, now: datetime, per_second: int) -> bool:
    """Take one of `per_second` sends in any rolling second; False when none is free.

    The caller has locked the account's limits (`load_both`).
    """
    sent = _sent(connection, account_id, exchange)
    micros = to_micros(now)
    recent = [moment for moment in sent if moment > micros - 1_000_000]
    if len(recent) >= per_second:
        return False
    value = json.dumps([*recent, micros])
    put(connection, SLOTS, {"account_id": account_id, "exchange": exchange, "sent": value})
    return True


def next_slot(connection: Connection, account_id: int, exchange: str, per_second: int) -> datetime | None:
    """When the next send becomes free; None when one is free already or none was ever taken."""
    sent = _sent(connection, account_id, exchange)
    return from_micros(sent[-per_second] + 1_000_000) if len(sent) >= per_second else None


def _sent(connection: Connection, account_id: int, exchange: str) -> list[int]:
    """When the last sends were, in microseconds of the epoch, oldest first."""
    rows = _SENT.rows(connection, {"account": account_id, "exchange": exchange})
    sent: list[int] = json.loads(rows[0]["sent"]) if rows else []
    return sent
