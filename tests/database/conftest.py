"""One store on SQLite and, where it answers, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from database import migrate
from database.engine import Database, open_database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    migrate.upgrade(url, "paper", tmp_path)
    opened = open_database(url, "paper", tmp_path)
    yield opened
    opened.close()
