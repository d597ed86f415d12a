"""A statement compiled once and run with many rows: what a hot path costs without the query layer's per-call work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.sql.dml import Insert

Row = dict[str, Any]


class BulkInsert:
    """Inserts (or upserts) rows of one table. Values go through the columns' own types."""

    def __init__(self, table: Table, statement: Insert, dialect: Dialect) -> None:
        names = [column.name for column in table.columns]
        compiled = statement.compile(dialect=dialect, column_keys=names)
        self._sql = str(compiled)
        self._names: Sequence[str] = getattr(compiled, "positiontup", None) or names
        self._positional = bool(getattr(compiled, "positional", False))
        self._read = [(name, _writer(table, name, dialect)) for name in self._names]

    def run(self, connection: Connection, rows: Iterable[Row]) -> None:
        """Send every row. Nothing happens for none."""
        ready: list[Any] = [self._values(row) for row in rows]
        if ready:
            connection.exec_driver_sql(self._sql, ready)

    def _values(self, row: Row) -> tuple[Any, ...] | Row:
        if self._positional:
            return tuple([row[name] if write is None else write(row[name]) for name, write in self._read])
        return {name: row[name] if write is None else write(row[name]) for name, write in self._read}


def _writer(table: Table, name: str, dialect: Dialect) -> Callable[[Any], Any] | None:
    kind = table.columns[name].type
    processor: Callable[[Any], Any] | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return processor
