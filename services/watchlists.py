"""What people watch: several lists a user, made with a first one so that the trade page is never empty."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from database import watchlists as rows
from database.engine import Database, hold
from database.watchlists import Watchlist
from domain.errors import InvalidRequest, NotFound

__all__ = ["Watchlist", "Watchlists"]

MOST_LISTS = 10
MOST_ROWS = 250
FIRST = "Core"
FIRST_ROWS = [
    ("NSE_INDEX", "NIFTY"),
    ("NSE_INDEX", "BANKNIFTY"),
    *(
        ("NSE", symbol)
        for symbol in (
            "RELIANCE",
            "HDFCBANK",
            "ICICIBANK",
            "INFY",
            "TCS",
            "SBIN",
            "BHARTIARTL",
            "ITC",
            "LT",
            "AXISBANK",
            "KOTAKBANK",
            "TATASTEEL",
            "MARUTI",
        )
    ),
]

Row = tuple[str, str]
"""(exchange, symbol)"""


class Watchlists:
    """Every method that takes a list id raises NotFound for a list that is not the user's."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def lists(self, user_id: int) -> list[Watchlist]:
        """The user's lists in their order; the first one is made when there is none."""
        found = self._lists(user_id)
        if not found:
            self._db.write(lambda c: _begin(c, user_id))
            found = self._lists(user_id)
        return found

    def rows(self, user_id: int, list_id: int) -> list[Row]:
        self._owned(user_id, list_id)
        with self._db.read() as connection:
            return rows.rows_of(connection, list_id)

    def create(self, user_id: int, name: str) -> int:
        """A new empty list. Raises InvalidRequest for a bad or taken name, or too many lists."""
        wanted = _name(name)
        if len(self.lists(user_id)) >= MOST_LISTS:
            raise InvalidRequest(f"{MOST_LISTS} lists are the most; delete one first.", "name")
        try:
            return self._db.write(lambda c: rows.add_list(c, user_id, wanted))
        except IntegrityError as error:
            raise InvalidRequest(f"There is a list named {wanted} already.", "name") from error

    def rename(self, user_id: int, list_id: int, name: str) -> None:
        """Raises InvalidRequest for a bad or taken name."""
        wanted = _name(name)
        self._owned(user_id, list_id)
        try:
            self._db.write(lambda c: rows.rename_list(c, list_id, wanted))
        except IntegrityError as error:
            raise InvalidRequest(f"There is a list named {wanted} already.", "name") from error

    def delete(self, user_id: int, list_id: int) -> None:
        """Raises InvalidRequest for the last list."""
        self._owned(user_id, list_id)
        if len(self.lists(user_id)) == 1:
            raise InvalidRequest("The last list stays; remove its rows instead.")
        self._db.write(lambda c: rows.delete_list(c, list_id))

    def add(self, user_id: int, list_id: int, row: Row) -> None:
        """Put an instrument at the end; nothing happens when it is there. Raises InvalidRequest when full."""

        def change(there: list[Row]) -> list[Row]:
            if row in there:
                return there
            if len(there) >= MOST_ROWS:
                raise InvalidRequest(f"{MOST_ROWS} rows are the most of one list.")
            return [*there, row]

        self._change(user_id, list_id, change)

    def remove(self, user_id: int, list_id: int, row: Row) -> None:
        """Take an instrument out; nothing happens when it is not there."""
        self._change(user_id, list_id, lambda there: [one for one in there if one != row])

    def move(self, user_id: int, list_id: int, row: Row, place: int) -> None:
        """Put an instrument of the list at a place (0 first)."""

        def change(there: list[Row]) -> list[Row]:
            if row not in there:
                return there
            others = [one for one in there if one != row]
            return [*others[:place], row, *others[place:]]

        self._change(user_id, list_id, change)

    def _change(self, user_id: int, list_id: int, change: Callable[[list[Row]], list[Row]]) -> None:
        self._owned(user_id, list_id)

        def work(connection: Connection) -> None:
            hold(connection, f"watchlist/{list_id}")
            there = rows.rows_of(connection, list_id)
            wanted = change(there)
            if wanted != there:
                rows.replace_rows(connection, list_id, wanted)

        self._db.write(work)

    def _lists(self, user_id: int) -> list[Watchlist]:
        with self._db.read() as connection:
            return rows.of_user(connection, user_id)

    def _owned(self, user_id: int, list_id: int) -> None:
        if not any(found.id == list_id for found in self._lists(user_id)):
            raise NotFound("No such list.")


def _begin(connection: Connection, user_id: int) -> None:
    hold(connection, f"watchlists of/{user_id}")
    if not rows.of_user(connection, user_id):
        rows.replace_rows(connection, rows.add_list(connection, user_id, FIRST), FIRST_ROWS)


def _name(name: str) -> str:
    wanted = " ".join(name.split())
    if not 1 <= len(wanted) <= 32:
        raise InvalidRequest("A list's name is 1 to 32 characters.", "name")
    return wanted
