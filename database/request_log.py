"""Every request the web role answered: who, what, how long. Kept for days, written in batches."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Column, Connection, Index, Integer, String, Table, delete, select

from database.metadata import LOGS
from database.prepared import add_rows
from database.types import UtcTime

REQUESTS = Table(
    "requests",
    LOGS,
    Column("id", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("method", String(8), nullable=False),
    Column("route", String(128), nullable=False),
    Column("status", Integer, nullable=False),
    Column("micros", Integer, nullable=False),
    Column("user_id", Integer),
    Column("address", String(64), nullable=False),
    Index("ix_requests_at", "at"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """One answered request. `route` is the rule, not the path: no symbol, id or key is in it.

    micros   from the request's arrival to its answer
    user_id  None for a caller who did not sign in, and for keys
    """

    at: datetime
    method: str
    route: str
    status: int
    micros: int
    user_id: int | None
    address: str


_NAMES = tuple(field.name for field in fields(RequestRow))
_COLUMNS = tuple(REQUESTS.c[name] for name in _NAMES)


def add_all(connection: Connection, rows: list[RequestRow]) -> None:
    add_rows(connection, REQUESTS, [{name: getattr(row, name) for name in _NAMES} for row in rows])


def since(connection: Connection, moment: datetime, limit: int) -> list[RequestRow]:
    """Newest first."""
    query = select(*_COLUMNS).where(REQUESTS.c.at >= moment).order_by(REQUESTS.c.id.desc()).limit(limit)
    return [RequestRow(**row) for row in connection.execute(query).mappings()]


def forget_before(connection: Connection, moment: datetime) -> int:
    return connection.execute(delete(REQUESTS).where(REQUESTS.c.at < moment)).rowcount
