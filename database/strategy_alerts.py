"""What a person has to be told of a hosted strategy: that it crashed, failed, or did not start when it was due."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Connection, Integer, String, Table, Text, delete, func, insert, select, update

from database.engine import new_id
from database.metadata import PLATFORM
from database.types import UtcTime
from domain.strategies import Alert

ALERTS = Table(
    "strategy_alerts",
    PLATFORM,
    Column("id", Integer, primary_key=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("strategy_id", String(64), nullable=False),
    Column("name", String(100), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("tail", Text, nullable=False),
    Column("seen_at", UtcTime),
)
_MOST = 200


def add(connection: Connection, user_id: int, alert: Alert) -> int:
    """Keep it; its id. A person's oldest go."""
    values = {
        "user_id": user_id,
        "strategy_id": alert.strategy_id,
        "name": alert.name,
        "at": alert.at,
        "kind": alert.kind,
        "reason": alert.reason[:2000],
        "tail": alert.tail,
    }
    added = new_id(connection.execute(insert(ALERTS).values(**values)))
    newest = select(ALERTS.c.id).where(ALERTS.c.user_id == user_id).order_by(ALERTS.c.id.desc())
    kept = newest.limit(_MOST).scalar_subquery()
    connection.execute(delete(ALERTS).where(ALERTS.c.user_id == user_id, ALERTS.c.id.not_in(kept)))
    return added


def is_told(connection: Connection, alert: Alert, since: datetime) -> bool:
    """Whether the same was told of that strategy since a moment."""
    query = select(func.count()).where(
        ALERTS.c.strategy_id == alert.strategy_id,
        ALERTS.c.kind == alert.kind,
        ALERTS.c.reason == alert.reason,
        ALERTS.c.at >= since,
    )
    return connection.execute(query).scalar_one() > 0


def of_user(connection: Connection, user_id: int, after: int = 0, limit: int = 50) -> list[Alert]:
    """Newest first; only those whose id is greater than `after`."""
    columns = [ALERTS.c[name] for name in Alert.__slots__]
    query = select(*columns).where(ALERTS.c.user_id == user_id, ALERTS.c.id > after)
    rows = connection.execute(query.order_by(ALERTS.c.id.desc()).limit(limit)).mappings()
    return [Alert(**row) for row in rows]


def unseen(connection: Connection, user_id: int) -> int:
    query = select(func.count()).where(ALERTS.c.user_id == user_id, ALERTS.c.seen_at.is_(None))
    return connection.execute(query).scalar_one()


def see(connection: Connection, user_id: int, now: datetime) -> None:
    query = update(ALERTS).where(ALERTS.c.user_id == user_id, ALERTS.c.seen_at.is_(None))
    connection.execute(query.values(seen_at=now))
