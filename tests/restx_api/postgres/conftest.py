"""The API's tests again, on PostgreSQL, whenever one answers at its usual local port."""

from tests.services.postgres.conftest import on_postgres, postgres_url

__all__ = ["on_postgres", "postgres_url"]
