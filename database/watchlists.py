"""Lists of instruments that people watch. A row names an instrument; whether it still exists is asked when shown."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    String,
    Table,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    update,
)

from database.engine import new_id
from database.metadata import PLATFORM

WATCHLISTS = Table(
    "watchlists",
    PLATFORM,
    Column("id", Integer, primary_key=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("name", String(32), nullable=False),
    Column("place", Integer, nullable=False),
    UniqueConstraint("user_id", "name"),
)

ROWS = Table(
    "watchlist_rows",
    PLATFORM,
    Column("list_id", ForeignKey(WATCHLISTS.c.id, ondelete="CASCADE"), primary_key=True),
    Column("exchange", String(16), primary_key=True),
    Column("symbol", String(64), primary_key=True),
    Column("place", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchlist:
    """One named list of a user."""

    id: int
    user_id: int
    name: str


def of_user(connection: Connection, user_id: int) -> list[Watchlist]:
    query = select(WATCHLISTS.c.id, WATCHLISTS.c.user_id, WATCHLISTS.c.name)
    query = query.where(WATCHLISTS.c.user_id == user_id).order_by(WATCHLISTS.c.place, WATCHLISTS.c.id)
    return [Watchlist(**row) for row in connection.execute(query).mappings()]


def add_list(connection: Connection, user_id: int, name: str) -> int:
    """Insert a list at the end; IntegrityError when the user has one of that name."""
    last = select(func.coalesce(func.max(WATCHLISTS.c.place), 0)).where(WATCHLISTS.c.user_id == user_id)
    place = connection.execute(last).scalar_one() + 1
    return new_id(connection.execute(insert(WATCHLISTS).values(user_id=user_id, name=name, place=place)))


def rename_list(connection: Connection, list_id: int, name: str) -> None:
    """IntegrityError when the user has one of that name."""
    connection.execute(update(WATCHLISTS).where(WATCHLISTS.c.id == list_id).values(name=name))


def delete_list(connection: Connection, list_id: int) -> None:
    connection.execute(delete(ROWS).where(ROWS.c.list_id == list_id))
    connection.execute(delete(WATCHLISTS).where(WATCHLISTS.c.id == list_id))


def rows_of(connection: Connection, list_id: int) -> list[tuple[str, str]]:
    """(exchange, symbol) in the list's order."""
    query = select(ROWS.c.exchange, ROWS.c.symbol).where(ROWS.c.list_id == list_id)
    return [(row[0], row[1]) for row in connection.execute(query.order_by(ROWS.c.place, ROWS.c.symbol))]


def replace_rows(connection: Connection, list_id: int, rows: list[tuple[str, str]]) -> None:
    """Make these the rows of a list, in this order."""
    connection.execute(delete(ROWS).where(ROWS.c.list_id == list_id))
    if rows:
        values = [
            {"list_id": list_id, "exchange": exchange, "symbol": symbol, "place": place}
            for place, (exchange, symbol) in enumerate(rows)
        ]
        connection.execute(insert(ROWS), values)
