"""Baskets: orders that a person has put together and not sent yet, or sends again and again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    insert,
    select,
    update,
)

from database.engine import new_id
from database.metadata import PLATFORM
from database.types import UtcTime

BASKETS = Table(
    "baskets",
    PLATFORM,
    Column("id", Integer, primary_key=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("name", String(64), nullable=False),
    Column("legs", Text, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    UniqueConstraint("user_id", "name"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BasketRow:
    """`legs` are JSON objects; what they mean is the service's business."""

    id: int
    user_id: int
    name: str
    legs: list[dict[str, Any]]
    changed_at: datetime


def of_user(connection: Connection, user_id: int) -> list[BasketRow]:
    """The one changed last first."""
    query = select(BASKETS).where(BASKETS.c.user_id == user_id).order_by(BASKETS.c.changed_at.desc())
    return [
        BasketRow(**(dict(row) | {"legs": json.loads(row["legs"])}))
        for row in connection.execute(query).mappings()
    ]


def add(connection: Connection, user_id: int, name: str, now: datetime) -> int:
    """IntegrityError when the user has one of that name."""
    values = {"user_id": user_id, "name": name, "legs": "[]", "changed_at": now}
    return new_id(connection.execute(insert(BASKETS).values(**values)))


def save_legs(connection: Connection, basket_id: int, legs: list[dict[str, Any]], now: datetime) -> None:
    query = update(BASKETS).where(BASKETS.c.id == basket_id)
    connection.execute(query.values(legs=json.dumps(legs), changed_at=now))


def remove(connection: Connection, basket_id: int) -> None:
    connection.execute(delete(BASKETS).where(BASKETS.c.id == basket_id))
