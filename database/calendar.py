"""The operator's corrections of the market calendar: one row a day and group of exchanges, in platform.db."""

from __future__ import annotations

from datetime import date, datetime, time

from sqlalchemy import Column, Connection, Integer, String, Table, UniqueConstraint, delete, select

from database.engine import put
from database.metadata import PLATFORM
from database.types import UtcTime
from domain.calendar import DayType, HolidayFact

OVERRIDES = Table(
    "calendar_overrides",
    PLATFORM,
    Column("id", Integer, primary_key=True),
    Column("day", String(10), nullable=False),
    Column("market", String(16), nullable=False),
    Column("name", String(120), nullable=False),
    Column("type", String(24), nullable=False),
    Column("open", String(8), nullable=False),
    Column("close", String(8), nullable=False),
    Column("note", String(200), nullable=False),
    Column("author", String(64), nullable=False),
    Column("saved_at", UtcTime, nullable=False),
    UniqueConstraint("day", "market"),
)


def overrides(connection: Connection) -> list[HolidayFact]:
    """Every correction, by day."""
    rows = connection.execute(select(OVERRIDES).order_by(OVERRIDES.c.day, OVERRIDES.c.market)).all()
    return [
        HolidayFact(
            day=date.fromisoformat(row.day),
            group=row.market,
            name=row.name,
            type=DayType(row.type),
            open=time.fromisoformat(row.open) if row.open else None,
            close=time.fromisoformat(row.close) if row.close else None,
            note=row.note,
        )
        for row in rows
    ]


def save(connection: Connection, fact: HolidayFact, author: str, at: datetime) -> None:
    """Insert or replace the correction of a day and market."""
    values = {
        "day": fact.day.isoformat(),
        "market": fact.group,
        "name": fact.name,
        "type": fact.type.value,
        "open": fact.open.isoformat() if fact.open else "",
        "close": fact.close.isoformat() if fact.close else "",
        "note": fact.note,
        "author": author,
        "saved_at": at,
    }
    put(connection, OVERRIDES, values, ("day", "market"))


def forget(connection: Connection, day: date, group: str) -> bool:
    """Delete a correction; False when there was none."""
    same = (OVERRIDES.c.day == day.isoformat(), OVERRIDES.c.market == group)
    return connection.execute(delete(OVERRIDES).where(*same)).rowcount == 1
