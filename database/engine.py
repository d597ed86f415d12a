"""One `Database` a file (SQLite) or schema (PostgreSQL): long-lived connections, group-committed writes.

On SQLite concurrent writers of one process share a commit: whoever holds the lock runs everybody's work in
one BEGIN IMMEDIATE, each in its own savepoint, so one failing member fails alone and one fdatasync serves all.
On PostgreSQL each write is its own transaction and many run at once: what is read to be changed is locked (FOR UPDATE),
what may not be there yet is inserted with `insert_once` or `put`, and what is more than a row is held by name (`hold`).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, Table, bindparam, create_engine, event, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.dml import Insert

from database.prepared import Prepared

T = TypeVar("T")

FILES = ("platform", "orders", "paper", "logs")
_DURABLE = {"platform": "NORMAL", "orders": "FULL", "paper": "FULL", "logs": "NORMAL"}
_GROUP = 64
_BUSY_MS = 10_000
_PAUSE = 0.0002
_LOG_PAGES = 8000
"""Pages (4 KiB) of the log after which its content is copied into the file, with the writers waiting: an order writes
some thirty, and what the next one changes again is copied once."""


class _Member(Generic[T]):
    """One caller's share of a group commit."""

    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[Connection], T]) -> None:
        self.work = work
        self.done = False
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
        self._writer: Connection | None = None
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
            while not member.done:
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
            connection = self._local.connection = self._connect()
        return connection

    def _connect(self) -> Connection:
        connection = self.engine.connect()
        self._open.add(connection)
        return connection

    def _writing(self) -> Connection:
        """SQLite's one connection for writing, for who holds the lock: it has in memory what the last write changed,
        which a thread's own would read from the file again."""
        if self._writer is None or self._writer.closed or self._writer.invalidated:
            self._writer = self._connect()
        return self._writer

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
                member.done = True

    def _commit(self, group: list[_Member[Any]]) -> None:
        connection = self._writing()
        say = self._raw(connection).execute
        _begin(say)
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


def _begin(say: Callable[[str], Any]) -> None:
    """Take SQLite's write lock. Another process holds it for a millisecond or two, while SQLite's own waiting sleeps
    1, 2, 5, 10 ms and on, which an order would feel. Raises OperationalError when it stays taken."""
    end = time.monotonic() + _BUSY_MS / 1000
    say("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                say("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
            time.sleep(_PAUSE)
    finally:
        say(f"PRAGMA busy_timeout={_BUSY_MS}")


def new_id(result: CursorResult[Any]) -> int:
    """The primary key an insert was given."""
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def insert_once(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one with its key exists; whether it was inserted."""
    return bool(_insert_once(connection.dialect.name, table, tuple(values)).rows(connection, values))


@cache
def _insert_once(dialect: str, table: Table, names: tuple[str, ...]) -> Prepared:
    """The statement, built once; it returns the new row's key, or nothing."""
    given = _insert(dialect, table).values({name: bindparam(name) for name in names})
    return Prepared(given.on_conflict_do_nothing().returning(next(iter(table.primary_key.columns))))


def _insert(dialect: str, table: Table) -> sqlite.Insert:
    """An INSERT that can say ON CONFLICT. PostgreSQL's half of SQLAlchemy is 3 MiB: only who talks to it loads it."""
    if dialect != "postgresql":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)  # type: ignore[return-value]


def put(connection: Connection, table: Table, values: dict[str, Any], key: tuple[str, ...] = ()) -> None:
    """Insert a row, or set these values in the one that has its key (`key`, else the primary one)."""
    key = key or tuple(column.name for column in table.primary_key)
    _put(connection.dialect.name, table, key, tuple(values)).count(connection, values)


@cache
def _put(dialect: str, table: Table, key: tuple[str, ...], names: tuple[str, ...]) -> Prepared:
    return Prepared(upsert(dialect, table, key, names).values({name: bindparam(name) for name in names}))


def upsert(dialect: str, table: Table, key: Sequence[str], names: Sequence[str]) -> Insert:
    """INSERT, or where a row with that key exists, UPDATE of these columns but the key's."""
    statement = _insert(dialect, table)
    changed = {name: statement.excluded[name] for name in names if name not in key}
    return statement.on_conflict_do_update(index_elements=key, set_=changed)


def hold(connection: Connection, what: str) -> None:
    """Until this transaction ends, let nobody else into one that holds the same words. Hold first, read afterwards.

    SQLite needs nothing: it has one writer.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_HOLD, {"what": what})


_HOLD = text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))")


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
        _use_log(cursor)
        for pragma in (
            f"synchronous={synchronous}",
            f"busy_timeout={_BUSY_MS}",
            "foreign_keys=ON",
            "cache_size=-1024",  # KiB, and each thread of a role has a connection to each file
            "temp_store=MEMORY",
            f"wal_autocheckpoint={_LOG_PAGES}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _use_log(cursor: sqlite3.Cursor) -> None:
    """Turn a file to write-ahead logging. SQLite does not wait for another process that is just doing the same."""
    for _ in range(100):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        time.sleep(0.02)
    cursor.execute("PRAGMA journal_mode=WAL")


def _postgres(url: str, schema: str) -> Engine:
    driver_url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    return create_engine(
        driver_url,
        pool_size=16,
        max_overflow=64,
        pool_pre_ping=True,
        connect_args={"options": f"-csearch_path={schema}", "application_name": "openalgo"},
    )
