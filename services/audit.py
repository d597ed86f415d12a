"""The audit trail: who, when, from where, which strategy and algo id, what was asked, decided and answered.

Orders are sealed by the worker from the journal's own steps, off the order path; everything else is noted at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from database import audit as audit_rows
from database import events as event_rows
from database import intents as intent_rows
from database.audit import FIRST, Entry, Sealed, digest
from database.engine import Database
from database.intents import Intent, Step
from domain.clock import Clock
from domain.model import IntentState
from services.accounts import Caller

__all__ = ["Audit", "Entry"]

PAGE = 100
_LOST_AFTER = timedelta(minutes=1)
_CURSOR = (0, "audit")


class Audit:
    """The chain of one orders store."""

    def __init__(self, orders_store: Database, clock: Clock) -> None:
        self._db = orders_store
        self._clock = clock

    def note(self, caller: Caller, action: str, detail: dict[str, Any], subject: str = "") -> None:
        """Add what a caller did. `detail` holds no secret."""
        entry = Entry(
            at=self._clock.now(),
            action=action,
            who=caller.username,
            door=caller.door,
            detail=detail,
            account_id=caller.account.id,
            user_id=caller.user_id,
            address=caller.address,
            strategy=caller.strategy,
            subject=subject,
        )
        self._db.write(lambda c: audit_rows.append(c, [entry]))

    def seal(self) -> int:
        """Add the journal's new steps; returns how many. For the worker, which is the only one to call it."""
        total = 0
        while True:
            sealed = self._seal_page()
            total += sealed
            if sealed < PAGE:
                return total

    def _seal_page(self) -> int:
        """Read, prepare and link beside the orders' way; only the rows' writing holds their store."""
        with self._db.read() as connection:
            begun = event_rows.cursor(connection, *_CURSOR)
            steps = _unbroken(intent_rows.steps_after(connection, begun, PAGE), begun, self._clock.now())
            intents = intent_rows.by_ids(connection, {step.intent_id for step in steps})
            newest = audit_rows.end(connection)
        if not steps:
            return 0
        entries = [_entry(step, intents[step.intent_id]) for step in steps]
        rows = audit_rows.linked(entries, newest)

        def work(connection: Connection) -> int:
            audit_rows.hold_end(connection)
            if event_rows.cursor(connection, *_CURSOR) != begun:
                return 0
            end = audit_rows.end(connection)
            audit_rows.add_linked(connection, rows if end == newest else audit_rows.linked(entries, end))
            event_rows.move_cursor(connection, *_CURSOR, steps[-1].seq)
            return len(steps)

        return self._db.write(work)

    def verify(self) -> tuple[int, str]:
        """(rows read, what is wrong first): "" when the chain is whole."""
        previous, expected = FIRST, 1
        with self._db.read() as connection:
            for row in audit_rows.chain(connection):
                if row.seq != expected:
                    return expected - 1, f"row {expected} is missing"
                if row.previous != previous or row.hash != digest(row.seq, row.entry, row.previous):
                    return expected - 1, f"row {row.seq} was changed"
                previous, expected = row.hash, expected + 1
        return expected - 1, ""

    def export(self) -> Iterator[Sealed]:
        """Every row, oldest first."""
        with self._db.read() as connection:
            yield from audit_rows.chain(connection)

    def latest(self, account_id: int | None, limit: int = 100, before: int | None = None) -> list[Sealed]:
        """The newest rows, of one account or (None) of all."""
        with self._db.read() as connection:
            return audit_rows.latest(connection, account_id, limit, before)


def _unbroken(steps: list[Step], after: int, now: datetime) -> list[Step]:
    """The steps up to the first number that is missing and may still be on its way to a commit (PostgreSQL numbers
    rows before they are visible); a number that stayed away for a while was rolled back."""
    for at, step in enumerate(steps):
        if step.seq != after + 1 and now - step.at < _LOST_AFTER:
            return steps[:at]
        after = step.seq
    return steps


def _entry(step: Step, intent: Intent) -> Entry:
    asked = {
        "kind": intent.kind.value,
        "mode": intent.mode.value,
        "broker": intent.broker,
        "symbol": intent.symbol,
        "exchange": intent.exchange.value,
        "side": intent.side.value,
        "quantity": str(intent.quantity),
        "type": intent.order_type.value,
        "product": intent.product.value,
        **({"to_product": intent.to_product.value} if intent.to_product else {}),
        "price": None if intent.price is None else str(intent.price),
        "trigger_price": None if intent.trigger_price is None else str(intent.trigger_price),
        "target": intent.target_order_id,
        "plan": intent.plan_id,
        "key": intent.key_id,
    }
    detail: dict[str, Any] = {"state": step.state.value, "code": step.code, "words": step.words}
    if step.state in (IntentState.SENDING, IntentState.PARKED, IntentState.QUEUED):
        detail["request"] = asked
    elif intent.broker_order_id:
        detail["broker_order_id"] = intent.broker_order_id
    return Entry(
        at=step.at,
        action=f"order.{intent.kind.value.lower()}",
        who=str(intent.user_id),
        door=intent.door,
        detail=detail,
        account_id=intent.account_id,
        user_id=intent.user_id,
        address=intent.address,
        strategy=intent.strategy,
        algo_id=intent.algo_id,
        subject=intent.id,
    )
