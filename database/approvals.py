"""The Action Center's queue: requests of semi-auto accounts that wait for a person."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime
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
    func,
    insert,
    select,
    update,
)

from database.engine import new_id
from database.metadata import ORDERS
from database.types import UtcTime

APPROVALS = Table(
    "approvals",
    ORDERS,
    Column("id", Integer, primary_key=True),
    Column("account_id", Integer, nullable=False),
    Column("kind", String(24), nullable=False),
    Column("intent_id", String(16)),
    Column("plan_id", Integer),
    Column("request", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("decided_at", UtcTime),
    Column("decided_by", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_approvals_account_state", "account_id", "state"),
)

WAITING, APPROVED, REJECTED, LAPSED = "pending", "approved", "rejected", "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One parked request. `request` is what a person reads before deciding.

    state  "pending", "approved", "rejected" or "expired"
    """

    id: int
    account_id: int
    kind: str
    request: dict[str, Any]
    state: str
    created_at: datetime
    intent_id: str | None = None
    plan_id: int | None = None
    expires_at: datetime | None = None
    decided_at: datetime | None = None
    decided_by: str = ""
    reason: str = ""


_NAMES = tuple(field.name for field in fields(Approval))


def _approval(row: RowMapping) -> Approval:
    values = {name: row[name] for name in _NAMES}
    return Approval(**(values | {"request": json.loads(values["request"])}))


def park(
    connection: Connection,
    *,
    account_id: int,
    kind: str,
    request: dict[str, Any],
    now: datetime,
    intent_id: str | None = None,
    plan_id: int | None = None,
    expires_at: datetime | None = None,
) -> int:
    """Add a waiting row; its id is the public `pending_order_id`."""
    values = {"account_id": account_id, "kind": kind, "intent_id": intent_id, "plan_id": plan_id}
    statement = insert(APPROVALS).values(
        **values,
        request=json.dumps(request, sort_keys=True),
        state=WAITING,
        created_at=now,
        expires_at=expires_at,
        decided_by="",
        reason="",
    )
    return new_id(connection.execute(statement))


def decide(
    connection: Connection, approval_id: int, account_id: int, state: str, by: str, reason: str, now: datetime
) -> bool:
    """Compare-and-set from waiting; False when it was decided, lapsed, or is not the account's."""
    query = update(APPROVALS).where(
        APPROVALS.c.id == approval_id, APPROVALS.c.account_id == account_id, APPROVALS.c.state == WAITING
    )
    return (
        connection.execute(query.values(state=state, decided_by=by, reason=reason, decided_at=now)).rowcount
        == 1
    )


def by_id(connection: Connection, approval_id: int, account_id: int) -> Approval | None:
    query = select(APPROVALS).where(APPROVALS.c.id == approval_id, APPROVALS.c.account_id == account_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else _approval(row)


def of_intent(connection: Connection, intent_id: str) -> Approval | None:
    row = connection.execute(select(APPROVALS).where(APPROVALS.c.intent_id == intent_id)).mappings().first()
    return None if row is None else _approval(row)


def of_plan(connection: Connection, plan_id: int) -> Approval | None:
    row = connection.execute(select(APPROVALS).where(APPROVALS.c.plan_id == plan_id)).mappings().first()
    return None if row is None else _approval(row)


def listed(connection: Connection, account_id: int, state: str | None, limit: int = 200) -> list[Approval]:
    """The account's rows, newest first; of one state or (None) all."""
    query = select(APPROVALS).where(APPROVALS.c.account_id == account_id)
    if state is not None:
        query = query.where(APPROVALS.c.state == state)
    rows = connection.execute(query.order_by(APPROVALS.c.id.desc()).limit(limit)).mappings()
    return [_approval(row) for row in rows]


def waiting(connection: Connection, account_id: int) -> int:
    """How many of the account's rows nobody decided yet."""
    query = select(func.count()).where(APPROVALS.c.account_id == account_id, APPROVALS.c.state == WAITING)
    return connection.execute(query).scalar_one()


def overdue(connection: Connection, now: datetime) -> list[Approval]:
    """Waiting rows whose time is over."""
    query = select(APPROVALS).where(APPROVALS.c.state == WAITING, APPROVALS.c.expires_at <= now)
    return [_approval(row) for row in connection.execute(query).mappings()]
