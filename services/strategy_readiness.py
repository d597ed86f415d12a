"""What a strategy would have to wait for before it may start, in words. Answers are remembered for two seconds."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import timedelta

from database import controls as control_rows
from database.engine import Database
from domain.clock import IST, Clock
from domain.errors import PlatformError
from domain.model import Mode
from domain.strategies import Strategy
from services.accounts import Account, Accounts
from services.instruments import Instruments
from services.sessions import Sessions

_FRESH = 2.0
_LEAP = 5.0
_OLD = timedelta(hours=24)


class Readiness:
    """Of one install."""

    def __init__(
        self,
        orders: Database,
        accounts: Accounts,
        sessions: Sessions,
        instruments: Instruments,
        clock: Clock,
        ports: tuple[tuple[str, int], tuple[str, int]],
    ) -> None:
        """`ports` are host and port of the web server and of the feed."""
        self._orders = orders
        self._accounts = accounts
        self._sessions = sessions
        self._instruments = instruments
        self._clock = clock
        self._ports = ports
        self._known: dict[object, tuple[float, object]] = {}
        self._skew: float | None = None

    def missing(self, strategy: Strategy) -> str:
        """The first thing that is not there, "" when it may start."""
        try:
            account = self._accounts.account(strategy.account_id)
            return (
                self._killed(account)
                or self._remember(("account", account.id), lambda: self._account_lacks(account))
                or self._remember("ports", self._port_closed)
                or self._clock_leaps()
            )
        except PlatformError as error:
            return f"Not known whether it may start: {error}"

    def _killed(self, account: Account) -> str:
        with self._orders.read() as connection:
            killed = control_rows.killed(connection, account.id)
        return "" if killed is None else "The kill switch is on"

    def _account_lacks(self, account: Account) -> str:
        """A broker session, and a master of today's instruments."""
        if account.mode is Mode.LIVE:
            state = self._sessions.state(account)
            if state.word in ("none", "expired"):
                return f"No session at {account.broker}: log in"
        master = next((each for each in self._instruments.status() if each.broker == account.broker), None)
        if master is None:
            return f"No instruments of {account.broker} yet"
        if account.mode is Mode.LIVE and self._clock.now() - master.loaded_at > _OLD:
            return f"Instruments of {account.broker} are of {master.loaded_at.astimezone(IST):%d %b}, not of today"
        return ""

    def _port_closed(self) -> str:
        for name, (host, port) in zip(("The API", "The price feed"), self._ports, strict=True):
            try:
                socket.create_connection((host, port), 0.5).close()
            except OSError:
                return f"{name} does not answer yet"
        return ""

    def _clock_leaps(self) -> str:
        """The wall clock must run as the steady one does; after a leap one look is waited."""
        skew = self._clock.now().timestamp() - self._clock.monotonic()
        before, self._skew = self._skew, skew
        if before is not None and abs(skew - before) > _LEAP:
            return f"The machine's clock leapt by {skew - before:+.0f} s"
        return ""

    def _remember(self, name: object, ask: Callable[[], str]) -> str:
        at, found = self._known.get(name, (float("-inf"), ""))
        if self._clock.monotonic() - at > _FRESH:
            found = ask()
            self._known[name] = (self._clock.monotonic(), found)
        return str(found)
