"""Order updates that brokers send by HTTP. A postback is a hint with a signature, never the news itself.

A signature covers little of the body, so that what a postback says about quantities is not believed: it makes us read
the order from the broker's own book, and that goes through the one door of broker news (`services/order_updates.py`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from broker import catalog
from broker.interface import Broker
from broker.postback import Postback
from database import events as event_rows
from database.engine import Database
from domain.errors import NotFound, NotSupported, PlatformError, SessionOver, Unauthorized
from domain.model import Mode, Order
from services.accounts import Account
from services.order_updates import OrderUpdates
from services.sessions import SessionState

log = logging.getLogger(__name__)

PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between the tries to read the order of a postback; then the look of each minute finds it."""
MOST = 500
"""Orders that are tried again at once."""


class Accounts(Protocol):
    def every_account(self) -> Iterable[Account]: ...


class Sessions(Protocol):
    def broker_for(self, account: Account) -> Broker: ...
    def state(self, account: Account) -> SessionState: ...
    def login_fields(self, account: Account) -> dict[str, str]: ...


class Postbacks:
    """Of any broker that signs them."""

    def __init__(
        self,
        orders: Database,
        accounts: Accounts,
        sessions: Sessions,
        updates: OrderUpdates,
        later: Callable[[float, Callable[[], None]], None] | None = None,
    ) -> None:
        """`later(seconds, work)` does work after a while; None: on a timer's thread."""
        self._db = orders
        self._accounts = accounts
        self._sessions = sessions
        self._updates = updates
        self._later = later or _later
        self._lock = threading.Lock()
        self._again: set[tuple[int, str]] = set()

    def take(self, broker: str, body: bytes) -> int:
        """Hear a postback; how many events it made.

        Raises NotFound for a broker that is not known, NotSupported for one that sends none with a signature,
        InvalidRequest for a body that is none, and Unauthorized when no account that is logged in knows its signature.
        """
        if broker not in catalog.names():
            raise NotFound("No such broker.")
        if not catalog.manifest(broker).can.postbacks:
            raise NotSupported(
                f"{catalog.manifest(broker).title} sends no postbacks whose signature can be checked; its orders are "
                f"followed without. Postbacks are taken of: {', '.join(senders())}."
            )
        told = catalog.load(broker).read_postback(body)
        for account in self._accounts.every_account():
            if account.broker != broker:
                continue
            state = self._sessions.state(account)
            if state.word not in ("ok", "expiring") or told.broker_user not in ("", state.broker_user):
                continue
            if told.is_signed_by(self._sessions.login_fields(account)):
                return self._look(replace(account, mode=Mode.LIVE), told)
        raise Unauthorized("No account here knows this signature.")

    def _look(self, account: Account, told: Postback) -> int:
        """Read the order, unless it is known to be as the postback says."""
        with self._db.read() as connection:
            known = event_rows.known(connection, account.id, account.broker, told.order_id)
        if known is not None and _as_told(known, told):
            return 0
        try:
            made = self._read(account, told.order_id)
        except SessionOver as error:
            raise Unauthorized(str(error)) from error
        if made is not None:
            return made
        with self._lock:
            waits = (account.id, told.order_id) in self._again or len(self._again) >= MOST
            if not waits:
                self._again.add((account.id, told.order_id))
        if not waits:
            self._later(PAUSES[0], lambda: self._retry(account, told.order_id, PAUSES[1:]))
        return 0

    def _read(self, account: Account, order_id: str) -> int | None:
        """Read the order as it is now and record what is new: how many events; None when either failed. Raises
        SessionOver."""
        try:
            order = self._sessions.broker_for(account).fetch_order(order_id)
            if order is None:
                log.warning("postback about an order that the book does not show account=%s", account.id)
                return None
            return len(self._updates.apply(account.id, account.broker, Mode.LIVE, [order], "postback"))
        except SessionOver:
            raise
        except PlatformError as error:
            log.warning("postback not followed account=%s order=%s: %s", account.id, order_id, error)
        except Exception:
            log.exception("postback not followed account=%s order=%s", account.id, order_id)
        return None

    def _retry(self, account: Account, order_id: str, pauses: Sequence[float]) -> None:
        """Read it again, as often as there are pauses. What is read then is newer than any postback before."""
        over = False
        try:
            over = self._read(account, order_id) is not None
        except SessionOver as error:
            over = True
            log.warning("postback not followed account=%s order=%s: %s", account.id, order_id, error)
        if not over and pauses:
            self._later(pauses[0], lambda: self._retry(account, order_id, pauses[1:]))
            return
        with self._lock:
            self._again.discard((account.id, order_id))


def _later(seconds: float, work: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()


def senders() -> list[str]:
    """The brokers whose postbacks are taken."""
    return [name for name in catalog.names() if catalog.manifest(name).can.postbacks]


def _as_told(known: Order, told: Postback) -> bool:
    return known.state.is_final and (known.status_word, known.filled) == (told.status_word, told.filled)
