"""Brokers' live feeds by name: whose they are, how one is opened, and where its order updates go.

A feed is named `<broker>:<account id>`. Everything here may block (database reads), so the stream role calls it in
threads; the stream it gets back belongs to the loop that starts it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from broker import catalog
from broker.interface import BrokerSession
from broker.stream import BrokerStream, StreamSinks, Want
from domain.clock import Clock
from domain.errors import NotFound, SessionOver
from domain.model import Exchange, Mode, Order
from services.accounts import Accounts
from services.instruments import Instruments
from services.market_calendar import MarketCalendar
from services.order_updates import OrderUpdates
from services.sessions import Sessions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FeedLogin:
    """The login a feed runs on. `serial` changes with each login of the account."""

    serial: int
    session: BrokerSession


class BrokerFeeds:
    """The stream role's view of the accounts that are logged in to a broker."""

    def __init__(
        self,
        accounts: Accounts,
        sessions: Sessions,
        instruments: Instruments,
        calendar: MarketCalendar,
        updates: OrderUpdates,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._instruments = instruments
        self._calendar = calendar
        self._updates = updates
        self._clock = clock

    def login(self, feed: str) -> FeedLogin:
        """The present login. Raises SessionOver when there is none, or no such account or feed."""
        broker, account_id = split(feed)
        try:
            account = self._accounts.account(account_id)
        except NotFound as error:
            raise SessionOver("This account is gone.") from error
        if account.broker != broker or catalog.load(broker).stream is None:
            raise SessionOver("This account has no such feed.")
        return FeedLogin(*self._sessions.live_session(account))

    def open(
        self, feed: str, login: FeedLogin, sinks: StreamSinks, is_open: Callable[[], bool]
    ) -> BrokerStream:
        """A stream on this login, not started yet. Raises SessionOver for a broker without a feed."""
        broker, account_id = split(feed)
        stream = catalog.load(broker).stream
        if stream is None:
            raise SessionOver("This broker has no feed.")
        find = self._instruments.lookup(broker)
        opened = stream(feed, login.session, find, self._clock, sinks, is_open)
        account = self._accounts.account(account_id)
        opened.renew_data = partial(self._sessions.renew_data, account)
        return opened

    def wants(self, feed: str, modes: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], Want]:
        """(exchange, symbol) -> mode as instruments of the broker's own master; unknown ones are left out."""
        broker, _ = split(feed)
        found = {
            key: Want(instrument, mode)
            for key, mode in modes.items()
            if (instrument := self._instruments.get(broker, *key)) is not None
        }
        return found

    def always(self) -> list[str]:
        """Feeds that must be up with nobody watching: logged-in accounts whose order updates come by socket."""
        return [
            f"{account.broker}:{account.id}"
            for account in self._accounts.every_account()
            if (stream := catalog.load(account.broker).stream) is not None
            and stream.order_line
            and self._sessions.state(account).word in ("ok", "expiring")
        ]

    def is_open(self, feed: str) -> bool:
        """Whether any exchange the broker trades is open now."""
        broker, _ = split(feed)
        now = self._clock.now()
        calendar = self._calendar.current()
        return any(calendar.is_open(exchange, now) for exchange in _traded(broker))

    def apply(self, feed: str, orders: Sequence[Order]) -> None:
        """Record order updates of a live account."""
        broker, account_id = split(feed)
        self._updates.apply(account_id, broker, Mode.LIVE, orders, "stream")

    def catch_up(self, feed: str) -> None:
        """Read the book of a live account whose feed has come (back): what it missed is told as if it had not. Raises
        PlatformError when it cannot be read."""
        broker, account_id = split(feed)
        account = replace(self._accounts.account(account_id), mode=Mode.LIVE)
        book = self._sessions.broker_for(account).fetch_orders()
        self._updates.apply(account_id, broker, Mode.LIVE, book, "reconnect")


def split(feed: str) -> tuple[str, int]:
    """(broker, account id) of a feed's name. Raises SessionOver for any other name."""
    broker, _, account = feed.partition(":")
    if broker not in catalog.names() or not (account.isascii() and account.isdigit()):
        raise SessionOver(f"no such feed: {feed:.64}")
    return broker, int(account)


def _traded(broker: str) -> frozenset[Exchange]:
    return catalog.manifest(broker).can.exchanges
