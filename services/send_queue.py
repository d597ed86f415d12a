"""Orders that wait for a send slot: exits before entries, oldest first, each with a deadline that everyone can see.

Nothing is dropped: a row is sent when a slot is free, or lapses at its deadline and says so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from broker.interface import Broker
from database import controls as control_rows
from database import intents as intent_rows
from database.engine import Database
from database.intents import Intent
from domain.clock import Clock
from domain.errors import PlatformError
from domain.model import IntentState
from services.accounts import Account
from services.orders import Orders

log = logging.getLogger(__name__)

SENDERS = 8


class Sessions(Protocol):
    def broker_for(self, account: Account) -> Broker: ...


class SendQueue:
    """Drains the QUEUED rows of one orders store. One process at a time drains (the worker's lease)."""

    def __init__(
        self,
        orders_store: Database,
        clock: Clock,
        account: Callable[[int], Account],
        sessions: Sessions,
        orders: Orders,
    ) -> None:
        self._db = orders_store
        self._clock = clock
        self._account = account
        self._sessions = sessions
        self._orders = orders
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="send")
        self._free = threading.Semaphore(SENDERS)

    def drain(self) -> int:
        """Send what has a slot now and lapse what is overdue; returns how many left the queue."""
        with self._db.read() as connection:
            waiting = intent_rows.in_states(connection, IntentState.QUEUED)
        waiting.sort(key=lambda intent: (not intent.reduces, intent.created_at, intent.id))
        blocked: set[tuple[int, str]] = set()
        left = 0
        for intent in waiting:
            line = (intent.account_id, intent.exchange.value)
            if line in blocked:
                continue
            if self._take(intent):
                left += 1
            else:
                blocked.add(line)
        return left

    def close(self) -> None:
        """Wait for sends on their way."""
        self._senders.shutdown(wait=True)

    def _take(self, intent: Intent) -> bool:
        """Lapse or send one row; False when its line has no slot, or nobody is free to send it at once."""
        now = self._clock.now()
        if intent.deadline is not None and intent.deadline <= now:
            return self._lapse(intent, now)
        try:
            account = replace(self._account(intent.account_id), mode=intent.mode)
            broker = self._sessions.broker_for(account)
            self._orders.require(account)
            instrument = self._orders.resolve(account, intent.exchange, intent.symbol)
        except PlatformError as error:
            log.warning("queued order waits account=%s intent=%s: %s", intent.account_id, intent.id, error)
            return False
        per_second = int(broker.manifest.limits.requests.get("orders", 0))

        def work(connection: Connection) -> bool:
            limits, _ = control_rows.load_both(connection, intent.account_id, "")
            if control_rows.killed(connection, intent.account_id) is not None and not intent.reduces:
                words = "The kill switch was thrown while it waited."
                changes = {"code": "KILL_SWITCH", "words": words, "settled_at": now}
                return intent_rows.move(
                    connection, intent.id, IntentState.QUEUED, IntentState.REFUSED, now, **changes
                )
            if limits is None:
                return False
            rate = min(filter(None, (per_second, limits.max_orders_per_second)), default=0)
            if rate and not control_rows.take_slot(connection, intent.account_id, intent.exchange, now, rate):
                return False
            moved = intent_rows.move(
                connection, intent.id, IntentState.QUEUED, IntentState.SENDING, now, sent_at=now
            )
            taken.append(moved)
            return True

        taken: list[bool] = []
        if not self._free.acquire(blocking=False):
            return False
        sending = False
        try:
            left = self._db.write(work)
            sending = left and bool(taken) and taken[-1]
        finally:
            if not sending:
                self._free.release()
        if sending:
            row = replace(intent, state=IntentState.SENDING, sent_at=now)
            self._senders.submit(self._send, row, broker, instrument)
        return left

    def _send(self, intent: Intent, broker: Broker, instrument: object) -> None:
        try:
            self._orders.send(intent, broker, instrument)  # type: ignore[arg-type]
        except PlatformError as error:
            log.info("queued order refused intent=%s: %s", intent.id, error)
        except Exception:
            log.exception("queued order not sent intent=%s", intent.id)
        finally:
            self._free.release()

    def _lapse(self, intent: Intent, now: datetime) -> bool:
        words = "No send slot was free before its deadline: not sent."
        changes = {"code": "QUEUE_TIMEOUT", "words": words, "settled_at": now}
        return self._db.write(
            lambda c: intent_rows.move(c, intent.id, IntentState.QUEUED, IntentState.EXPIRED, now, **changes)
        )
