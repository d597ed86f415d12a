"""Order and trade numbers of the exchange: `YYMMDD` (IST) and eight digits, never given twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from domain.clock import IST

LastNumber = Callable[[str], int]
"""The highest number given so far to ids that begin with a prefix; 0 when none."""


class Numbers:
    """`last_order` and `last_trade` look into storage, once a day's prefix."""

    def __init__(self, last_order: LastNumber, last_trade: LastNumber) -> None:
        self._look = {"": last_order, "T": last_trade}
        self._last: dict[str, int] = {}

    def order(self, at: datetime) -> tuple[int, str]:
        """A new order's place in time (over all days) and its id."""
        text = self._next("", at)
        return int(text), text

    def trade(self, at: datetime) -> str:
        """A new trade's id: `T` and a number of its own sequence."""
        return self._next("T", at)

    def _next(self, kind: str, at: datetime) -> str:
        prefix = kind + at.astimezone(IST).strftime("%y%m%d")
        last = self._last.get(prefix)
        if last is None:
            last = self._look[kind](prefix)
        self._last[prefix] = last + 1
        return f"{prefix}{last + 1:08d}"
