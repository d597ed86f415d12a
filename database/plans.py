"""Plans: requests of several orders. A row here, its legs beside it; each sent leg is an intent of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    select,
    update,
)

from database.engine import insert_once, new_id, put
from database.events import ORDER_ROWS
from database.intents import INTENTS
from database.metadata import ORDERS
from database.types import Quantity, UtcTime
from domain.model import OrderState

PLANS = Table(
    "plans",
    ORDERS,
    Column("id", Integer, primary_key=True),
    Column("account_id", Integer, nullable=False),
    Column("user_id", Integer, nullable=False),
    Column("door", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(8), nullable=False),
    Column("request", Text, nullable=False),
    Column("idempotency_key", String(128)),
    Column("body_hash", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("deadline", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    UniqueConstraint("account_id", "idempotency_key"),
    Index("ix_plans_state", "state"),
)

LEGS = Table(
    "plan_legs",
    ORDERS,
    Column("plan_id", Integer, primary_key=True, autoincrement=False),
    Column("leg", Integer, primary_key=True, autoincrement=False),
    Column("intent_id", String(16)),
    Column("state", String(12), nullable=False),
    Column("order_id", String(64), nullable=False),
    Column("code", String(64), nullable=False),
    Column("message", Text, nullable=False),
)

TARGETS = Table(
    "smart_targets",
    ORDERS,
    Column("account_id", Integer, primary_key=True, autoincrement=False),
    Column("exchange", String(16), primary_key=True),
    Column("symbol", String(64), primary_key=True),
    Column("product", String(8), primary_key=True),
    Column("holder", String(32), nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("expected", Quantity),
    Column("expected_at", UtcTime),
)

PARKED, RUNNING, DONE = "parked", "running", "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """kind: "smart", "basket", "split", "pieces", "cancelall", "closeall". request: what its legs are made of, and the
    mode it was asked for in. After `deadline` no further leg is sent."""

    id: int
    account_id: int
    user_id: int
    door: str
    kind: str
    state: str
    request: dict[str, Any]
    idempotency_key: str | None
    body_hash: str
    created_at: datetime
    deadline: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegResult:
    """What became of one leg, as told to the client."""

    plan_id: int
    leg: int
    state: str
    order_id: str = ""
    code: str = ""
    message: str = ""
    intent_id: str | None = None


def _plan(row: RowMapping) -> Plan:
    values = {field.name: row[field.name] for field in fields(Plan)}
    return Plan(**(values | {"request": json.loads(values["request"])}))


def add(
    connection: Connection,
    *,
    account_id: int,
    user_id: int,
    door: str,
    kind: str,
    state: str,
    request: dict[str, Any],
    key: str | None,
    body_hash: str,
    now: datetime,
    deadline: datetime,
) -> int:
    """Insert a plan. IntegrityError when the account used the key before."""
    statement = insert(PLANS).values(
        account_id=account_id,
        user_id=user_id,
        door=door,
        kind=kind,
        state=state,
        request=json.dumps(request, sort_keys=True),
        idempotency_key=key,
        body_hash=body_hash,
        created_at=now,
        deadline=deadline,
    )
    return new_id(connection.execute(statement))


def by_id(connection: Connection, plan_id: int) -> Plan | None:
    row = connection.execute(select(PLANS).where(PLANS.c.id == plan_id)).mappings().first()
    return None if row is None else _plan(row)


def by_key(connection: Connection, account_id: int, key: str) -> Plan | None:
    query = select(PLANS).where(PLANS.c.account_id == account_id, PLANS.c.idempotency_key == key)
    row = connection.execute(query).mappings().first()
    return None if row is None else _plan(row)


def by_reason(connection: Connection, account_id: int, kind: str, reason: str) -> list[Plan]:
    """Plans of a kind whose keys begin with a reason and a colon, oldest first."""
    query = select(PLANS).where(
        PLANS.c.account_id == account_id,
        PLANS.c.kind == kind,
        PLANS.c.idempotency_key.startswith(f"{reason}:", autoescape=True),
    )
    return [_plan(row) for row in connection.execute(query.order_by(PLANS.c.id)).mappings()]


def in_state(connection: Connection, state: str) -> list[Plan]:
    """Plans in one state, oldest first."""
    query = select(PLANS).where(PLANS.c.state == state).order_by(PLANS.c.id)
    return [_plan(row) for row in connection.execute(query).mappings()]


def move(connection: Connection, plan_id: int, expected: str, state: str, **changes: Any) -> bool:
    """Compare-and-set of a plan's state."""
    query = update(PLANS).where(PLANS.c.id == plan_id, PLANS.c.state == expected)
    return connection.execute(query.values(state=state, **changes)).rowcount == 1


def keep_leg(connection: Connection, result: LegResult) -> None:
    """Insert or replace what is known of a leg."""
    put(connection, LEGS, {field.name: getattr(result, field.name) for field in fields(LegResult)})


def legs(connection: Connection, plan_id: int) -> list[LegResult]:
    """What is known of the plan's legs, in leg order."""
    names = [field.name for field in fields(LegResult)]
    query = select(*(LEGS.c[name] for name in names)).where(LEGS.c.plan_id == plan_id).order_by(LEGS.c.leg)
    return [LegResult(**row) for row in connection.execute(query).mappings()]


def working_smart(
    connection: Connection, account_id: int, exchange: str, symbol: str, product: str, broker: str
) -> list[str]:
    """Broker order ids of earlier smart orders and exits of one instrument and product that still work."""
    final = [state.value for state in OrderState if state.is_final]
    query = (
        select(ORDER_ROWS.c.order_id)
        .join(
            INTENTS,
            (INTENTS.c.account_id == ORDER_ROWS.c.account_id)
            & (INTENTS.c.broker == ORDER_ROWS.c.broker)
            & (INTENTS.c.broker_order_id == ORDER_ROWS.c.order_id),
        )
        .join(PLANS, PLANS.c.id == INTENTS.c.plan_id)
        .where(
            ORDER_ROWS.c.account_id == account_id,
            ORDER_ROWS.c.exchange == exchange,
            ORDER_ROWS.c.symbol == symbol,
            ORDER_ROWS.c.product == product,
            ORDER_ROWS.c.broker == broker,
            ORDER_ROWS.c.state.not_in(final),
            PLANS.c.kind.in_(("smart", "closeall")),
        )
    )
    return list(connection.execute(query).scalars())


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the last smart order left a position; None while none did."""

    expected: Decimal | None
    expected_at: datetime | None


def _target(account_id: int, exchange: str, symbol: str, product: str) -> tuple[Any, ...]:
    return (
        TARGETS.c.account_id == account_id,
        TARGETS.c.exchange == exchange,
        TARGETS.c.symbol == symbol,
        TARGETS.c.product == product,
    )


def hold_target(
    connection: Connection, key: tuple[int, str, str, str], holder: str, now: datetime, until: datetime
) -> Target | None:
    """Take the only right to trade one instrument and product smartly; None while another has it."""
    row = connection.execute(select(TARGETS).where(*_target(*key)).with_for_update()).mappings().first()
    if row is None:
        names = ("account_id", "exchange", "symbol", "product")
        values = dict(zip(names, key, strict=True)) | {"holder": holder, "until": until}
        ours = insert_once(connection, TARGETS, values)
        return Target(expected=None, expected_at=None) if ours else None
    if row["holder"] and row["until"] > now:
        return None
    connection.execute(update(TARGETS).where(*_target(*key)).values(holder=holder, until=until))
    return Target(expected=row["expected"], expected_at=row["expected_at"])


def keep_target(connection: Connection, key: tuple[int, str, str, str], holder: str, until: datetime) -> bool:
    """Hold the right on; False when another took it meanwhile."""
    query = update(TARGETS).where(*_target(*key), TARGETS.c.holder == holder)
    return connection.execute(query.values(until=until)).rowcount == 1


def free_target(
    connection: Connection,
    key: tuple[int, str, str, str],
    holder: str,
    expected: Decimal | None,
    now: datetime,
) -> None:
    """Give the right back, with the position it leaves (None: not known)."""
    query = update(TARGETS).where(*_target(*key), TARGETS.c.holder == holder)
    connection.execute(query.values(holder="", expected=expected, expected_at=now))
