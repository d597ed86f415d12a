"""What a person's charts look like: named JSON values, kept as they were given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from database import settings as rows
from database.engine import Database
from database.settings import SETTINGS
from domain.errors import InvalidRequest
from services.accounts import Caller

MOST_AT_ONCE = 50
MOST_KEPT = 200
LONGEST_NAME = 50
LARGEST = 1024 * 1024


class ChartSettings:
    """Values of one platform store, by user."""

    def __init__(self, platform: Database) -> None:
        self._db = platform

    def load(self, caller: Caller) -> dict[str, Any]:
        """Every value of the caller's user."""
        with self._db.read() as connection:
            return _load(connection, _prefix(caller))

    def save(self, caller: Caller, values: Mapping[str, Any]) -> None:
        """Insert or replace the named values; others stay. Raises InvalidRequest naming the value."""
        if not 1 <= len(values) <= MOST_AT_ONCE:
            raise InvalidRequest(f"Send 1 to {MOST_AT_ONCE} chart preferences.")
        for name, value in values.items():
            if not 1 <= len(name) <= LONGEST_NAME:
                raise InvalidRequest(f"A preference's name has 1 to {LONGEST_NAME} characters.", name)
            if len(json.dumps(value)) > LARGEST:
                raise InvalidRequest(f"{name} is larger than 1 MiB.", name)
        prefix = _prefix(caller)

        def work(connection: Connection) -> None:
            if len(_load(connection, prefix).keys() | values.keys()) > MOST_KEPT:
                raise InvalidRequest(f"At most {MOST_KEPT} chart preferences are kept.")
            for name, value in values.items():
                rows.save(connection, prefix + name, value)

        self._db.write(work)


def _prefix(caller: Caller) -> str:
    return f"chart:{caller.user_id}:"


def _load(connection: Connection, prefix: str) -> dict[str, Any]:
    mine = SETTINGS.c.name.startswith(prefix, autoescape=True)
    query = select(SETTINGS.c.name, SETTINGS.c.value).where(mine)
    return {name.removeprefix(prefix): json.loads(value) for name, value in connection.execute(query)}
