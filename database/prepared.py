"""Statements compiled once and run with ready values: a hot path without the query layer's work at every call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Select, Table, insert
from sqlalchemy.sql.dml import Insert, Update
from sqlalchemy.types import TypeEngine

Row = dict[str, Any]
_Convert = Callable[[Any], Any] | None


class Prepared:
    """One statement, compiled once a dialect. Its `bindparam`s are the parameters, anything else in it is constant, and
    values go through the columns' own types both ways. Not for an IN list, whose length changes.

    SQLite's errors (sqlite3.Error) come back as they are, PostgreSQL's as SQLAlchemy's.
    """

    def __init__(self, statement: Select[Any] | Insert | Update) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, values: Row) -> list[Row]:
        """What it selects or returns, by column name."""
        return self._of(connection).rows(connection, values)

    def count(self, connection: Connection, values: Row) -> int:
        """Change rows; how many."""
        return int(self._of(connection).send(connection, values).rowcount)

    def _of(self, connection: Connection) -> _Compiled:
        dialect = connection.dialect
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _Compiled(self._statement, dialect)
        return found


class _Compiled:
    """A statement's words for one dialect, and what its values go through on their way in and out."""

    def __init__(self, statement: Select[Any] | Insert | Update, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        order: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._sql = str(compiled)
        self._positional = order is not None
        self._constant = {name: value for name, value in compiled.params.items() if value is not None}
        binders = {name: _binder(bind.type, dialect) for bind, name in compiled.bind_names.items()}
        self._write = [(name, binders[name]) for name in order or binders]
        columns = [(str(column.key), column.type) for column in statement.exported_columns or ()]
        self._names = [name for name, _ in columns]
        readers = [(name, _reader(kind, dialect)) for name, kind in columns]
        self._read = [(name, convert) for name, convert in readers if convert is not None]

    def send(self, connection: Connection, values: Row) -> Any:
        """Run it; a cursor of the driver's on SQLite (the one with numbered places), SQLAlchemy's result elsewhere."""
        given = self._constant | values
        ready: Any = [
            given[name] if convert is None else convert(given[name]) for name, convert in self._write
        ]
        if not self._positional:
            return connection.exec_driver_sql(
                self._sql, {name: v for (name, _), v in zip(self._write, ready, strict=True)}
            )
        driver: Any = connection.connection.driver_connection
        return driver.execute(self._sql, ready)

    def rows(self, connection: Connection, values: Row) -> list[Row]:
        found = []
        for values_of_row in self.send(connection, values).fetchall():
            row = dict(zip(self._names, values_of_row, strict=True))
            for name, convert in self._read:
                row[name] = convert(row[name])
            found.append(row)
        return found


class BulkInsert:
    """Inserts (or upserts) rows of one table. Values and errors are as with `Prepared`."""

    def __init__(self, table: Table, statement: Insert, dialect: Dialect) -> None:
        given = table.autoincrement_column
        names = [column.name for column in table.columns if column is not given]
        compiled = statement.compile(dialect=dialect, column_keys=names)
        self._sql = str(compiled)
        self._names: Sequence[str] = getattr(compiled, "positiontup", None) or names
        self._positional = bool(getattr(compiled, "positional", False))
        self._read = [(name, _binder(table.columns[name].type, dialect)) for name in self._names]

    def run(self, connection: Connection, rows: Iterable[Row]) -> None:
        """Send every row. Nothing happens for none."""
        ready: list[Any] = [self._values(row) for row in rows]
        if not ready:
            return
        if self._positional:
            driver: Any = connection.connection.driver_connection
            driver.executemany(self._sql, ready)
        else:
            connection.exec_driver_sql(self._sql, ready)

    def _values(self, row: Row) -> tuple[Any, ...] | Row:
        if self._positional:
            return tuple([row[name] if write is None else write(row[name]) for name, write in self._read])
        return {name: row[name] if write is None else write(row[name]) for name, write in self._read}


def add_rows(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Insert rows, each with a value for every column but those the database fills itself."""
    _plain(table, connection.dialect).run(connection, rows)


@lru_cache(64)
def _plain(table: Table, dialect: Dialect) -> BulkInsert:
    return BulkInsert(table, insert(table).inline(), dialect)


def _binder(kind: TypeEngine[Any], dialect: Dialect) -> _Convert:
    """From a value to the driver's, None where they are the same."""
    convert: _Convert = kind.dialect_impl(dialect).bind_processor(dialect)
    return convert


def _reader(kind: TypeEngine[Any], dialect: Dialect) -> _Convert:
    """From the driver's value to ours, None where they are the same."""
    convert: _Convert = kind.dialect_impl(dialect).result_processor(dialect, None)
    return convert
