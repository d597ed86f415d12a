"""What people are told of their strategies and triggers: kept as rows, rung at once, shown until
they say that they saw it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from database import strategy_alerts as rows
from database.engine import Database
from domain.clock import Clock
from domain.strategies import Alert, Strategy, StrategyState

GUARD = "guard"
"""The kind of alert that is about a trigger instead of a strategy: `strategy_id` is then the trigger's."""
_AGAIN = timedelta(hours=12)
_BAD = (StrategyState.CRASHED, StrategyState.FAILED)


class StrategyAlerts:
    """Of every person; each call is about one of them."""

    def __init__(self, store: Database, clock: Clock) -> None:
        self._db = store
        self._clock = clock

    def listed(self, user_id: int, after: int = 0) -> list[Alert]:
        """Newest first; only those younger than the alert `after`."""
        with self._db.read() as connection:
            return rows.of_user(connection, user_id, after)

    def newest_unseen(self, user_id: int) -> dict[str, Alert]:
        """Strategy -> its newest alert that was not seen."""
        return {each.strategy_id: each for each in self.listed(user_id)[::-1] if each.seen_at is None}

    def tell_guard(self, user_id: int, trigger_id: str, symbol: str, reason: str) -> bool:
        """Keep an alert that a trigger did not do what it is for; the same is told once in twelve hours, and whether it
        was told now."""
        now = self._clock.now()
        name = f"Trigger on {symbol}"
        alert = Alert(id=0, strategy_id=trigger_id, name=name, at=now, kind=GUARD, reason=reason)

        def work(connection: Connection) -> bool:
            if rows.is_told(connection, alert, now - _AGAIN):
                return False
            rows.add(connection, user_id, alert)
            return True

        return self._db.write(work)

    def unseen(self, user_id: int) -> int:
        with self._db.read() as connection:
            return rows.unseen(connection, user_id)

    def see(self, user_id: int) -> None:
        """Everything there is by now was seen."""
        now = self._clock.now()
        self._db.write(lambda c: rows.see(c, user_id, now))


def tell_end(connection: Connection, settled: Strategy, words: str, tail: list[str], now: datetime) -> bool:
    """Keep an alert when a run ended badly; whether there is one. `settled` is the strategy as that left it."""
    if settled.state not in _BAD:
        return False
    lasts = settled.state is StrategyState.CRASHED and settled.retry_at is not None
    reason = settled.reason if settled.state is StrategyState.FAILED else words
    alert = _alert(settled, "crashed" if lasts else "failed", reason, now, "\n".join(tail))
    rows.add(connection, settled.user_id, alert)
    return True


def tell_late(connection: Connection, strategy: Strategy, reason: str, now: datetime) -> None:
    """Keep an alert that a strategy is due and cannot start, or did not; the same is told once in twelve hours."""
    alert = _alert(strategy, "late", reason, now, "")
    if not rows.is_told(connection, alert, now - _AGAIN):
        rows.add(connection, strategy.user_id, alert)


def _alert(strategy: Strategy, kind: str, reason: str, now: datetime, tail: str) -> Alert:
    return Alert(
        id=0, strategy_id=strategy.id, name=strategy.name, at=now, kind=kind, reason=reason, tail=tail
    )
