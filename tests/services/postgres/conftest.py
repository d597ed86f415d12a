"""The order path's tests again, on PostgreSQL, whenever one answers at its usual local port."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest

from database.metadata import BY_NAME
from tests.services.order_world import World

SERVER = "postgresql://postgres@127.0.0.1:5432"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A database of this test process alone, with the stores' schemas; dropped afterwards."""
    name = f"openalgo_test_{os.getpid()}"
    try:
        server = psycopg.connect(f"{SERVER}/postgres", autocommit=True, connect_timeout=2)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL answers at 127.0.0.1:5432")
    with server:
        server.execute(f"CREATE DATABASE {name}")
        with psycopg.connect(f"{SERVER}/{name}", autocommit=True) as own:
            for schema in BY_NAME:
                own.execute(f"CREATE SCHEMA {schema}")
        yield f"{SERVER}/{name}"
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(autouse=True)
def on_postgres(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every World of the test lives on PostgreSQL, in tables without rows."""
    monkeypatch.setattr(World, "url", postgres_url)
    yield
    with psycopg.connect(postgres_url, autocommit=True) as own:
        rows = own.execute(
            "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables WHERE schemaname = ANY(%s)",
            [list(BY_NAME)],
        ).fetchall()
        if rows:
            own.execute(f"TRUNCATE {', '.join(row[0] for row in rows)} RESTART IDENTITY CASCADE")
