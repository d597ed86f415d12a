"""Logins for market data that nobody asked for: one at a time over all threads and processes, then a rest.

Two programs with the same keys end each other's sessions, and wrong keys stay wrong: so it is tried once, not again.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeVar

from database import leases
from database.engine import Database
from domain.clock import Clock
from domain.errors import BrokerUnavailable, PlatformError

log = logging.getLogger(__name__)

T = TypeVar("T")

REST: Final = timedelta(minutes=10)
"""Between one login and the next, whatever came of the first."""
_SOON: Final = timedelta(seconds=30)
"""The same where the broker was not reached."""
_ATTEMPT: Final = timedelta(seconds=30)
_WAIT: Final = 8.0
_LOOK: Final = 0.05


class DataLogins:
    """See the module docstring. The store's leases say whose turn it is."""

    def __init__(self, platform: Database, clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
        self._db = platform
        self._clock = clock
        self._pause = pause

    def once(self, account_id: int, known: Callable[[], T | None], log_in: Callable[[], T]) -> T | None:
        """What `known` says, or a login by us, or what `known` says once another's login is done; None without any.

        log_in  also writes it down: the others look for it with `known`
        """
        name, mine, now = _name(account_id), secrets.token_hex(16), self._clock.now()
        if (found := known()) is not None:
            return found
        turn = self._db.write(lambda c: leases.take(c, name, mine, now, _ATTEMPT))
        if turn is None:
            return self._other(name, known)
        pause = REST
        try:
            # Between the look and our turn another may have ended theirs.
            if (found := known()) is None:
                found = log_in()
                log.info("logged in again for market data account=%s", account_id)
            return found
        except PlatformError as error:
            pause = _SOON if isinstance(error, BrokerUnavailable) else REST
            log.warning("no new login for market data account=%s: %s", account_id, type(error).__name__)
            return None
        finally:
            until = self._clock.now() + pause
            self._db.write(lambda c: leases.rest(c, name, turn, until))

    def forget(self, account_id: int) -> None:
        """A person logged in: what was tried before counts no more."""
        now = self._clock.now()
        self._db.write(lambda c: leases.free(c, _name(account_id), now))

    def _other(self, name: str, known: Callable[[], T | None]) -> T | None:
        """Wait for whoever logs in at this moment; not while the lease only rests."""
        end = self._clock.monotonic() + _WAIT
        while True:
            with self._db.read() as connection:
                at_work = leases.holder(connection, name)
            found = known()
            if found is not None or not at_work or self._clock.monotonic() > end:
                return found
            self._pause(_LOOK)


def _name(account_id: int) -> str:
    return f"data login {account_id}"
