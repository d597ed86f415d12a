"""Small named values of the platform (current instrument files, one-time codes), JSON text each."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Column, Connection, String, Table, Text, bindparam, delete, select

from database.engine import put
from database.metadata import PLATFORM
from database.prepared import Prepared

SETTINGS = Table(
    "settings",
    PLATFORM,
    Column("name", String(96), primary_key=True),
    Column("value", Text, nullable=False),
)
_VALUE = Prepared(select(SETTINGS.c.value).where(SETTINGS.c.name == bindparam("name")))


def load(connection: Connection, name: str) -> Any | None:
    """The value, None when it was never saved."""
    rows = _VALUE.rows(connection, {"name": name})
    return json.loads(rows[0]["value"]) if rows else None


def save(connection: Connection, name: str, value: Any) -> None:
    """Insert or replace."""
    put(connection, SETTINGS, {"name": name, "value": json.dumps(value)})


def forget(connection: Connection, name: str) -> bool:
    """Delete; False when there was nothing."""
    return connection.execute(delete(SETTINGS).where(SETTINGS.c.name == name)).rowcount == 1
