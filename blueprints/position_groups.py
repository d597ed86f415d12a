"""Positions under heads: by strategy, underlying, product or exchange, each with its own total."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from blueprints.access import caller, platform
from blueprints.problems import Read, attempt
from domain.model import Trade

if TYPE_CHECKING:
    from blueprints.books import PositionRow

WAYS = (
    ("", "Not grouped"),
    ("strategy", "By strategy"),
    ("underlying", "By underlying"),
    ("product", "By product"),
    ("exchange", "By exchange"),
)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one head. `pnl` and `booked` None where a part of them is not known; `name` "" for no grouping."""

    name: str
    rows: Sequence[PositionRow]
    pnl: Decimal | None
    booked: Decimal | None

    @property
    def open_count(self) -> int:
        return sum(1 for row in self.rows if row.position.quantity)


def grouped(rows: Sequence[PositionRow], way: str) -> list[Group]:
    """The rows in groups by name; one nameless group for a way that is not known."""
    if way not in dict(WAYS[1:]):
        return [_group("", rows)]
    names = _strategies() if way == "strategy" else {}
    made: dict[str, list[PositionRow]] = defaultdict(list)
    for row in rows:
        made[_head(row, way, names)].append(row)
    return [_group(name, made[name]) for name in sorted(made)]


def _head(row: PositionRow, way: str, strategies: dict[tuple[str, str, str], set[str]]) -> str:
    held = row.position
    if way == "product":
        return held.product.value
    if way == "exchange":
        return held.exchange.value
    if way == "underlying":
        found = platform().instruments.get(caller().account.venue, held.exchange, held.symbol)
        return (found.name if found is not None and found.expiry is not None else "") or held.symbol
    traded = strategies.get((held.exchange, held.symbol, held.product), set())
    return next(iter(traded)) if len(traded) == 1 else "Several strategies" if traded else "Carried over"


def _strategies() -> dict[tuple[str, str, str], set[str]]:
    """Who traded what today: the names that fills carry, "Manual" for none."""
    found: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    fills: Read[list[Trade]] = attempt(lambda: platform().portfolio.trades(caller()), [])
    for fill in fills.value:
        found[fill.exchange, fill.symbol, fill.product].add(fill.strategy or "Manual")
    return found


def _group(name: str, rows: Sequence[PositionRow]) -> Group:
    return Group(name, rows, total(row.pnl for row in rows), total(row.position.realised for row in rows))


def total(values: Iterable[Decimal | None]) -> Decimal | None:
    """The sum, None when any part is not known: a sum of what happens to be known would be a lie."""
    asked = list(values)
    known = [value for value in asked if value is not None]
    return sum(known, Decimal(0)) if len(known) == len(asked) else None
