"""Statements compiled once: what goes in and comes out is what the query layer would have sent and read."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    insert,
    select,
    update,
)

from database.engine import Database
from database.prepared import BulkInsert, Prepared
from database.types import Money, UtcTime

_NOTES = Table(
    "prepared_notes",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("word", String(16), nullable=False),
    Column("price", Money),
    Column("at", UtcTime),
    Column("seen", Boolean, nullable=False),
)
_NOON = datetime(2026, 8, 24, 12, 0, 0, 5, tzinfo=UTC)
_ROWS = [
    {"word": "first", "price": Decimal("12.05"), "at": _NOON, "seen": True},
    {"word": "second", "price": None, "at": None, "seen": False},
]


def _make(connection: Connection) -> None:
    _NOTES.drop(connection, checkfirst=True)
    _NOTES.create(connection)
    BulkInsert(_NOTES, insert(_NOTES).inline(), connection.dialect).run(connection, _ROWS)


def test_values_come_back_as_they_went_in(database: Database) -> None:
    by_word = Prepared(select(_NOTES).where(_NOTES.c.word == bindparam("wanted"), _NOTES.c.id > 0))
    database.write(_make)
    with database.read() as connection:
        assert by_word.rows(connection, {"wanted": "first"}) == [_ROWS[0] | {"id": 1}]
        assert by_word.rows(connection, {"wanted": "second"}) == [_ROWS[1] | {"id": 2}]
        assert by_word.rows(connection, {"wanted": "third"}) == []
        (plain,) = connection.execute(select(_NOTES).where(_NOTES.c.id == 1)).mappings()
        assert dict(plain) == _ROWS[0] | {"id": 1}


def test_changes_are_counted_and_returned(database: Database) -> None:
    database.write(_make)
    price = Prepared(
        update(_NOTES).where(_NOTES.c.word == bindparam("of")).values(price=bindparam("price"), seen=True)
    )
    raised = Prepared(
        update(_NOTES)
        .where(_NOTES.c.word == bindparam("of"))
        .values(price=_NOTES.c.price + bindparam("more", type_=Money))
        .returning(_NOTES.c.price, _NOTES.c.seen)
    )
    assert database.write(lambda c: price.count(c, {"of": "second", "price": Decimal(3)})) == 1
    assert database.write(lambda c: price.count(c, {"of": "nobody", "price": Decimal(3)})) == 0
    found = database.write(lambda c: raised.rows(c, {"of": "second", "more": Decimal("0.5")}))
    assert found == [{"price": Decimal("3.5"), "seen": True}]


def test_a_failed_write_keeps_nothing(database: Database) -> None:
    database.write(_make)
    price = Prepared(update(_NOTES).where(_NOTES.c.id == bindparam("of")).values(price=bindparam("price")))

    def work(connection: Connection) -> None:
        price.count(connection, {"of": 1, "price": Decimal(1)})
        raise RuntimeError("and then it failed")

    with pytest.raises(RuntimeError):
        database.write(work)
    with database.read() as connection:
        assert connection.execute(select(_NOTES.c.price).where(_NOTES.c.id == 1)).scalar() == Decimal("12.05")
