"""Bring a store to the newest schema. One Alembic branch a store, its steps named NNNN_subject.

Each upgrade is one transaction: killed anywhere, the store is as before. A SQLite store with data
is copied to `<data_dir>/backups` first. Not for describing tables: they stand in the module of their subject.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

import database
from database import revisions
from database.engine import FILES, open_database
from database.metadata import BY_NAME

log = logging.getLogger(__name__)

_ADVISORY_LOCK = 0x0A160


class NewerSchema(Exception):
    """The store was written by a newer release; nothing was changed."""


def upgrade(url: str, name: str, data_dir: Path) -> bool:
    """Bring store `name` to its newest step. True when something was done. Raises NewerSchema."""
    store = open_database(url, name, data_dir)
    try:
        with store.engine.connect() as connection, _transaction(connection, name, sqlite=store.is_sqlite):
            before = _revision(connection)
            head = revisions.head_of(name)
            if before == head:
                return False
            if before and before not in revisions.steps_of(name):
                raise NewerSchema(f"the {name} store has schema {before}, which this release does not know")
            if before and store.is_sqlite:
                log.info("copied the %s store to %s", name, _copy(data_dir, name, before))
            command.upgrade(_config(name, connection), "head")
    finally:
        store.close()
    log.info("the %s store is at schema %s", name, head)
    return True


def upgrade_all(url: str, data_dir: Path) -> list[str]:
    """Upgrade every store; the names of those that changed."""
    return [name for name in FILES if upgrade(url, name, data_dir)]


@contextmanager
def _transaction(connection: Connection, name: str, *, sqlite: bool) -> Iterator[None]:
    """One writer at a time, all or nothing."""
    if sqlite:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")
        return
    with connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{name}"'))
        yield


def _revision(connection: Connection) -> str:
    """The step the store is at, "" for an empty store."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def _copy(data_dir: Path, name: str, revision: str) -> Path:
    """A consistent copy of a SQLite store as it was before the upgrade."""
    target = data_dir / "backups" / f"{name}-{revision}.db"
    target.parent.mkdir(mode=0o700, exist_ok=True)
    source = f"file:{data_dir / f'{name}.db'}?mode=ro"
    with closing(sqlite3.connect(source, uri=True)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
    target.chmod(0o600)
    return target


def _config(name: str, connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(revisions.STEPS))
    config.set_main_option("version_locations", str(revisions.STEPS / name))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s")
    config.attributes.update(connection=connection, metadata=BY_NAME[name])
    return config


def load_tables() -> None:
    """Import every module of this room, so that each store's MetaData knows all its tables."""
    for module in pkgutil.iter_modules(database.__path__):
        importlib.import_module(f"database.{module.name}")


def write_step(name: str, subject: str) -> Path:
    """Write the step that turns the newest schema of a SQLite store into what the tables say now."""
    load_tables()
    with tempfile.TemporaryDirectory() as scratch:
        if revisions.steps_of(name):
            upgrade("", name, Path(scratch))
        store = open_database("", name, Path(scratch))
        revision = f"{len(revisions.steps_of(name)) + 1:04d}_{subject}"
        with store.engine.connect() as connection:
            command.revision(
                _config(name, connection), subject.replace("_", " "), autogenerate=True, rev_id=revision
            )
        store.close()
    return revisions.STEPS / name / f"{revision}.py"


def difference(name: str, url: str, data_dir: Path) -> list[str]:
    """How the store differs from what the tables say; empty when the steps are complete."""
    load_tables()
    store = open_database(url, name, data_dir)
    try:
        with store.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            return [str(item) for item in compare_metadata(context, BY_NAME[name])]
    finally:
        store.close()
