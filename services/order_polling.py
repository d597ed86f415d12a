"""Order news of brokers that push none: their books are read every few seconds while something is working."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from broker.interface import Broker
from database import events as event_rows
from database.engine import Database
from domain.errors import PlatformError
from domain.model import Mode
from services.accounts import Account
from services.order_updates import OrderUpdates
from services.sessions import SessionState

log = logging.getLogger(__name__)

IDLE_EVERY = 10
"""With nothing working a book is read at every tenth turn only: for orders placed elsewhere."""


class Sessions(Protocol):
    def broker_for(self, account: Account) -> Broker: ...
    def state(self, account: Account) -> SessionState: ...


class OrderPoller:
    """Polls the live accounts whose broker's manifest says "poll"."""

    def __init__(
        self,
        orders: Database,
        accounts: Callable[[], Iterable[Account]],
        sessions: Sessions,
        updates: OrderUpdates,
    ) -> None:
        self._db = orders
        self._accounts = accounts
        self._sessions = sessions
        self._updates = updates
        self._turn = 0
        self._failed: set[int] = set()

    def poll(self) -> int:
        """One turn over all such accounts; returns how many events it made. A book that could not be read or stored is
        read again at the next turn, and holds up no other."""
        idle_too = self._turn % IDLE_EVERY == 0
        self._turn += 1
        made = 0
        for account in self._accounts():
            if account.mode is not Mode.LIVE or self._sessions.state(account).word not in ("ok", "expiring"):
                continue
            again = account.id in self._failed
            self._failed.add(account.id)
            try:
                made += self._poll(account, idle_too=idle_too or again)
                self._failed.discard(account.id)
            except PlatformError as error:
                log.warning("orders not polled account=%s: %s", account.id, error)
            except Exception:
                log.exception("order news not stored account=%s", account.id)
        return made

    def _poll(self, account: Account, *, idle_too: bool) -> int:
        broker = self._sessions.broker_for(account)
        if broker.manifest.can.order_updates != "poll":
            return 0
        with self._db.read() as connection:
            is_working = bool(event_rows.working(connection, account.id, account.venue))
        if not is_working and not idle_too:
            return 0
        book = broker.fetch_orders()
        return len(self._updates.apply(account.id, account.venue, account.mode, book, "poll"))
