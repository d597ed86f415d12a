"""Which master file each broker uses now: one row a broker in platform.db."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Column, Integer, String, Table, select

from database.engine import Database, put
from database.metadata import PLATFORM
from database.types import UtcTime

MASTERS = Table(
    "masters",
    PLATFORM,
    Column("broker", String(64), primary_key=True),
    Column("file", String(200), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("put_aside", Integer, nullable=False),
    Column("source", String(200), nullable=False),
    Column("loaded_at", UtcTime, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Master:
    """A broker's current master. `file` is a name inside the broker's folder; `source` says where it came from."""

    broker: str
    file: str
    rows: int
    put_aside: int
    source: str
    loaded_at: datetime


def current(db: Database, broker: str) -> Master | None:
    """The master in use; None when none was ever loaded."""
    with db.read() as connection:
        row = connection.execute(select(MASTERS).where(MASTERS.c.broker == broker)).one_or_none()
    return None if row is None else Master(**row._mapping)


def all_current(db: Database) -> list[Master]:
    """Every broker's master, by name."""
    with db.read() as connection:
        rows = connection.execute(select(MASTERS).order_by(MASTERS.c.broker)).all()
    return [Master(**row._mapping) for row in rows]


def adopt(db: Database, master: Master) -> None:
    """Make a master the one in use, in one durable step."""

    values = {field.name: getattr(master, field.name) for field in fields(Master)}
    db.write(lambda connection: put(connection, MASTERS, values))
