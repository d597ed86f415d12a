"""The same request once: what an Idempotency-Key did the first time is what it answers every time.

For requests that touch many orders or none; a single order or plan carries its key in the journal itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from database import kept_replies as rows
from database.engine import Database
from domain.clock import Clock
from domain.errors import DuplicateKey, PlatformError, Unavailable
from services.accounts import Caller

HOLD = 15.0
"""Seconds a second request waits for the first one's reply."""
KEPT = timedelta(days=7)


class Once:
    """Replies of one orders store, opaque text each."""

    def __init__(
        self, orders_store: Database, clock: Clock, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._db = orders_store
        self._clock = clock
        self._pause = pause

    def run(self, caller: Caller, key: str, body_hash: str, work: Callable[[], str]) -> str:
        """The reply of `work`, which runs at most once a key; a PlatformError says that it did nothing.

        Raises DuplicateKey for another body, Unavailable while the first request has not answered, and what `work`
        raises.
        """
        account_id, now = caller.account.id, self._clock.now()
        try:
            self._db.write(lambda c: rows.claim(c, account_id, key, body_hash, now))
        except IntegrityError:
            return self._earlier(account_id, key, body_hash)
        try:
            reply = work()
        except PlatformError:
            self._db.write(lambda c: rows.release(c, account_id, key))
            raise
        self._db.write(lambda c: rows.keep(c, account_id, key, reply))
        return reply

    def forget_old(self) -> int:
        """Drop replies older than a week; returns how many. For the worker."""
        before = self._clock.now() - KEPT
        return self._db.write(lambda c: rows.forget_before(c, before))

    def _earlier(self, account_id: int, key: str, body_hash: str) -> str:
        end = self._clock.monotonic() + HOLD
        while True:
            with self._db.read() as connection:
                known = rows.load(connection, account_id, key)
            if known is None:
                raise Unavailable("The first request with this key did nothing; ask again.")
            if known.body_hash != body_hash:
                words = "This Idempotency-Key was used with another request: nothing was sent."
                raise DuplicateKey(words, "Idempotency-Key")
            if known.reply is not None:
                return known.reply
            if self._clock.monotonic() > end:
                raise Unavailable("The first request with this key has not ended; look at the order book.")
            self._pause(0.05)
