"""One `Database` a file (SQLite) or schema (PostgreSQL): long-lived connections, group-committed writes.

On SQLite concurrent writers of one process share a commit: whoever holds the lock runs everybody's work in
one BEGIN IMMEDIATE, each in its own savepoint, so one failing member fails alone and one fdatasync serves all.
On PostgreSQL each write is its own transaction and row locks (FOR UPDATE) order them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.dml import ReturningInsert

T = TypeVar("T")

FILES = ("platform", "orders", "paper", "logs")
_DURABLE = {"platform": "NORMAL", "orders": "FULL", "paper": "FULL", "logs": "NORMAL"}
_GROUP = 64
_BUSY_MS = 10_000


class _Member(Generic[T]):
    """One caller's share of a group commit."""

    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self.work = work
        self.done = threading.Event()
        self.result: T | None = None
        self.error: BaseException | None = None


class Database:
    """A store with one writer at a time and any number of readers.

    `write` returns what `work` returned, after the commit is durable; what `work` raised comes back, with nothing kept.
    `work` may run in another caller's thread and must not wait for anything but this database.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._local = threading.local()
        self._lock = threading.Lock()
        self._pending: list[_Member[Any]] = []
        self._pending_lock = threading.Lock()
        self._open: set[Connection] = set()
        self._commits = 0

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """This thread's connection for reading. On PostgreSQL the snapshot ends with the block."""
        connection = self._connection()
        try:
            yield connection
        finally:
            if not self.is_sqlite:
                connection.rollback()

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction and commit it durably."""
        if not self.is_sqlite:
            return self._write_alone(work)
        member = _Member(work)
        with self._pending_lock:
            self._pending.append(member)
        with self._lock:
            while not member.done.is_set():
                self._lead()
        if member.error is not None:
            raise member.error
        return member.result  # type: ignore[return-value]

    def version(self) -> tuple[int, int] | None:
        """Changes whenever anything was committed to this store since this thread last asked; None: cannot tell.

        Comparable only within one thread. For caches that must never be stale.
        """
        if not self.is_sqlite:
            return None
        raw = self._raw(self._connection())
        return self._commits, raw.execute("PRAGMA data_version").fetchone()[0]

    def close(self) -> None:
        """Close every connection this object opened. Threads that still use it fail."""
        for connection in list(self._open):
            connection.close()
        self._open.clear()
        self.engine.dispose()

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None or connection.closed or connection.invalidated:
            connection = self.engine.connect()
            self._local.connection = connection
            self._open.add(connection)
        return connection

    def _write_alone(self, work: Callable[[Connection], T]) -> T:
        connection = self._connection()
        try:
            result = work(connection)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        return result

    def _lead(self) -> None:
        """Commit the members that wait, up to a group's size."""
        with self._pending_lock:
            group, self._pending = self._pending[:_GROUP], self._pending[_GROUP:]
        try:
            self._commit(group)
        except BaseException as error:
            for member in group:
                member.error = member.error or error
            if not isinstance(error, Exception):
                raise
        finally:
            for member in group:
                member.done.set()

    def _commit(self, group: list[_Member[Any]]) -> None:
        connection = self._connection()
        say = self._raw(connection).execute
        say("BEGIN IMMEDIATE")
        try:
            for member in group:
                if len(group) == 1:
                    member.result = member.work(connection)
                else:
                    self._run(connection, member, say)
            self._commits += 1
            say("COMMIT")
        except BaseException:
            say("ROLLBACK")
            raise

    @staticmethod
    def _run(connection: Connection, member: _Member[Any], say: Callable[[str], Any]) -> None:
        """One member of several, in a savepoint, so that it can fail alone."""
        say("SAVEPOINT member")
        try:
            member.result = member.work(connection)
        except Exception as error:  # noqa: BLE001 - handed to the caller whose work it is
            member.error = error
            say("ROLLBACK TO member")
        say("RELEASE member")

    @staticmethod
    def _raw(connection: Connection) -> Any:
        """The driver's own connection, for the words that need no SQLAlchemy."""
        raw = connection.connection.driver_connection
        assert raw is not None
        return raw


def new_id(result: CursorResult[Any]) -> int:
    """The primary key an insert was given."""
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def insert_once(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one with its key exists; whether it was inserted."""
    return connection.execute(_insert_once(connection.dialect.name, table), values).first() is not None


@cache
def _insert_once(dialect: str, table: Table) -> ReturningInsert[Any]:
    """The statement, built once; it returns the new row's key, or nothing."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().returning(next(iter(table.primary_key.columns)))


def open_database(url: str, name: str, data_dir: Path) -> Database:
    """Open one of FILES. `url` "" or sqlite means `<data_dir>/<name>.db`; a postgresql URL means schema `name`."""
    if name not in FILES:
        raise ValueError(f"no such database: {name}")
    if url.startswith("postgresql"):
        return Database(_postgres(url, name), name)
    data_dir.mkdir(parents=True, exist_ok=True)
    return Database(sqlite_engine(data_dir / f"{name}.db", _DURABLE[name]), name)


def sqlite_engine(path: Path | str, synchronous: str) -> Engine:
    """An engine in driver autocommit; `Database.write` says BEGIN and COMMIT itself."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"check_same_thread": False, "timeout": _BUSY_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def _pragmas(raw: Any, _record: Any) -> None:
        cursor = raw.cursor()
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            f"busy_timeout={_BUSY_MS}",
            "foreign_keys=ON",
            "cache_size=-8000",
            "temp_store=MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _postgres(url: str, schema: str) -> Engine:
    driver_url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    return create_engine(
        driver_url,
        pool_size=16,
        max_overflow=64,
        pool_pre_ping=True,
        connect_args={"options": f"-csearch_path={schema}", "application_name": "openalgo"},
    )
