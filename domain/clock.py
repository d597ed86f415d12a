"""Time is passed in. The real clock is made in the composition roots; tests pass their own."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

IST = ZoneInfo("Asia/Kolkata")


class Clock(Protocol):
    """`now` is aware UTC; `monotonic` is seconds that never step back."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...
