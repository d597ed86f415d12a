"""Order and trade numbers of the exchange: `YYMMDD` (IST) and eight digits, never given twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from domain.clock import IST

LastNumber = Callable[[str], int]
"""The highest number given so far to ids that begin with a prefix; 0 when none."""


class Numbers:
    """`last_order` and `last_trade` look into storage, once a day's prefix."""

    def __init__(self, last_order: LastNumber, last_trade: LastNumber) -> None:
        self._look = {"": last_order, "T": last_trade}
        self._last: dict[str, int] = {}
        self._day = ""
        self._began = self._ends = datetime.min.replace(tzinfo=UTC)

    def order(self, at: datetime) -> tuple[int, str]:
        """A new order's place in time (over all days) and its id."""
        text = self._next("", at)
        return int(text), text

    def trade(self, at: datetime) -> str:
        """A new trade's id: `T` and a number of its own sequence."""
        return self._next("T", at)

    def _next(self, kind: str, at: datetime) -> str:
        if not self._began <= at < self._ends:
            self._turn(at)
        prefix = kind + self._day
        last = self._last.get(prefix)
        if last is None:
            last = self._look[kind](prefix)
        self._last[prefix] = last + 1
        return f"{prefix}{last + 1:08d}"

    def _turn(self, at: datetime) -> None:
        local = at.astimezone(IST)
        self._day = local.strftime("%y%m%d")
        self._began = local.replace(hour=0, minute=0, second=0, microsecond=0)
        self._ends = self._began + timedelta(days=1)
