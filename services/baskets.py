"""Baskets of a user: put together leg by leg, priced as a whole, sent as one plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from database import baskets as rows
from database.baskets import BasketRow
from database.engine import Database, hold
from domain.clock import Clock
from domain.errors import InvalidRequest, NotFound
from domain.model import Exchange, OrderRequest, OrderType, Product, Side

__all__ = ["Basket", "Baskets"]

MOST_BASKETS = 50
MOST_LEGS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """Orders in the order in which they were put in."""

    id: int
    name: str
    legs: list[OrderRequest]
    changed_at: datetime


class Baskets:
    """Methods that take a basket id raise NotFound for one that is not the user's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def listed(self, user_id: int) -> list[Basket]:
        """The one changed last first."""
        with self._db.read() as connection:
            return [_basket(row) for row in rows.of_user(connection, user_id)]

    def one(self, user_id: int, basket_id: int) -> Basket:
        found = next((one for one in self.listed(user_id) if one.id == basket_id), None)
        if found is None:
            raise NotFound("No such basket.")
        return found

    def create(self, user_id: int, name: str) -> int:
        """An empty basket. Raises InvalidRequest for a bad or taken name, or too many."""
        wanted = " ".join(name.split())
        if not 1 <= len(wanted) <= 64:
            raise InvalidRequest("A basket's name is 1 to 64 characters.", "name")
        if len(self.listed(user_id)) >= MOST_BASKETS:
            raise InvalidRequest(f"{MOST_BASKETS} baskets are the most; delete one first.", "name")
        now = self._clock.now()
        try:
            return self._db.write(lambda c: rows.add(c, user_id, wanted, now))
        except IntegrityError as error:
            raise InvalidRequest(f"There is a basket named {wanted} already.", "name") from error

    def delete(self, user_id: int, basket_id: int) -> None:
        self.one(user_id, basket_id)
        self._db.write(lambda c: rows.remove(c, basket_id))

    def add(self, user_id: int, basket_id: int, leg: OrderRequest) -> None:
        """Put an order at the end. Raises InvalidRequest when the basket is full."""

        def change(legs: list[dict[str, Any]]) -> list[dict[str, Any]]:
            if len(legs) >= MOST_LEGS:
                raise InvalidRequest(f"{MOST_LEGS} orders are the most of one basket.")
            return [*legs, _write(leg)]

        self._change(user_id, basket_id, change)

    def remove(self, user_id: int, basket_id: int, place: int) -> None:
        """Take out the order at a place (0 first); nothing happens when there is none."""
        self._change(user_id, basket_id, lambda legs: [leg for at, leg in enumerate(legs) if at != place])

    def move(self, user_id: int, basket_id: int, place: int, by: int) -> None:
        """Shift an order up (-1) or down (1)."""

        def change(legs: list[dict[str, Any]]) -> list[dict[str, Any]]:
            to = place + by
            if 0 <= place < len(legs) and 0 <= to < len(legs):
                legs.insert(to, legs.pop(place))
            return legs

        self._change(user_id, basket_id, change)

    def clear(self, user_id: int, basket_id: int) -> None:
        self._change(user_id, basket_id, lambda legs: [])

    def _change(
        self, user_id: int, basket_id: int, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
    ) -> None:
        now = self._clock.now()

        def work(connection: Connection) -> None:
            hold(connection, f"basket/{basket_id}")
            row = next((one for one in rows.of_user(connection, user_id) if one.id == basket_id), None)
            if row is None:
                raise NotFound("No such basket.")
            rows.save_legs(connection, basket_id, change(list(row.legs)), now)

        self._db.write(work)


def _basket(row: BasketRow) -> Basket:
    return Basket(id=row.id, name=row.name, legs=[_read(leg) for leg in row.legs], changed_at=row.changed_at)


def _write(leg: OrderRequest) -> dict[str, Any]:
    return {
        "exchange": leg.exchange.value,
        "symbol": leg.symbol,
        "side": leg.side.value,
        "quantity": str(leg.quantity),
        "product": leg.product.value,
        "order_type": leg.order_type.value,
        "price": None if leg.price is None else str(leg.price),
        "trigger_price": None if leg.trigger_price is None else str(leg.trigger_price),
    }


def _read(leg: dict[str, Any]) -> OrderRequest:
    return OrderRequest(
        symbol=leg["symbol"],
        exchange=Exchange(leg["exchange"]),
        side=Side(leg["side"]),
        quantity=Decimal(leg["quantity"]),
        product=Product(leg["product"]),
        order_type=OrderType(leg["order_type"]),
        price=None if leg["price"] is None else Decimal(leg["price"]),
        trigger_price=None if leg["trigger_price"] is None else Decimal(leg["trigger_price"]),
    )
