"""The order path's tests again, on PostgreSQL, whenever one answers at its usual local port."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest

from database.metadata import BY_NAME
from tests.services.order_world import World

SERVER = "postgresql://postgres@127.0.0.1:5432"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A database of this test process alone, with the stores' schemas; dropped afterwards."""
    name = f"openalgo_test_{secrets.token_hex(6)}"
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
        query = "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables WHERE schemaname = ANY(%s)"
        tables = [row[0] for row in own.execute(query, [list(BY_NAME)])]
        asked = " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT FROM {table})" for table in tables)
        used = [row[0] for row in own.execute(asked)] if tables else []
        if used:
            own.execute(f"TRUNCATE {', '.join(used)} RESTART IDENTITY CASCADE")
