"""The limits of an account, as its owner reads and sets them; the gate holds them."""

from __future__ import annotations

from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from database import controls as rows
from database.controls import Controls
from database.engine import Database
from domain.clock import Clock
from domain.errors import InvalidRequest, NotFound
from domain.model import Product
from services.accounts import Caller
from services.audit import Audit

__all__ = ["AccountLimits", "Controls"]

_WHOLE = ("max_open_orders", "max_orders_per_day", "max_orders_per_second", "duplicate_window_ms")
_EXACT = ("max_quantity", "max_value", "max_day_loss", "price_collar_percent")


class AccountLimits:
    """Of the caller's account. An empty value means not limited."""

    def __init__(self, orders: Database, clock: Clock, audit: Audit) -> None:
        self._db = orders
        self._clock = clock
        self._audit = audit

    def of(self, caller: Caller) -> Controls:
        """Raises NotFound when the account has no limits row; nothing trades then."""
        with self._db.read() as connection:
            return _found(rows.load(connection, caller.account.id))

    def change(self, caller: Caller, values: dict[str, Any]) -> Controls:
        """Replace the named limits. Raises InvalidRequest naming the one that is wrong."""
        for name, value in values.items():
            _check(name, value)
        now = self._clock.now()

        def work(connection: Connection) -> tuple[Controls, Controls]:
            before, _ = rows.load_both(connection, caller.account.id, "")
            after = replace(_found(before), **values)
            rows.save(connection, after, now)
            return _found(before), after

        before, after = self._db.write(work)
        old, new = asdict(before), asdict(after)
        changed = {name: [_text(old[name]), _text(new[name])] for name in new if new[name] != old[name]}
        self._audit.note(caller, "limits.change", changed)
        return after


def _found(controls: Controls | None) -> Controls:
    if controls is None:
        raise NotFound("The account has no limits; it cannot trade.")
    return controls


def _check(name: str, value: Any) -> None:
    if name in _WHOLE and value is not None and not 0 < value <= 10**9:
        raise InvalidRequest("A whole number above 0, or empty for no limit.", name)
    if name in _EXACT and value is not None and not Decimal(0) < value <= Decimal(10**10):
        raise InvalidRequest("A number above 0, or empty for no limit.", name)
    if name == "queue_seconds" and not 0 <= value <= 60:
        raise InvalidRequest("0 to 60 seconds.", name)
    if name == "allowed_products" and value and not set(value.split()) <= set(Product):
        raise InvalidRequest(f"Any of {', '.join(Product)}, apart by spaces.", name)
    if name == "algo_id" and len(value) > 32:
        raise InvalidRequest("32 characters at most.", name)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
