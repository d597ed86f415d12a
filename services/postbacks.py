"""Order updates that brokers send by HTTP. A postback is a hint with a signature, never the news itself.

A signature covers little of the body, so that what a postback says about quantities is not believed: it makes us read
the order from the broker's own book, and that goes through the one door of broker news (`services/order_updates.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
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


class Accounts(Protocol):
    def every_account(self) -> Iterable[Account]: ...


class Sessions(Protocol):
    def broker_for(self, account: Account) -> Broker: ...
    def state(self, account: Account) -> SessionState: ...
    def login_fields(self, account: Account) -> dict[str, str]: ...


class Postbacks:
    """Of any broker that signs them."""

    def __init__(
        self, orders: Database, accounts: Accounts, sessions: Sessions, updates: OrderUpdates
    ) -> None:
        self._db = orders
        self._accounts = accounts
        self._sessions = sessions
        self._updates = updates

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
            order = self._sessions.broker_for(account).fetch_order(told.order_id)
        except SessionOver as error:
            raise Unauthorized(str(error)) from error
        except PlatformError as error:
            log.warning("postback not followed account=%s order=%s: %s", account.id, told.order_id, error)
            return 0
        if order is None:
            log.warning("postback about an order that the book does not show account=%s", account.id)
            return 0
        return len(self._updates.apply(account.id, account.broker, Mode.LIVE, [order], "postback"))


def senders() -> list[str]:
    """The brokers whose postbacks are taken."""
    return [name for name in catalog.names() if catalog.manifest(name).can.postbacks]


def _as_told(known: Order, told: Postback) -> bool:
    return known.state.is_final and (known.status_word, known.filled) == (told.status_word, told.filled)
