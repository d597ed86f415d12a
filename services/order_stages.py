"""Copies what the journal says of settled orders into the log store, a batch at a time, by the worker.

The order path writes nothing for it: a stage is the time between two states that it wrote anyway.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from database import intents
from database import order_stages as rows
from database.engine import Database
from database.intents import Intent, Step
from database.order_stages import StageRow
from domain.clock import Clock
from domain.model import IntentState

__all__ = ["OrderStages", "StageRow"]

KEPT = timedelta(days=30)
SETTLED = frozenset({IntentState.ACCEPTED, IntentState.REFUSED, IntentState.EXPIRED})
_AT_ONCE = 2_000
_SWEEP = timedelta(hours=1)


class OrderStages:
    """`orders` holds the journal, `logs` the copy."""

    def __init__(self, orders: Database, logs: Database, clock: Clock) -> None:
        self._orders = orders
        self._logs = logs
        self._clock = clock
        self._seen: int | None = None
        self._swept: datetime | None = None

    def collect(self) -> int:
        """Write what has settled since the last call; how many."""
        if self._seen is None:
            with self._logs.read() as connection:
                self._seen = rows.newest(connection)
        written = 0
        while True:
            with self._orders.read() as connection:
                steps = intents.steps_after(connection, self._seen, _AT_ONCE)
                ended = {step.intent_id: step for step in steps if step.state in SETTLED}
                known = intents.by_ids(connection, set(ended))
            found = sorted(
                (_stage(step, known[key]) for key, step in ended.items() if key in known), key=_seq
            )
            if found:
                self._logs.write(lambda c, taken=found: rows.add_all(c, taken))  # type: ignore[misc]
            written += len(found)
            self._seen = steps[-1].seq if steps else self._seen
            if len(steps) < _AT_ONCE:
                self._sweep()
                return written

    def latest(self, minutes: int = 5, limit: int = 5_000) -> list[StageRow]:
        """Newest first."""
        with self._logs.read() as connection:
            return rows.since(connection, self._clock.now() - timedelta(minutes=minutes), limit)

    def _sweep(self) -> None:
        """Forget what is older than KEPT, once an hour."""
        now = self._clock.now()
        if self._swept is None or now - self._swept >= _SWEEP:
            self._logs.write(lambda c: rows.forget_before(c, now - KEPT))
            self._swept = now


def _stage(step: Step, intent: Intent) -> StageRow:
    sent = intent.sent_at
    return StageRow(
        seq=step.seq,
        intent_id=intent.id,
        at=step.at,
        account_id=intent.account_id,
        broker=intent.broker,
        kind=intent.kind.value,
        outcome=step.state.value,
        ours_micros=_micros(intent.created_at, sent or step.at),
        broker_micros=None if sent is None else _micros(sent, step.at),
    )


def _micros(first: datetime, second: datetime) -> int:
    return max(0, (second - first) // timedelta(microseconds=1))


def _seq(row: StageRow) -> int:
    return row.seq
