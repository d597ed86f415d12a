"""Alembic's entry. `database.migrate` hands over the connection, in whose transaction the upgrade runs."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    user_module_prefix="types.",
)
context.run_migrations()
